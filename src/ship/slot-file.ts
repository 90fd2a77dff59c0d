// Two slots of a file that its only writer overwrites in turn (formats/slots.ts), in room that is there from the start.
import { decodeSlots, encodeSlot, slotOffset } from '../formats/slots.ts'
import type { Disk } from '../io/disk.ts'
import { writeAll } from '../io/write-all.ts'

export class SlotPair {
  readonly #disk: Disk
  readonly #fd: number
  readonly #slotBytes: number
  #sequence: bigint

  private constructor(disk: Disk, fd: number, slotBytes: number, sequence: bigint) {
    this.#disk = disk
    this.#fd = fd
    this.#slotBytes = slotBytes
    this.#sequence = sequence
  }

  /** The slots that an open file begins with, and what they hold; undefined for none. Throws what the system says. */
  static read(disk: Disk, fd: number, slotBytes: number): { slots: SlotPair; content: unknown } {
    const bytes = Buffer.alloc(2 * slotBytes)
    const length = disk.read(fd, bytes, 0, bytes.length, 0)
    const found = decodeSlots(bytes.subarray(0, length), slotBytes)
    const slots = new SlotPair(disk, fd, slotBytes, found?.sequence ?? -1n)
    return { slots, content: found?.content }
  }

  /** Throws what the system says, and `RangeError`; what was there before counts then. */
  write(content: unknown): void {
    this.#sequence = this.#put(content)
  }

  /** The same, and on disk when it resolves. One at a time. */
  async writeDurably(content: unknown): Promise<void> {
    const sequence = this.#put(content)
    await this.#disk.fdatasyncAsync(this.#fd)
    this.#sequence = sequence
  }

  #put(content: unknown): bigint {
    const sequence = this.#sequence + 1n
    const bytes = encodeSlot({ sequence, content }, this.#slotBytes)
    writeAll(this.#disk, this.#fd, bytes, slotOffset(sequence, this.#slotBytes))
    return sequence
  }
}

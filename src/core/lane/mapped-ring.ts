// A ring in a mapped file: what was appended outlives the process. Needs the native addon.
import { type RingHeader, ringBytes } from '../../formats/lane.ts'
import type { Disk } from '../../io/disk.ts'
import { native } from '../../native/index.ts'
import { LargeMemory } from './large-memory.ts'
import { LargeFiles } from './large-records.ts'
import { RingBase } from './ring-base.ts'

export class MappedRing extends RingBase {
  readonly path: string
  readonly header: RingHeader
  /** Large records for which there was no room in files. */
  readonly memory: LargeMemory
  readonly #ring: unknown

  /** Whether there are mapped rings here at all. */
  static get isAvailable(): boolean {
    return native.laneAvailable()
  }

  /**
   * One end of the ring in `fd`, whose file has this header and all its blocks; the descriptor may be closed afterwards.
   * Throws the system's error; EBADMSG if the positions in it are those of no ring.
   */
  constructor(disk: Disk, path: string, fd: number, header: RingHeader) {
    const memory = new LargeMemory()
    super(header.capacityBytes, new LargeFiles(disk, path, memory))
    this.memory = memory
    this.path = path
    this.header = header
    this.#ring = native.laneMap(fd, header.headerBytes, header.capacityBytes, header.isChecked)
  }

  /** Of the file. */
  get bytes(): number {
    return ringBytes(this.header.headerBytes, this.header.capacityBytes)
  }

  get written(): number {
    return native.laneWritten(this.#ring)
  }

  get drained(): number {
    return native.laneDrained(this.#ring)
  }

  protected _append(record: string | Uint8Array): boolean {
    return native.laneAppend(this.#ring, record)
  }

  protected _appendReference(reference: Uint8Array): boolean {
    return native.laneAppendReference(this.#ring, reference)
  }

  protected _read(target: Uint8Array, ends: Uint32Array, found: Float64Array): number {
    return native.laneRead(this.#ring, target, ends, found)
  }

  protected _release(to: number): void {
    native.laneRelease(this.#ring, to)
  }

  protected _loadNotes(slots: Buffer): void {
    native.laneNotes(this.#ring, slots)
  }

  protected _storeNote(which: number, slot: Buffer): void {
    native.laneNote(this.#ring, which, slot)
  }

  protected _close(): void {
    native.laneUnmap(this.#ring)
  }
}

// Records that find no room in the ring of an output for the moment, oldest first, and the policy at the bound of memory.
import type { Dropped } from '../core/queue/byte-queue.ts'

interface Entry {
  readonly text: string
  readonly lines: number
  readonly bytes: number
}

/** Entries taken from the front are forgotten in batches of so many. */
const FORGET = 1_024

export class Backlog {
  readonly #entries: (Entry | undefined)[] = []
  #first = 0
  #bytes = 0

  get bytes(): number {
    return this.#bytes
  }

  get isEmpty(): boolean {
    return this.#first === this.#entries.length
  }

  push(text: string, lines: number): void {
    const bytes = Buffer.byteLength(text)
    this.#entries.push({ text, lines, bytes })
    this.#bytes += bytes
  }

  /** Gives the entries to `take`, oldest first, until it refuses one. */
  moveTo(take: (text: string) => boolean): void {
    while (!this.isEmpty && take(this.#entries[this.#first]!.text)) this.#shift()
  }

  /** Drops the oldest until `bytes` are free, or none is left. */
  dropOldest(bytes: number): Dropped {
    const dropped = { lines: 0, bytes: 0 }
    while (!this.isEmpty && dropped.bytes < bytes) {
      const oldest = this.#shift()
      dropped.lines += oldest.lines
      dropped.bytes += oldest.bytes
    }
    return dropped
  }

  clear(): Dropped {
    return this.dropOldest(Number.POSITIVE_INFINITY)
  }

  #shift(): Entry {
    const entry = this.#entries[this.#first]!
    this.#entries[this.#first++] = undefined
    this.#bytes -= entry.bytes
    if (this.#first >= FORGET && this.#first * 2 >= this.#entries.length) {
      this.#entries.splice(0, this.#first)
      this.#first = 0
    } else if (this.isEmpty) {
      this.#entries.length = 0
      this.#first = 0
    }
    return entry
  }
}

// Large records for which there is no room beside their ring: in shared memory of the process, with which they end. Everything
// else goes on, in its order, and nobody waits for room that others have taken.
import { isInMemory, type LargeReference, MEMORY_NUMBER } from '../../formats/lane.ts'
import { native } from '../../native/index.ts'
import type { Dropped } from '../queue/byte-queue.ts'

/** One of them, for the thread that takes the records out of the ring. */
export interface MemoryRecord {
  readonly number: number
  readonly data: SharedArrayBuffer
}

export interface MemoryEnds {
  /** Producer: one more; its reference comes into the ring when this has returned. `reason`: why it has no file. */
  added?(record: MemoryRecord, reason: unknown): void
  /** Consumer: takes in, by `add`, those that the producer has added. */
  more?(): void
}

export class LargeMemory {
  readonly #records = new Map<number, SharedArrayBuffer>()
  #ends: MemoryEnds = {}
  #last = MEMORY_NUMBER

  /** Where the two ends are in two threads. */
  connect(ends: MemoryEnds): void {
    this.#ends = ends
  }

  /** Those that are not released yet. */
  get records(): readonly MemoryRecord[] {
    return Array.from(this.#records, ([number, data]) => ({ number, data }))
  }

  /** The same, counted. */
  count(recordsIn: (payload: Buffer) => number): Dropped {
    const dropped = { lines: 0, bytes: 0 }
    for (const data of this.#records.values()) {
      dropped.lines += recordsIn(Buffer.from(data))
      dropped.bytes += data.byteLength
    }
    return dropped
  }

  /** Producer. Undefined if there is no memory either. */
  put(record: Uint8Array, reason: unknown): LargeReference | undefined {
    let data: SharedArrayBuffer
    try {
      data = new SharedArrayBuffer(record.length)
    } catch {
      return undefined
    }
    new Uint8Array(data).set(record)
    const number = this.#last
    this.#last = number === LAST_NUMBER ? MEMORY_NUMBER : number + 1
    this.#records.set(number, data)
    this.#ends.added?.({ number, data }, reason)
    return { number, crc: native.crc32c(record, 0, 0, record.length), length: record.length }
  }

  /** Consumer: what the producer has put. */
  add({ number, data }: MemoryRecord): void {
    this.#records.set(number, data)
  }

  /** Undefined where it is gone with the process that had it. */
  find({ number, length }: LargeReference): Uint8Array | undefined {
    if (!isInMemory(number)) return undefined
    if (!this.#records.has(number)) this.#ends.more?.()
    const data = this.#records.get(number)
    return data?.byteLength === length ? new Uint8Array(data) : undefined
  }

  remove({ number }: LargeReference): void {
    this.#records.delete(number)
  }
}

const LAST_NUMBER = 0xffff_ffff

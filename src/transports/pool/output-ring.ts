// The ring of an output as the main thread uses it, whichever memory it is in.
import type { Ring } from '../../core/lane/ring.ts'
import type { Dropped } from '../../core/queue/byte-queue.ts'
import type { RingHandle } from './protocol.ts'

/** How many records there are in payloads that lie one behind the other. */
export type CountRecords = (payloads: Buffer, records: number) => number

export interface OutputRing {
  /** See `Ring`. */
  readonly written: number
  readonly drained: number
  readonly capacityBytes: number
  /** Whether what is in it outlives the process. */
  readonly survives: boolean
  /** For a thread that takes its other end. */
  readonly handle: RingHandle
  /** See `Ring.append`. */
  append(record: string): boolean
  /** Makes room for `record`. False where that is more than may be held now. */
  grow(record: string): boolean
  /** What is not released. */
  unreleased(count: CountRecords): Dropped
  /** What of it ends with the process, though the rest outlives it. */
  mortal(count: CountRecords): Dropped
  /** Forgets what is in it. */
  discard(): void
  /** The process exits: nothing is left of an empty ring. */
  exit(): void
  /**
   * Lets go of the memory. What is left in a ring that survives is for others. `isFree`: no thread takes records out of it
   * any more.
   */
  close(isFree: boolean): void
}

const READ_BYTES = 1024 * 1024
const READ_RECORDS = 16 * 1024

/** What is in `ring` and was not released. */
export function countUnreleased(ring: Ring, count: CountRecords): Dropped {
  return countRecords(ring, ring.drained, count)
}

/** What is in `ring` from position `from` on. */
export function countRecords(ring: Ring, from: number, count: CountRecords): Dropped {
  const ends = new Uint32Array(READ_RECORDS)
  const dropped = { lines: 0, bytes: 0 }
  let target = Buffer.allocUnsafe(READ_BYTES)
  for (let at = from; at < ring.written; ) {
    const { records, bytes, next, needs, lost } = ring.read(at, target, ends)
    if (needs > target.length) {
      target = Buffer.allocUnsafe(needs)
      continue
    }
    // What cannot be read is lost as well, but nobody knows how much it was.
    if (next === at) break
    dropped.lines += lost + count(target.subarray(0, bytes), records)
    dropped.bytes += bytes
    at = next
  }
  return dropped
}

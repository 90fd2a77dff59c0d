// The contract of a ring: one thread appends records to it, one takes them out, and what was appended stays until it is
// released. Two backings have the same bytes: shared memory, and a mapped file, which outlives the process.
import type { AppendNote } from '../../formats/lane.ts'

/** What one `read` found. */
export interface RingRead {
  /** Records copied, … */
  readonly records: number
  /** … and the bytes of their payloads. */
  readonly bytes: number
  /** Where to go on. */
  readonly next: number
  /** Not 0: nothing was copied, because the next payload alone is so long. */
  readonly needs: number
  /** Records passed over, because the file they are in is missing or damaged. */
  readonly lost: number
  /** What lies at `next` is no sound record, so it and everything behind it cannot be read. */
  readonly isDamaged: boolean
}

export interface Ring {
  readonly capacityBytes: number
  /** Position behind the last record published by the producer. Positions are bytes, headers included, and only grow. */
  readonly written: number
  /** Position up to which the consumer has released; what lies before may be overwritten. */
  readonly drained: number
  /**
   * Producer: takes one record as a whole, text as UTF-8 with lone surrogates as U+FFFD. When this returns true, a
   * consumer finds all of it, whatever happens to this thread. False: no room now, and nothing was taken. Throws
   * `ERR_TOO_LARGE` if it has more than 4 294 967 295 bytes.
   */
  append(record: string | Uint8Array): boolean
  /**
   * Consumer: copies the payloads of the whole records from position `from` on to `target`, one behind the other, and
   * where each ends there to `ends`; as many as fit in both. `from` is `drained` or where an earlier read ended.
   */
  read(from: number, target: Uint8Array, ends: Uint32Array): RingRead
  /** Consumer: everything before position `to` is safe elsewhere. */
  release(to: number): void
  /** Consumer: before an append to a file: which payload bytes go where; after it: how far they are safe. */
  note(note: AppendNote | undefined): void
  /** The last intact note. */
  readonly noted: AppendNote | undefined
  /** Lets go of the memory, and removes nothing. A second time nothing happens. */
  close(): void
}

export type { AppendNote } from '../../formats/lane.ts'

// What the writer of a log is given, and what it tells.
import type { LogboomError } from '../../base/errors.ts'
import type { PatienceLimits } from './patience.ts'

export interface WriterOptions {
  walDir: string
  segmentBytes: number
  metadata: Uint8Array | undefined
  mode: number
  patience: PatienceLimits
  /** Whether records are acknowledged when they are appended, not only when they are on disk. */
  acknowledgesAppended: boolean
}

export interface WriterCounters {
  records: number
  bytes: number
  writes: number
  syncs: number
  rotations: number
  errors: number
}

export interface WriterHooks {
  rotated(from: string, to: string, bytes: number): void
  warning(error: LogboomError): void
  /** Writing or syncing failed, and moving to a new segment does not work yet; it is tried again and again. */
  degraded(error: LogboomError): void
  recovered(): void
  /** The end. `records` are the encoded records not on disk, the first one following checksum `crc`. */
  failed(error: LogboomError, records: Uint8Array[], crc: number): void
  /** The folder may be gone: makes it again and takes its lock. Throws if it cannot. */
  prepareFolder(): void
  /** Index of the last entry that was released. */
  releasedIndex(): bigint
  /** Somebody removed the entries from `first` to `last`; a snapshot stands for all up to `last` now. */
  entriesLost(first: bigint, last: bigint): void
}

export type WalRecords = readonly (Uint8Array | string)[]

export interface IndexRange {
  firstIndex: bigint
  lastIndex: bigint
}

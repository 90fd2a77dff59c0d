// What the writer of a log is given, and what it tells.
import type { LogboomError } from '../../base/errors.ts'
import type { PatienceLimits } from './patience.ts'

export interface WriterOptions {
  walDir: string
  segmentBytes: number
  metadata: Uint8Array | undefined
  mode: number
  patience?: PatienceLimits | undefined
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
  /** A sync failed, and moving to a new segment does not work yet; it is tried again and again. */
  degraded(error: LogboomError): void
  recovered(): void
  /** The end. `records` are the encoded records not on disk, the first one following checksum `crc`. */
  failed(error: LogboomError, records: Uint8Array[], crc: number): void
}

export type WalRecords = readonly (Uint8Array | string)[]

export interface IndexRange {
  firstIndex: bigint
  lastIndex: bigint
}

// Byte layout of etcd's write-ahead log (3.1 to 3.7): file names, frames, records and their checksums.
// Encoding is in wal-encoder.ts, decoding in wal-record.ts and wal-decoder.ts.

// A segment is a run of frames, padded with zeros up to its preallocated size:
//
//   0     u64 LE  low 56 bits n = length of the record; top byte 0x80 | p where p ≠ 0, else 0
//   8     n bytes protobuf Record { type = 1; crc = 2; data = 3 }
//   8+n   p zeros, p = (8 - n mod 8) mod 8
//
// n = 0 with a top byte of 0 ends the used part. `crc` is CRC-32C, rolling over the `data` of every record of
// every segment; a crc record carries the rolling value as a seed and opens each segment.

export const FRAME_HEADER_BYTES = 8
/** The power-cut unit of rule 3 (formats.md §2.7): a disk writes a sector wholly or not at all. */
export const SECTOR_BYTES = 512
/** Size at which etcd cuts a segment; bytes, not MiB. */
export const SEGMENT_BYTES = 64_000_000
export const WAL_FILE_MODE = 0o600
export const WAL_FOLDER_MODE = 0o700

export const METADATA = 1
export const ENTRY = 2
export const STATE = 3
export const CRC = 4
export const SNAPSHOT = 5

/** Our logs are the log of a raft group of one member that never changed its leader. */
export const TERM = 1n
export const MEMBER = 1n

export const MAX_INDEX = 0xffff_ffff_ffff_ffffn

export type RecordName = 'metadata' | 'entry' | 'state' | 'crc' | 'snapshot'
const RECORD_NAMES: readonly (RecordName | undefined)[] = [
  undefined,
  'metadata',
  'entry',
  'state',
  'crc',
  'snapshot'
]

export function recordName(type: number): RecordName | undefined {
  return RECORD_NAMES[type]
}

export interface WalState {
  term: bigint
  vote: bigint
  commit: bigint
}

export interface WalSnapshot {
  index: bigint
  term: bigint
}

export interface SegmentName {
  readonly name: string
  readonly sequence: bigint
  /** Index of the first entry that the segment was made for; 0 in the very first one. */
  readonly index: bigint
}

const SEGMENT_NAME = /^([0-9a-f]{16})-([0-9a-f]{16})\.wal$/

export function segmentName(sequence: bigint, index: bigint): string {
  return `${hex16(sequence)}-${hex16(index)}.wal`
}

export function parseSegmentName(name: string): SegmentName | undefined {
  const match = SEGMENT_NAME.exec(name)
  return match === null
    ? undefined
    : { name, sequence: BigInt(`0x${match[1]}`), index: BigInt(`0x${match[2]}`) }
}

/** The segments among the names of a folder, in the order they were written. */
export function listSegments(names: readonly string[]): SegmentName[] {
  const segments = names.map(parseSegmentName).filter((segment) => segment !== undefined)
  return segments.sort((a, b) => compare(a.sequence, b.sequence) || compare(a.index, b.index))
}

export function hex16(value: bigint): string {
  return value.toString(16).padStart(16, '0')
}

export function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** The larger of two indices. */
export function laterIndex(a: bigint, b: bigint): bigint {
  return compare(a, b) < 0 ? b : a
}

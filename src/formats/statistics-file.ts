// The statistics of the writers of a shared log: `.<name>.stats`, records of 512 bytes each, one per writer. A kernel lock
// on byte n of the file belongs to the writer whose record is number n, for as long as it lives.
//
//   0   8 bytes  "LBSTAT1\n"
//   8   u32 LE   process id
//  12   u32 LE   thread id (0: the main thread)
//  16   u64 LE   when the sink was opened, ms since 1970
//  24   u64 LE   when this was written, ms since 1970
//  32   u64 LE   records, then bytes, dropped, writes, syncs, rotations, repairs and errors, each u64 LE
//  96   u64 LE   bytes that wait
// 104   u64 LE   limit of a file in bytes (0: none)
// 112   u64 LE   time spent waiting for the lock, µs
// 120   u32 LE   how often the lock was waited for
// 124   u32 LE   state: place in opening, open, degraded, closing, closed, failed
// 128   32 × u32 LE   syncs by how long they took: number n counts those of less than 2^n µs that n-1 does not count
// 256   u32 LE   length of the code of the last error; 60 bytes of it
// 320   u64 LE   records of dead processes that were recovered
// 328   zeros
// 508   u32 LE   CRC-32C of bytes 0..507
//
// A record lies in one page, so a kill cannot tear it; a reader who meets one that is being written reads it again.
import { assert } from '../base/assert.ts'
import { native } from '../native/index.ts'

export const statisticsBytes = 512
/** So many writers of one log have a record; others are not shown. */
export const maxStatisticsSlots = 1024
export const latencyBuckets = 32

const MAGIC = Buffer.from('LBSTAT1\n')
const COUNTERS_AT = 32
const LATENCY_AT = 128
const ERROR_AT = 256
const MAX_ERROR_BYTES = 60
const RECOVERED_AT = 320
const CRC_AT = 508
const STATES = ['opening', 'open', 'degraded', 'closing', 'closed', 'failed'] as const
const COUNTERS = ['records', 'bytes', 'dropped', 'writes', 'syncs', 'rotations', 'repairs', 'errors'] as const

export interface WriterStatistics {
  pid: number
  threadId: number
  startedAtMs: number
  updatedAtMs: number
  records: number
  bytes: number
  dropped: number
  writes: number
  syncs: number
  rotations: number
  repairs: number
  errors: number
  recovered: number
  queuedBytes: number
  /** 0 for none. */
  maxBytes: number
  lockWaitUs: number
  lockWaits: number
  state: (typeof STATES)[number]
  /** See above. */
  syncLatency: Uint32Array
  /** Code of the last error; empty for none. */
  lastError: string
}

export function statisticsFileName(base: string): string {
  return `.${base}.stats`
}

/** Whether `head`, the first bytes of a file, is that of a statistics file of ours, or one that was just created. */
export function isStatisticsFile(head: Uint8Array): boolean {
  const length = Math.min(head.length, MAGIC.length)
  const start = head.subarray(0, length)
  // The record of a writer that died before it wrote it is a hole.
  return MAGIC.subarray(0, length).equals(start) || start.every((byte) => byte === 0)
}

/** Number of the bucket that counts a sync of so long. */
export function latencyBucket(us: number): number {
  return Math.min(latencyBuckets - 1, 32 - Math.clz32(Math.min(us, 0x7fffffff)))
}

/** Below so many µs is `share` (0 to 1) of the syncs; undefined if there was none. */
export function latencyAt(buckets: ArrayLike<number>, share: number): number | undefined {
  let total = 0
  for (let at = 0; at < buckets.length; at++) total += buckets[at]
  if (total === 0) return undefined
  let seen = 0
  for (let at = 0; at < buckets.length; at++) {
    seen += buckets[at]
    if (seen >= share * total) return 2 ** at
  }
  return undefined
}

/** Encodes into the first 512 bytes of `bytes`. */
export function encodeStatistics(statistics: WriterStatistics, bytes: Buffer): void {
  assert(bytes.length >= statisticsBytes && statistics.syncLatency.length === latencyBuckets)
  bytes.fill(0, 0, statisticsBytes)
  MAGIC.copy(bytes)
  bytes.writeUInt32LE(statistics.pid, 8)
  bytes.writeUInt32LE(statistics.threadId, 12)
  writeCount(bytes, statistics.startedAtMs, 16)
  writeCount(bytes, statistics.updatedAtMs, 24)
  for (const [at, name] of COUNTERS.entries()) writeCount(bytes, statistics[name], COUNTERS_AT + 8 * at)
  writeCount(bytes, statistics.queuedBytes, 96)
  writeCount(bytes, statistics.maxBytes, 104)
  writeCount(bytes, statistics.lockWaitUs, 112)
  bytes.writeUInt32LE(statistics.lockWaits >>> 0, 120)
  bytes.writeUInt32LE(STATES.indexOf(statistics.state), 124)
  for (let at = 0; at < latencyBuckets; at++)
    bytes.writeUInt32LE(statistics.syncLatency[at], LATENCY_AT + 4 * at)
  const error = Buffer.from(statistics.lastError).subarray(0, MAX_ERROR_BYTES)
  bytes.writeUInt32LE(error.length, ERROR_AT)
  error.copy(bytes, ERROR_AT + 4)
  writeCount(bytes, statistics.recovered, RECOVERED_AT)
  bytes.writeUInt32LE(native.crc32c(bytes, 0, 0, CRC_AT), CRC_AT)
}

/** The record in the first 512 bytes; undefined if it is no whole, undamaged one. */
export function decodeStatistics(bytes: Buffer): WriterStatistics | undefined {
  if (bytes.length < statisticsBytes || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) return undefined
  if (bytes.readUInt32LE(CRC_AT) !== native.crc32c(bytes, 0, 0, CRC_AT)) return undefined
  const state = STATES[bytes.readUInt32LE(124)]
  const errorBytes = bytes.readUInt32LE(ERROR_AT)
  if (state === undefined || errorBytes > MAX_ERROR_BYTES) return undefined
  const count = (at: number) => Number(bytes.readBigUInt64LE(at))
  const [records, written, dropped, writes, syncs, rotations, repairs, errors] = COUNTERS.map((_, at) =>
    count(COUNTERS_AT + 8 * at)
  )
  return {
    pid: bytes.readUInt32LE(8),
    threadId: bytes.readUInt32LE(12),
    startedAtMs: count(16),
    updatedAtMs: count(24),
    records,
    bytes: written,
    dropped,
    writes,
    syncs,
    rotations,
    repairs,
    errors,
    recovered: count(RECOVERED_AT),
    queuedBytes: count(96),
    maxBytes: count(104),
    lockWaitUs: count(112),
    lockWaits: bytes.readUInt32LE(120),
    state,
    syncLatency: Uint32Array.from({ length: latencyBuckets }, (_, at) =>
      bytes.readUInt32LE(LATENCY_AT + 4 * at)
    ),
    lastError: bytes.toString('utf8', ERROR_AT + 4, ERROR_AT + 4 + errorBytes)
  }
}

function writeCount(bytes: Buffer, value: number, at: number): void {
  assert(value >= 0 && value <= Number.MAX_SAFE_INTEGER)
  bytes.writeBigUInt64LE(BigInt(Math.floor(value)), at)
}

// The layout of statistics files: golden bytes, and what damage does.
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import {
  decodeStatistics,
  encodeStatistics,
  isStatisticsFile,
  latencyAt,
  latencyBucket,
  latencyBuckets,
  statisticsBytes,
  type WriterStatistics
} from '../../src/formats/statistics-file.ts'

const golden = readFileSync(new URL('../fixtures/golden/statistics/app.log.stats', import.meta.url))
const statistics: WriterStatistics = {
  pid: 4711,
  threadId: 3,
  startedAtMs: 1_767_225_600_000,
  updatedAtMs: 1_767_225_660_123,
  records: 1_000_001,
  bytes: 2 ** 40 + 7,
  dropped: 3,
  writes: 4,
  syncs: 5,
  rotations: 6,
  repairs: 7,
  errors: 8,
  recovered: 11,
  queuedBytes: 65_536,
  maxBytes: 10_485_760,
  lockWaitUs: 123_456,
  lockWaits: 9,
  state: 'degraded',
  syncLatency: Uint32Array.from({ length: latencyBuckets }, (_, at) => at * at),
  lastError: 'ENOSPC'
}

test('a record is encoded as the golden file has it, and read from there', () => {
  const bytes = Buffer.alloc(statisticsBytes, 0xff)
  encodeStatistics(statistics, bytes)
  expect(bytes.equals(golden)).toBe(true)
  expect(decodeStatistics(golden)).toEqual(statistics)
})

test('a record with any bit flipped, or cut, is none', () => {
  for (let bit = 0; bit < statisticsBytes * 8; bit++) {
    const bytes = Buffer.from(golden)
    bytes[bit >> 3] ^= 1 << (bit & 7)
    expect(decodeStatistics(bytes)).toBeUndefined()
  }
  for (let length = 0; length < statisticsBytes; length++)
    expect(decodeStatistics(golden.subarray(0, length))).toBeUndefined()
})

test('a file of somebody else is told from ours, an empty one and one with a hole', () => {
  expect(isStatisticsFile(golden.subarray(0, 8))).toBe(true)
  expect(isStatisticsFile(Buffer.alloc(0))).toBe(true)
  expect(isStatisticsFile(Buffer.alloc(8))).toBe(true)
  expect(isStatisticsFile(Buffer.from('LBLOCK1\n'))).toBe(false)
})

test('the code of an error that is too long is cut', () => {
  const bytes = Buffer.alloc(statisticsBytes)
  encodeStatistics({ ...statistics, lastError: 'E'.repeat(100) }, bytes)
  expect(decodeStatistics(bytes)?.lastError).toBe('E'.repeat(60))
})

test('shares of the latencies are bounds of their buckets', () => {
  const buckets = new Uint32Array(latencyBuckets)
  expect(latencyAt(buckets, 0.5)).toBeUndefined()
  for (let us = 0; us < 100; us++) buckets[latencyBucket(us)]++
  buckets[latencyBucket(1e12)]++
  expect(latencyAt(buckets, 0.5)).toBe(64)
  expect(latencyAt(buckets, 0.99)).toBe(128)
  expect(latencyAt(buckets, 1)).toBe(2 ** 31)
  for (const us of [0, 1, 2, 3, 1000, 2 ** 20]) expect(us).toBeLessThan(2 ** latencyBucket(us))
})

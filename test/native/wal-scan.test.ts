// The addon and its portable twin do the same to the same bytes, sound or damaged.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { WalEncoder } from '../../src/formats/wal-encoder.ts'
import { fallback } from '../../src/native/fallback.ts'
import { native } from '../../src/native/index.ts'
import { WAL_ROW, WAL_RUN, walRun } from '../../src/native/wal-scan.ts'

const reason = native.backend === 'addon' ? '' : ' (skipped: the addon is not loaded)'

function encoded(payloads: Uint8Array[]): Buffer {
  const encoder = new WalEncoder(0x1234)
  encoder.writeMetadata(undefined)
  encoder.writeBatch(2n ** 40n, [...payloads, ''])
  return Buffer.from(encoder.bytes)
}

const payloads = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 6 })
const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 })

function mutated(bytes: Buffer, edits: [number, number][]): Buffer {
  for (const [at, value] of edits) bytes[at % bytes.length] = value
  return bytes
}

test.skipIf(reason !== '')(`walScan gives the same rows${reason}`, () => {
  fc.assert(
    fc.property(payloads, changes, fc.nat(4), (records, edits, maxRows) => {
      const bytes = mutated(encoded(records), edits)
      const [a, b] = [new Uint32Array(maxRows * WAL_ROW), new Uint32Array(maxRows * WAL_ROW)]
      const count = native.walScan(bytes, 0, bytes.length, 0x1234, a)
      expect(fallback.walScan(bytes, 0, bytes.length, 0x1234, b)).toBe(count)
      expect(b).toEqual(a)
    }),
    { numRuns: 1000 }
  )
})

test.skipIf(reason !== '')(`walFollow goes equally far, and finds the same places${reason}`, () => {
  const indexes = fc.constantFrom(1, 127, 2 ** 40, 2 ** 49 - 3)
  fc.assert(
    fc.property(payloads, changes, fc.nat(6), fc.nat(8), indexes, (records, edits, room, most, first) => {
      const encoder = new WalEncoder(0x1234)
      encoder.writeBatch(BigInt(first), [...records, ''])
      encoder.writeBatch(BigInt(first + records.length + 1), ['next'])
      const bytes = mutated(Buffer.from(encoder.bytes), edits)
      const [a, b] = [native, fallback].map(({ walFollow }) => {
        const run = new Float64Array(WAL_RUN)
        run[walRun.crc] = 0x1234
        run[walRun.index] = first - 1
        run[walRun.limit] = first + most
        const bounds = new Int32Array(2 * room)
        const frames = new Int32Array(room)
        walFollow(bytes, 0, bytes.length, run, bounds, frames)
        // What was the last committed record is told only where there is one.
        if (run[walRun.committedEnd] === -1) run.fill(0, walRun.committedCrc)
        return { run, bounds, frames }
      })
      expect(b).toEqual(a)
      if (edits.length === 0 && room > 0 && most > 0) expect(a.run[walRun.entries]).toBeGreaterThan(0)
    }),
    { numRuns: 1000 }
  )
})

test.skipIf(reason !== '')(`walFollow refuses what is no run${reason}`, () => {
  const bytes = Buffer.alloc(64)
  const follow = (run: unknown, bounds?: unknown, frames?: unknown) => () =>
    native.walFollow(bytes, 0, 64, run as Float64Array, bounds as Int32Array, frames as Int32Array)
  expect(follow(new Float64Array(WAL_RUN - 1))).toThrow(/EINVAL/)
  for (const wrong of [Number.NaN, -1, 2 ** 53, Number.POSITIVE_INFINITY]) {
    for (const column of [walRun.crc, walRun.index, walRun.commit, walRun.limit]) {
      const run = new Float64Array(WAL_RUN)
      run[column] = wrong
      expect(follow(run)).toThrow(/EINVAL/)
    }
  }
  expect(follow(new Uint8Array(80))).toThrow(TypeError)
  expect(follow(new Float64Array(WAL_RUN), new Int32Array(2), new Uint8Array(1))).toThrow(TypeError)
  expect(() => native.walFollow(bytes, 8, 65, new Float64Array(WAL_RUN), undefined, undefined)).toThrow(
    RangeError
  )
})

/** Frames as the encoder leaves them before they are sealed: a blank of five bytes for each checksum. */
function blank(records: Uint8Array[]): Buffer {
  return Buffer.concat(
    records.map((data) => {
      const length = 8 + 3 + data.length
      const frame = Buffer.alloc(8 + length + (-length & 7), 0xee)
      frame.writeUInt32LE(length, 0)
      frame[9] = 2
      frame.set([0x1a, 0x80 | (data.length & 127), data.length >> 7], 16)
      frame.set(data, 19)
      return frame
    })
  )
}

test.skipIf(reason !== '')(`walSeal makes the same frames, and they scan as sound${reason}`, () => {
  fc.assert(
    fc.property(payloads, changes, fc.integer({ min: 0, max: 2 ** 32 - 1 }), (records, edits, seed) => {
      const source = blank(records)
      if (source.length > 0) mutated(source, edits)
      const [a, b] = [Buffer.from(source), Buffer.from(source)]
      const [crcA, crcB] = [Uint32Array.of(seed), Uint32Array.of(seed)]
      const end = native.walSeal(a, 0, a.length, crcA)
      expect(fallback.walSeal(b, 0, b.length, crcB)).toBe(end)
      expect(crcB).toEqual(crcA)
      expect(b.subarray(0, end)).toEqual(a.subarray(0, end))
      if (edits.length > 0) return
      const rows = new Uint32Array(10 * WAL_ROW)
      expect(native.walScan(a, 0, end, seed, rows)).toBe(records.length)
    }),
    { numRuns: 1000 }
  )
})

// The WAL formats against the golden files, byte for byte, and as properties.
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeSnapshotFile, encodeSnapshotFile, snapshotName } from '../../src/formats/snapshot-file.ts'
import {
  listSegments,
  MEMBER,
  parseSegmentName,
  recordName,
  segmentName,
  TERM
} from '../../src/formats/wal.ts'
import { CONF_STATE, WalEncoder } from '../../src/formats/wal-encoder.ts'
import { WalReplay } from '../../src/formats/wal-replay.ts'
import { sized } from '../helpers/sized.ts'
import { decodeMemory } from '../helpers/wal-memory.ts'

const golden = join(import.meta.dirname, '../fixtures/golden/wal')

function fromHex(...parts: string[]): Buffer {
  return Buffer.from(parts.join('').replaceAll(' ', ''), 'hex')
}

describe('encoding', () => {
  test('writes the head of a log with metadata as etcd does', () => {
    const encoder = new WalEncoder()
    encoder.writeCrc()
    encoder.writeMetadata(Buffer.from('somedata'))
    encoder.writeSnapshot({ index: 0n, term: 0n })
    expect(Buffer.from(encoder.bytes)).toEqual(
      fromHex(
        '0400000000000084 0804 1000 00000000',
        '1200000000000086 0801 1085d4fda007 1a08 736f6d6564617461 000000000000',
        '0e00000000000082 0805 1080db81c101 1a04 08001000 0000'
      )
    )
  })

  test('writes a log without metadata and entries of term 0 as etcd does', () => {
    const encoder = new WalEncoder()
    encoder.writeCrc()
    encoder.writeMetadata(undefined)
    encoder.writeSnapshot({ index: 0n, term: 0n })
    for (const index of [1n, 2n, 3n]) encoder.writeEntry(index, 0n, `waldata${index}`)
    expect(Buffer.from(encoder.bytes)).toEqual(
      fromHex(
        '0400000000000084 0804 1000 00000000 0400000000000084 0801 1000 00000000',
        '0e00000000000082 08 05 10 a0b39b8f08 1a 04 08001000 0000',
        '1a00000000000086 08 02 10 ba8bdc850f 1a 10 08001000180122 08 77616c6461746131 000000000000',
        '1a00000000000086 08 02 10 a1e8ff9c02 1a 10 08001000180222 08 77616c6461746132 000000000000',
        '1a00000000000086 08 02 10 a19ca1aa04 1a 10 08001000180322 08 77616c6461746133 000000000000'
      )
    )
  })

  test('writes the two golden segments and their snapshot byte for byte', () => {
    const folder = join(golden, 'two-segments')
    const [first, second] = listSegments(readdirSync(folder)).map((segment) =>
      readFileSync(join(folder, segment.name))
    )
    const metadata = Uint8Array.of(8, 1, 16, 2)
    const encoder = new WalEncoder()
    encoder.writeCrc()
    encoder.writeMetadata(metadata)
    encoder.writeSnapshot({ index: 0n, term: 0n })
    encoder.writeBatch(1n, ['{"level":30,"msg":"hello"}\n', Buffer.from('{"level":30,"msg":"world"}\n')])
    encoder.writeSnapshot({ index: 2n, term: 1n }, CONF_STATE)
    expect(Buffer.from(encoder.bytes)).toEqual(first)
    const next = new WalEncoder(encoder.crc)
    next.writeCrc()
    next.writeMetadata(metadata)
    next.writeState({ term: TERM, vote: MEMBER, commit: 2n })
    next.writeBatch(3n, ['{"level":50,"msg":"boom"}\n'])
    expect(Buffer.from(next.bytes)).toEqual(second.subarray(0, next.length))
    expect(second.subarray(next.length).every((byte) => byte === 0)).toBe(true)
    expect(next.crc).toBe(0xab603ca9)
    const snapshot = { index: 2n, term: 1n }
    expect(Buffer.from(encodeSnapshotFile(snapshot))).toEqual(
      readFileSync(join(folder, snapshotName(snapshot)))
    )
  })

  test('names segments by sequence and index, and lists them in order', () => {
    expect(segmentName(0n, 0n)).toBe('0000000000000000-0000000000000000.wal')
    const name = segmentName(10n, 0xffff_ffff_ffff_ffffn)
    expect(name).toBe('000000000000000a-ffffffffffffffff.wal')
    expect(parseSegmentName(name)).toEqual({ name, sequence: 10n, index: 0xffff_ffff_ffff_ffffn })
    expect(parseSegmentName('0.tmp')).toBeUndefined()
    expect(parseSegmentName(`${name}.broken`)).toBeUndefined()
    const names = [segmentName(11n, 5n), 'x', name]
    expect(listSegments(names).map((segment) => segment.sequence)).toEqual([10n, 11n])
  })
})

describe('decoding', () => {
  test('reads every record that a real etcd server wrote', () => {
    const folder = join(golden, 'etcd-server')
    const file = gunzipSync(readFileSync(join(folder, '0000000000000000-0000000000000000.wal.gz')))
    // JSON.parse would round the member id to a double.
    const text = readFileSync(join(folder, 'expected.json'), 'utf8').replace(
      /"vote": (\d{16,})/g,
      '"vote": "$1"'
    )
    const expected = JSON.parse(text) as { used: number; records: Record<string, unknown>[] }
    const replay = new WalReplay()
    const records: Record<string, unknown>[] = []
    const step = decodeMemory(replay, file, (record) => {
      const { type, recordOffset, crc, window, dataStart, dataEnd } = replay.decoder
      const common = { offset: recordOffset, type: recordName(type), crc }
      if (common.type === 'crc') records.push(common)
      if (common.type === 'metadata') {
        records.push({ ...common, data: window.subarray(dataStart, dataEnd).toString('hex') })
      }
      if (common.type === 'entry') {
        const { data, index, term, type: entryType } = record.entry
        const sha256 = data.length === 0 ? null : createHash('sha256').update(data).digest('hex')
        const dataLength = data.length
        records.push({ ...common, entryType, term: Number(term), index: Number(index), dataLength, sha256 })
      }
      if (common.type === 'state') {
        const { term, vote, commit } = record.state!
        const shown = vote > 2n ** 53n ? vote.toString() : Number(vote)
        records.push({ ...common, term: Number(term), vote: shown, commit: Number(commit) })
      }
      if (common.type === 'snapshot') {
        records.push({
          ...common,
          index: Number(record.snapshot!.index),
          term: Number(record.snapshot!.term)
        })
      }
    })
    expect(step).toBe('end')
    expect(file.length).toBe(64_000_000)
    expect(replay.decoder.offset).toBe(expected.used)
    expect(records).toEqual(expected.records)
    expect(replay).toMatchObject({ lastIndex: 124n, commit: 124n, foreign: true, snapshotIndex: 123n })
  })

  test('reads the snapshot files of the real etcd server', () => {
    const folder = join(golden, 'etcd-server')
    for (const [name, index] of [
      ['29', 0x29n],
      ['52', 0x52n],
      ['7b', 0x7bn]
    ] as const) {
      const file = gunzipSync(readFileSync(join(folder, `0000000000000002-00000000000000${name}.snap.gz`)))
      const snapshot = decodeSnapshotFile(file)
      expect(snapshot).toMatchObject({ index, term: 2n })
      expect(JSON.parse(Buffer.from(snapshot!.data!).toString())).toHaveProperty('Root')
      file[file.length >> 1] ^= 1
      expect(decodeSnapshotFile(file)).toBeUndefined()
    }
  })

  test('returns what was encoded, whatever the payloads, indices and window boundaries', () => {
    const index = fc.oneof(fc.bigInt(1n, 300n), fc.bigInt(1n, 2n ** 64n - 200n), fc.constant(2n ** 53n - 3n))
    const payload = fc.oneof(
      { weight: 12, arbitrary: fc.uint8Array({ maxLength: 600 }) },
      { weight: 1, arbitrary: fc.constant(new Uint8Array(70_000)) }
    )
    const batches = fc.array(fc.array(payload, { minLength: 1, maxLength: 5 }), {
      minLength: 1,
      maxLength: 6
    })
    fc.assert(
      fc.property(index, batches, fc.integer({ min: 1, max: 5000 }), (firstIndex, log, stepBytes) => {
        const encoder = new WalEncoder()
        encoder.writeCrc()
        encoder.writeMetadata(Uint8Array.of(1, 2, 3))
        encoder.writeSnapshot({ index: firstIndex - 1n, term: 1n })
        let next = firstIndex
        const expected: [bigint, string][] = []
        for (const batch of log) {
          for (const [i, data] of batch.entries())
            expected.push([next + BigInt(i), Buffer.from(data).toString('hex')])
          next = encoder.writeBatch(next, batch) + 1n
        }
        const found: [bigint, string][] = []
        const replay = new WalReplay()
        const step = decodeMemory(
          replay,
          Buffer.from(encoder.bytes),
          (record) => {
            if (record.decoder.type === 2) {
              found.push([record.entry.index, Buffer.from(record.entry.data).toString('hex')])
            }
          },
          { stepBytes, segment: { name: 'x', sequence: 3n, index: firstIndex } }
        )
        expect(step).toBe('end')
        expect(found).toEqual(expected)
        expect(replay.commit).toBe(next - 1n)
        expect(replay.decoder.crc).toBe(encoder.crc)
        expect(replay.foreign).toBe(false)
      }),
      { numRuns: sized(2000, 150) }
    )
  })

  test('text and its bytes give the same record, lone surrogates included', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const [a, b] = [new WalEncoder(7), new WalEncoder(7)]
        a.writeBatch(9n, [text])
        b.writeBatch(9n, [Buffer.from(text)])
        expect(Buffer.from(a.bytes).equals(b.bytes)).toBe(true)
      })
    )
  })

  test('accepts fields in any order, absent fields and unknown fields', () => {
    // Entry { Data, unknown field 9, Index 1 }: Type and Term are absent and so 0.
    const entry = fromHex('22 02 6869 4a 01 ff 18 01')
    const crc = fromHex('08 04 10 00')
    const parts = [frame(crc)]
    const encoder = new WalEncoder()
    encoder.writeCrc()
    const sum = checksumOf(entry)
    // Record { data, unknown field 5, crc, type }.
    parts.push(
      frame(Buffer.concat([fromHex('1a 09'), entry, fromHex('28 07 10'), varint(sum), fromHex('08 02')]))
    )
    const replay = new WalReplay()
    const found: string[] = []
    const step = decodeMemory(replay, Buffer.concat(parts), (record) => {
      if (record.decoder.type === 2) found.push(`${record.entry.index} ${Buffer.from(record.entry.data)}`)
    })
    expect(step).toBe('end')
    expect(found).toEqual(['1 hi'])
  })
})

function frame(record: Buffer): Buffer {
  const padding = -record.length & 7
  const header = Buffer.alloc(8)
  header[0] = record.length
  header[7] = padding === 0 ? 0 : 0x80 | padding
  return Buffer.concat([header, record, Buffer.alloc(padding)])
}

/** CRC-32C bit by bit: an independent check of the fast ones. */
function checksumOf(bytes: Uint8Array): number {
  let crc = 0xffff_ffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  }
  return ~crc >>> 0
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128)
  return Buffer.from([...bytes, rest])
}

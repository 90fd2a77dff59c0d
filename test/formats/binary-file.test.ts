import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  completeEnd,
  decodeLength,
  encodeLength,
  encodeRecord,
  maxRecordBytes,
  wholeEnd
} from '../../src/formats/binary-file.ts'
import { createContext } from '../../src/readers/engine/context.ts'
import { binaryFileReader } from '../../src/readers/formats/binary-file.ts'

const golden = new URL('../fixtures/golden/binary/', import.meta.url)
const LONE_SURROGATE = /\p{Surrogate}/gu

function encode(payloads: readonly (string | Uint8Array)[]): Buffer {
  const target = Buffer.alloc(payloads.reduce((sum, payload) => sum + maxRecordBytes(payload), 0))
  let at = 0
  for (const payload of payloads) at = encodeRecord(target, at, payload)
  return target.subarray(0, at)
}

function decode(bytes: Uint8Array) {
  const bounds: number[] = []
  const offset = completeEnd(bytes, 0, bytes.length, undefined, bounds)
  const texts: string[] = []
  for (let at = 0; at < bounds.length; at += 2)
    texts.push(Buffer.from(bytes.subarray(bounds[at], bounds[at + 1])).toString())
  return { texts, offset }
}

/** The same through the reader, from a stream of pieces that share their memory. */
async function inPieces(bytes: Uint8Array, pieceBytes: number): Promise<string[]> {
  async function* pieces() {
    const piece = Buffer.alloc(pieceBytes)
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      piece.set(bytes.subarray(at, at + pieceBytes))
      yield piece.subarray(0, Math.min(pieceBytes, bytes.length - at))
    }
  }
  const texts: string[] = []
  for await (const batch of binaryFileReader.readStream!(pieces(), '-', createContext())) {
    for (let at = 0; at < batch.bounds.length; at += 2)
      texts.push(batch.bytes.toString('utf8', batch.bounds[at], batch.bounds[at + 1]))
  }
  return texts
}

describe('binary-file layout', () => {
  test('the golden files read exactly, whatever the size of the pieces', async () => {
    const expected = JSON.parse(readFileSync(new URL('expected.json', golden), 'utf8'))
    const bytes = ['events.0.bin', 'events.bin'].map((name) => readFileSync(new URL(name, golden)))
    expect(bytes.flatMap((file) => decode(file).texts)).toEqual(expected)
    for (const pieceBytes of [1, 2, 3, 4, 5, 7, 64, 1000, 65536]) {
      const texts = [...(await inPieces(bytes[0], pieceBytes)), ...(await inPieces(bytes[1], pieceBytes))]
      expect(texts).toEqual(expected)
    }
    expect(encode(decode(bytes[0]).texts)).toEqual(bytes[0])
  })

  test('lengths up to 2^32 - 1 survive', () => {
    const bytes = Buffer.alloc(4)
    for (const length of [0, 1, 255, 256, 65_536, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1]) {
      encodeLength(bytes, 0, length)
      expect(bytes.readUInt32BE()).toBe(length)
      expect(decodeLength(bytes, 0)).toBe(length)
    }
  })

  test('empty, NUL, newline, emoji and byte order mark survive; a lone surrogate becomes U+FFFD', () => {
    const texts = ['', '\0', '\n', 'a\r\nb', '🚀', '\ufeffx', '日本語', '', 'a\ud800b', '\udc00']
    expect(decode(encode(texts)).texts).toEqual(texts.map((text) => text.replace(LONE_SURROGATE, '\ufffd')))
  })

  test('any records in any pieces come back', async () => {
    const payload = fc.oneof(fc.string({ unit: 'binary', maxLength: 40 }), fc.uint8Array({ maxLength: 40 }))
    await fc.assert(
      fc.asyncProperty(fc.array(payload), fc.integer({ min: 1, max: 50 }), async (payloads, pieceBytes) => {
        const texts = payloads.map((one) => Buffer.from(one as string).toString())
        expect(await inPieces(encode(payloads), pieceBytes)).toEqual(texts)
        expect(decode(encode(payloads)).texts).toEqual(texts)
      })
    )
  })

  test('a payload of 64 MiB comes back', () => {
    const text = `${'x'.repeat(64 * 1024 * 1024 - 4)}🚀`
    const { texts } = decode(encode(['before', text, 'after']))
    expect(texts.length).toBe(3)
    expect(texts[1] === text).toBe(true)
  })

  test('cut at every byte: the complete records before the cut', () => {
    const payloads = ['', 'one', 'zwei', '', '🚀', 'x'.repeat(300)]
    const bytes = encode(payloads)
    const ends = payloads.map((_, index) => encode(payloads.slice(0, index + 1)).length)
    for (let length = 0; length <= bytes.length; length++) {
      const complete = ends.filter((end) => end <= length).length
      const end = complete === 0 ? 0 : ends[complete - 1]
      const cut = bytes.subarray(0, length)
      expect(decode(cut)).toEqual({ texts: payloads.slice(0, complete), offset: end })
      expect(completeEnd(bytes, 0, length)).toBe(end)
      for (const pieceBytes of [4, 5, 7, 1000])
        expect(wholeEnd(length, (at) => cut.subarray(at, at + pieceBytes))).toBe(end)
    }
  })

  test('every flipped bit: all records before it are intact', () => {
    const payloads = ['', 'one', 'zwei', 'dreizehn', '']
    const bytes = encode(payloads)
    const starts = payloads.map((_, index) => encode(payloads.slice(0, index)).length)
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const damaged = Buffer.from(bytes)
      damaged[bit >> 3] ^= 1 << (bit & 7)
      const before = starts.filter((start) => start <= bit >> 3).length - 1
      const result = decode(damaged)
      expect(result.texts.slice(0, before)).toEqual(payloads.slice(0, before))
      const inPrefix = (bit >> 3) - starts[before] < 4
      // A flip in a payload costs that record only; no checksum tells it from another payload.
      if (!inPrefix) {
        expect(result.texts.length).toBe(payloads.length)
        expect(result.texts.slice(before + 1)).toEqual(payloads.slice(before + 1))
      }
    }
  })

  test('a Python program that knows only the documented layout reads what we write', (context) => {
    if (spawnSync('python3', ['--version']).status !== 0) context.skip('python3 is not installed')
    const texts = [
      '',
      'Message 1',
      'Line\ntest',
      'Null\0test',
      '日本語 ünïcödé 🚀',
      'a\ud800b',
      'x'.repeat(100_000)
    ]
    const folder = mkdtempSync(join(tmpdir(), 'logboom-'))
    const file = join(folder, 'events.bin')
    writeFileSync(file, encode(texts))
    const program = `
import json, struct, sys
records = []
with open(sys.argv[1], "rb") as file:
    while prefix := file.read(4):
        length, = struct.unpack(">I", prefix)
        payload = file.read(length)
        assert len(payload) == length
        records.append(payload.decode("utf-8"))
print(json.dumps(records))`
    const run = spawnSync('python3', ['-c', program, file], { encoding: 'utf8', maxBuffer: 1e7 })
    rmSync(folder, { recursive: true })
    expect(run.stderr).toBe('')
    expect(JSON.parse(run.stdout)).toEqual(texts.map((text) => text.replace(LONE_SURROGATE, '\ufffd')))
  })
})

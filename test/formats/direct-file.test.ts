import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  decodeSeal,
  encodeSeal,
  encodeU32,
  isSealIntact,
  roundUp,
  SEAL_BYTES,
  type Seal
} from '../../src/formats/direct-file.ts'
import { decodeDirectFile } from '../../src/formats/direct-file-decoder.ts'
import { detectLayout } from '../../src/formats/direct-file-layout.ts'
import { buildDirectFile, decodeAll, memorySource } from '../helpers/direct-file-bytes.ts'
import { sized } from '../helpers/sized.ts'

const golden = new URL('../fixtures/golden/direct/', import.meta.url)
const load = (name: string) => readFileSync(new URL(name, golden))
// Their writer logged each line with its line end.
const expectedLines = load('expected.ndjson')
  .toString('latin1')
  .trimEnd()
  .split('\n')
  .map((line) => `${line}\n`)
const everyFourth = (starts: number[]) =>
  starts.flatMap((start) => expectedLines.filter((_, index) => index % 4 === start))

describe('golden direct files', () => {
  test('full capacity: the frames start with lines 3, 0, 1, 2', () => {
    const bytes = gunzipSync(load('full-capacity.log.gz'))
    expect(detectLayout(memorySource(bytes))).toBe('full-capacity')
    const { records, damage } = decodeAll(bytes)
    expect(damage).toEqual([])
    expect(records).toEqual(everyFourth([3, 0, 1, 2]))
  })

  test('compact: the same 400 records', () => {
    const bytes = load('compact.log')
    expect(detectLayout(memorySource(bytes))).toBe('compact')
    const { records, damage } = decodeAll(bytes)
    expect(damage).toEqual([])
    expect(records).toEqual(everyFourth([0, 1, 2, 3]))
  })

  test('compact and torn: 341 complete entries and one report of a torn frame', () => {
    const { records, damage } = decodeAll(load('compact-torn.log'))
    expect(records).toEqual(everyFourth([0, 1, 2, 3]).slice(0, 341))
    expect(damage.map(({ kind }) => kind)).toEqual(['torn'])
  })
})

/** Three flushes with several frames and records that are all different. */
function smallFile(alignment: number) {
  let next = 0
  const record = () => Buffer.from(`${next++}:${'x'.repeat((next * 37) % 150)}`)
  const flushes = [
    [[record(), record(), record()], [record()]],
    [[record(), record()]],
    [[record()], [record(), record(), record(), record()]]
  ]
  return {
    bytes: buildDirectFile(flushes, alignment),
    records: flushes.flat(2).map((bytes) => bytes.toString('latin1')),
    byFlush: flushes.map((frames) => frames.flat().map((bytes) => bytes.toString('latin1')))
  }
}

describe.each([512, 4096])('a small file of ours, alignment %i', (alignment) => {
  const { bytes, records, byFlush } = smallFile(alignment)

  test('is read completely', () => {
    expect(detectLayout(memorySource(bytes))).toBe('sealed')
    expect(decodeAll(bytes)).toEqual({ records, damage: [], seals: 3 })
  })

  test('with flushes that have no records, only a seal that tells of drops, is read completely', () => {
    const [one, two] = [[Buffer.from('one')], [Buffer.from('two')]]
    for (const flushes of [[[], [one]], [[one], [], [], [two], []], [[]]]) {
      const sound = buildDirectFile(flushes, alignment)
      const expected = flushes.flat(2).map((record) => record.toString('latin1'))
      expect(detectLayout(memorySource(sound))).toBe('sealed')
      for (const options of [{}, { sealedOnly: true, layout: 'sealed' as const }]) {
        expect(decodeAll(sound, options)).toEqual({ records: expected, damage: [], seals: flushes.length })
      }
    }
  })

  test('cut anywhere: a prefix of the records, all whole flushes, and the rest is reported', () => {
    const ends = sealEnds(bytes)
    // Where frames and seals begin every length, else some: most of a file is padding.
    for (let length = 0; length < bytes.length; length += length % 512 < 40 ? 1 : sized(1, 29)) {
      const cut = decodeAll(bytes.subarray(0, length))
      expect(cut.records).toEqual(records.slice(0, cut.records.length))
      const whole = ends.filter((end) => end <= length).length
      expect(cut.seals).toBe(whole)
      expect(cut.records.length).toBeGreaterThanOrEqual(byFlush.slice(0, whole).flat().length)
      // A cut of padding only leaves a file that may be one of another writer, who knows no seals.
      const padding = whole === 0 && bytes.subarray(length, roundUp(length, 512)).every((byte) => byte === 0)
      const clean = length === 0 || ends.includes(length) || padding
      if (!clean) expect(cut.damage.length, `cut at ${length}`).toBeGreaterThan(0)
      const sealed = decodeAll(bytes.subarray(0, length), { layout: 'sealed', sealedOnly: true })
      expect(sealed.records).toEqual(byFlush.slice(0, whole).flat())
      expect(sealed.damage).toEqual([])
    }
  })

  test('any bit flipped: no invented record, at most one flush missing, damage reported', () => {
    const damaged = Buffer.from(bytes)
    // Most of the larger file is padding. No step shares a factor with 8, so that every bit of a byte has its turn.
    for (let bit = 0; bit < bytes.length * 8; bit += alignment === 512 ? sized(1, 23) : sized(7, 211)) {
      damaged[bit >> 3] ^= 1 << (bit & 7)
      const { records: found, damage } = decodeAll(damaged)
      expect(damage.length, `bit ${bit} of byte ${bit >> 3}`).toBeGreaterThan(0)
      const kept = byFlush.filter((flush) => found.includes(flush[0]))
      expect(found, `bit ${bit} of byte ${bit >> 3}`).toEqual(kept.flat())
      expect(kept.length).toBeGreaterThanOrEqual(2)
      damaged[bit >> 3] ^= 1 << (bit & 7)
    }
  })
})

function sealEnds(bytes: Buffer): number[] {
  const ends: number[] = []
  for (const item of decodeDirectFile(memorySource(bytes))) if (item.type === 'seal') ends.push(item.end)
  return ends
}

test('a single flush whose seal lost its magic is still read, and reported', () => {
  const bytes = buildDirectFile([[[Buffer.from('a'), Buffer.from('b')]]])
  bytes[bytes.length - SEAL_BYTES + 13] ^= 4
  const { records, damage } = decodeAll(bytes)
  expect(records).toEqual(['a', 'b'])
  expect(damage.length).toBe(1)
})

test('a flush without its seal that others follow is reported and not returned: nothing says that it is as written', () => {
  const torn = buildDirectFile([[[Buffer.from('torn')]]]).subarray(0, 512)
  const next = buildDirectFile([[[Buffer.alloc(0x200, 'n')]], [[Buffer.from('later')]]])
  // The same bytes at another offset: only the offset in the seal differs.
  const seals = [1024, 2048]
  seals.forEach((at, index) => {
    const flushOffset = index === 0 ? 512n : 512n + 1536n
    encodeSeal(next, at, { ...decodeSeal(next, at), flushOffset })
  })
  const { records, damage, seals: sealed } = decodeAll(Buffer.concat([torn, next]))
  expect(records).toEqual([Buffer.alloc(0x200, 'n').toString(), 'later'])
  expect(damage).toMatchObject([{ kind: 'damaged', offset: 0, bytes: 512 }])
  expect(sealed).toBe(2)
})

test('a missing flush is noticed by its sequence number', () => {
  const whole = buildDirectFile([[[Buffer.from('a')]], [[Buffer.from('b')]], [[Buffer.from('c')]]])
  const cut = Buffer.concat([whole.subarray(0, 1024), whole.subarray(2048)])
  encodeSeal(cut, 1536, { ...decodeSeal(cut, 1536), flushOffset: 1024n })
  const { records, damage } = decodeAll(cut)
  expect(records).toEqual(['a', 'c'])
  expect(damage[0].reason).toContain('1 flushes are missing')
})

test('stale bytes after the entries of a full-capacity frame are never returned', () => {
  const frame = Buffer.alloc(4096, 0x01)
  encodeU32(frame, 0, 4096)
  encodeU32(frame, 4, 7)
  encodeU32(frame, 8, 3)
  frame.write('abc', 12)
  const { records, damage } = decodeAll(Buffer.concat([frame, frame, frame]))
  expect(records).toEqual(['abc', 'abc', 'abc'])
  expect(damage).toEqual([])
})

test.each([1, 2 ** 31, 2 ** 32 - 1])('an entry length of %i does not make the reader allocate', (length) => {
  const bytes = buildDirectFile([[[Buffer.from('abcdef')], [Buffer.from('g')]]]).subarray(0, 1024)
  encodeU32(bytes, 8, length)
  const source = memorySource(bytes)
  const records: number[] = []
  for (const item of decodeDirectFile(source, { layout: 'full-capacity' })) {
    if (item.type === 'entries') records.push(item.bounds.length / 2)
  }
  expect(source.longestRead).toBeLessThanOrEqual(bytes.length)
})

const seal: fc.Arbitrary<Seal> = fc.record({
  writerId: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  sequence: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  flushOffset: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  records: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  dropped: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  unixNs: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  checksum: fc.nat({ max: 0xffff_ffff })
})

test('property: a seal comes back as it was written, at any place', () => {
  fc.assert(
    fc.property(seal, fc.nat(100), (value, at) => {
      const bytes = new Uint8Array(at + SEAL_BYTES)
      encodeSeal(bytes, at, value)
      expect(isSealIntact(bytes, at)).toBe(true)
      expect(decodeSeal(bytes, at)).toEqual(value)
    })
  )
})

test('property: what is encoded is decoded, in order, whatever the sizes', () => {
  const record = fc.uint8Array({ minLength: 1, maxLength: 3000 })
  const frames = fc.array(fc.array(record, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 5 })
  fc.assert(
    fc.property(fc.array(frames, { maxLength: 5 }), fc.constantFrom(512, 4096), (flushes, alignment) => {
      const { records, damage } = decodeAll(buildDirectFile(flushes, alignment))
      expect(damage).toEqual([])
      expect(records).toEqual(flushes.flat(2).map((bytes) => Buffer.from(bytes).toString('latin1')))
    })
  )
})

test('property: random bytes neither crash nor hang the decoder, nor make it read past the file', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 4000 }), fc.nat(), fc.nat(5000), (bytes, capacity, valid) => {
      if (bytes.length >= 8) {
        encodeU32(bytes, 0, (capacity % 8) * 512)
        encodeU32(bytes, 4, valid)
      }
      const { records } = decodeAll(bytes)
      expect(records.reduce((sum, text) => sum + text.length, 0)).toBeLessThanOrEqual(bytes.length)
    }),
    { numRuns: 2000 }
  )
})

test('property: any stretch of a file overwritten by noise never yields a record that was not written', () => {
  const { bytes, byFlush } = smallFile(512)
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.uint8Array({ minLength: 2, maxLength: 1200 }), (at, noise) => {
      const damaged = Buffer.from(bytes)
      damaged.set(noise.subarray(0, bytes.length - at), at)
      const sealed = decodeAll(damaged, { layout: 'sealed', sealedOnly: true })
      const known = new Set(byFlush.flat())
      expect(sealed.records.filter((text) => !known.has(text))).toEqual([])
    }),
    { numRuns: 2000 }
  )
})

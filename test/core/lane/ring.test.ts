import { readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MappedRing } from '../../../src/core/lane/mapped-ring.ts'
import type { AppendNote } from '../../../src/core/lane/ring.ts'
import { maxPayloadBytes } from '../../../src/formats/lane.ts'
import { createLaneFolder, type Ends, mappedEnds, sharedEnds, takeAll, takeSome } from '../../helpers/lane.ts'

const backings: readonly { name: string; create: (capacityBytes: number, position?: number) => Ends }[] =
  MappedRing.isAvailable
    ? [
        { name: 'shared memory', create: sharedEnds },
        { name: 'a mapped file', create: mappedEnds }
      ]
    : [{ name: 'shared memory', create: sharedEnds }]

const CAPACITY = 1024

type Step = { append: string | Uint8Array } | { take: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.string({ unit: 'binary', maxLength: 200 }).map((append) => ({ append })) },
  { weight: 2, arbitrary: fc.uint8Array({ maxLength: 500 }).map((append) => ({ append })) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 12 }).map((take) => ({ take })) }
)

/** Lone surrogates included: fast-check's `binary` makes whole code points only. */
const units = fc
  .array(fc.nat(0xffff), { maxLength: 100 })
  .map((codes) => ({ append: String.fromCharCode(...codes) }))
const anySteps = fc.array(fc.oneof({ weight: 4, arbitrary: step }, { weight: 1, arbitrary: units }), {
  maxLength: 120
})

function run({ producer, consumer }: Ends, sequence: readonly Step[]): void {
  const waiting: Buffer[] = []
  for (const next of sequence) {
    if ('take' in next) {
      const taken = takeSome(consumer, CAPACITY, next.take)
      expect(taken).toEqual(waiting.splice(0, taken.length))
      if (waiting.length > 0) expect(taken.length).toBeGreaterThan(0)
      continue
    }
    const bytes = Buffer.from(next.append)
    if (producer.append(next.append)) waiting.push(bytes)
    else expect(waiting.length, 'a refusal of an empty ring').toBeGreaterThan(0)
  }
  expect(takeAll(consumer)).toEqual(waiting)
  expect(consumer.drained).toBe(producer.written)
}

describe.each(backings)('a ring in $name', ({ create }) => {
  test('gives what it took, in order and whole, whatever is appended and read when', () => {
    fc.assert(fc.property(anySteps, (sequence) => run(create(CAPACITY), sequence)))
  })

  test('goes on where positions outgrow 32 bits, and far behind that', () => {
    const begin = fc.tuple(fc.constantFrom(2 ** 32, 2 ** 33, 2 ** 40, 2 ** 52), fc.nat(CAPACITY / 4))
    fc.assert(
      fc.property(anySteps, begin, (sequence, [edge, before]) => {
        const ends = create(CAPACITY, edge - before * 8)
        run(ends, sequence)
        // Another thread that comes now sees the same.
        expect(ends.bytes().readBigUInt64LE(4096)).toBe(BigInt(ends.producer.written))
        expect(ends.bytes().readBigUInt64LE(4096 + 64)).toBe(BigInt(ends.consumer.drained))
      }),
      { numRuns: 60 }
    )
  })

  test('takes any record that fits half of it, at any position, once it is empty', () => {
    const ends = create(256)
    const most = maxPayloadBytes(256)
    for (let length = 0; length <= most; length++) {
      for (let before = 0; before < 3; before++) {
        run(ends, [{ append: 'x'.repeat((length * 7) % most) }, { take: 1 }])
        run(ends, [{ append: Buffer.alloc(length, 1) }, { append: 'é'.repeat(length >> 1) }, { take: 12 }])
      }
    }
  })

  test('is full when there is no room, takes nothing of the record then, and goes on when there is', () => {
    const { producer, consumer } = create(256)
    let taken = 0
    while (producer.append(`record ${taken}`)) taken++
    const { written } = producer
    expect(producer.append(`record ${taken}`)).toBe(false)
    expect(producer.written).toBe(written)
    expect(takeSome(consumer, 100, 1)).toEqual([Buffer.from('record 0')])
    expect(producer.append(`record ${taken}`)).toBe(true)
    const rest = Array.from({ length: taken }, (_, index) => `record ${index + 1}`)
    expect(takeAll(consumer).map(String)).toEqual(rest)
  })

  test('says how long the next record is where the target is too small for it', () => {
    const { producer, consumer } = create(1024)
    producer.append('short')
    producer.append('x'.repeat(300))
    const target = Buffer.alloc(20)
    const ends = new Uint32Array(4)
    const first = consumer.read(0, target, ends)
    expect(first).toMatchObject({ records: 1, bytes: 5, needs: 0, isDamaged: false })
    const second = consumer.read(first.next, target, ends)
    expect(second).toMatchObject({ records: 0, bytes: 0, next: first.next, needs: 300 })
    expect(consumer.read(second.next, Buffer.alloc(300), ends)).toMatchObject({ records: 1, bytes: 300 })
  })

  test('reads again what was read and not released', () => {
    const { producer, consumer } = create(1024)
    for (const text of ['a', 'bb', '']) producer.append(text)
    const target = Buffer.alloc(10)
    const ends = new Uint32Array(10)
    const first = consumer.read(0, target, ends)
    expect([first.records, ...ends.subarray(0, 3)]).toEqual([3, 1, 3, 3])
    expect(consumer.read(0, target, ends)).toEqual(first)
    expect(takeAll(consumer).map(String)).toEqual(['a', 'bb', ''])
    expect(consumer.read(consumer.drained, target, ends)).toMatchObject({
      records: 0,
      needs: 0,
      isDamaged: false
    })
  })

  test('refuses positions that cannot be read or released', () => {
    const { producer, consumer } = create(1024)
    for (const text of ['a', 'b', 'c']) producer.append(text)
    takeSome(consumer, 100, 1)
    const read = (from: number) => () => consumer.read(from, Buffer.alloc(9), new Uint32Array(9))
    for (const from of [-8, 0, 0.5, Number.NaN]) expect(read(from)).toThrow()
    for (const to of [0, 8, 17, producer.written + 8, 2 ** 53, Number.NaN]) {
      expect(() => consumer.release(to), String(to)).toThrow()
    }
    expect(takeAll(consumer).map(String)).toEqual(['b', 'c'])
  })

  test('refuses what is neither text nor bytes', () => {
    const { producer } = create(1024)
    for (const record of [1, null, undefined, {}, ['a'], new Uint16Array(2)]) {
      expect(() => producer.append(record as string)).toThrow(/takes a text or a Uint8Array/)
    }
    expect(producer.written).toBe(0)
  })

  test('keeps the last note, and none after it is taken back', () => {
    const { producer, consumer } = create(1024)
    expect(consumer.noted).toBeUndefined()
    const note: AppendNote = {
      from: 48,
      skip: 3,
      bytes: 2 ** 40,
      dev: 2n ** 64n - 1n,
      ino: 7n,
      offset: 2n ** 63n
    }
    consumer.note(note)
    expect(producer.noted).toEqual(note)
    for (let from = 0; from < 5; from++) {
      consumer.note({ ...note, from })
      expect(producer.noted).toEqual({ ...note, from })
    }
    consumer.note(undefined)
    expect(producer.noted).toBeUndefined()
  })

  test('takes nothing once it is closed, which may happen twice', () => {
    const { producer, consumer } = create(1024)
    producer.append('a')
    producer.close()
    producer.close()
    expect(() => producer.append('b')).toThrow()
    expect(takeAll(consumer).map(String)).toEqual(['a'])
  })

  test('takes records larger than itself, which count as bounded as the others', () => {
    const { producer, consumer } = create(1024)
    const large = Buffer.alloc(100_000, 'xyz')
    const text = 'ä€'.repeat(300)
    expect(producer.append('before')).toBe(true)
    expect(producer.append(large)).toBe(true)
    expect(producer.append('between')).toBe(true)
    // More of them would be more memory than was allowed.
    expect(producer.append(text)).toBe(false)
    const all = takeAll(consumer)
    expect(all.map(String)).toEqual(['before', large.toString(), 'between'])
    expect(producer.append(text)).toBe(true)
    expect(producer.append('after')).toBe(true)
    expect(takeAll(consumer).map(String)).toEqual([text, 'after'])
  })
})

test.skipIf(!MappedRing.isAvailable)('both backings have the same bytes after the same steps', () => {
  fc.assert(
    fc.property(anySteps, (sequence) => {
      const shared = sharedEnds(CAPACITY)
      const mapped = mappedEnds(CAPACITY)
      for (const ends of [shared, mapped]) {
        run(ends, sequence)
        ends.consumer.note({ from: 8, skip: 1, bytes: 2, dev: 3n, ino: 4n, offset: 5n })
      }
      // The headers differ: one names a log.
      expect(shared.bytes().subarray(4096)).toEqual(mapped.bytes().subarray(4096))
    }),
    { numRuns: 30 }
  )
})

test.skipIf(!MappedRing.isAvailable)('a large record has a file beside the ring until it is released', () => {
  const folder = createLaneFolder()
  const { producer, consumer } = mappedEnds(1024, 0, folder)
  const large = () => readdirSync(folder.path).filter((name) => name.endsWith('.big'))
  producer.append('x'.repeat(5000))
  expect(large()).toHaveLength(1)
  expect(statSync(folder.pathOf(large()[0])).mode & 0o777).toBe(0o600)
  expect(takeSome(consumer, 10, 5).map(String)).toEqual(['x'.repeat(5000)])
  expect(large()).toEqual([])
})

test.skipIf(!MappedRing.isAvailable).each([
  { what: 'missing', change: (path: string) => rmSync(path) },
  { what: 'damaged', change: (path: string) => writeFileSync(path, 'y'.repeat(5000)) },
  { what: 'cut', change: (path: string) => writeFileSync(path, 'x'.repeat(100)) }
])('a large record whose file is $what is passed over, and counted', ({ change }) => {
  const folder = createLaneFolder()
  const { producer, consumer } = mappedEnds(1024, 0, folder)
  for (const record of ['a', 'x'.repeat(5000), 'b']) producer.append(record)
  for (const name of readdirSync(folder.path)) if (name.endsWith('.big')) change(folder.pathOf(name))
  const target = Buffer.alloc(10_000)
  const read = consumer.read(0, target, new Uint32Array(9))
  expect(read).toMatchObject({ records: 2, bytes: 2, lost: 1, isDamaged: false, next: producer.written })
  expect(target.toString('latin1', 0, 2)).toBe('ab')
})

test.skipIf(MappedRing.isAvailable)('without the addon there are no mapped rings, and that is said', () => {
  expect(() => createLaneFolder()).toThrow(/needs the native addon.*ERR_UNSUPPORTED/)
})

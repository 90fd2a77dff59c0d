// How far the records of a ring are in a file: whatever is read, appended, kept and settled, each is there once.
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { LaneFormat, LaneUnit } from '../../../src/core/lane/lane-codec.ts'
import { LaneFolder } from '../../../src/core/lane/lane-folder.ts'
import { LaneSource } from '../../../src/core/lane/lane-source.ts'
import { MappedRing } from '../../../src/core/lane/mapped-ring.ts'
import { LaneOwner } from '../../../src/core/lane/owner.ts'
import { SharedRing } from '../../../src/core/lane/shared-ring.ts'
import { LineQueue } from '../../../src/core/queue/line-queue.ts'
import { FrameQueue, splitFrames } from '../../../src/core/queue/payload-queue.ts'
import { createFaultyDisk } from '../../helpers/faulty-disk.ts'
import { createFolder, memoryRoot } from '../../helpers/folder.ts'
import { description, nameOf } from '../../helpers/lane.ts'
import { seed } from '../../helpers/random.ts'

const place = { dev: 1n, ino: 2n }

/** What a file holds of these records. */
function fileOf(records: readonly string[], { unit, prefix }: LaneFormat): Buffer {
  if (unit === 'text') {
    const queue = new LineQueue(prefix)
    for (const record of records) {
      queue.push(record)
      queue.finishLine()
    }
    return Buffer.from(queue.head(Number.POSITIVE_INFINITY))
  }
  const queue = new FrameQueue(unit === 'line' ? 'lines' : 'payloads')
  for (const record of records) {
    queue.push(unit === 'record' ? record.replace(/\n$/, '') : record)
    queue.finishLine()
  }
  return Buffer.from(queue.head(Number.POSITIVE_INFINITY))
}

/** The end of the last whole unit in `bytes[0, end)`. */
function wholeEnd(bytes: Buffer, end: number, { unit }: LaneFormat): number {
  if (unit === 'text') return bytes.subarray(0, end).lastIndexOf(10) + 1
  let at = 0
  for (const payload of splitFrames(bytes)) {
    if (at + 4 + payload.length > end) break
    at += 4 + payload.length
  }
  return at
}

const unit = fc.constantFrom<LaneUnit>('text', 'line', 'record', 'payload')
const line = fc.string({ maxLength: 40, unit: 'binary' }).map((text) => text.replaceAll('\n', ' '))
const record = fc
  .tuple(fc.array(line, { maxLength: 4 }), fc.boolean())
  .map(([lines, isEnded]) => lines.join('\n') + (isEnded ? '\n' : ''))

test('every record is in the file once, in order, however appends are cut, kept, settled and written again', () => {
  const steps = fc.array(
    fc.record({
      records: fc.array(record, { maxLength: 5 }),
      /** Which part of the head is taken, in thousandths, and how much of that stays. */
      taken: fc.integer({ min: 0, max: 1000 }),
      kept: fc.integer({ min: 0, max: 1000 }),
      outcome: fc.constantFrom(
        'consumed',
        'noted',
        'dies, settled',
        'dies, compared',
        'dies before',
        'rewound',
        'released'
      )
    }),
    { maxLength: 30 }
  )
  fc.assert(
    fc.property(
      unit,
      fc.option(fc.constantFrom('> ', 'é: '), { nil: undefined }),
      steps,
      (kind, prefix, list) => {
        const format: LaneFormat =
          kind === 'text' ? { unit: kind, prefix: prefix && Buffer.from(prefix) } : { unit: kind }
        const ring = SharedRing.create(8192)
        let source = new LaneSource(ring, format, undefined)
        const all: string[] = []
        let file = Buffer.alloc(0)
        /** What of the file was released; not known of the ring of a dead writer, where a record is released as a whole. */
        let safeBytes: number | undefined = 0
        const drain = (part: number, whole: (head: Buffer, end: number) => number): [Buffer, number] => {
          const head = source.head(4096)
          return [head, whole(head, Math.floor((head.length * part) / 1000))]
        }
        for (const { records, taken, kept, outcome } of list) {
          for (const each of records) if (ring.append(each)) all.push(each)
          const [head, length] = drain(taken, (bytes, end) => wholeEnd(bytes, end, format))
          if (length === 0 && outcome !== 'rewound' && outcome !== 'released') continue
          const piece = Buffer.from(head.subarray(0, length))
          const whole = wholeEnd(piece, Math.floor((length * kept) / 1000), format)
          const at = { ...place, offset: file.length, length }
          if (outcome === 'consumed') {
            source.consume(length)
            file = Buffer.concat([file, piece])
          } else if (outcome === 'noted') {
            source.appending(at)
            source.appended(whole)
            file = Buffer.concat([file, piece.subarray(0, whole)])
            if (whole > 0) source.consume(whole)
          } else if (outcome === 'released') {
            source.release(source.point)
            safeBytes = file.length
          } else if (outcome === 'rewound') {
            if (safeBytes === undefined) continue
            source.rewind()
            file = file.subarray(0, safeBytes)
          } else {
            // The writer dies; what it appended is cut back, or nothing was appended.
            source.appending(at)
            const stays = outcome === 'dies before' ? 0 : whole
            file = Buffer.concat([file, piece.subarray(0, stays)])
            source = new LaneSource(ring, format, undefined)
            safeBytes = undefined
            expect(source.isUnsettled).toBe(true)
            if (outcome === 'dies, settled') expect(source.settle(at, stays)).toBe(true)
            else {
              source.compare({
                read: ({ offset }, skip, target) => file.copy(target, 0, offset + skip),
                cutBack: () => {}
              })
            }
            expect(source.isUnsettled).toBe(false)
          }
        }
        for (;;) {
          const head = source.head(100)
          if (head.length === 0) break
          file = Buffer.concat([file, head])
          source.consume(head.length)
        }
        expect(file.toString('latin1')).toBe(fileOf(all, format).toString('latin1'))
        source.release(source.point)
        expect(ring.drained).toBe(ring.written)
      }
    ),
    { seed, numRuns: 400 }
  )
})

test('what is left of a record behind the last whole one is cut off where nobody else writes', () => {
  const ring = SharedRing.create(4096)
  for (const each of ['first\n', 'second\nthird\n']) ring.append(each)
  const source = new LaneSource(ring, { unit: 'text' }, undefined)
  source.head(4096)
  source.appending({ ...place, offset: 10, length: 19 })
  const next = new LaneSource(ring, { unit: 'text' }, undefined)
  const file = Buffer.from('0123456789first\nsec')
  const cuts: unknown[] = []
  next.compare({
    read: ({ offset }, skip, target) => file.copy(target, 0, offset + skip),
    cutBack: ({ offset, length }, kept) => cuts.push({ offset, length, kept })
  })
  expect(cuts).toEqual([{ offset: 10, length: 19, kept: 6 }])
  expect(next.head(4096).toString()).toBe('second\nthird\n')
})

test('somebody else may settle the ring while this end waits for the lock', () => {
  const ring = SharedRing.create(4096)
  for (const each of ['a\n', 'b\n', 'c\n']) ring.append(each)
  const dead = new LaneSource(ring, { unit: 'text' }, undefined)
  dead.head(4096)
  dead.appending({ ...place, offset: 0, length: 6 })
  const waiting = new LaneSource(ring, { unit: 'text' }, undefined)
  const other = new LaneSource(ring, { unit: 'text' }, undefined)
  expect(other.settle({ ...place, offset: 0, length: 6 }, 4)).toBe(true)
  waiting.compare({ read: () => expect.unreachable('the file need not be looked at'), cutBack: () => {} })
  expect(waiting.head(4096).toString()).toBe('c\n')
})

test('a ring is not settled by the repair of another append', () => {
  const ring = SharedRing.create(4096)
  ring.append('a\n')
  const dead = new LaneSource(ring, { unit: 'text' }, undefined)
  dead.head(4096)
  dead.appending({ ...place, offset: 0, length: 2 })
  const source = new LaneSource(ring, { unit: 'text' }, undefined)
  for (const other of [{ dev: 9n }, { ino: 9n }, { offset: 9 }, { length: 3 }]) {
    expect(source.settle({ ...place, offset: 0, length: 2, ...other }, 2)).toBe(false)
  }
  expect(source.isUnsettled).toBe(true)
})

test('records are counted without being taken', () => {
  const ring = SharedRing.create(4096)
  for (const each of ['a\nb\n', 'c\n', '']) ring.append(each)
  const source = new LaneSource(ring, { unit: 'text' }, undefined)
  expect(source.count()).toEqual({ records: 3, bytes: 6 })
  expect(source.head(4096).toString()).toBe('a\nb\nc\n')
})

test.skipIf(!MappedRing.isAvailable).each([
  { outcome: 'is in the file', kept: 5001, lost: 0 },
  { outcome: 'is in the file in part', kept: 1000, lost: 1 },
  { outcome: 'is not in the file', kept: 0, lost: 1 },
  { outcome: 'is to be compared', kept: undefined, lost: 1 }
])(
  'a record that went with the memory of its process and $outcome takes no other one with it (needs the addon)',
  ({ kept, lost }) => {
    const faulty = createFaultyDisk()
    const folder = LaneFolder.open(faulty.disk, join(createFolder(memoryRoot), 'lane'))
    const owner = LaneOwner.create(folder)
    const ring = owner.createRing(description, 4096)
    faulty.fault = (operation, _call, [path]) =>
      operation === 'open' && String(path).endsWith('.big') ? 'ENOSPC' : undefined
    const large = `${'x'.repeat(5000)}\n`
    for (const each of ['a\n', 'b\n', large, 'c\n', 'd\n']) expect(ring.append(each)).toBe(true)
    const dead = new LaneSource(ring, { unit: 'text' }, undefined)
    expect(dead.head(4096).toString()).toBe('a\nb\n')
    dead.consume(4)
    // Alone, so that what is noted speaks of it or not at all.
    expect(dead.head(4096).toString()).toBe(large)
    const at = { ...place, offset: 4, length: large.length }
    dead.appending(at)

    const next = new LaneSource(folder.openRing(nameOf(ring))!, { unit: 'text' }, undefined)
    const cuts: number[] = []
    if (kept === undefined) {
      next.compare({ read: () => 0, cutBack: (_place, keptBytes) => cuts.push(keptBytes) })
      expect(cuts).toEqual([large.length])
    } else expect(next.settle(at, kept)).toBe(true)
    expect(next.head(4096).toString()).toBe('c\nd\n')
    expect(next.takeLost()).toBe(lost)
    ring.close()
    owner.close()
  }
)

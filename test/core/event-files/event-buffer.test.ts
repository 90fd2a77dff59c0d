import fc from 'fast-check'
import { expect, test } from 'vitest'
import { EventBuffer } from '../../../src/core/event-files/event-buffer.ts'
import type { EventEntry } from '../../../src/core/event-files/outputs.ts'

const entryOf = (tag: number): EventEntry => ({
  name: `e${tag}`,
  path: `/e${tag}`,
  tag,
  isActive: true,
  accepted: 0,
  dropped: 0,
  notices: 0,
  written: { records: 0, bytes: 0, rotations: 0 }
})
const [a, b] = [entryOf(0), entryOf(1)]

function add(buffer: EventBuffer, entry: EventEntry, text: string): boolean {
  const data = Buffer.from(`<${text}>`)
  return buffer.add(entry, data, 1, data.length - 1)
}

test('the lines of an event come out together, in order, each with its line end', () => {
  const buffer = new EventBuffer(1_000)
  for (const text of ['1', '2']) for (const entry of [a, b]) add(buffer, entry, `${entry.name} ${text}`)
  expect(buffer.take(a).toString()).toBe('e0 1\ne0 2\n')
  expect(buffer.entries()).toEqual([b])
  expect(buffer.takeEach(b).map(String)).toEqual(['e1 1\n', 'e1 2\n'])
  expect(buffer.bytes).toBe(0)
  expect(buffer.take(a).length).toBe(0)
})

test('a line beyond the capacity is refused, unless nothing else waits', () => {
  const buffer = new EventBuffer(10)
  expect(add(buffer, a, 'x'.repeat(100))).toBe(true)
  expect(add(buffer, a, 'y')).toBe(false)
  expect(buffer.take(a).toString()).toBe(`${'x'.repeat(100)}\n`)
  expect(add(buffer, a, 'y'.repeat(9))).toBe(true)
  expect(add(buffer, b, '')).toBe(false)
})

test('the room of what was taken out is given back by compacting', () => {
  const buffer = new EventBuffer(20)
  add(buffer, a, 'x'.repeat(13))
  add(buffer, b, 'stays')
  expect(add(buffer, b, 'more')).toBe(false)
  buffer.take(a)
  expect(add(buffer, b, 'more')).toBe(false)
  buffer.compact()
  expect(add(buffer, b, 'more')).toBe(true)
  expect(buffer.take(b).toString()).toBe('stays\nmore\n')
})

test('an event that was never seen has nothing', () => {
  const buffer = new EventBuffer(1_000)
  const late = entryOf(100_000)
  expect([buffer.has(late), buffer.bytesOf(late)]).toEqual([false, 0])
  expect(add(buffer, late, 'x')).toBe(true)
  expect([buffer.has(late), buffer.bytesOf(late)]).toEqual([true, 2])
})

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('add'), tag: fc.nat(4), size: fc.nat(60) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom('take', 'takeEach'), tag: fc.nat(4), size: fc.constant(0) })
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constantFrom('compact', 'dropOldest'),
      tag: fc.constant(0),
      size: fc.nat(200)
    })
  }
)

test('property: whatever is done in whatever order, each event keeps its lines in order, and the bytes are right', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const buffer = new EventBuffer(400)
      const entries = [0, 1, 2, 3, 700].map(entryOf)
      const model = entries.map((): string[] => [])
      const bytes = (): number => model.flat().join('').length
      for (const [number, { do: what, tag, size }] of steps.entries()) {
        const entry = entries[tag]
        const text = `${number}${'.'.repeat(size)}`
        if (what === 'add') {
          if (add(buffer, entry, text)) model[tag].push(`${text}\n`)
          else expect(bytes()).toBeGreaterThan(0)
        } else if (what === 'take') {
          expect(buffer.take(entry).toString()).toBe(model[tag].splice(0).join(''))
        } else if (what === 'takeEach') {
          expect(buffer.takeEach(entry).map(String)).toEqual(model[tag].splice(0))
        } else if (what === 'compact') buffer.compact(size % 2 === 0)
        else {
          const before = bytes()
          for (const [owner, dropped] of buffer.dropOldest(size)) {
            const gone = model[entries.indexOf(owner)].splice(0, dropped.lines)
            expect(gone.join('')).toHaveLength(dropped.bytes)
          }
          expect(before - bytes()).toBeGreaterThanOrEqual(Math.min(size, before))
        }
        expect(buffer.bytes).toBe(bytes())
        expect(entries.map((each) => buffer.bytesOf(each))).toEqual(
          model.map((lines) => lines.join('').length)
        )
        expect(buffer.entries().length).toBe(model.filter((lines) => lines.length > 0).length)
      }
    })
  )
})

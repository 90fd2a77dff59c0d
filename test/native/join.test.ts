// Records put one behind the other: the addon and its portable twin against what is asked for.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fallback } from '../../src/native/fallback.ts'
import { native } from '../../src/native/index.ts'
import { type JoinForm, joinForm } from '../../src/native/join.ts'

const backends = native.backend === 'fallback' ? [fallback] : [native, fallback]
const records = fc.array(fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.constant(Buffer.from('line\n'))), {
  maxLength: 12
})

function around(record: Uint8Array, form: JoinForm): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(record.length)
  if (form === joinForm.plain) return Buffer.from(record)
  if (form === joinForm.lengths) return Buffer.concat([length, record])
  const isEnded = form === joinForm.unended && record[record.length - 1] === 10
  return isEnded ? Buffer.from(record) : Buffer.concat([record, Buffer.from('\n')])
}

describe.each(backends)('$backend', ({ joinRecords }) => {
  test('as many whole records as fit are joined, each in its form, and what follows goes on there', () => {
    const forms = fc.constantFrom(...Object.values(joinForm))
    fc.assert(
      fc.property(records, forms, fc.integer({ min: 0, max: 200 }), fc.nat(5), (given, form, room, at) => {
        const gap = Buffer.from('#')
        const source = Buffer.concat(given.flatMap((record) => [gap, record]))
        const bounds: number[] = []
        let from = 0
        for (const { length } of given) {
          bounds.push(from + 1, from + 1 + length)
          from += 1 + length
        }
        const target = Buffer.alloc(at + room, '.')
        const state = Uint32Array.of(0, at)
        joinRecords(source, Int32Array.from(bounds), target, form, state)
        const expected = given.map((record) => around(record, form))
        let fitting = 0
        let end = at
        while (fitting < given.length && end + expected[fitting].length <= target.length)
          end += expected[fitting++].length
        expect([...state]).toEqual([fitting, end])
        const joined = Buffer.concat([Buffer.alloc(at, '.'), ...expected.slice(0, fitting)])
        expect(target.subarray(0, end)).toEqual(joined)
        expect(target.subarray(end).every((byte) => byte === 46)).toBe(true)
      }),
      { numRuns: 500 }
    )
  })

  test('a record outside its array is refused, and nothing moves on', () => {
    const source = Buffer.from('0123456789')
    for (const wrong of [
      [-1, 3],
      [5, 4],
      [8, 11]
    ]) {
      const state = Uint32Array.of(0, 1)
      const join = () =>
        joinRecords(source, Int32Array.from([0, 2, ...wrong]), Buffer.alloc(50), joinForm.lines, state)
      expect(join).toThrow(RangeError)
      expect([...state]).toEqual([0, 1])
    }
    expect(() =>
      joinRecords(source, new Int32Array(2), Buffer.alloc(4), joinForm.lines, Uint32Array.of(0, 5))
    ).toThrow(RangeError)
  })
})

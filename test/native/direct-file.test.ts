import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { LineEvents } from '../../src/core/event-files/line-events.ts'
import { fallback } from '../../src/native/fallback.ts'
import { native } from '../../src/native/index.ts'

const backends = native.backend === 'fallback' ? [fallback] : [native, fallback]

/** The entries of records, straight from the format's definition. */
function entriesOf(records: readonly Uint8Array[]): Buffer {
  return Buffer.concat(
    records.flatMap((record) => {
      const length = Buffer.alloc(4)
      length.writeUInt32LE(record.length)
      return [length, Buffer.from(record)]
    })
  )
}

const records = fc.array(fc.uint8Array({ minLength: 1, maxLength: 60 }), { maxLength: 30 })

describe.each(backends)('$backend', (backend) => {
  test('frameLines makes an entry of each line and leaves out line ends and empty lines', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', 'é', '\n', '\r', '\0'), maxLength: 200 })
    fc.assert(
      fc.property(text, fc.nat(9), (content, at) => {
        const source = Buffer.from(`skipped\n${content}`)
        const lines = content.split('\n').filter((line) => line !== '')
        const expected = entriesOf(lines.map((line) => Buffer.from(line)))
        const target = Buffer.alloc(at + source.length + 4 * (lines.length + 1))
        expect(backend.frameLines(source, 8, source.length, target, at)).toBe(expected.length)
        expect(target.subarray(at, at + expected.length)).toEqual(expected)
      })
    )
  })

  test('countEntries and entryBounds find exactly the entries', () => {
    fc.assert(
      fc.property(records, fc.nat(5), (list, extra) => {
        const bytes = Buffer.concat([Buffer.from('xy'), entriesOf(list), Buffer.alloc(extra)])
        const end = bytes.length - extra
        expect(backend.countEntries(bytes, 2, end)).toBe(list.length)
        if (extra > 0) expect(backend.countEntries(bytes, 2, bytes.length)).toBe(-1)
        const bounds = new Int32Array(2 * list.length + 2)
        expect(backend.entryBounds(bytes, 2, bytes.length, bounds)).toBe(list.length)
        list.forEach((record, index) => {
          const found = bytes.subarray(2 + bounds[2 * index], 2 + bounds[2 * index + 1])
          expect(found).toEqual(Buffer.from(record))
        })
      })
    )
  })

  test('countEntries refuses an entry of length 0 and one that is cut', () => {
    expect(backend.countEntries(entriesOf([Buffer.from('a'), Buffer.alloc(0)]), 0, 9)).toBe(-1)
    expect(backend.countEntries(entriesOf([Buffer.from('abc')]), 0, 6)).toBe(-1)
  })

  test('tallyTags and scatterTags sort records by the number they begin with, in order', () => {
    const tagged = fc.array(fc.tuple(fc.nat(4), fc.uint8Array({ minLength: 1, maxLength: 20 })), {
      maxLength: 40
    })
    fc.assert(
      fc.property(tagged, (list) => {
        const bytes = entriesOf(
          list.map(([tag, record]) => Buffer.concat([Buffer.from([tag, 0, 0, 0]), record]))
        )
        const sizes = new Uint32Array(5)
        const counts = new Uint32Array(5)
        backend.tallyTags(bytes, 0, bytes.length, sizes, counts)
        const places = new Float64Array(5)
        for (let tag = 1; tag < 5; tag++) places[tag] = places[tag - 1] + sizes[tag - 1]
        const starts = places.slice()
        const target = Buffer.alloc(sizes.reduce((sum, size) => sum + size, 0))
        backend.scatterTags(bytes, 0, bytes.length, target, places)
        for (let tag = 0; tag < 5; tag++) {
          const own = list.filter(([each]) => each === tag).map(([, record]) => record)
          expect(counts[tag]).toBe(own.length)
          expect(target.subarray(starts[tag], starts[tag] + sizes[tag])).toEqual(entriesOf(own))
        }
      })
    )
  })

  test('tallyTags refuses what is not whole, or of an unknown number', () => {
    const sizes = new Uint32Array(1)
    const tally = (bytes: Buffer) => backend.tallyTags(bytes, 0, bytes.length, sizes, new Uint32Array(1))
    expect(() => tally(entriesOf([Buffer.from([1, 0, 0, 0, 9])]))).toThrow(RangeError)
    expect(() => tally(entriesOf([Buffer.from([0, 0, 0, 0, 9])]).subarray(0, 8))).toThrow(RangeError)
    expect(() => tally(entriesOf([Buffer.from([0, 0, 0, 0])]))).toThrow(RangeError)
  })
})

/** What JSON.parse says. */
function referenceEvent(line: string, key: string): string | undefined {
  try {
    const value: unknown = JSON.parse(line)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
    const found = Object.hasOwn(value, key) ? (value as Record<string, unknown>)[key] : undefined
    return typeof found === 'string' ? found : undefined
  } catch {
    return undefined
  }
}

function scannedEvents(text: string, key: string): (string | undefined)[] {
  const events = new LineEvents(key)
  const lines = Buffer.from(text)
  const found: (string | undefined)[] = []
  for (let at = 0; at < lines.length; ) {
    const count = events.scan(lines, at, lines.length)
    for (let index = 0; index < count; index++) {
      const spelling = events.spellingOf(lines, at, index)
      found.push(spelling === undefined ? undefined : events.decode(spelling))
      at = events.endOf(index)
    }
  }
  return found
}

const json = (depth: number) => fc.json({ maxDepth: depth })
const key = fc.constantFrom('event', 'e', 'évent', '__proto__', 'a"b', 'back\\slash', 'nul\0', '😀')

/** A member whose key or value may be written with any escapes. */
const escapedText = fc
  .string({ unit: 'grapheme', maxLength: 8 })
  .map((text) =>
    [...JSON.stringify(text).slice(1, -1)]
      .map((unit, index) =>
        index % 3 === 0 && !/[\\"]/.test(unit) && unit.length === 1
          ? `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
          : unit
      )
      .join('')
  )

describe('the top-level key scanner agrees with JSON.parse', () => {
  const check = (line: string, name: string) => {
    fc.pre(!line.includes('\n'))
    expect(scannedEvents(line === '' ? '\n' : line, name)).toEqual([referenceEvent(line, name)])
  }

  test('for any JSON', () => {
    fc.assert(fc.property(json(5), key, check), { numRuns: 500 })
  })

  test('for objects with the key at any place, more than once, escaped, and with values of any kind', () => {
    const memberKey = fc.oneof(
      key.map((name) => JSON.stringify(name)),
      escapedText.map((name) => `"${name}"`)
    )
    const value = fc.oneof(
      escapedText.map((text) => `"${text}"`),
      json(3),
      fc.constant('"\\ud800"')
    )
    const space = fc.constantFrom('', ' ', '\t', ' \r ')
    const member = fc
      .tuple(space, memberKey, space, value)
      .map(([a, name, b, text]) => `${a}${name}${b}:${a}${text}${b}`)
    const object = fc.array(member, { maxLength: 6 }).map((members) => `{${members.join(',')}}`)
    fc.assert(fc.property(object, key, check), { numRuns: 2000 })
  })

  test('for keys written with escapes', () => {
    const spell = (name: string) =>
      [...Array(name.length).keys()]
        .map((at) => `\\u${name.charCodeAt(at).toString(16).padStart(4, '0')}`)
        .join('')
    fc.assert(
      fc.property(key, fc.string({ maxLength: 5 }), (name, value) => {
        check(`{"x":{"${name}":1},"${spell(name)}":${JSON.stringify(value)}}`, name)
      })
    )
  })

  test('for lines with a character taken out, put in or replaced', () => {
    const edit = fc.tuple(
      fc.nat(),
      fc.constantFrom(
        '',
        '"',
        '\\',
        '{',
        '}',
        '[',
        ']',
        ',',
        ':',
        '0',
        '-',
        '.',
        'e',
        ' ',
        'u',
        '\t',
        '\x01',
        'é'
      ),
      fc.boolean()
    )
    const line = fc.record(
      { event: fc.string(), n: fc.double(), list: fc.array(fc.anything({ maxDepth: 1 })) },
      { requiredKeys: [] }
    )
    fc.assert(
      fc.property(line, fc.array(edit, { maxLength: 3 }), (value, edits) => {
        let text = JSON.stringify(value)
        for (const [place, insert, replace] of edits) {
          const at = place % (text.length + 1)
          text = text.slice(0, at) + insert + text.slice(at + (replace ? 1 : 0))
        }
        check(text, 'event')
      }),
      { numRuns: 3000 }
    )
  })

  test.each([
    ['{"event":"a"}{"event":"b"}', undefined],
    ['{"event":"a"} x', undefined],
    ['{"event":"a",}', undefined],
    ['{"event":"a","event":1}', undefined],
    ['{"event":1,"event":"b"}', 'b'],
    ['{"x":{"event":"inner"}}', undefined],
    ['[{"event":"a"}]', undefined],
    ['{"a":01,"event":"x"}', undefined],
    ['{"event":"\\x"}', undefined],
    ['{"event":"\\u12"}', undefined],
    ['{"event":"unfinished', undefined],
    ['\uFEFF{"event":"a"}', undefined],
    [`{"event":"deep","x":${'['.repeat(3000)}${']'.repeat(3000)}}`, 'deep'],
    ['', undefined]
  ])('%s', (line, expected) => {
    expect(scannedEvents(`${line}\n`, 'event')).toEqual([expected])
  })

  test('many lines at once, more than one scan holds', () => {
    const events = Array.from({ length: 40_000 }, (_, index) => `e${index % 77}`)
    expect(scannedEvents(events.map((event) => `{"event":"${event}"}\n`).join(''), 'event')).toEqual(events)
  })
})

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MAX_BACKUP_NUMBER, MAX_BACKUP_STAMP } from '../../src/formats/backup-name.ts'
import { BackupPattern, faultOfPattern } from '../../src/formats/backup-pattern.ts'
import { decodeBackupsNote, encodeBackupsNote } from '../../src/formats/backups-note.ts'
import { decodeFinishedNote, encodeFinishedNote } from '../../src/formats/finished-note.ts'
import { mergeWays } from '../../src/formats/merge-ways.ts'

const stamp = Date.UTC(2026, 10, 28, 13, 5, 9) / 1000

test.each([
  ['{stem}-%Y-%m-%d.%i{ext}', 'app-2026-11-28.7.log', Date.UTC(2026, 10, 28)],
  ['{name}.%Y%m%d-%H%M%S.%i', 'app.log.20261128-130509.7', Date.UTC(2026, 10, 28, 13, 5, 9)],
  ['{stem}.%i{ext}', 'app.7.log', 0],
  ['{name}.%i', 'app.log.7', 0],
  ['{stem}_%Y{ext}.%i', 'app_2026.log.7', Date.UTC(2026, 0, 1)],
  ['{stem}-%Y%m%d%H%i%%{ext}', 'app-20261128137%.log', Date.UTC(2026, 10, 28, 13)]
])('%s makes %s, whose time is that of its unit', (pattern, name, unitMs) => {
  expect(faultOfPattern(pattern)).toBe(undefined)
  const names = new BackupPattern(pattern, 'app.log')
  expect(names.format(stamp, 7)).toBe(name)
  expect(names.parse(name)).toEqual({ stamp: unitMs / 1000, number: 7, compression: '' })
  expect(names.parse(`${name}.gz`)).toEqual({ stamp: unitMs / 1000, number: 7, compression: 'gz' })
  expect(names.unitOf(stamp)).toBe(unitMs / 1000)
})

test.each([
  ['app-%i.log', /must begin with/],
  ['{stem}-%i-', /both \{stem\} and \{ext\}/],
  ['{stem}-%i', /both \{stem\} and \{ext\}/],
  ['{name}-%Y', /must hold %i/],
  ['{name}-%i-%i', /twice/],
  ['{name}-%d.%i', /must hold %Y, too/],
  ['{name}-%Y-%d.%i', /must hold %m, too/],
  ['{name}%i', /no digit/],
  ['{name}1%i', /no digit/],
  ['{stem}{ext}-%i', /no digit/],
  ['{name}-%q.%i', /%q, which means nothing/],
  ['{name}-%i%', /means nothing/],
  ['{name}-{date}.%i', /braces/],
  ['old/{name}.%i', /must begin/],
  ['{name}/%i', /backupDir/],
  ['{name}.%i.gz', /must not end/],
  ['{name}.%i.lock', /must not end/]
])('%s is refused', (pattern, why) => {
  expect(faultOfPattern(pattern)).toMatch(why)
})

/** Patterns of all kinds, most of them good ones. */
const patterns = fc
  .record({
    head: fc.constantFrom(['{stem}', '{ext}'], ['{name}', '']),
    first: fc.constantFrom('-', '.', '_', '+', '(', 'x', '%%'),
    units: fc.integer({ min: 0, max: 6 }),
    between: fc.constantFrom('', '-', '.', '0', '%%', '[', 'a1'),
    isNumberFirst: fc.boolean()
  })
  .map(({ head, first, units, between, isNumberFirst }) => {
    const time = ['%Y', '%m', '%d', '%H', '%M', '%S'].slice(0, units).join(between)
    const parts = isNumberFirst ? ['%i', time] : [time, '%i']
    return `${head[0]}${first}${parts.join(between)}${head[1]}`
  })
  .filter((pattern) => faultOfPattern(pattern) === undefined)

/** Names of logs that are as like each other as can be. */
const bases = fc
  .array(fc.constantFrom('a', '-', '.', '_', '0', '1', '2026', 'x', '+'), { minLength: 1, maxLength: 6 })
  .map((parts) => parts.join(''))
const stamps = fc.integer({ min: 0, max: MAX_BACKUP_STAMP })
const numbers = fc.oneof(fc.nat(20), fc.nat(MAX_BACKUP_NUMBER))

describe('whatever the pattern', () => {
  test('a name is read back as the unit and the number it was made of', () => {
    fc.assert(
      fc.property(patterns, bases, stamps, numbers, (pattern, base, at, number) => {
        const names = new BackupPattern(pattern, base)
        const name = names.format(at, number)
        expect(names.parse(name)).toEqual({ stamp: names.unitOf(at), number, compression: '' })
        expect(names.parse(names.format(at, number, 'zst'))?.compression).toBe('zst')
        expect(Buffer.byteLength(name)).toBeLessThanOrEqual(names.maxBytes)
      }),
      { numRuns: 2_000 }
    )
  })

  test('it is a backup of no other log, and of no log of its own name', () => {
    fc.assert(
      fc.property(patterns, bases, bases, stamps, numbers, (pattern, base, other, at, number) => {
        fc.pre(base !== other)
        const name = new BackupPattern(pattern, base).format(at, number)
        expect(new BackupPattern(pattern, other).parse(name)).toBe(undefined)
        expect(new BackupPattern(pattern, base).parse(base)).toBe(undefined)
      }),
      { numRuns: 5_000 }
    )
  })

  test('a name that differs in one character is that of another backup, or of none', () => {
    fc.assert(
      fc.property(
        patterns,
        bases,
        stamps,
        numbers,
        fc.nat(40),
        fc.constantFrom('0', '9', 'x', '.', '-'),
        (pattern, base, at, number, index, other) => {
          const names = new BackupPattern(pattern, base)
          const name = names.format(at, number)
          const place = index % name.length
          const changed = name.slice(0, place) + other + name.slice(place + 1)
          fc.pre(changed !== name)
          const parsed = names.parse(changed)
          if (parsed !== undefined) expect(names.format(parsed.stamp, parsed.number)).toBe(changed)
        }
      ),
      { numRuns: 3_000 }
    )
  })

  test('backups are in the order in which they were made', () => {
    fc.assert(
      fc.property(patterns, fc.array(fc.tuple(stamps, fc.nat(100)), { maxLength: 20 }), (pattern, made) => {
        const names = new BackupPattern(pattern, 'app.log')
        const ordered = made
          .map(([at, number]) => ({ at: names.unitOf(at), number, name: names.format(at, number) }))
          .sort((a, b) => a.at - b.at || a.number - b.number)
        const unique = [...new Set(ordered.map(({ name }) => name))]
        expect(names.group(unique.toReversed()).map(({ name }) => name)).toEqual(unique)
      })
    )
  })
})

test('a log whose name is like that of a backup is none, as its lock file tells', () => {
  const names = new BackupPattern('{stem}-%i{ext}', 'app.log')
  expect(names.group(['app-1.log', 'app-2.log', '.app-2.log.lock']).map(({ name }) => name)).toEqual([
    'app-1.log'
  ])
})

test('backups of several ways are in the order of their files', () => {
  const times: Record<string, number> = { a1: 1, a2: 4, b1: 2, b2: 3 }
  const lists = [[{ name: 'a1' }, { name: 'a2' }], [], [{ name: 'b1' }, { name: 'b2' }]]
  expect(mergeWays(lists, (name) => times[name]).map(({ name }) => name)).toEqual(['a1', 'b1', 'b2', 'a2'])
  const asked = () => {
    throw new Error('nobody need be asked')
  }
  expect(mergeWays([[{ name: 'z' }, { name: 'y' }], []], asked)).toEqual([{ name: 'z' }, { name: 'y' }])
  const same = () => [{ name: 'z' }, { name: 'y' }]
  expect(mergeWays([same(), same()], asked)).toEqual(same())
})

test('notes are read back, and what is damaged in them is left out', () => {
  const ways = [{}, { dir: '../old\n' }, { name: '{stem}-%i{ext}', dir: 'b' }]
  expect(decodeBackupsNote(encodeBackupsNote(ways))).toEqual(ways)
  const damaged = `${encodeBackupsNote([{ dir: 'a' }])}{"dir":5}\n{"name":"%i"}\n{"dir":"a\\u0000"}\nnull\n{"di`
  expect(decodeBackupsNote(damaged)).toEqual([{ dir: 'a' }])
  for (const text of ['', 'logboom', 'logboom backups 2\n{}', '{}'])
    expect(decodeBackupsNote(text)).toEqual([])
  const done = new Set(['a\n"b', 'c'])
  expect(decodeFinishedNote(encodeFinishedNote({ waitMs: 5, done }))).toEqual({ waitMs: 5, done })
  for (const text of ['', 'logboom finished', 'logboom finished x\n'])
    expect(decodeFinishedNote(text)).toBe(undefined)
})

import { existsSync, readdirSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import fc from 'fast-check'
import { LoggerManager } from 'logboom'
import { expect, test } from 'vitest'
import { eventFileStem, MAX_NAME_BYTES } from '../../../src/core/event-files/event-name.ts'
import { extensionOf, type OutputKind, outputKinds } from '../../../src/core/event-files/output-kind.ts'
import { backupBase } from '../../../src/formats/backup-name.ts'
import { numberedBase } from '../../../src/formats/numbered-name.ts'
import { parseSnapshotName } from '../../../src/formats/snapshot-file.ts'
import { parseManifestName, parsePublishedName, parseTempName } from '../../../src/formats/spool.ts'
import { parseSegmentName } from '../../../src/formats/wal.ts'
import { readTexts } from '../../helpers/direct-file-reader.ts'
import { createFolder } from '../../helpers/folder.ts'

const stem = (event: string): string | undefined => eventFileStem(event, 'rotating-file')

test.each([
  ['payment/event', 'payment_event'],
  ['login event', 'login_event'],
  ['order*test', 'order_test'],
  ['plain', 'plain'],
  ['Grüße-世界.v2', 'Grüße-世界.v2'],
  ['.', '_'],
  ['..', '__'],
  ['.hidden', '_hidden'],
  ['trailing.', 'trailing_'],
  ['a\\b:c?d"e<f>g|h', 'a_b_c_d_e_f_g_h'],
  ['nul\0byte', 'nul_byte'],
  ['line\r\nbreak\x1b[2J', 'line__break_[2J'],
  ['NUL', '_NUL'],
  ['com1.x', '_com1.x'],
  ['\u202Egnp.exe', '_gnp.exe'],
  ['lone \ud800 surrogate', 'lone___surrogate'],
  ['\u00a0nbsp\u2028', '_nbsp_']
])('%j becomes %j', (event, expected) => {
  expect(stem(event)).toBe(expected)
})

test.each<[OutputKind, string, string]>([
  ['binary-file', 'a.0', 'a_0'],
  ['binary-file', 'a.0.1', 'a.0_1'],
  ['binary-file', 'v1.02', 'v1.02'],
  ['rotating-file', 'http.404', 'http.404'],
  ['direct-file', 'http.404', 'http.404'],
  ['wal', 'a.0', 'a_0'],
  ['wal', 'app.log', 'app.log'],
  ['wal', 'app.log.20250131-235959.0', 'app.log.20250131-235959_0'],
  ['wal', 'a.gz', 'a_gz'],
  ['wal', 'a.tmp', 'a_tmp'],
  ['wal', 'a.lock', 'a_lock'],
  ['wal', 'a.BIN', 'a_BIN'],
  ['wal', '0000000000000000-0000000000000000.wal', '0000000000000000-0000000000000000_wal'],
  ['rotating-file', '0_1735689600000000000', '0_1735689600000000000_']
])('output %s: %j becomes %j, as it would be taken for a part of another log', (output, event, expected) => {
  expect(eventFileStem(event, output)).toBe(expected)
})

test('property: no event has a file that looks like a backup, a segment or an unfinished file', () => {
  const part = fc.constantFrom(
    ...[
      'a',
      'é',
      '.',
      '_',
      '-',
      '.log',
      '.bin',
      '.gz',
      '.br',
      '.zst',
      '.tmp',
      '.lock',
      '.wal',
      '.snap',
      '.0',
      '.12'
    ],
    ...['.20250131-235959.0', '0_1735689600000000000', '0123456789abcdef-0123456789abcdef', 'x'.repeat(200)]
  )
  const names = fc.array(part, { minLength: 1, maxLength: 6 }).map((parts) => parts.join(''))
  fc.assert(
    fc.property(names, fc.constantFrom(...outputKinds), (event, output) => {
      const name = `${eventFileStem(event, output)}${extensionOf(output)}`
      expect(backupBase(name), name).toBeUndefined()
      expect(parsePublishedName(name) ?? parseTempName(name) ?? parseManifestName(name), name).toBeUndefined()
      expect(parseSegmentName(name) ?? parseSnapshotName(name), name).toBeUndefined()
      expect(name).not.toMatch(/\.(gz|br|zst|tmp|lock|bin|wal|snap)$/)
      if (output === 'binary-file' || output === 'wal') expect(numberedBase(name), name).toBeUndefined()
      expect(Buffer.byteLength(name)).toBeLessThanOrEqual(MAX_NAME_BYTES)
    }),
    { numRuns: 3_000 }
  )
})

test('an empty name has no file', () => {
  expect(stem('')).toBeUndefined()
})

test('long names are cut at a character, told apart by a hash, and leave room for backups', () => {
  const emoji = stem('😀'.repeat(100)) as string
  expect(Buffer.byteLength(`${emoji}.log`)).toBeLessThanOrEqual(MAX_NAME_BYTES)
  expect(emoji).toMatch(/^(😀)+-[0-9a-f]{8}$/u)
  expect(stem(`${'a'.repeat(300)}1`)).not.toBe(stem(`${'a'.repeat(300)}2`))
})

test('property: whatever the name, the file is one file in the folder', () => {
  const unit = fc.constantFrom(
    '/',
    '\\',
    '.',
    '..',
    '~',
    'é',
    '😀',
    '\0',
    '\n',
    'a',
    ' ',
    ':',
    '%2e',
    '\ud800',
    'con'
  )
  const hostile = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 300 }),
    fc.array(unit, { maxLength: 200 }).map((parts) => parts.join(''))
  )
  fc.assert(
    fc.property(hostile, (event) => {
      const name = stem(event)
      expect(name === undefined).toBe(event === '')
      if (name === undefined) return
      const path = resolve('/folder', `${name}.log`)
      expect(dirname(path)).toBe('/folder')
      expect(Buffer.byteLength(`${name}.log`)).toBeLessThanOrEqual(255)
      expect(name).not.toMatch(/^\./)
      expect(name).toBe(Buffer.from(name).toString())
      expect(stem(event)).toBe(name)
    }),
    { numRuns: 3_000 }
  )
})

const hostileNames = [
  '../outside',
  '../../etc/passwd',
  '/absolute',
  '/etc/cron.d/x',
  '..\\windows',
  'C:\\x',
  '.',
  '..',
  '...',
  './x',
  'a/../b',
  'a/./b',
  '~',
  '~/x',
  '%2e%2e%2f',
  '..%2f',
  '\0',
  'a\0b',
  'a\nb',
  '\r\n',
  '\x1b[31mred',
  '\u202Ertl',
  ' ',
  '  lead',
  'trail ',
  'tab\t',
  'CON',
  'nul',
  'COM1',
  'aux.txt',
  '*',
  '?',
  '"quoted"',
  '<tag>',
  'a|b',
  '-rf',
  '$(reboot)',
  '`id`',
  '😀'.repeat(100),
  'x'.repeat(300),
  '\ud800',
  'é'.repeat(200),
  '.event-files.lock',
  'event-files'
]

test(`${hostileNames.length} hostile names: all records in files inside the folder`, async () => {
  const parent = createFolder()
  const dir = join(parent, 'logs')
  const manager = new LoggerManager({ dir })
  for (const [index, event] of hostileNames.entries()) manager.logWithEvent(event, `${index}`)
  expect(() => manager.logWithEvent('', 'x')).toThrow(/ERR_EVENT_NAME/)
  expect(() => manager.logWithEvent(undefined as unknown as string, 'x')).toThrow(/ERR_EVENT_NAME/)
  await manager.close()
  expect(readdirSync(parent)).toEqual(['logs'])
  const names = readdirSync(dir, { withFileTypes: true })
  expect(names.every((entry) => entry.isFile())).toBe(true)
  const found = names
    .filter(({ name }) => !name.startsWith('.'))
    .flatMap(({ name }) => readTexts(join(dir, name)))
  expect(found.map(Number).sort((a, b) => a - b)).toEqual([...hostileNames.keys()])
  expect(existsSync('/absolute.log')).toBe(false)
})

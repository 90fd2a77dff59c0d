import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type BackupCompression,
  backupBase,
  compareBackups,
  formatBackupName,
  groupBackups,
  MAX_BACKUP_NUMBER,
  MAX_BACKUP_STAMP,
  parseBackupName
} from '../../src/formats/backup-name.ts'

const stamp = Date.UTC(2026, 1, 28, 23, 59, 58) / 1000
const compressions: BackupCompression[] = ['', 'gz', 'br', 'zst']

describe('backup names', () => {
  test('are spelled as documented', () => {
    expect(formatBackupName('app.log', stamp, 0, '')).toBe('app.log.20260228-235958.0')
    expect(formatBackupName('app.log', stamp + 0.9, 12, 'gz')).toBe('app.log.20260228-235958.12.gz')
    expect(parseBackupName('app.log', 'app.log.20260228-235958.12.zst')).toEqual({
      stamp,
      number: 12,
      compression: 'zst'
    })
  })

  test('come back from formatting and parsing unchanged, whatever the base', () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.integer({ min: 0, max: MAX_BACKUP_STAMP }),
        fc.nat(MAX_BACKUP_NUMBER),
        fc.constantFrom(...compressions),
        (base, time, number, compression) => {
          const name = formatBackupName(base, time, number, compression)
          expect(parseBackupName(base, name)).toEqual({ stamp: time, number, compression })
        }
      )
    )
  })

  test.each([
    'app.log',
    'app.log.gz',
    'app.log.1',
    'app.log.20260228-235958',
    'app.log.20260228-235958.',
    'app.log.20260228-235958.01',
    'app.log.20260228-235958.-1',
    'app.log.20260228-235958.1.',
    'app.log.20260228-235958.1.bz2',
    'app.log.20260228-235958.1.gz.gz',
    'app.log.20260228-235958.1.GZ',
    'app.log.20260228-235958.1.gz.tmp',
    'app.log.20260228-235958.1\n',
    'app.log.20261301-000000.1',
    'app.log.20260001-000000.1',
    'app.log.20260229-000000.1',
    'app.log.20260431-000000.1',
    'app.log.20260200-000000.1',
    'app.log.20260201-240000.1',
    'app.log.20260201-006000.1',
    'app.log.20260201-000060.1',
    'app.log.20260201-000000.1234567890123456',
    'app.log.20260201-000000.4294967295',
    'app.log.20260201-000000.1000000000',
    'app.log.19691231-235959.0',
    'app.log.00000101-000000.0',
    'app.log.+010000-01-01.0',
    'app_log.20260228-235958.1',
    '.app.log.20260228-235958.1',
    'xapp.log.20260228-235958.1',
    'app.log2.20260228-235958.1'
  ])('do not include %j', (name) => {
    expect(parseBackupName('app.log', name)).toBeUndefined()
  })

  test('tell their base', () => {
    expect(backupBase('app.log.20260228-235958.12.gz')).toBe('app.log')
    expect(backupBase('app.log.20260228-235958.1.20260228-235958.0')).toBe('app.log.20260228-235958.1')
    expect(backupBase('app.log.20260231-235958.12')).toBeUndefined()
    expect(backupBase('.20260228-235958.12')).toBeUndefined()
    expect(backupBase('app.log')).toBeUndefined()
  })

  test('made by a clock that is wrong are backups all the same', () => {
    for (const [time, name] of [
      [MAX_BACKUP_STAMP, 'a.99991231-235959.0'],
      [MAX_BACKUP_STAMP + 1, 'a.99991231-235959.0'],
      [8.64e12, 'a.99991231-235959.0'],
      [1e300, 'a.99991231-235959.0'],
      [-1, 'a.19700101-000000.0']
    ] as const) {
      expect(formatBackupName('a', time, 0)).toBe(name)
      expect(parseBackupName('a', name)).toBeDefined()
    }
  })

  test('know leap days', () => {
    expect(parseBackupName('a', 'a.20240229-000000.0')).toBeDefined()
    expect(parseBackupName('a', 'a.21000229-000000.0')).toBeUndefined()
  })

  test('treat the base as text, not as a pattern', () => {
    expect(parseBackupName('a.g', 'axg.20240229-000000.0')).toBeUndefined()
    expect(parseBackupName('a[1]*', 'a[1]*.20240229-000000.0')).toBeDefined()
  })

  test('sort by time and then by number as a number', () => {
    const sorted = [
      [1, 2],
      [1, 9],
      [1, 10],
      [2, 0]
    ].map(([time, number]) => ({ stamp: time, number }))
    expect([...sorted].reverse().sort(compareBackups)).toEqual(sorted)
  })

  test('group the files of one backup, the uncompressed one first', () => {
    const plain = formatBackupName('a', 1, 10)
    const packed = formatBackupName('a', 1, 9, 'br')
    const names = [`${plain}.gz`, 'a', plain, packed, 'a.log.20240229-000000.0', '.a.lock']
    expect(groupBackups('a', names)).toEqual([
      { stamp: 1, number: 9, compression: 'br', name: packed, names: [packed] },
      { stamp: 1, number: 10, compression: '', name: plain, names: [plain, `${plain}.gz`] }
    ])
  })
})

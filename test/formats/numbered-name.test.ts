import { describe, expect, test } from 'vitest'
import { COMPRESSIONS } from '../../src/formats/backup-name.ts'
import {
  formatNumberedName,
  numberedBackups,
  numberedBase,
  parseNumberedName
} from '../../src/formats/numbered-name.ts'

describe('numbered backups', () => {
  test('the number goes before the extension', () => {
    expect(formatNumberedName('events.bin', 0)).toBe('events.0.bin')
    expect(formatNumberedName('events', 12)).toBe('events.12')
    expect(formatNumberedName('.events', 3)).toBe('.events.3')
    expect(formatNumberedName('a.b.bin', 7)).toBe('a.b.7.bin')
  })

  test('only names of exactly that grammar are backups', () => {
    expect(parseNumberedName('events.bin', 'events.41.bin')).toEqual({ number: 41, compression: '' })
    expect(parseNumberedName('events.bin', 'events.41.bin.zst')).toEqual({ number: 41, compression: 'zst' })
    for (const name of [
      'events.bin',
      'events..bin',
      'events.01.bin',
      'events.-1.bin',
      'events.1.bin.bz2',
      'events.1.bin.gz.gz',
      'events.1.bin.gz.tmp',
      'events.1.gz.bin',
      'xevents.1.bin',
      'events.1x.bin',
      'events.1.bi',
      'events.1e3.bin',
      'events.20251127093000.bin',
      'events.4294967295.bin',
      'events.1000000000.bin',
      'events.1.2.bin'
    ]) {
      expect(parseNumberedName('events.bin', name), name).toBeUndefined()
    }
    expect(parseNumberedName('events', 'events.5')?.number).toBe(5)
    expect(parseNumberedName('events', 'events.5.gz')).toEqual({ number: 5, compression: 'gz' })
    expect(parseNumberedName('events.bin', 'events.999999999.bin')?.number).toBe(999_999_999)
  })

  test('are ordered by number, not by text', () => {
    const names = ['events.10.bin', 'events.bin', 'events.9.bin', 'other.1.bin', 'events.0.bin']
    expect(numberedBackups('events.bin', names).map(({ name }) => name)).toEqual([
      'events.0.bin',
      'events.9.bin',
      'events.10.bin'
    ])
  })

  test('any of them, compressed or not, tells its log, with and without an extension', () => {
    for (const base of ['events.bin', 'events.log', 'events', '.events', 'a.b.bin', 'a.0.bin']) {
      for (const compression of COMPRESSIONS) {
        expect(numberedBase(formatNumberedName(base, 12, compression)), base).toBe(base)
      }
    }
    const others = [
      'events',
      'events.log',
      'app.log.1',
      'app.log.20260228-235958.1',
      'events.01',
      '.5',
      'a.gz'
    ]
    for (const name of others) expect(numberedBase(name), name).toBeUndefined()
  })

  test('the files of one backup are one backup, the uncompressed one first', () => {
    const names = ['e.1.bin.gz', 'e.0.bin.br', 'e.1.bin', 'e.bin']
    expect(numberedBackups('e.bin', names)).toEqual([
      { number: 0, compression: 'br', name: 'e.0.bin.br', plain: 'e.0.bin', names: ['e.0.bin.br'] },
      { number: 1, compression: '', name: 'e.1.bin', plain: 'e.1.bin', names: ['e.1.bin', 'e.1.bin.gz'] }
    ])
  })
})

// Rotation at the times of a cron pattern.
import { appendFileSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { CronPeriods, isCronPattern } from '../../../src/core/rotating-file/cron-periods.ts'
import { Periods } from '../../../src/core/rotating-file/period.ts'
import { RotatingFile } from '../../../src/core/rotating-file/rotating-file.ts'
import { native } from '../../../src/native/index.ts'
import { createFolder } from '../../helpers/folder.ts'
import { sized } from '../../helpers/sized.ts'

const at = (text: string): number => Date.parse(text)
const iso = (instant: number): string => new Date(instant).toISOString()

describe('the times of a cron pattern', () => {
  it('begin and end periods in the time zone', () => {
    const periods = new CronPeriods('30 4 * * 1-5', 'Europe/Berlin')
    // Friday to Monday.
    expect(iso(periods.startOf(at('2026-11-28T12:00:00Z')))).toBe('2026-11-27T03:30:00.000Z')
    expect(iso(periods.endOf(at('2026-11-28T12:00:00Z')))).toBe('2026-11-30T03:30:00.000Z')
    expect(iso(periods.startOf(at('2026-11-30T03:30:00Z')))).toBe('2026-11-30T03:30:00.000Z')
  })

  it('are found however far away they are', () => {
    const leap = new CronPeriods('0 0 29 2 *', 'UTC')
    expect(iso(leap.startOf(at('2027-06-01')))).toBe('2024-02-29T00:00:00.000Z')
    expect(iso(leap.endOf(at('2027-06-01')))).toBe('2028-02-29T00:00:00.000Z')
  })

  it.each([
    ['@daily', 'daily'],
    ['0 * * * *', 'hourly'],
    ['0 0 1 * *', 'monthly'],
    ['0 0 1 1 *', 'yearly'],
    ['*/15 * * * *', 900_000]
  ] as const)('%s is the same as %s', (pattern, every) => {
    const cron = new CronPeriods(pattern, 'UTC')
    fc.assert(
      fc.property(fc.integer({ min: at('2000-01-01'), max: at('2040-01-01') }), (instant) => {
        const periods = new Periods(every, 'UTC')
        expect(cron.startOf(instant)).toBe(periods.startOf(instant))
        expect(cron.endOf(instant)).toBe(periods.endOf(instant))
      }),
      { numRuns: sized(200, 10) }
    )
  })

  it('enclose every instant, also where the clock is turned', () => {
    const patterns = fc.constantFrom(
      '0 3 * * *',
      '30 2 * * *',
      '*/20 1-3 * * *',
      '0 0 1 */3 *',
      '15 10 5 * 0'
    )
    const zones = fc.constantFrom('Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'local')
    const instants = fc.integer({ min: at('2020-01-01'), max: at('2030-01-01') })
    fc.assert(
      fc.property(patterns, zones, instants, (pattern, zone, instant) => {
        const periods = new CronPeriods(pattern, zone)
        const [start, end] = [periods.startOf(instant), periods.endOf(instant)]
        expect(start).toBeLessThanOrEqual(instant)
        expect(end).toBeGreaterThan(instant)
        expect(periods.startOf(end)).toBe(end)
        expect(new CronPeriods(pattern, zone).startOf(end)).toBe(end)
        expect(periods.startOf(start)).toBe(start)
        expect(periods.endOf(start)).toBe(end)
      }),
      { numRuns: sized(2_000, 30) }
    )
  })
})

test.each([
  '',
  'daily',
  '* * *',
  '61 * * * *',
  '0 0 31 2 *',
  '2026-01-01T00:00:00',
  '@reboots',
  '0 0 0 0 0 0 0 0'
])('%j is refused as a cron pattern', (pattern) => {
  expect(isCronPattern(pattern)).toBe(false)
  const path = join(createFolder(), 'app.log')
  expect(() => new RotatingFile({ path, rotateAt: pattern })).toThrow(/rotateAt.*must be a cron pattern/)
  expect(readdirSync(join(path, '..'))).toEqual([])
})

test('a cron pattern and a period exclude each other', () => {
  const path = join(createFolder(), 'app.log')
  expect(() => new RotatingFile({ path, rotateAt: '@daily', rotateEvery: 'daily' })).toThrow(
    /give one of them/
  )
})

test('a file from before the last time of the pattern is rotated with the next record', async () => {
  const folder = createFolder()
  const path = join(folder, 'app.log')
  writeFileSync(path, 'old\n')
  const twoDaysAgo = Date.now() / 1000 - 2 * 86_400
  utimesSync(path, twoDaysAgo, twoDaysAgo)
  const file = new RotatingFile({ path, rotateAt: '0 5 * * *', lock: native.canLock })
  file.write('new\n')
  await file.flush()
  appendFileSync(path, 'more\n')
  file.write('newer\n')
  await file.close()
  const backups = readdirSync(folder).filter((name) => name.startsWith('app.log.'))
  expect(backups).toHaveLength(1)
  expect(readFileSync(join(folder, backups[0]), 'utf8')).toBe('old\n')
  expect(readFileSync(path, 'utf8')).toBe('new\nmore\nnewer\n')
})

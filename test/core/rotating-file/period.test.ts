import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isTimeZone, Periods, type RotateEvery } from '../../../src/core/rotating-file/period.ts'

const at = (text: string): number => Date.parse(text)
const zones = [
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'Asia/Kathmandu',
  'Australia/Lord_Howe',
  'America/Sao_Paulo',
  'Pacific/Apia'
]

function boundaries(every: RotateEvery, zone: string, from: string, count: number): string[] {
  const periods = new Periods(every, zone)
  const found = [periods.startOf(at(from))]
  while (found.length < count) found.push(periods.endOf(found[found.length - 1]))
  return found.map((instant) => new Date(instant).toISOString())
}

describe('boundaries of time rotation', () => {
  it('are whole hours, also where the clock is turned', () => {
    expect(boundaries('hourly', 'UTC', '2026-11-20T23:41:07Z', 3)).toEqual([
      '2026-11-20T23:00:00.000Z',
      '2026-11-21T00:00:00.000Z',
      '2026-11-21T01:00:00.000Z'
    ])
    // Europe/Berlin shows 02:00 to 03:00 twice: two hours, two files.
    expect(boundaries('hourly', 'Europe/Berlin', '2026-10-25T00:30:00Z', 4)).toEqual([
      '2026-10-25T00:00:00.000Z',
      '2026-10-25T01:00:00.000Z',
      '2026-10-25T02:00:00.000Z',
      '2026-10-25T03:00:00.000Z'
    ])
  })

  it('are local midnights, on days of 23 and 25 hours as well', () => {
    expect(boundaries('daily', 'Europe/Berlin', '2026-03-28T12:00:00Z', 3)).toEqual([
      '2026-03-27T23:00:00.000Z',
      '2026-03-28T23:00:00.000Z',
      '2026-03-29T22:00:00.000Z'
    ])
    expect(boundaries('daily', 'America/New_York', '2026-11-01T12:00:00Z', 2)).toEqual([
      '2026-11-01T04:00:00.000Z',
      '2026-11-02T05:00:00.000Z'
    ])
  })

  it('begin a day that has no midnight at its first instant', () => {
    // Sao Paulo went from 23:59:59 to 01:00 on 4 November 2018.
    expect(boundaries('daily', 'America/Sao_Paulo', '2018-11-04T12:00:00Z', 2)).toEqual([
      '2018-11-04T03:00:00.000Z',
      '2018-11-05T02:00:00.000Z'
    ])
  })

  it('are Mondays for weeks', () => {
    expect(boundaries('weekly', 'UTC', '2026-11-20T12:00:00Z', 2)).toEqual([
      '2026-11-16T00:00:00.000Z',
      '2026-11-23T00:00:00.000Z'
    ])
    expect(boundaries('weekly', 'Asia/Kathmandu', '2026-11-20T12:00:00Z', 1)).toEqual([
      '2026-11-15T18:15:00.000Z'
    ])
  })

  it('are first days of months and years, at local midnight, however long they are', () => {
    expect(boundaries('monthly', 'UTC', '2028-01-31T12:00:00Z', 4)).toEqual([
      '2028-01-01T00:00:00.000Z',
      '2028-02-01T00:00:00.000Z',
      '2028-03-01T00:00:00.000Z',
      '2028-04-01T00:00:00.000Z'
    ])
    // Berlin is two hours ahead in summer, one in winter.
    expect(boundaries('monthly', 'Europe/Berlin', '2026-10-31T22:59:59Z', 2)).toEqual([
      '2026-09-30T22:00:00.000Z',
      '2026-10-31T23:00:00.000Z'
    ])
    expect(boundaries('yearly', 'America/New_York', '2027-01-01T04:59:59Z', 3)).toEqual([
      '2026-01-01T05:00:00.000Z',
      '2027-01-01T05:00:00.000Z',
      '2028-01-01T05:00:00.000Z'
    ])
    expect(boundaries('yearly', 'UTC', '1969-12-31T23:00:00Z', 2)[0]).toBe('1969-01-01T00:00:00.000Z')
  })

  it('count shorter spans from local midnight, and longer ones in whole days', () => {
    expect(boundaries(6 * 3_600_000, 'Asia/Kathmandu', '2026-11-20T12:00:00Z', 2)).toEqual([
      '2026-11-20T06:15:00.000Z',
      '2026-11-20T12:15:00.000Z'
    ])
    expect(boundaries(7 * 3_600_000, 'UTC', '2026-11-20T22:00:00Z', 2)).toEqual([
      '2026-11-20T21:00:00.000Z',
      '2026-11-21T00:00:00.000Z'
    ])
    expect(boundaries(2 * 86_400_000, 'UTC', '1970-01-04T05:00:00Z', 2)).toEqual([
      '1970-01-03T00:00:00.000Z',
      '1970-01-05T00:00:00.000Z'
    ])
  })

  it('enclose every instant and leave no gap, in every zone', () => {
    const every = fc.constantFrom<RotateEvery>(
      'hourly',
      'daily',
      'weekly',
      'monthly',
      'yearly',
      900_000,
      6 * 3_600_000,
      36 * 3_600_000
    )
    fc.assert(
      fc.property(
        every,
        fc.constantFrom(...zones),
        fc.integer({ min: 0, max: at('2040-01-01') }),
        (span, zone, instant) => {
          const periods = new Periods(span, zone)
          const [start, end] = [periods.startOf(instant), periods.endOf(instant)]
          expect(start).toBeLessThanOrEqual(instant)
          expect(end).toBeGreaterThan(instant)
          expect(new Periods(span, zone).startOf(end)).toBe(end)
          expect(new Periods(span, zone).startOf(start)).toBe(start)
        }
      ),
      { numRuns: 400 }
    )
  })

  it('follow the zone of the process with "local"', () => {
    const midnight = new Date(2026, 5, 15).getTime()
    expect(new Periods('daily', 'local').startOf(midnight + 5 * 3_600_000)).toBe(midnight)
  })

  it('know the time zones there are', () => {
    expect(zones.every(isTimeZone)).toBe(true)
    expect(isTimeZone('local')).toBe(true)
    expect(isTimeZone('Europe/Nowhere')).toBe(false)
  })
})

// Points in time as people type them: ISO 8601, seconds or milliseconds since 1970, or how long ago.
import { UsageError } from '../command.ts'

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000
}
const AGO = /^-?((?:\d+(?:\.\d+)?(?:ms|[smhdw]))+)(?:\s+ago)?$/
const AGO_PART = /(\d+(?:\.\d+)?)(ms|[smhdw])/g
// Fewer digits are a time in 1970 at best, and more likely an amount that lacks its unit.
const EPOCH = /^\d{9,15}(?:\.\d+)?$/
const ISO = /^(\d{4}-\d\d-\d\d)(?:[T ]\d\d(?::?\d\d)?(?::\d\d(?:[.,]\d+)?)?)?(?:Z|[+-]\d\d:?\d\d)?$/
/** A number below this is in seconds, as in records. */
const MIN_MS = 1e11

/** The time that the option `name` means, in ms since 1970. Without offset, a date is in local time. */
export function parseTime(name: string, text: string, nowMs: number): number {
  const time = timeOf(text.trim(), nowMs)
  if (time !== undefined && Number.isFinite(time)) return time
  throw new UsageError(
    `--${name} must be a date such as 2026-01-31 or 2026-01-31T12:00:00Z, seconds since 1970, or how long ago, such as 10m, 2h or 1d, got ${JSON.stringify(text)}`
  )
}

function timeOf(text: string, nowMs: number): number | undefined {
  if (text === 'now') return nowMs
  if (text === 'today') return startOfDay(nowMs, 0)
  if (text === 'yesterday') return startOfDay(nowMs, -1)
  const ago = AGO.exec(text)?.[1]
  if (ago !== undefined) return nowMs - durationMs(ago)
  if (EPOCH.test(text)) return Number(text) < MIN_MS ? Number(text) * 1000 : Number(text)
  const date = ISO.exec(text)?.[1]
  if (date === undefined || !isDate(date)) return undefined
  // A date alone would be taken as UTC, and with a time as local.
  return Date.parse(date === text ? `${text}T00:00:00` : text.replace(',', '.'))
}

function durationMs(text: string): number {
  let sum = 0
  for (const [, amount, unit] of text.matchAll(AGO_PART)) sum += Number(amount) * UNIT_MS[unit]
  return sum
}

function startOfDay(nowMs: number, days: number): number {
  const date = new Date(nowMs)
  date.setHours(0, 0, 0, 0)
  date.setDate(date.getDate() + days)
  return date.getTime()
}

/** `Date.parse` carries 31 February over into March. */
function isDate(text: string): boolean {
  const date = new Date(`${text}T00:00:00Z`)
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text)
}

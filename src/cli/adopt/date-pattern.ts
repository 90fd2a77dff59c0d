// How other packages write a date into the name of a file: a pattern of tokens (moment, date-fns, date-format) as a
// regular expression, and the span of time that a date of it stands for.
import { UsageError } from '../command.ts'

/** What a date in a name stands for: a day, an hour. Both ends are in it, in ms since 1970. */
export interface Span {
  readonly fromMs: number
  readonly toMs: number
}

/** Year, month and day, with or without separators, and what is finer. A dot would be taken for that before a number. */
const USUAL =
  '(?<year>\\d{4})(?<sep>[-_.]?)(?<month>\\d\\d)\\k<sep>(?<day>\\d\\d)' +
  '(?:[-_T]?(?<hour>\\d\\d)(?:[-:_]?(?<minute>\\d\\d)(?:[-:_]?(?<second>\\d\\d))?)?)?'

const PIECE = /\[([^\]]*)\]|'([^']*)'|([a-zA-Z])\3*|[^a-zA-Z[\]']+/g

const TOKENS: Readonly<Record<string, string>> = {
  yyyy: '(?<year>\\d{4})',
  MM: '(?<month>\\d\\d)',
  dd: '(?<day>\\d\\d)',
  hh: '(?<hour>\\d\\d)',
  mm: '(?<minute>\\d\\d)',
  ss: '(?<second>\\d\\d)',
  SSS: '(?<ms>\\d{3})',
  // No package gives this letter a meaning, and times are often written with it.
  T: 'T'
}

/** The source of a regular expression for dates by `pattern`; for those that are usual if it is left out. */
export function dateSource(pattern?: string): string {
  if (pattern === undefined) return USUAL
  const pieces = [...pattern.matchAll(PIECE)].map(([piece, bracketed, quoted, letter]) => {
    if (letter === undefined) return escapeRegExp(bracketed ?? quoted ?? piece)
    // Years, days and hours are spelt in both cases.
    const token = TOKENS[/^[YDH]/.test(piece) ? piece.toLowerCase() : piece]
    if (token !== undefined) return token
    throw new UsageError(`--date-pattern: ${JSON.stringify(piece)} is not understood; ${KNOWN}`)
  })
  const source = pieces.join('')
  if (!source.includes('<year>')) throw new UsageError(`--date-pattern must have a year; ${KNOWN}`)
  try {
    new RegExp(source)
  } catch {
    throw new UsageError('--date-pattern has a token twice')
  }
  return source
}

const KNOWN = 'known are YYYY, MM, DD, HH, mm, ss and SSS, and text in [brackets]'

export function escapeRegExp(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')
}

/** The span that the named groups of a match stand for; undefined if there is no such date. */
export function spanOf(
  groups: Readonly<Record<string, string | undefined>>,
  isUtc: boolean
): Span | undefined {
  const given = ['year', 'month', 'day', 'hour', 'minute', 'second', 'ms'].map((name) => groups[name])
  const end = given.indexOf(undefined)
  const finest = end === -1 ? given.length : end
  // A day without its month says nothing.
  if (given.slice(finest).some((field) => field !== undefined)) return undefined
  const fields = given.map((field, at) => Number(field ?? (at === 1 || at === 2 ? 1 : 0)))
  const fromMs = instant(fields, isUtc)
  if (fromMs === undefined) return undefined
  const next = fields.with(finest - 1, fields[finest - 1] + 1)
  const nextMs = isUtc ? Date.UTC(...monthFrom0(next)) : new Date(...monthFrom0(next)).getTime()
  return { fromMs, toMs: Math.max(fromMs, nextMs - 1) }
}

type DateFields = [number, number, number, number, number, number, number]

function monthFrom0([year, month, ...rest]: readonly number[]): DateFields {
  return [year, month - 1, ...rest] as DateFields
}

/** Undefined for 31 February and 25 o'clock, which `Date` carries over. */
function instant(fields: readonly number[], isUtc: boolean): number | undefined {
  const [year, month, day, hour, minute, second] = fields
  if (year < 1970) return undefined
  const ms = Date.UTC(...monthFrom0(fields))
  const date = new Date(ms)
  const isReal =
    date.getUTCFullYear() === year &&
    date.getUTCMonth() === month - 1 &&
    date.getUTCDate() === day &&
    date.getUTCHours() === hour &&
    date.getUTCMinutes() === minute &&
    date.getUTCSeconds() === second
  if (!isReal) return undefined
  return isUtc ? ms : new Date(...monthFrom0(fields)).getTime()
}

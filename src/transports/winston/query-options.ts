// What `logger.query` and `logger.stream` are asked, in every form winston's File transport takes: numbers and times
// may be texts, as a web page passes them, and what is empty means the default.
import { argumentError } from '../../base/bytes.ts'
import { LogboomError } from '../../base/errors.ts'

type Time = Date | string | number

/** As for winston's own File transport. */
export interface QueryOptions {
  /** Most results; default 10. 0 and less mean the default, too. */
  rows?: number | string
  limit?: number | string
  /** Lines to pass over first; of several logs in one folder, results. */
  start?: number | string
  /** Times between which `timestamp` lies; default: the last day. Records without a timestamp always match. */
  from?: Time
  until?: Time
  /** `'desc'` (default): the newest first. */
  order?: 'asc' | 'desc'
  level?: string
  /** Only these fields of each record. */
  fields?: string | string[]
  /** Of event files: only this event. */
  event?: string
}

export interface StreamOptions {
  /** Lines to pass over first; -1 for only those that are yet to come. */
  start?: number | string
  /** Of event files: only this event. */
  event?: string
}

export interface ParsedQuery {
  readonly rows: number
  readonly start: number
  readonly fromMs: number
  readonly untilMs: number
  readonly isDescending: boolean
  readonly level: string | undefined
  readonly fields: readonly string[] | undefined
  readonly event: string | undefined
}

const DEFAULT_ROWS = 10
const DAY_MS = 86_400_000
const PLAIN_NUMBER = /^\s*-?\d+(\.\d+)?\s*$/

/** Throws `ERR_ARGUMENT`. */
export function parseQuery(input: unknown): ParsedQuery {
  const options = requireOptions('query', input)
  const rows = countOf('rows', options.rows)
  const limit = countOf('limit', options.limit)
  const untilMs = timeOf('until', options.until) ?? Date.now()
  return {
    rows: rows ?? limit ?? DEFAULT_ROWS,
    start: Math.max(0, numberOf('query', 'start', options.start) ?? 0),
    fromMs: timeOf('from', options.from) ?? untilMs - DAY_MS,
    untilMs,
    isDescending: isDescending(options.order),
    level: textOf('query', 'level', options.level),
    fields: fieldsOf(options.fields),
    event: textOf('query', 'event', options.event)
  }
}

/** Throws `ERR_ARGUMENT`. */
export function parseStream(input: unknown): { start: number; event: string | undefined } {
  const options = requireOptions('stream', input)
  return {
    start: numberOf('stream', 'start', options.start) ?? 0,
    event: textOf('stream', 'event', options.event)
  }
}

function requireOptions(method: string, input: unknown): Record<string, unknown> {
  const options = input ?? {}
  if (typeof options !== 'object' || Array.isArray(options))
    throw refuse(method, 'an object of options', input)
  return options as Record<string, unknown>
}

/** Undefined for what says nothing: also an empty field of a form. */
function given(value: unknown): unknown {
  return value === null || value === '' ? undefined : value
}

function numberOf(method: string, name: string, input: unknown): number | undefined {
  const value = given(input)
  if (value === undefined) return undefined
  const number = typeof value === 'string' && PLAIN_NUMBER.test(value) ? Number(value) : value
  if (typeof number !== 'number' || Number.isNaN(number))
    throw refuse(method, `a number for '${name}'`, value)
  return number
}

/** Undefined for 0 and less. */
function countOf(name: string, input: unknown): number | undefined {
  const number = numberOf('query', name, input) ?? 0
  return number > 0 ? Math.ceil(number) : undefined
}

function timeOf(name: string, input: unknown): number | undefined {
  const value = given(input)
  if (value === undefined) return undefined
  if (value instanceof Date || typeof value === 'number' || typeof value === 'string') {
    const ms = new Date(value).getTime()
    if (!Number.isNaN(ms)) return ms
    // Milliseconds as a web page passes them.
    if (typeof value === 'string' && PLAIN_NUMBER.test(value)) return Number(value)
  }
  throw refuse('query', `a time for '${name}'`, value)
}

function isDescending(input: unknown): boolean {
  const order = given(input) ?? 'desc'
  if (order !== 'asc' && order !== 'desc') throw refuse('query', "'asc' or 'desc' for 'order'", order)
  return order === 'desc'
}

function textOf(method: string, name: string, input: unknown): string | undefined {
  const value = given(input)
  if (value !== undefined && typeof value !== 'string') throw refuse(method, `a text for '${name}'`, value)
  return value
}

function fieldsOf(input: unknown): readonly string[] | undefined {
  const value = given(input)
  if (value === undefined) return undefined
  const fields: unknown[] = Array.isArray(value) ? value : [value]
  if (fields.every((field) => typeof field === 'string')) return fields
  throw refuse('query', "a list of texts for 'fields'", value)
}

function refuse(method: string, wanted: string, got: unknown): LogboomError {
  // A text is shown, because its type is not what is wrong with it.
  if (typeof got !== 'string') return argumentError(`${method}()`, wanted, got)
  return new LogboomError(
    'ERR_ARGUMENT',
    `${method}() takes ${wanted}, not ${JSON.stringify(got.slice(0, 80))}`
  )
}

// Which records are wanted: the options of cat, tail and merge that find records, and the filter they make.
import { dirname } from 'node:path'
import { levelOf } from '../../readers/engine/record-level.ts'
import { parseRecord, timeOf } from '../../readers/engine/record-time.ts'
import type { RecordBatch, TimeSpan } from '../../readers/reader.ts'
import { type CliOption, type CliValues, complain, UsageError, valuesOf } from '../command.ts'
import { parseLevels } from './levels.ts'
import { parseTime } from './time-text.ts'
import { type Condition, parseWhere } from './where.ts'

export const filterOptions = {
  level: {
    type: 'string',
    value: 'level',
    multiple: true,
    text: "Only records of this level: a name or a number of pino, a comparison ('>=warn'), or several with commas. Levels of winston and syslog are known, too."
  },
  since: {
    type: 'string',
    value: 'time',
    text: 'Only records of this time or later: a date, seconds since 1970, or how long ago (10m, 2h, 1d). Files that end before are not opened.'
  },
  until: {
    type: 'string',
    value: 'time',
    text: 'Only records of this time or earlier. Files that begin more than 10 minutes later are not opened.'
  },
  grep: {
    type: 'string',
    value: 'regexp',
    multiple: true,
    text: 'Only records that this regular expression (of JavaScript) matches; given several times, any of them.'
  },
  'ignore-case': { type: 'boolean', short: 'i', text: 'Upper and lower case are the same for --grep.' },
  where: {
    type: 'string',
    value: 'condition',
    multiple: true,
    text: 'Only JSON records with this field: key=value, key!=value (also where there is no such field), or <, <=, >, >=; a.b.c for nested ones. Given several times, all of them.'
  }
} as const satisfies Record<string, CliOption>

/** Stateless but for the times: a record without one, such as a line of a stack trace, has that of the one before it. */
export class RecordFilter {
  readonly span: TimeSpan | undefined
  readonly #patterns: readonly RegExp[]
  readonly #level: ((level: number) => boolean) | undefined
  readonly #conditions: readonly Condition[]
  /** Log → time of its last record. */
  readonly #times = new Map<string, number>()
  #seen = 0
  #timed = 0

  private constructor(
    span: TimeSpan | undefined,
    patterns: readonly RegExp[],
    level: ((level: number) => boolean) | undefined,
    conditions: readonly Condition[]
  ) {
    this.span = span
    this.#patterns = patterns
    this.#level = level
    this.#conditions = conditions
  }

  /** Undefined if all records are wanted. */
  static of(values: CliValues, nowMs = Date.now()): RecordFilter | undefined {
    const levels = valuesOf(values, 'level')
    const texts = valuesOf(values, 'grep')
    if (values['ignore-case'] === true && texts.length === 0)
      throw new UsageError('--ignore-case is for --grep, which is missing')
    const patterns = texts.map((text) => parsePattern(text, values['ignore-case'] === true))
    const conditions = valuesOf(values, 'where').map(parseWhere)
    const level = levels.length === 0 ? undefined : parseLevels(levels)
    const span = parseSpan(values, nowMs)
    if (span === undefined && level === undefined && patterns.length + conditions.length === 0)
      return undefined
    return new RecordFilter(span, patterns, level, conditions)
  }

  /** The records of a batch that are wanted; undefined if none is. */
  keep(batch: RecordBatch): RecordBatch | undefined {
    const { bounds } = batch
    const length = bounds.length / 2
    const log =
      this.span === undefined ? '' : `${dirname(batch.file)}/${batch.event ?? batch.place?.log ?? ''}`
    let time = this.#times.get(log)
    const kept: number[] = []
    for (let at = 0; at < length; at++) {
      const data = batch.bytes.subarray(bounds[2 * at], bounds[2 * at + 1])
      if (this.span === undefined) {
        if (this.#isWanted(data)) kept.push(at)
        continue
      }
      const record = parseRecord(data)
      const own = timeOf(data, record)
      if (own !== undefined) this.#timed++
      time = own ?? time
      if (time !== undefined && isWithin(time, this.span) && this.#isWanted(data, record)) kept.push(at)
    }
    if (time !== undefined) this.#times.set(log, time)
    this.#seen += length
    if (kept.length === length) return batch
    return kept.length === 0 ? undefined : recordsOf(batch, kept)
  }

  /** What the user should know when all has been read; undefined if there is nothing. */
  remark(): string | undefined {
    if (this.span === undefined || this.#seen === 0 || this.#timed > 0) return undefined
    return 'no record has a time, so none is within --since and --until'
  }

  #isWanted(data: Buffer, parsed?: object): boolean {
    const patterns = this.#patterns
    if (patterns.length > 0) {
      const text = data.toString().replace(LINE_END, '')
      if (!patterns.some((pattern) => pattern.test(text))) return false
    }
    if (this.#level === undefined && this.#conditions.length === 0) return true
    const record = parsed ?? parseRecord(data)
    if (record === undefined) return false
    if (this.#level !== undefined) {
      const level = levelOf(record)
      if (level === undefined || !this.#level(level)) return false
    }
    return this.#conditions.every((condition) => condition(record))
  }
}

/** Of lines of Windows, and of records that are whole lines: `$` is before it. */
const LINE_END = /(?:\r\n|\n|\r)$/

function isWithin(timeMs: number, { sinceMs, untilMs }: TimeSpan): boolean {
  return timeMs >= sinceMs && timeMs <= untilMs
}

function parseSpan(values: CliValues, nowMs: number): TimeSpan | undefined {
  const { since, until } = values as { since?: string; until?: string }
  if (since === undefined && until === undefined) return undefined
  const sinceMs = since === undefined ? Number.NEGATIVE_INFINITY : parseTime('since', since, nowMs)
  const untilMs = until === undefined ? Number.POSITIVE_INFINITY : parseTime('until', until, nowMs)
  if (sinceMs > untilMs) throw new UsageError('--since must not be later than --until')
  return { sinceMs, untilMs }
}

function parsePattern(text: string, ignoreCase: boolean): RegExp {
  const flags = ignoreCase ? 'i' : ''
  try {
    return new RegExp(text, `u${flags}`)
  } catch {
    // Strict about escapes that people write out of habit, such as \-.
  }
  try {
    return new RegExp(text, flags)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new UsageError(`--grep must be a regular expression: ${reason}`)
  }
}

/** A batch of the first `count` records of `batch`. */
export function firstOf(batch: RecordBatch, count: number): RecordBatch {
  return recordsOf(batch, [...Array(count).keys()])
}

/** Tells what the user should know when all has been read. */
export function remarkOn(filter: RecordFilter | undefined): void {
  const remark = filter?.remark()
  if (remark !== undefined) complain(remark)
}

function recordsOf(batch: RecordBatch, wanted: readonly number[]): RecordBatch {
  const { file, bytes, position, event, place, areLines, bounds, offsets, indexes } = batch
  return {
    file,
    bytes,
    position,
    event,
    place,
    areLines,
    bounds: wanted.flatMap((at) => [bounds[2 * at], bounds[2 * at + 1]]),
    offsets: offsets && wanted.map((at) => offsets[at]),
    indexes: indexes && wanted.map((at) => indexes[at])
  }
}

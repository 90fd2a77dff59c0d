// What a report counts, in one pass and within bounded memory, however long the log is.
import { levelNames, levelStep } from '../../base/levels.ts'
import { levelOf } from '../../readers/engine/record-level.ts'
import { parseRecord, timeOf } from '../../readers/engine/record-time.ts'
import { offsetAt, type RecordBatch } from '../../readers/reader.ts'
import { fieldAt } from '../find/fields.ts'

/** Records are counted by level; those without one come first. */
export const levelClasses = ['none', ...levelNames] as const
export type LevelClass = (typeof levelClasses)[number]

const MINUTE_MS = 60_000
/** More spans of time than that, and two each become one. */
const MAX_SPANS = 2_880
/** Of so many different messages the count is kept; those that come once too late are counted as others. */
const MAX_MESSAGES = 20_000
const MAX_MESSAGE_LENGTH = 300
const MAX_LARGEST = 10
const MAX_GAPS = 10
/** `Date` knows no later time; what a record says beyond is none. */
const MAX_TIME_MS = 8.64e15
const DROP_NOTICE = /^logboom: \d+ records dropped$/

/** What happened in one span of time. */
export interface Span {
  records: number[]
  bytes: number
}

export interface LargeRecord {
  readonly bytes: number
  readonly file: string
  readonly offset: number
  readonly text: string
}

export interface Gap {
  readonly fromMs: number
  readonly toMs: number
}

export class Tally {
  records = 0
  bytes = 0
  /** Records without a time of their own are in no span. */
  untimed = 0
  dropped = 0
  /** Records in the log that say that others were dropped. */
  dropNotices = 0
  firstMs = Number.POSITIVE_INFINITY
  lastMs = Number.NEGATIVE_INFINITY
  /** Of messages that could not be told apart any more. */
  otherMessages = 0
  spanMs = MINUTE_MS
  readonly levels: number[] = levelClasses.map(() => 0)
  /** Number of the span since 1970 → what happened in it. */
  spans = new Map<number, Span>()
  readonly files = new Map<string, { records: number; bytes: number }>()
  readonly largest: LargeRecord[] = []
  readonly gaps: Gap[] = []
  readonly #messages = new Map<string, number>()
  #previousMs: number | undefined

  add(batch: RecordBatch): void {
    const { bounds, bytes, file } = batch
    const length = bounds.length / 2
    const inFile = this.files.get(file) ?? { records: 0, bytes: 0 }
    for (let at = 0; at < length; at++) {
      const data = bytes.subarray(bounds[2 * at], bounds[2 * at + 1])
      inFile.records++
      inFile.bytes += data.length
      this.#record(data, file, offsetAt(batch, at))
    }
    this.files.set(file, inFile)
  }

  /** Another log begins: what lies between its records and those before is no gap. */
  nextLog(): void {
    this.#previousMs = undefined
  }

  /** The commonest messages, the most frequent first. */
  commonest(count: number): [string, number][] {
    return [...this.#messages].sort(([, a], [, b]) => b - a).slice(0, count)
  }

  #record(data: Buffer, file: string, offset: number): void {
    this.records++
    this.bytes += data.length
    const record = parseRecord(data)
    const level = levelIndex(record === undefined ? undefined : levelOf(record))
    this.levels[level]++
    this.#time(data, record, level)
    this.#message(data, record)
    const smallest = this.largest.at(-1)
    if (this.largest.length < MAX_LARGEST || data.length > (smallest?.bytes ?? 0)) {
      this.largest.push({
        bytes: data.length,
        file,
        offset,
        text: data.toString('utf8', 0, MAX_MESSAGE_LENGTH)
      })
      this.largest.sort((a, b) => b.bytes - a.bytes)
      if (this.largest.length > MAX_LARGEST) this.largest.pop()
    }
  }

  #time(data: Buffer, record: object | undefined, level: number): void {
    const time = timeOf(data, record)
    if (time === undefined || !(Math.abs(time) <= MAX_TIME_MS)) {
      this.untimed++
      return
    }
    this.firstMs = Math.min(this.firstMs, time)
    this.lastMs = Math.max(this.lastMs, time)
    const span = this.#spanAt(time)
    span.records[level]++
    span.bytes += data.length
    const before = this.#previousMs
    this.#previousMs = time
    if (before === undefined || time - before < MINUTE_MS) return
    this.gaps.push({ fromMs: before, toMs: time })
    this.gaps.sort((a, b) => b.toMs - b.fromMs - (a.toMs - a.fromMs))
    if (this.gaps.length > MAX_GAPS) this.gaps.pop()
  }

  #spanAt(timeMs: number): Span {
    for (;;) {
      const number = Math.floor(timeMs / this.spanMs)
      const found = this.spans.get(number)
      if (found !== undefined) return found
      if (this.spans.size < MAX_SPANS) {
        const span: Span = { records: levelClasses.map(() => 0), bytes: 0 }
        this.spans.set(number, span)
        return span
      }
      // In the end all are one, so this ends.
      this.#coarsen()
    }
  }

  #coarsen(): void {
    this.spanMs *= 2
    const spans = new Map<number, Span>()
    for (const [number, { records, bytes }] of this.spans) {
      const half = Math.floor(number / 2)
      const found = spans.get(half)
      if (found === undefined) spans.set(half, { records: [...records], bytes })
      else {
        for (const [at, count] of records.entries()) found.records[at] += count
        found.bytes += bytes
      }
    }
    this.spans = spans
  }

  #message(data: Buffer, record: object | undefined): void {
    const message = record === undefined ? undefined : (fieldAt(record, 'msg') ?? fieldAt(record, 'message'))
    if (typeof message === 'string' && DROP_NOTICE.test(message)) {
      const dropped = fieldAt(record, 'dropped')
      if (Number.isSafeInteger(dropped) && (dropped as number) >= 0) {
        this.dropped += dropped as number
        this.dropNotices++
      }
    }
    if (record !== undefined && typeof message !== 'string') return
    const text = typeof message === 'string' ? headOf(message) : data.toString('utf8', 0, MAX_MESSAGE_LENGTH)
    const count = this.#messages.get(text)
    if (count !== undefined) this.#messages.set(text, count + 1)
    else if (this.#messages.size < MAX_MESSAGES) this.#messages.set(text, 1)
    else this.otherMessages++
  }
}

/** A copy: a part of a long text would keep all of it in memory. */
function headOf(text: string): string {
  if (text.length <= MAX_MESSAGE_LENGTH) return text
  return Buffer.from(text.slice(0, MAX_MESSAGE_LENGTH)).toString()
}

function levelIndex(level: number | undefined): number {
  return level === undefined ? 0 : 1 + levelStep(level)
}

// Cuts a log into batches: first those that a checkpoint has noted, exactly as they were, then new ones, which are bounded in
// bytes, records and age.
import { basename } from 'node:path'
import { monotonicMs } from '../base/clock.ts'
import { LogboomError } from '../base/errors.ts'
import { type Cursor, isFolderCursor, parseCursor } from '../readers/engine/cursor.ts'
import { recordTime } from '../readers/engine/record-time.ts'
import { type RecordReader, readRecords } from '../readers/read-records.ts'
import type { LogRecord } from '../readers/reader.ts'
import type { CheckpointState, PendingBatch } from './checkpoint.ts'

/** In nanoseconds it is the largest number of 64 bits with a sign. */
const MAX_TIME_MS = 9_223_372_036_854

export interface BatchBounds {
  readonly batchBytes: number
  readonly batchRecords: number
  /** How long a batch waits for more records. */
  readonly batchAgeMs: number
}

/** Records of one batch, with what the checkpoint notes of them. */
export interface CutBatch {
  readonly noted: PendingBatch
  readonly isNew: boolean
  readonly data: readonly Buffer[]
  /** Of each record itself, where it tells. */
  readonly times: readonly number[]
}

export class BatchCutter {
  readonly reader: RecordReader
  readonly #source: string
  readonly #bounds: BatchBounds
  #next: Promise<IteratorResult<LogRecord, undefined>> | undefined

  constructor(
    source: string,
    state: CheckpointState,
    bounds: BatchBounds,
    options: { format: string; follow: boolean; signal: AbortSignal }
  ) {
    this.#source = source
    this.#bounds = bounds
    this.reader = readRecords(source, { ...options, from: state.cursor ?? 'start', onCorrupt: 'skip-file' })
  }

  /** The batches that were noted, in order. Throws `ERR_CURSOR_LOST` if they cannot be read again. */
  async *noted(pending: readonly PendingBatch[]): AsyncGenerator<CutBatch, void, undefined> {
    for (const noted of pending) {
      const data: Buffer[] = []
      let cursor: string | undefined
      for (let count = 0; count < noted.records; count++) {
        const { done, value } = await this.#take()
        if (done === true) return
        data.push(value.data)
        if (count === noted.records - 1) cursor = value.cursor
      }
      if (!isSameRecord(cursor, noted.cursor)) {
        const message = `${this.#source}: what was sent and not acknowledged cannot be read again as it was`
        throw new LogboomError('ERR_CURSOR_LOST', message, { path: this.#source })
      }
      yield this.#cut(data, noted, false)
    }
  }

  /** New batches, until the log ends or reading is stopped. */
  async *fresh(): AsyncGenerator<CutBatch, void, undefined> {
    for (;;) {
      const first = await this.#take()
      if (first.done === true) return
      const untilMs = monotonicMs() + this.#bounds.batchAgeMs
      const data = [first.value.data]
      let { cursor } = first.value
      let bytes = data[0].length
      let isOver = false
      while (bytes < this.#bounds.batchBytes && data.length < this.#bounds.batchRecords) {
        const next = await this.#takeUntil(untilMs)
        if (next === undefined) break
        isOver = next.done === true
        if (next.done === true) break
        data.push(next.value.data)
        bytes += next.value.data.length
        cursor = next.value.cursor
      }
      if (first.value.event !== undefined || cursor === undefined) throw severalLogs(this.#source)
      yield this.#cut(data, { cursor, records: data.length, timeMs: Date.now() }, true)
      if (isOver) return
    }
  }

  #cut(data: readonly Buffer[], noted: PendingBatch, isNew: boolean): CutBatch {
    return { noted, isNew, data, times: data.map((each) => timeOf(each) ?? noted.timeMs) }
  }

  async #take(): Promise<IteratorResult<LogRecord, undefined>> {
    this.#next ??= this.reader.next()
    const result = await this.#next
    this.#next = undefined
    return result
  }

  async #takeUntil(untilMs: number): Promise<IteratorResult<LogRecord, undefined> | undefined> {
    this.#next ??= this.reader.next()
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), Math.max(0, untilMs - monotonicMs()))
    })
    const result = await Promise.race([this.#next, late])
    clearTimeout(timer)
    if (result !== undefined) this.#next = undefined
    return result
  }
}

/** Its own, if it is one that stores of logs can hold. */
function timeOf(data: Buffer): number | undefined {
  const time = recordTime(data)
  return time !== undefined && time >= 0 && time <= MAX_TIME_MS ? time : undefined
}

export function severalLogs(source: string): LogboomError {
  const message = `${source} is a folder of logs; ship them one by one, each with a checkpoint of its own`
  return new LogboomError('ERR_OPTION', message, { path: source })
}

/** Name of the log in what is shipped. */
export function logNameOf(source: string): string {
  return basename(source)
}

/** The file of a record has another name when it was rotated, but the record is the same. */
function isSameRecord(found: string | undefined, noted: string): boolean {
  if (found === undefined) return false
  const [a, b] = [parseCursor(found), parseCursor(noted)]
  if (isFolderCursor(a) || isFolderCursor(b)) return false
  const same: (keyof Cursor)[] = ['position', 'length', 'crc']
  return same.every((field) => a[field] === b[field])
}

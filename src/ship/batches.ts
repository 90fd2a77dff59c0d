// Cuts a log into batches: first those that a checkpoint has noted, exactly as they were, then new ones, which are bounded in
// bytes, records and age.
import { monotonicMs } from '../base/clock.ts'
import { LogboomError } from '../base/errors.ts'
import { realDisk } from '../io/disk.ts'
import { createContext, emptyReport } from '../readers/engine/context.ts'
import { type Cursor, isFolderCursor, parseCursor } from '../readers/engine/cursor.ts'
import { readFrom } from '../readers/engine/read-cursors.ts'
import { batchLength, type RecordBatch, recordAt } from '../readers/reader.ts'
import type { CheckpointState, PendingBatch } from './checkpoint.ts'
import { DurableLog, type Reached, reachedIn } from './durable-log.ts'
import type { SourceLog } from './source.ts'
import { SpoolReading } from './spool-files.ts'

/** Files of a spool that end in one batch. */
const MAX_FILES = 100
/** Who follows looks at the log more often. */
const AT_END_MS = 400

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
  readonly bytes: number
}

export class BatchCutter {
  readonly #source: SourceLog
  readonly #bounds: BatchBounds
  readonly #report = emptyReport()
  readonly #batches: AsyncGenerator<RecordBatch, void, undefined>
  readonly #spool: SpoolReading | undefined
  readonly #durable: DurableLog
  readonly #signal: AbortSignal
  #pending: Promise<IteratorResult<RecordBatch, void>> | undefined
  #batch: RecordBatch | undefined
  #at = 0
  #length = 0
  /** Records were taken for a batch that is not cut yet. */
  #isCutting = false
  #reached: Reached | undefined
  #waitingSinceMs: number | undefined
  #cursor: string | undefined

  constructor(
    source: SourceLog,
    state: CheckpointState,
    bounds: BatchBounds,
    { follow, signal }: { follow: boolean; signal: AbortSignal }
  ) {
    this.#source = source
    this.#bounds = bounds
    this.#signal = signal
    this.#durable = new DurableLog(realDisk, signal)
    const context = createContext({
      from: state.cursor === null ? 'start' : readFrom(state.cursor),
      follow,
      signal,
      onCorrupt: 'skip-file',
      onLost: 'throw',
      report: this.#report
    })
    const { path, reader } = source
    this.#spool = reader.format === 'spool' ? new SpoolReading(path, state, context) : undefined
    this.#batches = this.#spool?.batches ?? reader.read(path, context)
  }

  /** How far the log was read. */
  get reached(): Reached | undefined {
    return this.#reached
  }

  /** Nothing has come for so long that there is nothing. */
  get isAtEnd(): boolean {
    return this.#waitingSinceMs !== undefined && monotonicMs() - this.#waitingSinceMs > AT_END_MS
  }

  /** Of damaged files, which are passed over. */
  get skippedBytes(): number {
    return this.#report.skippedBytes
  }

  /** The batches that were noted, in order. Throws `ERR_CURSOR_LOST` if they cannot be read again. */
  async *noted(pending: readonly PendingBatch[]): AsyncGenerator<CutBatch, void, undefined> {
    const { path } = this.#source
    for (const noted of pending) {
      const data: Buffer[] = []
      let bytes = 0
      while (data.length < noted.records) {
        const state = await this.#fill()
        if (state === 'stopped') return
        if (state !== 'filled') break
        bytes += this.#take(data, noted.records, Number.POSITIVE_INFINITY)
      }
      if (data.length < noted.records || !isSameRecord(this.#cursor, noted.cursor)) {
        const message = `${path}: what was sent and not acknowledged cannot be read again as it was`
        throw new LogboomError('ERR_CURSOR_LOST', message, { path })
      }
      this.#spool?.takeEnded()
      yield { noted, isNew: false, data, bytes }
    }
  }

  /** New batches, until the log ends or reading is stopped. */
  async *fresh(): AsyncGenerator<CutBatch, void, undefined> {
    const { batchBytes, batchRecords, batchAgeMs } = this.#bounds
    for (;;) {
      let state = await this.#fill()
      if (state !== 'filled') return
      const untilMs = monotonicMs() + batchAgeMs
      const data: Buffer[] = []
      let bytes = 0
      this.#isCutting = true
      for (; state === 'filled'; state = await this.#fill(untilMs)) {
        bytes += this.#take(data, batchRecords, batchBytes - bytes)
        if (data.length >= batchRecords || bytes >= batchBytes) break
        // Their names have to fit into the checkpoint.
        if ((this.#spool?.ended ?? 0) >= MAX_FILES) break
      }
      if (state === 'stopped') return
      if (this.#reached !== undefined && this.#spool === undefined) await this.#durable.sync(this.#reached)
      const cursor = this.#cursor
      if (cursor === undefined) throw new Error(`${this.#source.path}: a record without a place`)
      const files = this.#spool?.takeEnded() ?? []
      yield {
        noted: { cursor, records: data.length, timeMs: Date.now(), files },
        isNew: true,
        data,
        bytes
      }
      this.#isCutting = false
      if (state === 'over') return
    }
  }

  /** Files of a spool that ended, and all of whose records are in batches that were cut. */
  takeEnded(): string[] {
    return this.#isCutting || this.#at < this.#length ? [] : (this.#spool?.takeEnded() ?? [])
  }

  async close(): Promise<void> {
    await this.#batches.return()
  }

  /** Takes the next records there are, up to the bounds, but at least one; returns their bytes. */
  #take(data: Buffer[], maxRecords: number, maxBytes: number): number {
    const batch = this.#batch as RecordBatch
    const { bytes, bounds } = batch
    let taken = 0
    do {
      const record = bytes.subarray(bounds[2 * this.#at], bounds[2 * this.#at + 1])
      data.push(record)
      taken += record.length
      this.#at++
    } while (this.#at < this.#length && data.length < maxRecords && taken < maxBytes)
    this.#cursor = recordAt(batch, this.#at - 1).cursor
    this.#reached = reachedIn(batch, this.#at)
    return taken
  }

  /** Makes sure that there is a record to take; `late` if there was none until then. */
  async #fill(untilMs?: number): Promise<'filled' | 'over' | 'late' | 'stopped'> {
    while (this.#at === this.#length) {
      if (this.#pending === undefined) {
        this.#pending = this.#batches.next()
        this.#waitingSinceMs = monotonicMs()
        // It may fail while nobody waits for it, and is asked again.
        this.#pending.catch(() => {})
      }
      const result = await (untilMs === undefined ? this.#pending : before(this.#pending, untilMs))
      if (result === undefined) return 'late'
      this.#pending = undefined
      this.#waitingSinceMs = undefined
      if (this.#signal.aborted) return 'stopped'
      if (result.done === true) return 'over'
      this.#batch = result.value
      this.#length = batchLength(result.value)
      this.#at = 0
    }
    return 'filled'
  }
}

async function before<T>(work: Promise<T>, untilMs: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), Math.max(0, untilMs - monotonicMs()))
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

/** The file of a record has another name when it was rotated, but the record is the same. */
function isSameRecord(found: string | undefined, noted: string): boolean {
  if (found === undefined) return false
  const [a, b] = [parseCursor(found), parseCursor(noted)]
  if (isFolderCursor(a) || isFolderCursor(b)) return false
  const same: (keyof Cursor)[] = ['position', 'length', 'crc']
  return same.every((field) => a[field] === b[field])
}

// readRecords: the records of any log as an async iterable.
import { abortWith } from '../base/abort-with.ts'
import { requireText } from '../base/bytes.ts'
import { parseOptions } from '../base/options.ts'
import { createContext, type DamageReport, emptyReport } from './engine/context.ts'
import { readBatches } from './engine/read-batches.ts'
import { ReadCursors, readFrom } from './engine/read-cursors.ts'
import { type ReadOptions, readOptions } from './read-options.ts'
import { batchLength, type Damage, type LogRecord, type Note, type RecordBatch, recordAt } from './reader.ts'

/** What happened so far. */
export interface ReadStats {
  records: number
  /** Of the records, without line ends and length prefixes. */
  bytes: number
  /** Bytes, as stored, that belong to no returned record. */
  skippedBytes: number
  /** The first 1 000 damages met. */
  damage: Damage[]
  /** What is worth telling and no damage, such as a FIFO in a folder of logs; the first 1 000. */
  notes: Note[]
}

/**
 * The records of the log at `path`, oldest first: backups (compressed ones too), then the live file; in a folder
 * of logs, one log after the other. Never modifies a file; memory is bounded by `maxRecordBytes`. Rejects with
 * `ERR_NOT_FOUND`, `ERR_CORRUPT` (see `onCorrupt`), `ERR_IO`, `ERR_NOT_FILE`, `ERR_FORMAT` or `ERR_UNSUPPORTED`;
 * throws `ERR_OPTION` at once.
 */
export function readRecords(path: string, options: ReadOptions = {}): RecordReader {
  return new RecordReader(path, options)
}

/** The iterable of `readRecords`; to be iterated once. Breaking out of the loop closes its files. */
export class RecordReader implements AsyncIterableIterator<LogRecord> {
  readonly #stop = new AbortController()
  readonly #batches: AsyncGenerator<RecordBatch, void, undefined>
  readonly #report: DamageReport = emptyReport()
  readonly #cursors: ReadCursors
  #batch: RecordBatch | undefined
  #length = 0
  #at = 0
  #records = 0
  #bytes = 0
  #advancing: Promise<IteratorResult<LogRecord, undefined>> | undefined

  constructor(path: string, options: ReadOptions) {
    requireText('readRecords', path)
    const { format, signal, from: given, ...rest } = parseOptions('readRecords', readOptions, options)
    const from = readFrom(given)
    this.#cursors = new ReadCursors(from)
    const context = createContext({ ...rest, from, signal: this.#stop.signal, report: this.#report })
    this.#batches = stoppedBy(this.#stop, signal, readBatches(path, format, context))
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<LogRecord, undefined>> {
    if (this.#advancing !== undefined || this.#at === this.#length) return this.#advance()
    return Promise.resolve({ done: false, value: this.#take() })
  }

  async return(): Promise<IteratorResult<LogRecord, undefined>> {
    this.#stop.abort()
    this.#at = this.#length
    await this.#batches.return()
    return { done: true, value: undefined }
  }

  /**
   * Behind everything that was returned so far: for `from` of another reader, also of a folder of logs, whose records
   * alone do not say how far the other logs were read. Undefined as long as nothing was returned.
   */
  get cursor(): string | undefined {
    return this.#cursors.text(this.#batch, this.#at)
  }

  stats(): ReadStats {
    const { skippedBytes, damage, notes } = this.#report
    return {
      records: this.#records,
      bytes: this.#bytes,
      skippedBytes,
      damage: [...damage],
      notes: [...notes]
    }
  }

  #take(): LogRecord {
    const record = recordAt(this.#batch as RecordBatch, this.#at++)
    this.#records++
    this.#bytes += record.data.length
    return record
  }

  /** One after the other, however many `next` are called at once. */
  #advance(): Promise<IteratorResult<LogRecord, undefined>> {
    const before = this.#advancing
    const advancing = (async () => {
      await before?.catch(() => {})
      while (this.#at === this.#length) {
        const { done, value } = await this.#batches.next()
        if (done === true) return { done, value: undefined }
        this.#cursors.leave(this.#batch, this.#at)
        this.#batch = value
        this.#length = batchLength(value)
        this.#at = 0
      }
      return { done: false as const, value: this.#take() }
    })()
    this.#advancing = advancing
    const settled = () => {
      if (this.#advancing === advancing) this.#advancing = undefined
    }
    advancing.then(settled, settled)
    return advancing
  }
}

/** Batches whose reading `signal` stops. Linked only while they are read: a signal may outlive many readers. */
async function* stoppedBy(
  stop: AbortController,
  signal: AbortSignal | undefined,
  batches: AsyncGenerator<RecordBatch, void, undefined>
): AsyncGenerator<RecordBatch, void, undefined> {
  const unlink = signal === undefined ? undefined : abortWith(stop, signal)
  try {
    yield* batches
  } finally {
    unlink?.()
  }
}

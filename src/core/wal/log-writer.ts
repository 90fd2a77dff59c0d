// The storage of a write-ahead log: gives batches their indices, takes back what cannot be written, and decides how long a
// failure is waited out.
import { errorMessage, LogboomError } from '../../base/errors.ts'
import { MAX_INDEX, TERM } from '../../formats/wal.ts'
import { CONF_STATE } from '../../formats/wal-encoder.ts'
import type { Disk } from '../../io/disk.ts'
import type { Dropped } from '../queue/byte-queue.ts'
import { exitDeadline } from '../sink/at-exit.ts'
import { NotSyncableError, nothingDropped } from '../sink/target.ts'
import { ActiveSegment, ioError, type Mark } from './active-segment.ts'
import { Patience } from './patience.ts'
import type { Segment } from './segment.ts'
import type { SegmentSupply } from './segment-supply.ts'
import type { Unsynced } from './unsynced.ts'
import type { IndexRange, WalRecords, WriterCounters, WriterHooks, WriterOptions } from './writer-contract.ts'

export class LogWriter {
  nextIndex: bigint
  failure: LogboomError | undefined
  readonly #options: WriterOptions
  readonly #counters: WriterCounters
  readonly #hooks: WriterHooks
  readonly #patience: Patience
  readonly #active: ActiveSegment
  readonly #unsynced: Unsynced
  #running: Promise<void> | undefined
  #lost: Dropped = nothingDropped
  /** Everything is released. */
  #isClosed = false

  constructor(
    disk: Disk,
    options: WriterOptions,
    counters: WriterCounters,
    hooks: WriterHooks,
    segment: Segment,
    position: { crc: number; index: bigint }
  ) {
    this.#options = options
    this.#counters = counters
    this.#hooks = hooks
    this.#patience = new Patience(options.patience)
    this.nextIndex = position.index + 1n
    const owner = {
      lastIndex: () => this.lastIndex,
      mark: () => this.#mark(),
      movedOn: () => this.#patience.reset()
    }
    this.#active = new ActiveSegment(disk, options, counters, hooks, owner, segment, position)
    this.#unsynced = this.#active.unsynced
  }

  get lastIndex(): bigint {
    return this.nextIndex - 1n
  }

  /** Index of the last entry that is on disk. */
  get durableIndex(): bigint {
    return this.#active.durableIndex
  }

  /** The segments that are prepared. */
  get supply(): SegmentSupply {
    return this.#active.supply
  }

  get unsyncedBytes(): number {
    return this.#unsynced.bytes
  }

  /**
   * Appends each batch, to be recovered whole or not at all. A batch that cannot be taken is answered with its error
   * (`ERR_TOO_LARGE`, `ERR_INDEX_OVERFLOW`); the others are not affected. When it throws, none of them is in the log:
   * `ERR_IO` if trying again may help, else `ERR_WAL_FAILED`. Where what is appended may be many calls in one, it is looked
   * each time whether the file is still in its place.
   */
  append(batches: readonly WalRecords[], areCollected = false): (IndexRange | LogboomError)[] {
    if (this.failure !== undefined) throw this.failure
    const mark = this.#mark()
    const answers = batches.map((batch) => this.#encode(batch))
    if (this.nextIndex === mark.nextIndex) return answers
    const bytes = this.#unsynced.tail.length - mark.length
    try {
      this.#active.write(mark)
      this.#active.look(mark, areCollected)
    } catch (error) {
      throw this.#takeBack(mark, error)
    }
    this.#appended(mark, bytes)
    return answers
  }

  /** Like `append`, and on disk when it returns. Throws the error of the batch, too. */
  appendNow(batch: WalRecords): IndexRange {
    if (this.failure !== undefined) throw this.failure
    const mark = this.#mark()
    const answer = this.#encode(batch)
    if (answer instanceof LogboomError) throw answer
    const bytes = this.#unsynced.tail.length - mark.length
    try {
      if (mark.length > 0 || !this.#active.writeAloneNow()) {
        this.#active.write(mark)
        this.syncNow(mark)
      }
    } catch (error) {
      throw this.#takeBack(mark, error)
    }
    this.#appended(mark, bytes)
    return answer
  }

  /** Resolves when everything appended before is on disk. Rejects with `ERR_WAL_FAILED` only. */
  async sync(): Promise<void> {
    const target = this.lastIndex
    while (this.durableIndex < target) {
      if (this.failure !== undefined) throw this.failure
      this.#running ??= this.#syncOrHeal().finally(() => {
        this.#running = undefined
      })
      await this.#running
    }
  }

  /**
   * The same, blocking the thread. Throws `ERR_IO` if trying again may help, or `ERR_WAL_FAILED`; what was appended since
   * `acknowledged` may then be taken back.
   */
  syncNow(acknowledged = this.#mark()): void {
    if (this.failure !== undefined) throw this.failure
    if (this.unsyncedBytes === 0) return
    if (this.#active.syncNow()) return
    try {
      this.#active.leave(acknowledged)
    } catch (error) {
      throw this.#judge(error)
    }
  }

  /** Notes a snapshot durably. Throws like `syncNow`. */
  recordSnapshot(index: bigint): void {
    this.syncNow()
    const mark = this.#mark()
    this.#unsynced.tail.writeSnapshot({ index, term: TERM }, CONF_STATE)
    try {
      this.#active.write(mark)
      this.syncNow(mark)
    } catch (error) {
      throw this.#takeBack(mark, error)
    }
  }

  /** Writes out what can be written and frees everything. Throws `ERR_WAL_FAILED` if records could not be. */
  async close(): Promise<void> {
    this.#patience.end()
    await this.#running?.catch(() => {})
    await this.supply.close()
    if (this.#isClosed) return
    this.#isClosed = true
    try {
      if (this.failure === undefined) this.syncNow()
    } catch (error) {
      this.fail(error)
    }
    this.#active.close()
    if (this.failure !== undefined && this.durableIndex < this.lastIndex) throw this.failure
  }

  /** See `Target.closeNow`. */
  closeNow(): boolean {
    if (this.#isClosed) return true
    // A sync under way keeps its own descriptor, and finds that there is nothing left to be done.
    const isBusy = this.supply.isPreparing && exitDeadline() === undefined
    if (this.failure !== undefined || !this.#active.isSound || isBusy) return false
    try {
      this.syncNow()
    } catch {
      return false
    }
    this.#isClosed = true
    this.#patience.end()
    this.supply.closeNow()
    this.#active.closeNow()
    return true
  }

  /** After a failure: what was appended and is in no file, because it was cut off or somebody took the file away. */
  get lost(): Dropped {
    return this.#lost
  }

  /** Failures are not waited out any more. */
  end(): void {
    this.#patience.end()
  }

  /** Resolves after a while, longer each time as long as writing fails. */
  waitToRetry(): Promise<void> {
    return this.#patience.wait()
  }

  /** Ends writing for good. */
  fail(cause: unknown): LogboomError {
    if (this.failure !== undefined) return this.failure
    const { walDir } = this.#options
    const message = `the log in ${walDir} failed: ${errorMessage(cause)}`
    this.failure =
      cause instanceof NotSyncableError
        ? cause
        : new LogboomError('ERR_WAL_FAILED', message, { path: walDir, cause })
    if (this.#active.isLost || !this.#options.acknowledgesAppended) {
      this.#lost = { lines: Number(this.lastIndex - this.durableIndex), bytes: this.unsyncedBytes }
    }
    this.#active.fail()
    this.#hooks.failed(this.failure, this.#unsynced.pieces, this.#unsynced.durableCrc)
    return this.failure
  }

  /** Appends the batch to the tail, or takes back what there is of it. */
  #encode(batch: WalRecords): IndexRange | LogboomError {
    const { walDir } = this.#options
    const firstIndex = this.nextIndex
    if (this.lastIndex + BigInt(batch.length) > MAX_INDEX) {
      const message = `${batch.length} records do not fit behind index ${this.lastIndex}`
      return new LogboomError('ERR_INDEX_OVERFLOW', message, { path: walDir })
    }
    const savepoint = this.#unsynced.savepoint()
    try {
      const lastIndex = this.#unsynced.tail.writeBatch(firstIndex, batch)
      this.nextIndex = lastIndex + 1n
      return { firstIndex, lastIndex }
    } catch (error) {
      this.#unsynced.rollBack(savepoint)
      const message = `a batch of ${batch.length} records cannot be taken: ${errorMessage(error)}`
      return new LogboomError('ERR_TOO_LARGE', message, { path: walDir, cause: error })
    }
  }

  #appended(mark: Mark, bytes: number): void {
    this.#counters.records += Number(this.nextIndex - mark.nextIndex)
    this.#counters.bytes += bytes
    if (this.#active.isFull) this.#cut()
    this.#active.prepareNext()
  }

  #mark(): Mark {
    const { turn, length, crc } = this.#unsynced.savepoint()
    return { turn, length, crc, nextIndex: this.nextIndex }
  }

  /** Forgets what was appended since `mark` and could not be written; whether that may pass decides what to throw. */
  #takeBack(mark: Mark, error: unknown): LogboomError {
    if (this.#unsynced.rollBack(mark)) {
      this.nextIndex = mark.nextIndex
      this.#active.takenBack()
    }
    return this.#judge(error)
  }

  #judge(error: unknown): LogboomError {
    if (this.failure !== undefined) return this.failure
    return this.#patience.isOver(error) ? this.fail(error) : ioError(this.#options.walDir, error)
  }

  async #syncOrHeal(): Promise<void> {
    if (!(await this.#active.sync())) await this.#heal()
  }

  /** Moves on to a new segment, however often it takes, as long as the causes may pass. */
  async #heal(): Promise<void> {
    let told = false
    for (;;) {
      if (this.failure !== undefined) throw this.failure
      if (this.#active.isSound) break
      try {
        this.#active.leave()
        break
      } catch (error) {
        if (this.#patience.isOver(error)) throw this.fail(error)
        if (!told) this.#hooks.degraded(ioError(this.#options.walDir, error))
        told = true
      }
      await this.#patience.wait()
    }
    if (told) this.#hooks.recovered()
  }

  /** Begins a new segment. If that does not work the old one simply goes on. */
  #cut(): void {
    try {
      this.syncNow()
      if (this.#active.isFull) this.#active.finish()
    } catch (error) {
      if (this.failure !== undefined || !this.#active.isSound) return
      this.#counters.errors++
      this.#hooks.warning(ioError(this.#options.walDir, error))
    }
  }
}

// The storage of a write-ahead log: appends batches to the last segment, syncs, cuts, and moves to a new segment
// after a failure. What is not on disk yet is kept in memory, so that it can be written again there.
import { monotonicMs } from '../../base/clock.ts'
import { errorMessage, LogboomError } from '../../base/errors.ts'
import { MAX_INDEX, TERM } from '../../formats/wal.ts'
import { CONF_STATE } from '../../formats/wal-encoder.ts'
import type { Disk } from '../../io/disk.ts'
import { failpoint } from '../../io/failpoint.ts'
import { beginNext, restore, StraySegment, type Successor } from './next-segment.ts'
import { Patience } from './patience.ts'
import type { Segment } from './segment.ts'
import { SegmentSupply } from './segment-supply.ts'
import { type Savepoint, Unsynced } from './unsynced.ts'
import type { IndexRange, WalRecords, WriterCounters, WriterHooks, WriterOptions } from './writer-contract.ts'
import { WriterLife } from './writer-state.ts'

/**
 * Before something is acknowledged it is looked whether the file is where readers will find it; not more often than this,
 * because who takes it away so shortly before could have done so as shortly after.
 */
const LOOK_EVERY_MS = 10

/** A place in what was appended, to go back to. */
interface Mark extends Savepoint {
  readonly nextIndex: bigint
}

export class LogWriter {
  nextIndex: bigint
  /** Index of the last entry that is on disk. */
  durableIndex: bigint
  failure: LogboomError | undefined
  readonly supply: SegmentSupply
  readonly #disk: Disk
  readonly #options: WriterOptions
  readonly #counters: WriterCounters
  readonly #hooks: WriterHooks
  readonly #patience: Patience
  readonly #life = new WriterLife()
  readonly #unsynced: Unsynced
  #segment: Segment
  /** Where a segment lies that could be neither used nor removed. */
  #stray: string | undefined
  #running: Promise<void> | undefined
  #lookedMs = Number.NEGATIVE_INFINITY

  constructor(
    disk: Disk,
    options: WriterOptions,
    counters: WriterCounters,
    hooks: WriterHooks,
    segment: Segment,
    position: { crc: number; index: bigint }
  ) {
    this.#disk = disk
    this.#options = options
    this.#counters = counters
    this.#hooks = hooks
    this.#segment = segment
    this.#patience = new Patience(options.patience)
    this.supply = new SegmentSupply(disk, options, counters)
    this.nextIndex = position.index + 1n
    this.durableIndex = position.index
    this.#unsynced = new Unsynced(position.crc, segment.used)
  }

  get lastIndex(): bigint {
    return this.nextIndex - 1n
  }

  get segmentPath(): string {
    return this.#segment.path
  }

  get unsyncedBytes(): number {
    return this.#unsynced.bytes
  }

  /**
   * Appends each batch, to be recovered whole or not at all. A batch that cannot be taken is answered with its error
   * (`ERR_TOO_LARGE`, `ERR_INDEX_OVERFLOW`); the others are not affected. When it throws, none of them is in the log:
   * `ERR_IO` if trying again may help, else `ERR_WAL_FAILED`.
   */
  append(batches: readonly WalRecords[]): (IndexRange | LogboomError)[] {
    if (this.failure !== undefined) throw this.failure
    const mark = this.#mark()
    const answers = batches.map((batch) => this.#encode(batch))
    if (this.nextIndex === mark.nextIndex) return answers
    const bytes = this.#unsynced.tail.length - mark.length
    try {
      this.#writeTail(mark.length)
      this.#look()
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
      if (!this.#writeAloneNow(mark)) {
        this.#writeTail(mark.length)
        this.syncNow()
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
      this.#running ??= this.#syncOnce().finally(() => {
        this.#running = undefined
      })
      await this.#running
    }
  }

  /** The same, blocking the thread. Throws `ERR_IO` if trying again may help, or `ERR_WAL_FAILED`. */
  syncNow(): void {
    if (this.failure !== undefined) throw this.failure
    if (this.unsyncedBytes === 0) return
    if (this.#life.isSound && this.#syncSegment()) return
    try {
      this.#moveOn()
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
      this.#writeTail(mark.length)
      this.syncNow()
    } catch (error) {
      throw this.#takeBack(mark, error)
    }
  }

  /** Writes out what can be written and frees everything. Throws `ERR_WAL_FAILED` if records could not be. */
  async close(): Promise<void> {
    this.#patience.end()
    await this.#running?.catch(() => {})
    await this.supply.close()
    try {
      if (this.failure === undefined) this.syncNow()
    } catch (error) {
      this.fail(error)
    }
    if (this.#life.isSound) this.#segment.finish()
    else this.#segment.close()
    if (this.failure !== undefined && this.durableIndex < this.lastIndex) throw this.failure
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
    this.failure = new LogboomError('ERR_WAL_FAILED', message, { path: walDir, cause })
    this.#life.become('failed')
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
    if (this.#segment.used >= this.#options.segmentBytes) this.#cut()
    this.supply.consider(this.#segment)
  }

  #mark(): Mark {
    const { turn, length, crc } = this.#unsynced.savepoint()
    return { turn, length, crc, nextIndex: this.nextIndex }
  }

  /** Writes the tail from `from` on to the segment, or all that is kept to a new one. */
  #writeTail(from: number): void {
    const { tail } = this.#unsynced
    if (this.#life.isSound) {
      try {
        this.#segment.write(tail.bytes.subarray(from))
        failpoint('wal-written')
        return
      } catch (error) {
        this.#break(error)
      }
    }
    this.#moveOn()
  }

  /** Writes and syncs what follows `mark` in one call, where it is all there is to sync; false if it is not on disk. */
  #writeAloneNow(mark: Mark): boolean {
    if (this.#life.state !== 'healthy' || mark.length > 0) return false
    const { tail } = this.#unsynced
    try {
      this.#segment.writeNow(tail.bytes)
    } catch (error) {
      this.#break(error)
      return false
    }
    failpoint('wal-synced')
    if (!this.#isInPlace()) return false
    this.#allDurable(this.#segment.used, tail.crc)
    return true
  }

  /** Forgets what was appended since `mark` and could not be written; whether that may pass decides what to throw. */
  #takeBack(mark: Mark, error: unknown): LogboomError {
    if (this.#unsynced.rollBack(mark)) this.nextIndex = mark.nextIndex
    return this.#judge(error)
  }

  #judge(error: unknown): LogboomError {
    if (this.failure !== undefined) return this.failure
    return this.#patience.isOver(error) ? this.fail(error) : this.#ioError(error)
  }

  #ioError(error: unknown): LogboomError {
    if (error instanceof LogboomError) return error
    const { walDir } = this.#options
    return new LogboomError('ERR_IO', `${walDir}: ${errorMessage(error)}`, { path: walDir, cause: error })
  }

  #break(error: unknown): void {
    this.#counters.errors++
    this.#life.become('broken')
    this.#hooks.warning(this.#ioError(error))
  }

  /** Looks where the file is that is written to without syncing. */
  #look(): void {
    if (this.#life.isSound && !this.#isInPlace()) this.#moveOn()
  }

  /** Nothing is acknowledged for a file that nobody can find. */
  #isInPlace(isUrgent = false): boolean {
    const now = monotonicMs()
    if (!isUrgent && now - this.#lookedMs < LOOK_EVERY_MS) return true
    this.#lookedMs = now
    const fate = this.#segment.fate()
    if (fate === 'sound') return true
    const { path } = this.#segment
    const what = fate === 'moved' ? 'was removed, moved or replaced' : 'was shortened'
    this.#counters.errors++
    this.#unsynced.distrust()
    this.#life.become('lost')
    this.#hooks.warning(new LogboomError('ERR_IO', `${path} ${what} while it was written to`, { path }))
    return false
  }

  async #syncOnce(): Promise<void> {
    if (!this.#life.isSound) return this.#heal()
    const lastIndex = this.lastIndex
    const covered = this.#unsynced.beginSync(this.#segment.used)
    this.#life.become('syncing')
    try {
      await this.#segment.sync()
      failpoint('wal-synced')
    } catch (error) {
      if (!this.#unsynced.isAwaiting(covered)) return
      this.#unsynced.distrust()
      if (this.#life.isSound) this.#break(error)
      return this.#heal()
    }
    if (!this.#unsynced.isAwaiting(covered)) return
    if (this.#life.isSound && !this.#isInPlace()) return this.#heal()
    if (!this.#unsynced.confirm(covered)) return
    this.durableIndex = lastIndex
    if (this.#life.state === 'syncing') this.#life.become('healthy')
  }

  /** Moves on to a new segment, however often it takes, as long as the causes may pass. */
  async #heal(): Promise<void> {
    let told = false
    for (;;) {
      if (this.failure !== undefined) throw this.failure
      if (this.#life.isSound) break
      try {
        this.#moveOn()
        break
      } catch (error) {
        if (this.#patience.isOver(error)) throw this.fail(error)
        if (!told) this.#hooks.degraded(this.#ioError(error))
        told = true
      }
      await this.#patience.wait()
    }
    if (told) this.#hooks.recovered()
  }

  #syncSegment(): boolean {
    try {
      this.#segment.syncNow()
      failpoint('wal-synced')
    } catch (error) {
      this.#break(error)
      return false
    }
    if (!this.#isInPlace()) return false
    this.#allDurable(this.#segment.used, this.#unsynced.tail.crc)
    return true
  }

  /**
   * Leaves a failed segment: cuts it to what is on disk, and writes all that is kept to a new one, durably. May be
   * called again after it threw. A failed sync is never repeated on the same file: the kernel has marked its pages
   * clean, so it would succeed and lie.
   */
  #moveOn(): void {
    this.#removeStray()
    if (this.#life.state !== 'lost' && this.#segment.fate() === 'moved') this.#life.become('lost')
    if (this.#life.state === 'lost') {
      this.#restore()
      return
    }
    if (this.#life.state === 'broken') {
      // A sync that is running may be about to cover what is cut off here.
      this.#unsynced.distrust()
      this.#segment.seal(this.#unsynced.durableEnd)
      this.#life.become('sealed')
      failpoint('wal-sealed')
    }
    this.#takeNext(() => beginNext(this.#disk, this.supply, this.#standing()))
  }

  #restore(): void {
    const hasContent = !this.#segment.isShortened
    this.#hooks.prepareFolder()
    const { missingTo } = this.#takeNext(() => restore(this.#disk, this.supply, this.#standing(), hasContent))
    if (missingTo === 0n) return
    const released = this.#hooks.releasedIndex()
    this.#hooks.entriesLost(released + 1n, missingTo)
  }

  /** Begins a new segment. If that does not work the old one simply goes on. */
  #cut(): void {
    try {
      this.syncNow()
      if (this.#segment.used >= this.#options.segmentBytes) this.#finishSegment()
    } catch (error) {
      if (this.failure !== undefined || !this.#life.isSound) return
      this.#counters.errors++
      this.#hooks.warning(this.#ioError(error))
    }
  }

  #finishSegment(): void {
    try {
      if (this.#isInPlace(true)) this.#segment.truncate(this.#segment.used)
    } catch (error) {
      this.#break(error)
    }
    if (!this.#life.isSound) this.#moveOn()
    else this.#takeNext(() => beginNext(this.#disk, this.supply, this.#standing()))
  }

  #standing() {
    const { walDir, metadata } = this.#options
    const releasedIndex = this.#hooks.releasedIndex()
    const { durableIndex } = this
    return { walDir, metadata, old: this.#segment, unsynced: this.#unsynced, durableIndex, releasedIndex }
  }

  #takeNext(begin: () => Successor): Successor {
    let next: Successor
    try {
      next = begin()
    } catch (error) {
      if (error instanceof StraySegment) {
        this.#stray = error.path
        // The old one must not go on while another one is in the place behind it.
        if (this.#life.isSound) this.#break(error)
      }
      throw error
    }
    const old = this.#segment
    const bytes = old.used
    old.close()
    this.#segment = next.segment
    if (this.#life.state !== 'healthy') this.#life.become('healthy')
    this.#patience.reset()
    this.#counters.rotations++
    this.#allDurable(next.segment.used, next.crc)
    this.#hooks.rotated(old.path, next.segment.path, bytes)
    return next
  }

  #removeStray(): void {
    if (this.#stray === undefined) return
    if (!this.supply.remove(this.#stray)) throw new Error(`${this.#stray} cannot be removed`)
    this.#stray = undefined
  }

  /** Everything kept is on disk now, and ends at `end` of the segment. */
  #allDurable(end: number, crc: number): void {
    this.durableIndex = this.lastIndex
    this.#unsynced.allDurable(end, crc)
    if (this.#life.state === 'syncing') this.#life.become('healthy')
  }
}

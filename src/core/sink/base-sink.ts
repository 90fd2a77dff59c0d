// What all sinks of lines share, written once: life cycle, bounded queue, overflow policy, retry after failure,
// flush levels, statistics. A sink adds the `_` methods.
import { EventEmitter } from 'node:events'
import { errorMessage, LogboomError, systemCode } from '../../base/errors.ts'
import { sleep } from '../../base/sleep.ts'
import type { Dropped, RecordQueue } from '../queue/byte-queue.ts'
import { LineQueue, linePieces } from '../queue/line-queue.ts'
import { addExitHandler, removeExitHandler } from './at-exit.ts'
import {
  type ControlRequest,
  createCounters,
  type Durability,
  type FlushCallback,
  type Overflow,
  type SinkEvents,
  type SinkState,
  type SinkStats
} from './contract.ts'
import { Drops } from './drops.ts'
import { Flushes } from './group-commit.ts'
import { Notice } from './notice.ts'
import type { InternalSink } from './pumped-sink.ts'
import { Retry } from './retry.ts'

/** One hold of the lock writes at most this much, so that writers sharing a file take turns. */
const MAX_BATCH_BYTES = 4 * 1024 * 1024
/** So many queued bytes are written at once, without waiting for `flushInterval`. */
const WRITE_NOW_BYTES = 256 * 1024
/** So many, and the caller is asked to wait: the high-water mark of `write`. */
const HIGH_WATER_BYTES = 4 * 1024 * 1024
/** Near the bound of the queue, chunks are weighed in pieces of about this. */
const PIECE_LENGTH = 64 * 1024
/** A busy lock is tried again after so many more. */
const TRY_AGAIN_BYTES = 64 * 1024
/** A busy lock is nothing unusual: the thread is blocked for it just so long, and then a timer waits. */
const BUSY_WAIT_MS = 2
/** The same for a caller who has to be blocked anyway. */
const BLOCKED_WAIT_MS = 50
const CONTROL_RETRY_MAX_MS = 5
/** thread-stream gives a closing worker ten seconds. */
const CLOSE_TIMEOUT_MS = 8_000
const NEWLINE = Buffer.from('\n')

export interface BaseSinkOptions {
  durability: Durability
  flushInterval: number
  maxBufferBytes: number
  overflow: Overflow
  fallback: false | 'stderr'
}

export abstract class BaseSink extends EventEmitter<SinkEvents> implements InternalSink {
  readonly writable = true
  protected readonly path: string
  protected readonly durability: Durability
  protected readonly counters = createCounters()
  readonly #options: BaseSinkOptions
  readonly #queue: RecordQueue
  /** Both below the bound, so that a caller who waits for 'drain' is not blocked there. */
  readonly #writeNowBytes: number
  readonly #highWaterBytes: number
  readonly #notice: Notice
  readonly #drops: Drops
  #state: SinkState = 'open'
  #failure: LogboomError | undefined
  #closed: Promise<void> | undefined
  #flushTimer: NodeJS.Timeout | undefined
  readonly #retry = new Retry(
    () => this.#tryAgain(),
    () => this.#needDrain || this.#flushes.isAwaited
  )
  readonly #flushes: Flushes
  #closeTimeoutMs = CLOSE_TIMEOUT_MS
  #tryAgainBytes = 0
  #needDrain = false

  constructor(path: string, options: BaseSinkOptions, queue: RecordQueue = new LineQueue()) {
    super()
    this.path = path
    this.durability = options.durability
    this.#options = options
    this.#queue = queue
    this.#writeNowBytes = Math.min(WRITE_NOW_BYTES, options.maxBufferBytes / 2)
    this.#highWaterBytes = Math.min(HIGH_WATER_BYTES, options.maxBufferBytes / 2)
    this.#notice = new Notice(options.fallback)
    this.#drops = new Drops((event) => this.announce('dropped', event))
    this.#flushes = new Flushes({
      queue,
      sync: () => this._sync(),
      syncNow: () => this._syncNow(),
      syncFailed: (error) => this.#syncFailed(error),
      drained: () => this.#drained()
    })
  }

  /** How long another holder of the lock is nothing unusual. */
  protected abstract readonly _lockTimeoutMs: number
  /** Opens what is needed for writing. Throws if it cannot. */
  protected abstract _open(): void
  /**
   * Writes `lines`, all of them whole; waits at most `waitMs` for the lock. Returns how many bytes of whole
   * lines the kernel took, 0 if the lock is busy. Throws only if nothing was written.
   */
  protected abstract _writeBatch(lines: Buffer, waitMs: number): number
  /** Makes everything written durable. */
  protected abstract _sync(): Promise<void>
  protected abstract _syncNow(): void
  /** A sync failed: leaves the file for good, so that the next write goes to another one. */
  protected abstract _seal(): void
  /** Waits for work in the background and releases every descriptor. Does not throw. */
  protected abstract _close(): Promise<void>

  write(chunk: string | Uint8Array): boolean {
    this.#accept(chunk)
    if (this.#queue.queuedBytes < this.#writeNowBytes) this.#schedule()
    else if (!this.#retry.isSet) this.#pumpAndSettle(BUSY_WAIT_MS)
    // While the lock is busy it is tried again now and then: a caller that never yields would starve the timer.
    else if (this.#retry.isBusy && this.#queue.queuedBytes >= this.#tryAgainBytes) this.#pumpAndSettle(0)
    return this.#isWelcome()
  }

  commit(chunk: string | Uint8Array): boolean {
    this.#accept(chunk)
    if (this.durability === 'none') {
      this.#schedule()
      return true
    }
    if (!this.#retry.isSet && this.#pump(BUSY_WAIT_MS) && this.#syncIfDisk()) return true
    return this.#mayWait() ? this.#awaitDrain() : true
  }

  flush(to?: Durability | FlushCallback): Promise<void> {
    if (typeof to === 'function') return this.flush().then(() => to(), to)
    if (this.#closed !== undefined) return Promise.reject(this.#closedError())
    this.#finishLine()
    return this.flushLines(to)
  }

  flushLines(to: Durability = this.#writtenLevel()): Promise<void> {
    if (this.#state === 'closing' || this.#state === 'closed') return Promise.reject(this.#closedError())
    if (to === 'none' || this.#hasReached(to)) return Promise.resolve()
    const flushed = this.#flushes.add(to)
    this.#retry.keepAlive()
    if (!this.#retry.isSet) this.#pumpAndSettle(BUSY_WAIT_MS)
    return flushed
  }

  flushSync(to: Durability = this.#writtenLevel()): void {
    if (this.#state === 'closed') throw this.#closedError()
    this.#finishLine()
    if (to === 'none') return
    this.#retry.clear()
    const done = this.#pump(this._lockTimeoutMs) && (to !== 'disk' || this.#flushes.syncNow())
    if (!done) throw this.#failure ?? this.#lockTimeout()
    this.#settled()
  }

  close(): Promise<void> {
    this.#closed ??= this.#shutDown()
    return this.#closed
  }

  stats(): SinkStats {
    const { records, bytes, dropped, writes, syncs, rotations, repairs, errors } = this.counters
    const { queuedBytes } = this
    return {
      records,
      bytes,
      dropped,
      writes,
      syncs,
      rotations,
      repairs,
      errors,
      queuedBytes,
      state: this.#state
    }
  }

  /** Bytes accepted but not yet written. */
  get queuedBytes(): number {
    return this.#queue.queuedBytes
  }

  control(_request: ControlRequest): boolean {
    return false
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Called last by a sink's constructor. A refusal (`ERR_NOT_FILE`, …) is thrown; failing I/O is retried. */
  protected openNow(): void {
    try {
      this._open()
    } catch (error) {
      if (error instanceof LogboomError) throw error
      this.#fail(error)
    }
    addExitHandler(this)
  }

  /** Accepts one whole line, given without its end, past an unfinished one, and writes at once. */
  protected writeWhole(line: string | Uint8Array): boolean {
    if (this.#closed !== undefined) throw this.#closedError()
    this.#insert(Buffer.concat([Buffer.from(line as string), NEWLINE]))
    if (!this.#retry.isSet) this.#pumpAndSettle(BUSY_WAIT_MS)
    return this.#isWelcome()
  }

  /** Accepts lines with their ends. Where records are not lines, each is one, whatever line ends it holds inside. */
  writeRecords(lines: readonly Uint8Array[]): boolean {
    if (this.#closed !== undefined) throw this.#closedError()
    for (const line of lines) this.#insert(line)
    if (this.#queue.queuedBytes < this.#writeNowBytes) this.#schedule()
    else if (!this.#retry.isSet) this.#pumpAndSettle(BUSY_WAIT_MS)
    return this.#isWelcome()
  }

  writeNow(): boolean {
    return this.writeLinesNow()
  }

  get failure(): LogboomError | undefined {
    return this.#failure
  }

  hurry(): void {
    this.#closeTimeoutMs = 0
  }

  /** Writes every whole line at once; false if that is not possible now. */
  protected writeLinesNow(): boolean {
    if (this.#retry.isSet || !this.#pump(BUSY_WAIT_MS)) return false
    this.#settled()
    return true
  }

  /** Runs `work`, which needs the sink to be usable now, until it returns true. */
  protected async retryUntil(work: () => boolean): Promise<void> {
    for (let delayMs = 1; !work(); delayMs = Math.min(delayMs * 2, CONTROL_RETRY_MAX_MS)) {
      await new Promise((resolve) => setTimeout(resolve, delayMs))
      if (this.#state === 'closed') throw this.#closedError()
    }
  }

  /** `close` was called. */
  protected get isClosing(): boolean {
    return this.#closed !== undefined
  }

  /** Counts a record that was refused before it came to the queue. */
  protected countDropped(records: number, bytes: number): void {
    this.#drop({ lines: records, bytes })
  }

  protected get isClosed(): boolean {
    return this.#state === 'closed'
  }

  /** Reports what does not stop the sink. */
  protected warn(code: string, message: string, path = this.path): void {
    this.#notice.write(message)
    this.announce('warning', { code, message, path })
  }

  /** A rate-limited notice on stderr, where that is wanted. */
  protected notice(message: string): void {
    this.#notice.write(message)
  }

  /** Emits an event after the present call, so that no listener runs while a lock is held. */
  protected announce<E extends keyof SinkEvents>(name: E, ...args: SinkEvents[E]): void {
    process.nextTick(() => (this as EventEmitter).emit(name, ...args))
  }

  #writtenLevel(): Durability {
    return this.durability === 'none' ? 'os' : this.durability
  }

  #accept(chunk: string | Uint8Array): void {
    if (this.#closed !== undefined) throw this.#closedError()
    if (chunk.length === 0 && this.#queue.takesLines) return
    const { maxBufferBytes } = this.#options
    const mostBytes =
      (typeof chunk === 'string' ? chunk.length * 3 : chunk.length) + this.#queue.overhead(chunk)
    if (this.#queue.bytes + mostBytes <= maxBufferBytes) this.#push(chunk)
    else if (this.#queue.takesLines) {
      // Near the bound lines are weighed one by one or a few together, not with the whole chunk they came in.
      for (const piece of linePieces(chunk, Math.min(PIECE_LENGTH, maxBufferBytes / 16)))
        this.#acceptPiece(piece)
    } else this.#acceptPiece(chunk)
  }

  #acceptPiece(piece: string | Uint8Array): void {
    if (this.#makeRoom(piece)) this.#push(piece)
    else this.#drop(this.#queue.refuse(piece))
  }

  #insert(line: Uint8Array): void {
    const fits = this.#queue.bytes + line.length + this.#queue.overhead(line) <= this.#options.maxBufferBytes
    if (fits || this.#makeRoom(line)) this.#queue.insertLine(line)
    else this.#drop({ lines: 1, bytes: line.length })
  }

  #push(chunk: string | Uint8Array): void {
    const discarded = this.#queue.push(chunk)
    if (discarded !== undefined) this.#drop(discarded)
  }

  /** False if the piece must be refused. One larger than the bound is taken when nothing else waits. */
  #makeRoom(chunk: string | Uint8Array): boolean {
    const length = typeof chunk === 'string' ? Buffer.byteLength(chunk) : chunk.length
    const bytes = length + this.#queue.overhead(chunk)
    const limit = this.#options.maxBufferBytes
    const fits = () => this.#queue.bytes + bytes <= limit || !(this.#queue.hasLines || this.#queue.hasKept)
    if (fits()) return true
    if (!this.#retry.isSet && this.#pump(BUSY_WAIT_MS) && this.#syncIfDisk() && fits()) return true
    if (this.#options.overflow === 'drop-newest') return false
    if (this.#options.overflow === 'drop-oldest') {
      this.#drop(this.#queue.dropOldest(this.#queue.bytes + bytes - limit))
      return true
    }
    // The caller went on although `write` returned false. Blocking its thread is all that is left that neither
    // loses records nor grows without bound.
    while (!fits()) {
      this.#retry.clear()
      if (!(this.#pump(BLOCKED_WAIT_MS) && this.#syncIfDisk())) sleep(BLOCKED_WAIT_MS)
    }
    return true
  }

  /** Writes every whole line; true if all were. */
  #pump(waitMs: number): boolean {
    this.#clearFlush()
    try {
      do {
        while (this.#queue.hasLines) {
          const bytes = this._writeBatch(this.#queue.head(MAX_BATCH_BYTES), waitMs)
          if (bytes === 0) return this.#busy()
          this.#queue.consume(bytes, this.durability === 'disk')
          this.#flushes.wrote()
        }
      } while (this.#queueDropNotice())
    } catch (error) {
      this.#fail(error)
      return false
    }
    this.#recover()
    return true
  }

  #queueDropNotice(): boolean {
    // Among records of any bytes a text of ours would be taken for one of theirs.
    const notice = this.#queue.takesLines ? this.#drops.takeNotice() : undefined
    if (notice !== undefined) this.#queue.insertLine(Buffer.from(notice))
    return notice !== undefined
  }

  #recover(): void {
    this.#failure = undefined
    this.#retry.reset()
    if (this.#state !== 'degraded') return
    this.#state = 'open'
    this.announce('recovered')
  }

  #pumpAndSettle(waitMs: number): void {
    if (!this.#pump(waitMs)) return
    if (this.durability === 'disk' && !this.#flushes.isSynced) this.#flushes.syncSoon()
    else this.#settled()
  }

  /** Everything queued has reached the sink's durability. */
  #settled(): void {
    this.#drained()
    this.#flushes.written()
  }

  #drained(): void {
    if (!this.#needDrain) return
    this.#needDrain = false
    this.announce('drain')
  }

  #syncIfDisk(): boolean {
    return this.durability !== 'disk' || this.#flushes.syncNow()
  }

  // After a failed fsync the kernel has marked the pages clean, so a second one would succeed and lie. The file is
  // left for good, and what was not acknowledged there is written again to the next one.
  #syncFailed(error: unknown): void {
    const failure = new LogboomError('ERR_SYNC', `sync of ${this.path} failed: ${errorMessage(error)}`, {
      path: this.path,
      cause: error
    })
    try {
      this._seal()
    } catch (sealError) {
      this.warn('ERR_IO', `cannot rotate ${this.path} aside after a failed sync: ${errorMessage(sealError)}`)
    }
    // What was acknowledged at 'os' is not kept for rewriting, so a promise of 'disk' cannot be held.
    if (this.durability !== 'disk') this.#flushes.rejectAll(failure, 'disk')
    this.#fail(failure)
  }

  #busy(): false {
    this.#tryAgainBytes = this.#queue.queuedBytes + TRY_AGAIN_BYTES
    if (!this.#retry.busy(this._lockTimeoutMs)) this.#fail(this.#lockTimeout())
    return false
  }

  #lockTimeout(): LogboomError {
    const message = `the lock of ${this.path} is held by somebody else for more than ${this._lockTimeoutMs} ms`
    return new LogboomError('ERR_LOCK_TIMEOUT', message, { path: this.path })
  }

  #fail(error: unknown): void {
    const failure =
      error instanceof LogboomError
        ? error
        : new LogboomError('ERR_IO', `${this.path}: ${errorMessage(error)}`, {
            path: this.path,
            cause: error
          })
    this.counters.errors++
    this.#failure = failure
    this.#notice.write(failure.message)
    if (this.#state === 'open') {
      this.#state = 'degraded'
      this.announce('degraded', {
        code: systemCode(failure.cause) ?? failure.code,
        message: failure.message,
        path: this.path
      })
    }
    this.#retry.failed()
  }

  /** The answer of `write`: false asks the caller to wait for 'drain'. */
  #isWelcome(): boolean {
    if (this.#queue.queuedBytes >= this.#highWaterBytes && this.#mayWait()) this.#awaitDrain()
    return !this.#needDrain
  }

  // Back-pressure is the policy 'block'. Records that may be dropped are accepted at once: holding back the answer
  // would only move the queue to the caller, where nothing bounds it.
  #mayWait(): boolean {
    return this.#options.overflow === 'block'
  }

  /** The caller is to wait for 'drain', and may have nothing else that keeps the process alive. */
  #awaitDrain(): false {
    this.#needDrain = true
    this.#retry.keepAlive()
    return false
  }

  #tryAgain(): void {
    if (!this.#queue.hasLines) {
      try {
        this._open()
      } catch (error) {
        this.#fail(error)
        return
      }
    }
    this.#pumpAndSettle(BUSY_WAIT_MS)
  }

  #schedule(): void {
    if (this.#flushTimer !== undefined || this.#retry.isSet || !this.#queue.hasLines) return
    this.#flushTimer = setTimeout(() => {
      this.#flushTimer = undefined
      if (!this.#retry.isSet) this.#pumpAndSettle(BUSY_WAIT_MS)
    }, this.#options.flushInterval)
    this.#flushTimer.unref()
  }

  #clearFlush(): void {
    clearTimeout(this.#flushTimer)
    this.#flushTimer = undefined
  }

  /** Whether nothing is left to do for a flush to `to`, also while writing fails. */
  #hasReached(to: Durability): boolean {
    if (!this.#retry.isSet || this.#queue.hasLines) return false
    return to !== 'disk' || (this.#flushes.isSynced && !this.#queue.hasKept)
  }

  #finishLine(): void {
    const discarded = this.#queue.finishLine()
    if (discarded !== undefined) this.#drop(discarded)
  }

  #drop(dropped: Dropped): void {
    this.counters.dropped += dropped.lines
    this.#drops.add(dropped)
  }

  #closedError(): LogboomError {
    return new LogboomError('ERR_CLOSED', `the sink of ${this.path} is closed`, { path: this.path })
  }

  async #shutDown(): Promise<void> {
    this.#finishLine()
    if (!this.#isAtRest()) await this.#flushWithin(this.#closeTimeoutMs)
    const failure = this.#failure
    this.#state = 'closing'
    this.#clearFlush()
    this.#retry.clear()
    const lost = this.#queue.clear()
    if (lost.lines > 0) this.#drop(lost)
    this.#drops.report()
    await this._close()
    this.#state = 'closed'
    removeExitHandler(this)
    this.#flushes.rejectAll(this.#closedError())
    if (lost.lines > 0) throw this.#lost(lost, failure)
  }

  /** Whether everything accepted has reached the sink's durability. */
  #isAtRest(): boolean {
    if (this.#queue.bytes > 0 || this.#retry.isSet || this.#flushes.isAwaited) return false
    return this.durability !== 'disk' || (this.#flushes.isSynced && !this.#queue.hasKept)
  }

  async #flushWithin(ms: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const gaveUp = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ms)
    })
    // A failed sync is retried on the next file, so a rejection here is one of close itself, below.
    await Promise.race([this.flushLines().catch(() => {}), gaveUp])
    clearTimeout(timer)
  }

  #lost(lost: Dropped, cause: unknown): LogboomError {
    const reason = cause === undefined ? '' : `: ${errorMessage(cause)}`
    const message = `closed with ${lost.lines} records (${lost.bytes} bytes) not written to ${this.path}${reason}`
    const error = new LogboomError('ERR_LOST', message, { path: this.path, cause })
    this.#notice.write(error.message, true)
    return error
  }

  /** For the exit hook: writes what can be written and says what could not. */
  exitNow(): void {
    if (this.#state === 'closed' || this.#queue.bytes === 0) return
    try {
      this.flushSync()
    } catch (error) {
      const lost = this.#queue.clear()
      if (lost.lines > 0) this.#lost(lost, error)
    }
  }
}

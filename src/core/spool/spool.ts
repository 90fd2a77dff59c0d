// Records collected in buffers and published as unique, complete files for programs that collect them.
import { EventEmitter } from 'node:events'
import type { Readable } from 'node:stream'
import { monotonicMs } from '../../base/clock.ts'
import { LogboomError } from '../../base/errors.ts'
import { optionError } from '../../base/options.ts'
import type { Disk } from '../../io/disk.ts'
import { FolderSyncError, run, runNow } from '../../io/steps.ts'
import { Account } from '../sink/account.ts'
import { addExitHandler, removeExitHandler, writeAtExit } from '../sink/at-exit.ts'
import { afterFailure, Backoff } from '../sink/backoff.ts'
import type { Durability, FlushCallback, SinkEvents, SinkStats } from '../sink/contract.ts'
import { internals } from '../sink/internals.ts'
import { warnOfOtherMachines } from '../sink/other-machines.ts'
import { settledWhileProgress } from '../sink/progress.ts'
import { SinkLife } from '../sink/sink-state.ts'
import { DataSyncError } from '../sink/target.ts'
import { Crew } from './crew.ts'
import { requireLevel } from './level.ts'
import { type ParsedSpoolOptions, parseSpoolOptions, type SpoolOptions } from './options.ts'
import { isWhole, requireRecord, type SpoolRecord, sizeOf } from './record.ts'
import { RetryLoop } from './retry-loop.ts'
import { SpoolHealth } from './spool-health.ts'
import { SpoolStore } from './spool-store.ts'
import { WaitingList } from './waiting-list.ts'

/** How long a spool that gave up waits for calls that are under way, in ms. */
const LAST_CALLS_MS = 500

export interface SpoolStats extends SinkStats {
  /** Records waiting for a worker. */
  queued: number
  /** Files of dead processes that were published here. */
  recoveredFiles: number
}

export class Spool extends EventEmitter<SinkEvents> {
  /** By this `pino(spool)` tells a stream from options. */
  readonly writable = true
  readonly #options: ParsedSpoolOptions
  readonly #disk: Disk
  readonly #store: SpoolStore
  readonly #crew: Crew
  readonly #waiting: WaitingList
  readonly #account: Account
  readonly #life = new SinkLife()
  readonly #health: SpoolHealth
  readonly #retry = new RetryLoop()
  readonly #stallMs: number
  #flushTimer: NodeJS.Timeout | undefined
  #hasFailed = false
  #closed: Promise<void> | undefined

  /** Opens the folders. Throws `ERR_OPTION` or `ERR_UNSUPPORTED`; other failures are retried. */
  constructor(input: SpoolOptions = {}) {
    super()
    const options = parseSpoolOptions(input)
    if (options.lane !== undefined && options.lane !== false) {
      const rule = "is for transports; of this class a record is in a file when 'write' has resolved"
      throw optionError('spool', 'lane', rule, input.lane)
    }
    const { disk, now, stallMs } = internals()
    this.#options = options
    this.#stallMs = stallMs
    this.#disk = disk
    this.#account = new Account(this, options.path, options.fallback)
    warnOfOtherMachines(this.#account, options.path)
    this.#health = new SpoolHealth(this.#account, this.#life)
    const lost = (records: number, bytes: number, reason: string): void =>
      this.#health.lost(records, bytes, reason)
    this.#store = new SpoolStore({ options, disk, now, account: this.#account, lost })
    this.#waiting = new WaitingList(options, (bytes) => this.#account.drop({ lines: 1, bytes }))
    this.#crew = new Crew(options.workers, {
      disk,
      store: this.#store,
      account: this.#account,
      health: this.#health,
      retry: this.#retry,
      idle: () => this.#serve(),
      pending: () => this.#schedule(),
      gaveUp: () => this.#health.failure ?? this.#closedError(),
      failForGood: (error) => this.#failForGood(error)
    })
    this.#open()
    addExitHandler(this)
  }

  /**
   * Resolves true when a worker has taken the record; false, and the record is counted as dropped, when none did
   * within `timeout`. Bytes and streams must be left alone until then. Rejects with `ERR_CLOSED`, with `ERR_ARGUMENT`
   * for anything but a text, bytes or a stream, and with `ERR_SOURCE` if a stream fails, of which nothing is published
   * then.
   */
  write(record: string | Uint8Array | Readable): Promise<boolean> {
    if (this.#closed !== undefined) return refused(this.#closedError())
    try {
      const taken = this.#take(typeof record === 'string' ? record : requireRecord(record))
      writeAtExit(this)
      return taken
    } catch (error) {
      return refused(error)
    }
  }

  /** Publishes everything accepted before this call. Rejects with `ERR_SYNC` if `'disk'` could not be reached. */
  async flush(to: Durability | FlushCallback = this.#options.durability): Promise<void> {
    if (typeof to === 'function') return this.flush().then(() => to(), to)
    requireLevel(to)
    if (this.#closed !== undefined) throw this.#closedError()
    if (this.#life.state === 'failed') throw this.#health.failure
    if (to === 'none') return
    await this.#retry.keepAlive(this.#flush(to))
  }

  /** The same on this thread, for exit paths: streams that are being read are not waited for. */
  flushSync(to: Durability = this.#options.durability): void {
    requireLevel(to)
    if (this.#life.state === 'failed') throw this.#health.failure
    if (this.#life.isOver) throw this.#closedError()
    if (to === 'none') return
    this.#crew.publishAllNow()
    this.#takeWaitingNow()
    this.#crew.publishAllNow()
    if (to !== 'disk') return
    try {
      runNow(this.#disk, this.#store.syncPublished())
    } catch (error) {
      throw this.#asSyncError(error)
    }
  }

  /**
   * Publishes everything and releases all files; as long as something gets done it takes its time. Rejects with
   * `ERR_LOST` if records could neither be published nor left in a temporary file, and with `ERR_SYNC` if published
   * files are not known to be on disk, which `durability: 'disk'` promises.
   */
  close(): Promise<void> {
    this.#closed ??= this.#shutDown()
    return this.#closed
  }

  stats(): SpoolStats {
    return {
      ...this.#account.counters,
      // What a closed spool could not publish waits no more: it is counted as dropped, or lies in a temporary file.
      queuedBytes: this.#life.state === 'closed' ? 0 : this.#crew.pendingBytes + this.#waiting.bytes,
      state: this.#life.state,
      lane: 'none',
      queued: this.#waiting.length,
      recoveredFiles: this.#store.recoveredFiles
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /**
   * For the exit hook: publishes what can be published and says what could not.
   * @internal
   */
  exitNow(): void {
    if (this.#life.isOver) return
    try {
      this.flushSync()
    } catch (error) {
      this.#health.failed('folders', error)
      this.#giveUpWaiting()
      this.#crew.countLost()
      this.#health.settle()
    }
  }

  #open(): void {
    try {
      this.#store.open()
      this.#life.become('open')
    } catch (error) {
      if (error instanceof LogboomError) throw error
      this.#life.become('open')
      this.#health.failed('folders', error)
    }
  }

  #take(record: SpoolRecord): Promise<boolean> {
    if (this.#waiting.length === 0 && !this.#hasFailed) {
      const worker = this.#crew.idle()
      if (worker !== undefined) return this.#crew.give(worker, record)
    }
    // A stream that fails while it waits says so when it is read; until then nobody else listens.
    if (!isWhole(record)) record.on('error', () => {})
    if (this.#hasFailed) {
      this.#account.drop({ lines: 1, bytes: sizeOf(record) })
      this.#health.givenUp(1, sizeOf(record))
      return Promise.resolve(false)
    }
    return this.#waiting.add(record, sizeOf(record))
  }

  /** Records that no worker has taken, and none will. */
  #giveUpWaiting(): void {
    for (const { bytes, resolve } of this.#waiting.clear()) {
      this.#health.givenUp(1, bytes)
      resolve(false)
    }
  }

  #serve(): void {
    while (this.#waiting.length > 0 && !this.#life.isOver) {
      const worker = this.#crew.idle()
      if (worker === undefined) return
      const next = this.#waiting.take()
      if (next === undefined) return
      this.#crew.give(worker, next.record).then(next.resolve, next.reject)
    }
  }

  #takeWaitingNow(): void {
    for (let next = this.#waiting.take(); next !== undefined; next = this.#waiting.take()) {
      try {
        next.resolve(this.#crew.takeNow(next.record))
      } catch (error) {
        this.#account.drop({ lines: 1, bytes: next.bytes })
        next.resolve(false)
        throw error
      }
    }
  }

  #schedule(): void {
    if (this.#flushTimer !== undefined || this.#options.flushInterval === 0 || this.#life.isOver) return
    this.#flushTimer = setTimeout(() => {
      this.#flushTimer = undefined
      if (this.#crew.publishIdle()) this.#schedule()
    }, this.#options.flushInterval)
    this.#flushTimer.unref()
  }

  async #flush(to: Durability): Promise<void> {
    await this.#waiting.settled()
    await this.#crew.drain()
    if (to === 'disk') await this.#syncPublished()
  }

  // That a folder cannot be opened says nothing about the disk and may pass: only that is asked again, but not for ever.
  async #syncPublished(): Promise<void> {
    const untilMs = monotonicMs() + this.#stallMs
    const failed = (error: unknown): void => {
      if (error instanceof LogboomError || error instanceof FolderSyncError) throw this.#asSyncError(error)
      this.#health.failed('sync', error)
      if (monotonicMs() >= untilMs) throw this.#asSyncError(error)
    }
    const work = async (): Promise<void> => {
      await run(this.#disk, this.#store.syncPublished(), () => true)
    }
    await this.#retry.run(work, new Backoff(afterFailure), failed)
    this.#health.works('sync')
  }

  #asSyncError(error: unknown): unknown {
    if (error instanceof LogboomError) return error
    return new DataSyncError(this.#options.path, error instanceof FolderSyncError ? error.cause : error)
  }

  /** Nothing will ever be written: ends every wait. */
  #failForGood(error: LogboomError): void {
    if (this.#life.isOver) return
    this.#hasFailed = true
    this.#health.fail(error)
    this.#retry.giveUp()
    this.#giveUpWaiting()
  }

  async #shutDown(): Promise<void> {
    clearTimeout(this.#flushTimer)
    const level = this.#options.durability === 'disk' ? 'disk' : 'os'
    if (this.#life.state !== 'failed') {
      const flushed = this.#flush(level)
      await settledWhileProgress(flushed, () => this.#crew.progress, this.#stallMs)
    }
    this.#life.become('closing')
    clearTimeout(this.#flushTimer)
    this.#retry.giveUp()
    this.#giveUpWaiting()
    await settledWhileProgress(this.#crew.release(), () => 0, LAST_CALLS_MS)
    const { failure } = this.#health
    const isUnsynced = this.#options.durability === 'disk' && this.#crew.isUnsynced
    const isKept = this.#crew.workers.some((worker) => worker.hasTemp)
    this.#crew.countLost()
    for (const worker of this.#crew.workers) worker.abandon()
    await this.#store.close(isKept)
    this.#life.become('closed')
    removeExitHandler(this)
    const lost = this.#health.settle()
    // Those who listen hear of it before those who wait.
    await new Promise((resolve) => process.nextTick(resolve))
    if (lost !== undefined) throw lost
    if (isUnsynced || this.#store.isUnsynced)
      throw this.#asSyncError(failure?.cause ?? new Error('the folder could not be synced'))
  }

  #closedError(): LogboomError {
    const { path } = this.#options
    return new LogboomError('ERR_CLOSED', `the spool of ${path} is closed`, { path })
  }
}

/** Rejected, but no unhandled rejection: a logger that still writes at the end of a process must not end it. */
function refused(error: unknown): Promise<boolean> {
  const result = Promise.reject(error)
  result.catch(() => {})
  return result
}

// Records collected in buffers and published as unique, complete files for programs that collect them.
import { EventEmitter } from 'node:events'
import type { Readable } from 'node:stream'
import onExit from 'on-exit-leak-free'
import { type Disk, realDisk } from '../disk.ts'
import { Drops } from '../drops.ts'
import { errorMessage, LogboomError, systemCode } from '../errors.ts'
import { Notice } from '../notice.ts'
import type { Durability, SinkEvents, SinkState, SinkStats } from '../sink.ts'
import { type ParsedSpoolOptions, parseSpoolOptions, type SpoolOptions } from './options.ts'
import { piecesOf, type SpoolRecord, sizeOf } from './record.ts'
import { SpoolStore } from './spool-store.ts'
import { SpoolWorker } from './spool-worker.ts'
import { run, runNow, type Steps, Superseded } from './steps.ts'
import { WaitingList } from './waiting-list.ts'

const RETRY_MIN_MS = 50
const RETRY_MAX_MS = 500
/** thread-stream gives a closing worker ten seconds. */
const CLOSE_TIMEOUT_MS = 8_000
const TAKEN = Promise.resolve(true)

export interface SpoolStats extends SinkStats {
  /** Records waiting for a worker. */
  queued: number
  /** Files of dead processes that were published here. */
  recoveredFiles: number
}

export interface SpoolInternals {
  disk?: Disk
}

export class Spool extends EventEmitter<SinkEvents> {
  readonly #options: ParsedSpoolOptions
  readonly #disk: Disk
  readonly #store: SpoolStore
  readonly #workers: SpoolWorker[]
  /** What each worker is doing; undefined for one that can take a record. */
  readonly #busy: (Promise<void> | undefined)[]
  readonly #waiting: WaitingList
  readonly #notice: Notice
  readonly #drops: Drops
  readonly #counters = {
    records: 0,
    bytes: 0,
    dropped: 0,
    writes: 0,
    syncs: 0,
    rotations: 0,
    repairs: 0,
    errors: 0
  }
  #state: SinkState = 'open'
  #current = 0
  #flushTimer: NodeJS.Timeout | undefined
  #pauses = new Set<NodeJS.Timeout>()
  /** Promises given to callers that cannot be kept before a pause is over. */
  #awaited = 0
  #closed: Promise<void> | undefined
  #givenUp = false
  #failure: LogboomError | undefined
  #syncFailure: LogboomError | undefined
  #syncFailures = 0
  #lost = { records: 0, bytes: 0 }

  /** Opens the folders. Throws `ERR_OPTION`; other failures are retried. */
  constructor(input: SpoolOptions = {}, internals: SpoolInternals = {}) {
    super()
    const options = parseSpoolOptions(input)
    this.#options = options
    this.#disk = internals.disk ?? realDisk
    this.#notice = new Notice(options.fallback as false | 'stderr')
    this.#drops = new Drops((event) => this.#announce('dropped', event))
    this.#store = new SpoolStore(options, this.#disk, this.#counters, {
      announce: (name, ...args) => this.#announce(name, ...args),
      warn: (code, message, path) => this.#warn(code, message, path),
      lost: (records, bytes, reason) => this.#lose(records, bytes, reason),
      unsynced: (path, error) => this.#unsynced(path, error)
    })
    this.#workers = Array.from({ length: options.workers }, (_, index) => new SpoolWorker(index, this.#store))
    this.#busy = this.#workers.map(() => undefined)
    this.#waiting = new WaitingList(options, (bytes) => this.#discard(1, bytes))
    try {
      this.#store.open()
    } catch (error) {
      this.#fail(error)
    }
    onExit.register(this, flushAtExit)
  }

  /**
   * Resolves true when a worker has taken the record; false, and the record is counted as dropped, when none did
   * within `timeout`. Bytes and streams must be left alone until then. Rejects with `ERR_CLOSED`, and with
   * `ERR_SOURCE` if a stream fails, of which nothing is published then.
   */
  write(record: string | Uint8Array | Readable): Promise<boolean> {
    if (this.#closed !== undefined) return Promise.reject(this.#closedError())
    if (this.#waiting.length === 0) {
      const worker = this.#idleWorker()
      if (worker !== undefined) return this.#give(worker, record)
    }
    return this.#waiting.add(record, sizeOf(record))
  }

  /** Publishes everything accepted before this call. Rejects with `ERR_SYNC` if `'disk'` could not be reached. */
  async flush(to: Durability = this.#options.durability): Promise<void> {
    if (this.#closed !== undefined) throw this.#closedError()
    if (to === 'none') return
    await this.#keepAlive(this.#flush(to))
  }

  /** The same on this thread, for exit paths: streams that are being read are not waited for. */
  flushSync(to: Durability = this.#options.durability): void {
    if (this.#state === 'closed') throw this.#closedError()
    if (to === 'none') return
    const before = this.#syncFailures
    for (const worker of this.#workers) worker.publishNow()
    for (let next = this.#waiting.take(); next !== undefined; next = this.#waiting.take()) {
      next.resolve(this.#takeNow(this.#workers[0], next.record))
    }
    this.#workers[0].publishNow()
    if (to === 'disk') runNow(this.#disk, this.#store.syncPublished())
    if (to === 'disk' && this.#syncFailures > before) throw this.#syncFailure
  }

  close(): Promise<void> {
    this.#closed ??= this.#shutDown()
    return this.#closed
  }

  stats(): SpoolStats {
    const pending = this.#workers.reduce((sum, worker) => sum + worker.pendingBytes, 0)
    return {
      ...this.#counters,
      queuedBytes: pending + this.#waiting.bytes,
      state: this.#state,
      queued: this.#waiting.length,
      recoveredFiles: this.#store.recoveredFiles
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** For the exit hook: publishes what can be published and says what could not. */
  exitNow(): void {
    if (this.#state === 'closed') return
    try {
      this.flushSync()
    } catch (error) {
      this.#reportLost(error)
    }
  }

  #idleWorker(): SpoolWorker | undefined {
    const { length } = this.#workers
    for (let turn = 0; turn < length; turn++) {
      if (this.#busy[this.#current] === undefined) return this.#workers[this.#current]
      this.#current = this.#current + 1 === length ? 0 : this.#current + 1
    }
    return undefined
  }

  #give(worker: SpoolWorker, record: SpoolRecord): Promise<boolean> {
    if ((typeof record === 'string' || record instanceof Uint8Array) && worker.put(record)) {
      if (worker.isFull) this.#publish(worker)
      else this.#schedule()
      return TAKEN
    }
    return new Promise((resolve, reject) => {
      this.#occupy(worker, async () => {
        try {
          await this.#keepAlive(this.#takePieces(worker, record))
          resolve(true)
        } catch (error) {
          this.#discard(1, sizeOf(record))
          if (error instanceof LogboomError && error.code === 'ERR_SOURCE') reject(error)
          else resolve(false)
        }
        if (worker.isFull) await this.#publishing(worker)
        else this.#schedule()
      })
    })
  }

  async #takePieces(worker: SpoolWorker, record: SpoolRecord): Promise<void> {
    const { epoch } = worker
    worker.beginRecord()
    try {
      for await (const piece of piecesOf(record)) {
        for (let at = 0; at < piece.length; ) {
          if (worker.epoch !== epoch) throw new Superseded()
          const count = worker.append(piece, at)
          at += count
          if (count === 0) await this.#attempt(worker, () => worker.spill())
        }
      }
      if (worker.epoch !== epoch) throw new Superseded()
      worker.endRecord()
    } catch (error) {
      if (worker.epoch === epoch) worker.rollBack()
      throw error
    }
  }

  #takeNow(worker: SpoolWorker, record: SpoolRecord): boolean {
    if (typeof record !== 'string' && !(record instanceof Uint8Array)) {
      record.destroy()
      this.#discard(1, 0)
      return false
    }
    if (worker.put(record)) return true
    worker.beginRecord()
    for (const piece of piecesOf(record)) {
      for (let at = 0; at < piece.length; ) {
        const count = worker.append(piece, at)
        at += count
        if (count === 0) runNow(this.#disk, worker.spill())
      }
    }
    worker.endRecord()
    worker.publishNow()
    return true
  }

  #publish(worker: SpoolWorker): void {
    this.#occupy(worker, () => this.#publishing(worker))
  }

  async #publishing(worker: SpoolWorker): Promise<void> {
    try {
      await this.#attempt(worker, () => worker.publish())
    } catch {
      // Overtaken by flushSync, or given up by close, which accounts for what is left.
    }
  }

  /** Lets a worker do `work`, which does not reject; then it takes waiting records. */
  #occupy(worker: SpoolWorker, work: () => Promise<void>): void {
    const done = work().finally(() => {
      this.#busy[worker.index] = undefined
      this.#serve()
    })
    this.#busy[worker.index] = done
  }

  #serve(): void {
    while (this.#waiting.length > 0) {
      const worker = this.#idleWorker()
      if (worker === undefined) return
      const next = this.#waiting.take()
      if (next === undefined) return
      this.#give(worker, next.record).then(next.resolve, next.reject)
    }
  }

  /** Repeats file work of a worker until it succeeds. Rejects when it was overtaken or close gave up. */
  async #attempt(worker: SpoolWorker, steps: () => Steps<void>): Promise<void> {
    for (let waitMs = RETRY_MIN_MS; ; waitMs = Math.min(waitMs * 2, RETRY_MAX_MS)) {
      try {
        await worker.run(steps())
        this.#recovered()
        return
      } catch (error) {
        if (error instanceof Superseded) throw error
        this.#fail(error)
        if (this.#givenUp) throw error
      }
      await this.#pause(waitMs)
      this.#makeFolders()
    }
  }

  #makeFolders(): void {
    try {
      this.#store.open()
    } catch {
      // What is wrong shows again at the next attempt.
    }
  }

  /** Who awaits `work` wants the process to live until it is done. */
  async #keepAlive(work: Promise<void>): Promise<void> {
    this.#awaited++
    for (const timer of this.#pauses) timer.ref()
    try {
      await work
    } finally {
      this.#awaited--
    }
  }

  #pause(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#pauses.delete(timer)
        resolve()
      }, waitMs)
      this.#pauses.add(timer)
      // Otherwise the exit hook has the last word, and an idle process may end.
      if (this.#closed === undefined && this.#awaited === 0) timer.unref()
    })
  }

  #schedule(): void {
    if (this.#flushTimer !== undefined || this.#options.flushInterval === 0) return
    this.#flushTimer = setTimeout(() => {
      this.#flushTimer = undefined
      for (const worker of this.#workers) {
        if (worker.pendingBytes === 0) continue
        if (this.#busy[worker.index] === undefined) this.#publish(worker)
        else this.#schedule()
      }
    }, this.#options.flushInterval)
    this.#flushTimer.unref()
  }

  async #flush(to: Durability): Promise<void> {
    const before = this.#syncFailures
    await this.#waiting.settled()
    await Promise.all(this.#workers.map((worker) => this.#drain(worker)))
    if (to !== 'disk') return
    if (this.#syncFailures > before) throw this.#syncFailure
    await run(this.#disk, this.#store.syncPublished(), () => true)
  }

  async #drain(worker: SpoolWorker): Promise<void> {
    const { publications } = worker
    while (worker.pendingBytes > 0 && worker.publications === publications) {
      if (this.#busy[worker.index] === undefined) this.#publish(worker)
      await this.#busy[worker.index]
      if (this.#givenUp) return
    }
    await this.#busy[worker.index]
  }

  async #shutDown(): Promise<void> {
    for (const timer of this.#pauses) timer.ref()
    let timer: NodeJS.Timeout | undefined
    const gaveUp = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLOSE_TIMEOUT_MS)
    })
    await Promise.race([
      this.#flush(this.#options.durability === 'disk' ? 'disk' : 'os').catch(() => {}),
      gaveUp
    ])
    clearTimeout(timer)
    this.#givenUp = true
    this.#state = 'closing'
    clearTimeout(this.#flushTimer)
    for (const waiting of this.#waiting.clear()) waiting.resolve(false)
    const failure = this.#failure ?? this.#syncFailure
    const kept = this.#workers.some((worker) => worker.hasTemp)
    this.#countLost()
    for (const worker of this.#workers) worker.abandon()
    await this.#store.close(kept)
    this.#state = 'closed'
    onExit.unregister(this)
    this.#drops.report()
    if (this.#lost.records > 0) throw this.#reportLost(failure)
  }

  /** Records that nobody will find any more: neither published nor in a temp file that can be recovered. */
  #countLost(): void {
    for (const worker of this.#workers) {
      if (worker.pendingRecords === 0 || worker.isNoted) continue
      this.#lose(
        worker.pendingRecords,
        worker.pendingBytes,
        'closed while the folder could not be written to'
      )
    }
  }

  #reportLost(cause: unknown): LogboomError {
    const { records, bytes } = this.#lost
    const path = this.#options.path
    const reason = cause === undefined ? '' : `: ${errorMessage(cause)}`
    const message = `${records} records (${bytes} bytes) were not published to ${path}${reason}`
    const error = new LogboomError('ERR_LOST', message, { path, cause })
    this.#notice.write(error.message, true)
    return error
  }

  #lose(records: number, bytes: number, reason: string): void {
    this.#lost.records += records
    this.#lost.bytes += bytes
    this.#discard(records, bytes)
    this.#warn('ERR_LOST', `${records} records (${bytes} bytes) are lost: ${reason}`)
  }

  #discard(records: number, bytes: number): void {
    this.#counters.dropped += records
    this.#drops.add({ lines: records, bytes })
  }

  #unsynced(path: string, error: unknown): void {
    this.#counters.errors++
    this.#syncFailures++
    this.#syncFailure = new LogboomError('ERR_SYNC', `sync of ${path} failed: ${errorMessage(error)}`, {
      path,
      cause: error
    })
    this.#warn('ERR_SYNC', this.#syncFailure.message, path)
  }

  #fail(error: unknown): void {
    const { path } = this.#options
    const failure = new LogboomError('ERR_IO', `${path}: ${errorMessage(error)}`, { path, cause: error })
    this.#counters.errors++
    this.#failure = failure
    this.#notice.write(failure.message)
    if (this.#state !== 'open') return
    this.#state = 'degraded'
    this.#announce('degraded', { code: systemCode(error) ?? 'ERR_IO', message: failure.message, path })
  }

  #recovered(): void {
    this.#failure = undefined
    if (this.#state !== 'degraded') return
    this.#state = 'open'
    this.#announce('recovered')
  }

  #warn(code: string, message: string, path = this.#options.path): void {
    this.#notice.write(message)
    this.#announce('warning', { code, message, path })
  }

  #announce<E extends keyof SinkEvents>(name: E, ...args: SinkEvents[E]): void {
    process.nextTick(() => (this as EventEmitter).emit(name, ...args))
  }

  #closedError(): LogboomError {
    const { path } = this.#options
    return new LogboomError('ERR_CLOSED', `the spool of ${path} is closed`, { path })
  }
}

function flushAtExit(spool: Spool): void {
  spool.exitNow()
}

// Records collected in buffers and published as unique, complete files for programs that collect them.
import { EventEmitter } from 'node:events'
import type { Readable } from 'node:stream'
import { LogboomError } from '../../base/errors.ts'
import { type Disk, realDisk } from '../../io/disk.ts'
import { run, runNow, type Steps, Superseded } from '../../io/steps.ts'
import { addExitHandler, removeExitHandler } from '../sink/at-exit.ts'
import type { Durability, FlushCallback, SinkEvents, SinkStats } from '../sink/contract.ts'
import { type ParsedSpoolOptions, parseSpoolOptions, type SpoolOptions } from './options.ts'
import { piecesOf, type SpoolRecord, sizeOf } from './record.ts'
import { RetryLoop } from './retry-loop.ts'
import { SpoolAccount } from './spool-account.ts'
import { SpoolStore } from './spool-store.ts'
import { SpoolWorker } from './spool-worker.ts'
import { WaitingList } from './waiting-list.ts'

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
  /** By this `pino(spool)` tells a stream from options. */
  readonly writable = true
  readonly #options: ParsedSpoolOptions
  readonly #disk: Disk
  readonly #store: SpoolStore
  readonly #workers: SpoolWorker[]
  /** What each worker is doing; undefined for one that can take a record. */
  readonly #busy: (Promise<void> | undefined)[]
  readonly #waiting: WaitingList
  readonly #account: SpoolAccount
  readonly #retry = new RetryLoop()
  #current = 0
  #flushTimer: NodeJS.Timeout | undefined
  #closed: Promise<void> | undefined

  /** Opens the folders. Throws `ERR_OPTION`; other failures are retried. */
  constructor(input: SpoolOptions = {}, internals: SpoolInternals = {}) {
    super()
    const options = parseSpoolOptions(input)
    this.#options = options
    this.#disk = internals.disk ?? realDisk
    this.#account = new SpoolAccount(options.path, options.fallback as false | 'stderr', (name, ...args) =>
      (this as EventEmitter).emit(name, ...args)
    )
    this.#store = new SpoolStore(options, this.#disk, this.#account.counters, this.#account)
    this.#workers = Array.from({ length: options.workers }, (_, index) => new SpoolWorker(index, this.#store))
    this.#busy = this.#workers.map(() => undefined)
    this.#waiting = new WaitingList(options, (bytes) => this.#account.discard(1, bytes))
    try {
      this.#store.open()
    } catch (error) {
      this.#account.fail(error)
    }
    addExitHandler(this)
  }

  /**
   * Resolves true when a worker has taken the record; false, and the record is counted as dropped, when none did
   * within `timeout`. Bytes and streams must be left alone until then. Rejects with `ERR_CLOSED`, and with
   * `ERR_SOURCE` if a stream fails, of which nothing is published then.
   */
  write(record: string | Uint8Array | Readable): Promise<boolean> {
    if (this.#closed !== undefined) return refused(this.#closedError())
    if (this.#waiting.length === 0) {
      const worker = this.#idleWorker()
      if (worker !== undefined) return this.#give(worker, record)
    }
    // A stream that fails while it waits says so when it is read; until then nobody else listens.
    if (typeof record !== 'string' && !(record instanceof Uint8Array)) record.on('error', () => {})
    return this.#waiting.add(record, sizeOf(record))
  }

  /** Publishes everything accepted before this call. Rejects with `ERR_SYNC` if `'disk'` could not be reached. */
  async flush(to: Durability | FlushCallback = this.#options.durability): Promise<void> {
    if (typeof to === 'function') return this.flush().then(() => to(), to)
    if (this.#closed !== undefined) throw this.#closedError()
    if (to === 'none') return
    await this.#retry.keepAlive(this.#flush(to))
  }

  /** The same on this thread, for exit paths: streams that are being read are not waited for. */
  flushSync(to: Durability = this.#options.durability): void {
    if (this.#account.state === 'closed') throw this.#closedError()
    if (to === 'none') return
    const before = this.#account.syncFailures
    this.#publishAllNow()
    for (let next = this.#waiting.take(); next !== undefined; next = this.#waiting.take()) {
      next.resolve(this.#takeNow(this.#workers[0], next.record))
    }
    this.#workers[0].publishNow()
    if (to === 'disk') runNow(this.#disk, this.#store.syncPublished())
    if (to === 'disk' && this.#account.syncFailures > before) throw this.#account.syncFailure
  }

  close(): Promise<void> {
    this.#closed ??= this.#shutDown()
    return this.#closed
  }

  stats(): SpoolStats {
    const pending = this.#workers.reduce((sum, worker) => sum + worker.pendingBytes, 0)
    return {
      ...this.#account.counters,
      queuedBytes: pending + this.#waiting.bytes,
      state: this.#account.state,
      queued: this.#waiting.length,
      recoveredFiles: this.#store.recoveredFiles
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** For the exit hook: publishes what can be published and says what could not. */
  exitNow(): void {
    if (this.#account.state === 'closed') return
    try {
      this.flushSync()
    } catch (error) {
      this.#account.fail(error)
      this.#countLost()
      this.#account.settle()
    }
  }

  #publishAllNow(): void {
    const failures: unknown[] = []
    for (const worker of this.#workers) {
      try {
        worker.publishNow()
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw failures[0]
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
          await this.#retry.keepAlive(this.#takePieces(worker, record))
          resolve(true)
        } catch (error) {
          this.#account.discard(1, sizeOf(record))
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
      this.#account.discard(1, 0)
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
      const isPublished = await worker.publishAside().catch(() => false)
      if (isPublished) this.#account.recover()
      else if (!this.#retry.hasGivenUp) await this.#attempt(worker, () => worker.publish())
    } catch {
      // Overtaken by flushSync, or given up by close, which accounts for what is left.
    }
  }

  /** Lets a worker do `work`, which does not reject; then it takes waiting records. */
  #occupy(worker: SpoolWorker, work: () => Promise<void>): void {
    this.#busy[worker.index] = work().then(() => {
      this.#busy[worker.index] = undefined
      this.#serve()
    })
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
    const failed = (error: unknown): void => {
      if (error instanceof Superseded) throw error
      this.#account.fail(error)
    }
    let isFirst = true
    await this.#retry.run(async () => {
      if (!isFirst) this.#makeFolders()
      isFirst = false
      await worker.run(steps())
    }, failed)
    this.#account.recover()
  }

  #makeFolders(): void {
    try {
      this.#store.open()
    } catch {
      // What is wrong shows again in the work itself.
    }
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
    const before = this.#account.syncFailures
    await this.#waiting.settled()
    await Promise.all(this.#workers.map((worker) => this.#drain(worker)))
    if (to !== 'disk') return
    if (this.#account.syncFailures > before) throw this.#account.syncFailure
    await run(this.#disk, this.#store.syncPublished(), () => true)
  }

  async #drain(worker: SpoolWorker): Promise<void> {
    const { publications } = worker
    while (worker.pendingBytes > 0 && worker.publications === publications) {
      if (this.#busy[worker.index] === undefined) this.#publish(worker)
      await this.#busy[worker.index]
      if (this.#retry.hasGivenUp) return
    }
    await this.#busy[worker.index]
  }

  async #shutDown(): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const gaveUp = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLOSE_TIMEOUT_MS)
    })
    const flushed = this.#flush(this.#options.durability === 'disk' ? 'disk' : 'os').catch(() => {})
    await this.#retry.keepAlive(Promise.race([flushed, gaveUp]))
    clearTimeout(timer)
    this.#retry.giveUp()
    this.#account.state = 'closing'
    clearTimeout(this.#flushTimer)
    for (const waiting of this.#waiting.clear()) waiting.resolve(false)
    for (const worker of this.#workers) worker.settleAside(false)
    const kept = this.#workers.some((worker) => worker.hasTemp)
    this.#countLost()
    for (const worker of this.#workers) worker.abandon()
    await this.#store.close(kept)
    this.#account.state = 'closed'
    removeExitHandler(this)
    const failure = this.#account.settle()
    if (failure !== undefined) throw failure
  }

  /** Records that nobody will find any more: neither published nor in a temp file that can be recovered. */
  #countLost(): void {
    for (const worker of this.#workers) {
      if (worker.pendingRecords === 0 || worker.isNoted) continue
      const { pendingRecords, pendingBytes } = worker
      this.#account.lost(pendingRecords, pendingBytes, 'closed while the folder could not be written to')
    }
  }

  #closedError(): LogboomError {
    const { path } = this.#options
    return new LogboomError('ERR_CLOSED', `the spool of ${path} is closed`, { path })
  }
}

/** Rejected, but no unhandled rejection: a logger that still writes at the end of a process must not end it. */
function refused(error: Error): Promise<boolean> {
  const result = Promise.reject(error)
  result.catch(() => {})
  return result
}

// The spool as a sink of lines, for transports: each line is one record. Lines that are acknowledged are in a temp
// file, from which they are recovered if this process dies before it publishes them.

import { errorMessage, LogboomError, systemCode } from '../../base/errors.ts'
import { type Disk, realDisk } from '../../io/disk.ts'
import { run, runNow, Superseded } from '../../io/steps.ts'
import { native } from '../../native/index.ts'
import { BaseSink } from '../sink/base-sink.ts'
import type { ControlRequest, Durability } from '../sink/contract.ts'
import { parseSpoolOptions, type SpoolOptions } from './options.ts'
import { SpoolStore } from './spool-store.ts'
import { SpoolWorker } from './spool-worker.ts'

const NEWLINE = 10

export class SpoolLines extends BaseSink {
  /** Nobody else writes to our files, so there is no lock to wait for. */
  protected readonly _lockTimeoutMs = 0
  readonly #disk: Disk
  readonly #store: SpoolStore
  readonly #workers: SpoolWorker[]
  readonly #intervalMs: number
  #current = 0
  #timer: NodeJS.Timeout | undefined
  #syncFailure: unknown
  /** False after a failure to publish, until one succeeds. */
  #isPublishing = true

  /** Opens the folders. Throws `ERR_OPTION`; other failures are retried. */
  constructor(input: SpoolOptions, disk: Disk = realDisk) {
    const options = parseSpoolOptions(input)
    // Lines wait in the temp file, not in memory, so `flushInterval` is the time until they are published.
    super(options.path, { ...options, flushInterval: Math.min(options.flushInterval, 10) })
    this.#disk = disk
    this.#intervalMs = options.flushInterval
    this.#store = new SpoolStore(options, disk, this.counters, {
      announce: (name, ...args) => this.announce(name, ...args),
      warn: (code, message, path) => this.warn(code, message, path),
      lost: (records, _bytes, reason) => {
        this.counters.dropped += records
        this.warn('ERR_LOST', `${records} records are lost: ${reason}`)
      },
      unsynced: (_path, error) => {
        this.#syncFailure = error
      }
    })
    this.#workers = Array.from({ length: options.workers }, (_, index) => new SpoolWorker(index, this.#store))
    this.openNow()
  }

  override async flushLines(to?: Durability): Promise<void> {
    await super.flushLines(to)
    if (to !== 'none') await this.retryUntil(() => this.#tryPublishAll())
  }

  override flushSync(to?: Durability): void {
    super.flushSync(to)
    if (to !== 'none') this.#publishAll()
  }

  override control(request: ControlRequest): boolean {
    if (request.type !== 'rotate') return false
    this.flushLines().catch((error) => this.#warnOf(error))
    return true
  }

  override exitNow(): void {
    super.exitNow()
    if (!this.isClosed) this.#tryPublishAll()
  }

  protected _open(): void {
    this.#store.open()
  }

  protected _writeBatch(lines: Buffer): number {
    let at = 0
    try {
      while (at < lines.length) {
        this.#publishIfFull()
        const worker = this.#workers[this.#current]
        const end = this.#portion(lines, at, worker)
        this.#stage(worker, lines.subarray(at, end))
        at = end
        this.#publishIfFull()
        this.#schedule()
      }
    } catch (error) {
      if (at === 0) throw error
      // What was staged is safe; a file that could not be published is tried again before the next line.
      this.#schedule()
    }
    return at
  }

  protected async _sync(): Promise<void> {
    for (const worker of this.#workers) {
      try {
        await worker.run(worker.stage(true))
      } catch (error) {
        // Published in the meantime, with what that takes for durability.
        if (!(error instanceof Superseded)) throw error
      }
    }
    await run(this.#disk, this.#store.syncPublished(), () => true)
    this.#throwSyncFailure()
  }

  protected _syncNow(): void {
    for (const worker of this.#workers) runNow(this.#disk, worker.stage(true))
    runNow(this.#disk, this.#store.syncPublished())
    this.#throwSyncFailure()
  }

  // The worker leaves a file whose sync failed by itself.
  protected _seal(): void {}

  protected async _close(): Promise<void> {
    clearTimeout(this.#timer)
    this.#tryPublishAll()
    const kept = this.#workers.some((worker) => worker.hasTemp)
    for (const worker of this.#workers) worker.abandon()
    await this.#store.close(kept)
  }

  /** The end of the lines from `at` on that make the worker's file full, or of all. */
  #portion(lines: Buffer, at: number, worker: SpoolWorker): number {
    const room = this.#store.size - worker.pendingBytes
    if (lines.length - at <= room) return lines.length
    return lines.indexOf(NEWLINE, at + room - 1) + 1
  }

  #stage(worker: SpoolWorker, lines: Buffer): void {
    const mark = worker.mark()
    try {
      worker.beginRecord()
      for (let at = 0; at < lines.length; ) {
        const count = worker.append(lines, at)
        at += count
        if (count === 0) runNow(this.#disk, worker.spill())
      }
      worker.endRecord(native.countLines(lines, 0, lines.length))
      // Without notes a temp file is lost with its process, so only a published file can be acknowledged.
      if (native.canLock) runNow(this.#disk, worker.stage(false))
      else this.#publish(worker)
    } catch (error) {
      worker.returnTo(mark)
      throw error
    }
  }

  #publishIfFull(): void {
    const worker = this.#workers[this.#current]
    if (worker.isFull) this.#publish(worker)
  }

  #publish(worker: SpoolWorker): void {
    worker.publishNow()
    if (worker.index === this.#current) this.#current = (this.#current + 1) % this.#workers.length
  }

  #publishAll(): void {
    for (const worker of this.#workers) {
      if (worker.pendingBytes > 0) this.#publish(worker)
    }
  }

  /** What cannot be published stays in its temp file; that is reported once until it works again. */
  #tryPublishAll(): boolean {
    try {
      this.#publishAll()
      this.#isPublishing = true
      return true
    } catch (error) {
      this.counters.errors++
      if (this.#isPublishing) this.#warnOf(error)
      this.#isPublishing = false
      return false
    }
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#intervalMs === 0) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      if (!this.#tryPublishAll()) this.#schedule()
    }, this.#intervalMs)
    this.#timer.unref()
  }

  #throwSyncFailure(): void {
    const failure = this.#syncFailure
    this.#syncFailure = undefined
    if (failure !== undefined) throw failure
  }

  #warnOf(error: unknown): void {
    if (error instanceof LogboomError && error.code === 'ERR_CLOSED') return
    this.warn(systemCode(error) ?? 'ERR_IO', `${this.path}: ${errorMessage(error)}`)
  }
}

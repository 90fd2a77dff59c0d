// The spool as the target of a pump: each line is one record. Lines that were written are in a temp file, from which
// they are recovered if this process dies before it publishes them.
import { LogboomError } from '../../base/errors.ts'
import type { Disk } from '../../io/disk.ts'
import { FolderSyncError, run, runNow, Superseded } from '../../io/steps.ts'
import { native } from '../../native/index.ts'
import type { Dropped } from '../queue/byte-queue.ts'
import type { Account } from '../sink/account.ts'
import { NotSyncableError, PermanentError, type SyncLevel, type Target } from '../sink/target.ts'
import type { ParsedSpoolOptions } from './options.ts'
import { SpoolStore } from './spool-store.ts'
import { SpoolWorker } from './spool-worker.ts'
import { TempSyncError } from './temp-file.ts'

const NEWLINE = 10
/** A publication comes once in `flushInterval` or with a full file. */
const OVERTAKEN_ATTEMPTS = 100

/** What publishing tells the sink. */
export interface Publishing {
  failed(error: unknown): void
  works(): void
}

export class SpoolTarget implements Target {
  /** Nobody else writes to our files, so there is no lock to wait for. */
  readonly lockTimeoutMs = 0
  readonly isStaging = false
  readonly #disk: Disk
  readonly #account: Account
  readonly #store: SpoolStore
  readonly #workers: readonly SpoolWorker[]
  readonly #intervalMs: number
  readonly #publishing: Publishing
  readonly #lost: Dropped = { lines: 0, bytes: 0 }
  #current = 0
  #hasFailed = false
  #isClosed = false
  /** What `close` left in temp files may not be on disk. */
  #isTempUnsynced = false
  #timer: NodeJS.Timeout | undefined

  constructor(
    options: ParsedSpoolOptions,
    disk: Disk,
    now: () => number,
    account: Account,
    publishing: Publishing
  ) {
    this.#disk = disk
    this.#account = account
    this.#intervalMs = options.flushInterval
    this.#publishing = publishing
    const lost = (records: number, bytes: number, reason: string): void => this.#lose(records, bytes, reason)
    this.#store = new SpoolStore({ options, disk, now, account, lost })
    this.#workers = Array.from({ length: options.workers }, (_, index) => new SpoolWorker(index, this.#store))
  }

  open(): void {
    this.#store.open()
  }

  write(records: Buffer): number {
    let at = 0
    try {
      this.#reopenAfterFailure()
      while (at < records.length) {
        this.#publishIfFull()
        const worker = this.#workers[this.#current]
        const end = this.#portion(records, at, worker)
        this.#stage(worker, records.subarray(at, end))
        at = end
        this.#publishIfFull()
      }
    } catch (error) {
      this.#hasFailed = true
      if (error instanceof NotSyncableError) throw permanent(error)
      if (at === 0) throw error
      // What was staged is safe; a file that could not be published is tried again before the next line.
    }
    this.#schedule()
    return at
  }

  async sync(to: SyncLevel): Promise<void> {
    if (to === 'os') return
    try {
      for (const worker of this.#workers) await makeDurable(worker, () => !this.#isClosed)
      await run(this.#disk, this.#store.syncPublished(), () => !this.#isClosed)
    } catch (error) {
      if (this.#isClosed) throw this.#closedError()
      throw this.#asFailure(error)
    }
  }

  syncNow(to: SyncLevel): void {
    if (to === 'os') return
    try {
      for (const worker of this.#workers) runNow(this.#disk, worker.stage(true))
      runNow(this.#disk, this.#store.syncPublished())
    } catch (error) {
      throw this.#asFailure(error)
    }
  }

  /** Publishes what dead spools have left in temp files. Does not throw. */
  recoverNow(): void {
    this.#store.recoverNow()
  }

  /** Whether every line written is in a published file. */
  get isPublished(): boolean {
    return this.#workers.every((worker) => worker.pendingBytes === 0)
  }

  /** Whether records are in files, published or not, that may not be on disk, though that was promised. */
  get isUnsynced(): boolean {
    return this.#isTempUnsynced || this.#store.isUnsynced
  }

  /** Publishes everything. Throws the first error, after all were tried. */
  publishAll(): void {
    const failures: unknown[] = []
    this.#reopenAfterFailure()
    for (const worker of this.#workers) {
      try {
        if (worker.pendingBytes > 0) this.#publish(worker)
      } catch (error) {
        failures.push(error)
      }
    }
    this.#hasFailed = failures.length > 0
    if (this.#hasFailed) throw failures[0]
  }

  /** The same; false if something stays in its temp file, which is then reported. */
  tryPublishAll(): boolean {
    try {
      this.publishAll()
      this.#publishing.works()
      return true
    } catch (error) {
      this.#publishing.failed(error)
      return false
    }
  }

  /** What cannot be published stays in its temp file, for the next spool. */
  async close(): Promise<Dropped> {
    // A sync under way begins nothing more.
    this.#isClosed = true
    clearTimeout(this.#timer)
    this.tryPublishAll()
    for (const worker of this.#workers) worker.discardNow()
    try {
      runNow(this.#disk, this.#store.syncPublished())
    } catch {
      // `isUnsynced` tells.
    }
    const lost = { ...this.#lost }
    for (const worker of this.#workers) {
      if (worker.pendingRecords === 0 || worker.isCovered) continue
      lost.lines += worker.pendingRecords
      lost.bytes += worker.pendingBytes
    }
    this.#isTempUnsynced = this.#store.folders.durable && this.#workers.some((worker) => worker.isUnsynced)
    const isKept = this.#workers.some((worker) => worker.hasTemp)
    for (const worker of this.#workers) worker.abandon()
    await this.#store.close(isKept)
    return lost
  }

  /** The end of the lines from `at` on that make the worker's file full, or of all. */
  #portion(lines: Buffer, at: number, worker: SpoolWorker): number {
    const room = this.#store.size - worker.pendingBytes
    if (lines.length - at <= room) return lines.length
    return lines.indexOf(NEWLINE, at + room - 1) + 1
  }

  #stage(worker: SpoolWorker, lines: Buffer): void {
    const savepoint = worker.savepoint()
    try {
      worker.beginRecord()
      for (let at = 0; at < lines.length; ) {
        const count = worker.append(lines, at)
        at += count
        if (count === 0) runNow(this.#disk, worker.spill())
      }
      worker.endRecord(native.countLines(lines, 0, lines.length))
      // Without manifests a temp file is lost with its process, so only a published file can be acknowledged.
      if (native.canLock) runNow(this.#disk, worker.stage(false))
      else this.#publish(worker)
    } catch (error) {
      worker.rollbackTo(savepoint)
      throw error
    }
  }

  /** Somebody may have removed the folders. */
  #reopenAfterFailure(): void {
    if (!this.#hasFailed) return
    this.#hasFailed = false
    this.#store.reopen()
  }

  #publishIfFull(): void {
    const worker = this.#workers[this.#current]
    if (worker.isFull) this.#publish(worker)
  }

  #publish(worker: SpoolWorker): void {
    worker.publishNow()
    if (worker.index === this.#current) this.#current = (this.#current + 1) % this.#workers.length
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#intervalMs === 0) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      if (!this.tryPublishAll()) this.#schedule()
    }, this.#intervalMs)
    this.#timer.unref()
  }

  // A worker whose sync failed goes to a new file by itself, with everything that is not durable, so the pump has nothing
  // to write again: the sync only has to be asked for once more.
  #asFailure(error: unknown): unknown {
    if (error instanceof LogboomError) return error
    if (!(error instanceof TempSyncError || error instanceof FolderSyncError)) return error
    return new LogboomError('ERR_SYNC', error.message, { path: this.#account.path, cause: error.cause })
  }

  #closedError(): LogboomError {
    const { path } = this.#account
    return new LogboomError('ERR_CLOSED', `the sink of ${path} was closed before it was flushed`, { path })
  }

  #lose(records: number, bytes: number, reason: string): void {
    this.#lost.lines += records
    this.#lost.bytes += bytes
    this.#account.warn('ERR_LOST', `${records} records (${bytes} bytes) are lost: ${reason}`)
  }
}

/** Makes durable what a worker holds, also if a publication overtakes that: it may have failed. */
async function makeDurable(worker: SpoolWorker, isOpen: () => boolean): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await worker.run(worker.stage(true))
      return
    } catch (error) {
      if (!(error instanceof Superseded) || attempt === OVERTAKEN_ATTEMPTS || !isOpen()) throw error
    }
  }
}

function permanent(error: NotSyncableError): PermanentError {
  return new PermanentError('ERR_UNSUPPORTED', error.message, { path: error.path, cause: error.cause })
}

// The write-ahead log: durable, checksummed, indexed records in etcd's WAL format, with snapshots.

import { errorMessage, LogboomError } from '../../base/errors.ts'
import { type Disk, realDisk } from '../../io/disk.ts'
import { FrameQueue, splitFrames } from '../queue/payload-queue.ts'
import { BaseSink } from '../sink/base-sink.ts'
import type { Durability, SinkEvents, SinkStats } from '../sink/contract.ts'
import { CommitQueue } from './commit-queue.ts'
import { writeDump } from './dump.ts'
import type { Entry } from './entries.ts'
import { LogWriter } from './log-writer.ts'
import { type OpenLog, openLog } from './open-log.ts'
import { type ParsedWalOptions, parseWalOptions, type WriteAheadLogOptions } from './options.ts'
import type { PatienceLimits } from './patience.ts'
import { type RepairedSegment, repairLog } from './repair.ts'
import { type Snapshot, Snapshots } from './snapshots.ts'
import { verifyLog, type WalReport } from './verify.ts'
import type { IndexRange, WalRecords, WriterHooks } from './writer-contract.ts'

/** So much is written at most before a sync, whatever the durability: it is kept in memory until then. */
const MAX_UNSYNCED_BYTES = 16 * 1024 * 1024
/** thread-stream gives a closing worker ten seconds. */
const CLOSE_TIMEOUT_MS = 8_000

/** What tests replace. */
export interface WalInternals {
  disk?: Disk
  patience?: PatienceLimits
  /** Syncs shorter than this may be made on the calling thread. */
  shortSyncMs?: number
}

interface Running {
  readonly log: OpenLog
  readonly writer: LogWriter
  readonly snapshots: Snapshots
}

export class WriteAheadLog extends BaseSink {
  protected readonly _lockTimeoutMs = 0
  readonly #options: ParsedWalOptions
  readonly #disk: Disk
  readonly #patience: PatienceLimits | undefined
  readonly #commits: CommitQueue
  /** Whether records are acknowledged only when they are on disk. */
  readonly #isDurable: boolean
  #running: Running | undefined
  #closing: Promise<void> | undefined
  #syncTimer: NodeJS.Timeout | undefined
  #degradations = 0
  #failure: LogboomError | undefined
  readonly #failed: Promise<never>
  #rejectFailed: (error: LogboomError) => void = () => {}
  /** Lines of the stream that are being appended right now. */
  #lines: Buffer[] = []

  /** Checks the options (`ERR_OPTION`); `start` opens the log. */
  constructor(input: WriteAheadLogOptions, internals: WalInternals = {}) {
    const options = parseWalOptions(input)
    const isDurable = options.durability === 'disk' && options.syncInterval === 0
    super(
      options.walDir,
      { ...options, durability: isDurable || options.durability === 'none' ? options.durability : 'os' },
      new FrameQueue('lines')
    )
    this.#options = options
    this.#disk = internals.disk ?? realDisk
    this.#patience = internals.patience
    this.#isDurable = isDurable
    this.#failed = new Promise((_, reject) => {
      this.#rejectFailed = reject
    })
    this.#failed.catch(() => {})
    this.#commits = new CommitQueue(
      {
        writer: () => this.#writer(),
        settle: () => this.#settle(),
        settleNow: () => this.#settleNow(),
        degraded: (error) => this.#announceDegraded(error),
        recovered: () => this.announce('recovered')
      },
      internals.shortSyncMs
    )
  }

  /** Creates a log object and starts it. */
  static async open(options: WriteAheadLogOptions, internals?: WalInternals): Promise<WriteAheadLog> {
    const log = new WriteAheadLog(options, internals)
    await log.start()
    return log
  }

  /** Like `open` for transports: where opening fails for a reason that may pass, it is tried again with each write. */
  static openSync(options: WriteAheadLogOptions, internals?: WalInternals): WriteAheadLog {
    const log = new WriteAheadLog(options, internals)
    log.openNow()
    return log
  }

  /**
   * Opens the folder and recovers what is there; blocks the thread meanwhile. Rejects with `ERR_LOCKED`,
   * `ERR_CORRUPT`, `ERR_FORMAT`, `ERR_OPTION` (other metadata) or `ERR_IO`.
   */
  async start(): Promise<void> {
    this.#writer()
  }

  /** Index of the last entry that is on disk; 0 if there is none. */
  get durableIndex(): bigint {
    return this.#running?.writer.durableIndex ?? 0n
  }

  /** Index of the last entry; 0 if there is none. */
  get lastIndex(): bigint {
    return this.#running?.writer.lastIndex ?? 0n
  }

  /** Index of the last entry that a released snapshot covers; 0 if there is none. */
  get snapshotIndex(): bigint {
    return this.#running?.snapshots.releasedIndex ?? 0n
  }

  /**
   * Appends the records as one batch: after a crash either all of them are there or none. Resolves with their
   * indices when they are on disk (with `syncInterval` or `durability: 'os'`: when the kernel has them). The bytes
   * must not change before. Rejects with `ERR_WAL_FAILED`, `ERR_INDEX_OVERFLOW`, `ERR_OVERFLOW`, `ERR_CLOSED`.
   */
  log(batch: WalRecords): Promise<IndexRange> {
    if (this.#closing !== undefined) return Promise.reject(this.#closedError())
    if (batch.length === 0) return Promise.reject(emptyBatch())
    let bytes = 0
    for (const record of batch) bytes += record.length
    if (this.#commits.queuedBytes > 0 && this.#commits.queuedBytes + bytes > this.#options.maxBufferBytes) {
      const refused = this.#makeRoom(batch.length)
      if (refused !== undefined) return Promise.reject(refused)
    }
    return this.#commits.push(batch, bytes)
  }

  /** The same on this thread: the records are on disk when it returns, whatever the options. Throws the same. */
  logSync(batch: WalRecords): IndexRange {
    if (this.#closing !== undefined) throw this.#closedError()
    if (batch.length === 0) throw emptyBatch()
    return this.#writer().appendNow(batch)
  }

  /**
   * The entries since the last released snapshot, or undefined if there are none. Only one snapshot is out at a
   * time: a second call waits for the release of the first.
   */
  async createSnapshot(): Promise<Snapshot | undefined> {
    if (this.#closing !== undefined) throw this.#closedError()
    return this.#use().snapshots.create()
  }

  /**
   * The entries from `fromIndex` (default: the first there is) up to the last one on disk now. `ERR_NOT_FOUND` if
   * they begin with entries that were removed after a snapshot.
   */
  async *read(fromIndex?: bigint): AsyncGenerator<Entry, void, undefined> {
    const { writer, snapshots } = this.#use()
    const to = writer.durableIndex
    const first = snapshots.firstIndex()
    if (fromIndex !== undefined && fromIndex < first && first > 1n) {
      const message = `entries before ${first} were removed from ${this.path} after a snapshot`
      throw new LogboomError('ERR_NOT_FOUND', message, { path: this.path })
    }
    yield* snapshots.read(fromIndex ?? first, to)
  }

  /** Reads everything and reports what is wrong; changes nothing. Works without `start`. */
  verify(): Promise<WalReport> {
    return verifyLog(this.#options.walDir, this.#disk)
  }

  /**
   * Cuts a damaged log off at the damage, keeping every file that is changed or removed as `.broken`. Only before
   * `start`, which does the harmless part (a torn tail) by itself. Throws `ERR_LOCKED`.
   */
  async repair(): Promise<RepairedSegment[]> {
    if (this.#running !== undefined) return []
    const repaired = repairLog(this.#options.walDir, this.#disk)
    for (const { path, bytes } of repaired) this.#announceRepaired(path, bytes)
    return repaired
  }

  override async flushLines(to: Durability = this.#flushLevel()): Promise<void> {
    await this.#commits.idle()
    await Promise.race([super.flushLines(to), this.#failed])
    if (to === 'disk') await this.#running?.writer.sync()
  }

  override flushSync(to: Durability = this.#flushLevel()): void {
    super.flushSync(to)
    if (to === 'none') return
    this.#commits.appendNow()
    if (to === 'disk') this.#running?.writer.syncNow()
  }

  override close(): Promise<void> {
    this.#closing ??= this.#closeLog()
    return this.#closing
  }

  override stats(): SinkStats {
    const stats = super.stats()
    const queuedBytes = stats.queuedBytes + this.#commits.queuedBytes
    let { state } = stats
    if (state === 'open' || state === 'degraded') {
      if (this.#failure !== undefined) state = 'failed'
      else if (this.#running === undefined) state = 'opening'
      else if (this.#degradations > 0) state = 'degraded'
    }
    return { ...stats, queuedBytes, state }
  }

  protected _open(): void {
    if (this.#running !== undefined) return
    const log = openLog(this.#disk, this.#options, this.counters)
    const { metadata } = log
    const writer = new LogWriter(
      this.#disk,
      { ...this.#options, metadata, patience: this.#patience },
      this.counters,
      this.#writerHooks(),
      log.segment,
      log.position
    )
    const released = log.recovered?.snapshotIndex ?? 0n
    const snapshots = new Snapshots(this.#disk, this.#options, writer, released)
    this.#running = { log, writer, snapshots }
    const repaired = log.recovered?.repaired
    if (repaired !== undefined) this.#announceRepaired(repaired.path, repaired.bytes)
  }

  protected _writeBatch(frames: Buffer): number {
    const { writer } = this.#use()
    this.#lines = splitFrames(frames)
    try {
      writer.append([this.#lines])
    } finally {
      this.#lines = []
    }
    this.#syncLater()
    return frames.length
  }

  protected async _sync(): Promise<void> {
    await this.#use().writer.sync()
  }

  protected _syncNow(): void {
    this.#use().writer.syncNow()
  }

  /** The writer leaves a failed segment by itself. */
  protected _seal(): void {}

  protected async _close(): Promise<void> {
    clearTimeout(this.#syncTimer)
    const running = this.#running
    if (running === undefined) return
    running.snapshots.close(this.#closedError())
    try {
      await running.writer.close()
    } catch (error) {
      this.#failure ??= error as LogboomError
    }
    running.log.lock.release()
  }

  /** One episode for the application, however many of its parts notice it. */
  protected override announce<E extends keyof SinkEvents>(name: E, ...args: SinkEvents[E]): void {
    if (name === 'degraded' && this.#degradations++ > 0) return
    if (name === 'recovered') {
      this.#degradations = Math.max(0, this.#degradations - 1)
      if (this.#degradations > 0) return
    }
    super.announce(name, ...args)
  }

  async #closeLog(): Promise<void> {
    const timer = setTimeout(() => this.#running?.writer.end(), CLOSE_TIMEOUT_MS)
    // Waits for the batches of `log`, too: it begins with `flushLines`.
    await super.close().finally(() => clearTimeout(timer))
    if (this.#failure !== undefined) throw this.#failure
  }

  #use(): Running {
    this.#writer()
    return this.#running!
  }

  #writer(): LogWriter {
    if (this.#running !== undefined) return this.#running.writer
    if (this.#closing !== undefined) throw this.#closedError()
    try {
      this._open()
    } catch (error) {
      if (error instanceof LogboomError) throw error
      throw new LogboomError('ERR_IO', `${this.path}: ${errorMessage(error)}`, {
        path: this.path,
        cause: error
      })
    }
    this.openNow()
    return this.#running!.writer
  }

  /** What an acknowledgement waits for. */
  #settle(): Promise<void> | undefined {
    const { writer } = this.#use()
    if (this.#isDurable) return writer.sync()
    this.#syncLater()
    return undefined
  }

  #settleNow(): boolean {
    if (!this.#isDurable) return false
    try {
      this.#use().writer.syncNow()
      return true
    } catch {
      // The other way waits as long as the cause may pass.
      return false
    }
  }

  #syncLater(): void {
    if (this.#isDurable) return
    const { writer } = this.#use()
    if (writer.unsyncedBytes > 2 * MAX_UNSYNCED_BYTES) writer.syncNow()
    else if (writer.unsyncedBytes > MAX_UNSYNCED_BYTES) writer.sync().catch(() => {})
    if (this.#options.syncInterval === 0 || this.#syncTimer !== undefined) return
    this.#syncTimer = setTimeout(() => {
      this.#syncTimer = undefined
      writer.sync().catch(() => {})
    }, this.#options.syncInterval)
    this.#syncTimer.unref()
  }

  #flushLevel(): Durability {
    return this.#options.durability === 'none' ? 'os' : this.#options.durability
  }

  /** Undefined if there is room now. */
  #makeRoom(records: number): LogboomError | undefined {
    if (this.#options.overflow === 'block') {
      try {
        this.#commits.appendNow()
        return undefined
      } catch (error) {
        return error as LogboomError
      }
    }
    this.counters.dropped += records
    const message = `more than ${this.#options.maxBufferBytes} bytes wait to be written to ${this.path}`
    return new LogboomError('ERR_OVERFLOW', message, { path: this.path })
  }

  #writerHooks(): WriterHooks {
    return {
      rotated: (from, to, bytes) => this.announce('rotated', { from, to, bytes }),
      warning: (error) => this.warn(error.code, error.message),
      degraded: (error) => this.#announceDegraded(error),
      recovered: () => this.announce('recovered'),
      failed: (error, records, crc) => this.#onFailed(error, records, crc)
    }
  }

  #onFailed(error: LogboomError, encoded: Uint8Array[], crc: number): void {
    this.#failure = error
    this.#rejectFailed(error)
    this.warn(error.code, error.message)
    const { dumpOnFailure, mode } = this.#options
    const { writer, log } = this.#running!
    if (dumpOnFailure === undefined) return
    const batches = [...this.#commits.waiting]
    if (this.#lines.length > 0) batches.push(this.#lines)
    try {
      const { durableIndex, nextIndex } = writer
      const content = { metadata: log.metadata, durableIndex, encoded, crc, nextIndex, batches }
      const path = writeDump(this.#disk, dumpOnFailure, mode, content)
      this.warn('ERR_WAL_FAILED', `records that were not acknowledged are in ${path}`, path)
    } catch (dumpError) {
      this.warn('ERR_LOST', `cannot save unacknowledged records: ${errorMessage(dumpError)}`, dumpOnFailure)
    }
  }

  #announceDegraded(error: LogboomError): void {
    this.announce('degraded', { code: error.code, message: error.message, path: this.path })
  }

  #announceRepaired(path: string, bytes: number): void {
    this.counters.repairs++
    this.announce('repaired', { path, bytes })
  }

  #closedError(): LogboomError {
    return new LogboomError('ERR_CLOSED', `the log in ${this.path} is closed`, { path: this.path })
  }
}

function emptyBatch(): LogboomError {
  return new LogboomError('ERR_OPTION', 'wal: a batch must hold at least one record')
}

/** The lines without their ends; views of the same memory. */

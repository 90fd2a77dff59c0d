// Records from any thread of this process to one file, through double-buffered shared memory and O_DIRECT.
import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { native } from '../../native/index.ts'
import { BaseSink } from '../base-sink.ts'
import { realDisk } from '../disk.ts'
import { LogboomError, systemCode } from '../errors.ts'
import { Lock } from '../lock.ts'
import { openFile } from '../open-file.ts'
import type { ControlRequest, Durability, SinkStats } from '../sink.ts'
import type { FlusherMessage, FlusherOptions } from './flusher.ts'
import { inspect } from './frame-file.ts'
import { type DirectFileOptions, type ParsedDirectFileOptions, parseDirectFileOptions } from './options.ts'
import {
  control,
  createMemory,
  type DirectFileHandle,
  OFFSET_MASK,
  runState,
  SharedMemory,
  slot,
  statistic
} from './shared-memory.ts'
import { attachWriter, DirectWriter } from './writer.ts'

/** How often a thread that waits for the flusher looks whether it still lives. */
const WAIT_MS = 100
/** How long a commit blocks its thread. */
const COMMIT_WAIT_MS = 50
/** thread-stream gives a closing worker ten seconds, and the base has waited for a flush before. */
const CLOSE_TIMEOUT_MS = 1_500
const EXIT_TIMEOUT_MS = 8_000

/** Counters of `getStatsSnapshot()`. */
export interface DirectFileCounters {
  /** Records offered, dropped ones included. */
  totalLogs: number
  droppedLogs: number
  /** Bytes in the file, headers and padding included. */
  bytesWritten: number
  /** Sets of shards that were written. */
  flushes: number
  /** Failed attempts to write. */
  flushErrors: number
  setSwaps: number
}

/** Durations in ms. */
export interface FlushMetrics {
  totalFlushes: number
  avgFlushDuration: number
  maxFlushDuration: number
  /** The part of a flush that is I/O. */
  avgWriteDuration: number
  maxWriteDuration: number
  /** Share of the time of all flushes that was I/O, in percent. */
  writePercent: number
  /** Sets of shards that wait to be written or are being written: 0 or 1. */
  flushQueueDepth: number
  /** Swaps that could not be made because the other set was not written yet. */
  blockedSwaps: number
}

export interface ShardStats {
  shardId: number
  /** Records written to disk from this shard of either set. */
  writeCount: number
  /** Bytes used in the set that is filling. */
  bytesUsed: number
  capacity: number
  utilizationPct: number
}

export class DirectFile extends BaseSink {
  // Back-pressure, not a lock: it lasts as long as the disk takes.
  protected readonly _lockTimeoutMs = Number.POSITIVE_INFINITY
  readonly #handle: DirectFileHandle
  readonly #memory: SharedMemory
  readonly #writer: DirectWriter
  readonly #worker: Worker
  readonly #lock: Lock | undefined
  readonly #waiting = new Map<number, () => void>()
  readonly #ended: Promise<void>
  /** Whether `commit` is true only when the records are on disk. */
  readonly #acknowledges: boolean
  #commits = 0
  #refs = 0
  #refusedSeen = 0

  /**
   * Opens the file. Throws `ERR_OPTION`, `ERR_LOCKED`, `ERR_NOT_FILE`, `ERR_SYMLINK`, `ERR_FORMAT` (what is at
   * the path is no direct file), `ERR_UNSUPPORTED` (`directIO: 'require'`); other failures are retried.
   */
  constructor(input: DirectFileOptions) {
    const options = parseDirectFileOptions(input)
    // For the base, a record is written once it is in the shared memory; how it gets from there to the disk, and
    // when, is told here. Without acknowledgement lines need not wait in the base's queue.
    const flushInterval = options.durability === 'none' ? 0 : options.flushInterval
    super(options.path, { ...options, flushInterval, durability: 'none' })
    this.#acknowledges = options.durability !== 'none' && options.overflow === 'block'
    this.#lock = takeLock(options)
    try {
      checkFile(options)
      this.#handle = {
        buffer: createMemory(options.shape),
        shape: options.shape,
        channel: `logboom-${randomUUID()}`,
        path: options.path,
        overflow: options.overflow,
        maxLargeBytes: options.maxBufferBytes
      }
      this.#memory = new SharedMemory(this.#handle)
      this.#writer = new DirectWriter(this.#memory)
    } catch (error) {
      this.#lock?.close()
      throw error
    }
    this.#worker = startFlusher(this.#handle, options)
    this.#worker.on('message', (message: FlusherMessage) => this.#receive(message))
    this.#ended = new Promise((resolve) => {
      this.#worker.on('error', (error) => this.warn('ERR_IO', `the flusher of ${this.path} failed: ${error}`))
      this.#worker.once('exit', () => {
        this.#died()
        resolve()
      })
    })
    this.openNow()
  }

  /** A writer for the thread that calls it; `handle` comes from `share()` of a `DirectFile` in this process. */
  static attach(handle: DirectFileHandle): DirectWriter {
    return attachWriter(handle)
  }

  /** What other threads need for `DirectFile.attach`: can be posted or passed as `workerData`. */
  share(): DirectFileHandle {
    return this.#handle
  }

  /** Logs `message` as one record; false if it was dropped. See `DirectWriter.log`. */
  log(message: string): boolean {
    return this.#writer.log(message)
  }

  /** Logs `data` as one record; false if it was dropped. See `DirectWriter.logBytes`. */
  logBytes(data: Uint8Array): boolean {
    return this.#writer.logBytes(data)
  }

  /** Rotates now. Resolves when the file has its backup name. */
  async rotate(): Promise<void> {
    Atomics.add(this.#memory.words, control.rotateAsked, 1)
    await this.flush()
  }

  override commit(chunk: string | Uint8Array): boolean {
    if (!this.#acknowledges) return super.commit(chunk)
    this.write(chunk)
    const commit = ++this.#commits
    if (this.writeLinesNow()) {
      try {
        this.#flushMemoryNow(COMMIT_WAIT_MS)
        return true
      } catch {
        // The disk is slow or failing, and this thread must not be blocked for long.
      }
    }
    const settle = (): void => {
      if (commit === this.#commits) this.announce('drain')
    }
    this.flushLines().then(settle, settle)
    return false
  }

  override async flushLines(to?: Durability): Promise<void> {
    if (to === 'none') return
    await super.flushLines('os')
    await this.#flushMemory()
  }

  override flushSync(to?: Durability): void {
    if (to === 'none') return
    super.flushSync('os')
    this.#flushMemoryNow(EXIT_TIMEOUT_MS)
  }

  override control(request: ControlRequest): boolean {
    if (request.type !== 'rotate') return false
    this.rotate().catch((error) => this.warn(systemCode(error) ?? 'ERR_IO', String(error)))
    return true
  }

  override stats(): SinkStats {
    const base = super.stats()
    const { statistics, words } = this.#memory
    const state = Atomics.load(words, control.state)
    return {
      ...base,
      records: statistics[statistic.records],
      bytes: statistics[statistic.bytesWritten],
      dropped: this.#dropped(),
      writes: statistics[statistic.writes],
      syncs: statistics[statistic.syncs],
      rotations: statistics[statistic.rotations],
      errors: base.errors + statistics[statistic.flushErrors],
      queuedBytes: base.queuedBytes + this.#bytesInMemory(),
      state: base.state === 'open' && state === runState.degraded ? 'degraded' : base.state
    }
  }

  getStatsSnapshot(): DirectFileCounters {
    const { statistics, words } = this.#memory
    const dropped = this.#dropped()
    const logged = statistics[statistic.goneRecords] + this.#memory.sumOfWriters(slot.records)
    return {
      totalLogs: logged + dropped,
      droppedLogs: dropped,
      bytesWritten: statistics[statistic.bytesWritten],
      flushes: statistics[statistic.flushes],
      flushErrors: statistics[statistic.flushErrors],
      setSwaps: Atomics.load(words, control.swaps)
    }
  }

  getFlushMetrics(): FlushMetrics {
    const { statistics, words } = this.#memory
    const flushes = statistics[statistic.flushes]
    const flushMs = statistics[statistic.flushMs]
    const writeMs = statistics[statistic.writeMs]
    return {
      totalFlushes: flushes,
      avgFlushDuration: flushes === 0 ? 0 : flushMs / flushes,
      maxFlushDuration: statistics[statistic.longestFlushMs],
      avgWriteDuration: flushes === 0 ? 0 : writeMs / flushes,
      maxWriteDuration: statistics[statistic.longestWriteMs],
      writePercent: flushMs === 0 ? 0 : Math.min(100, (writeMs / flushMs) * 100),
      flushQueueDepth: (Atomics.load(words, control.epoch) - Atomics.load(words, control.flushed)) | 0,
      blockedSwaps: Atomics.load(words, control.blockedSwaps)
    }
  }

  getShardStats(): ShardStats[] {
    const { statistics, words, handle } = this.#memory
    const set = Atomics.load(words, control.epoch) & 1
    const capacity = handle.shape.limitBytes
    return Array.from({ length: handle.shape.shards }, (_, shardId) => {
      const bytesUsed = Atomics.load(words, this.#memory.shardWord(set, shardId)) & OFFSET_MASK
      return {
        shardId,
        writeCount: statistics[statistic.shardRecords + shardId],
        bytesUsed,
        capacity,
        utilizationPct: (bytesUsed / capacity) * 100
      }
    })
  }

  /** For the exit hook: records of other threads count, too. */
  override exitNow(): void {
    super.exitNow()
    if (Atomics.load(this.#memory.words, control.state) >= runState.closing) return
    try {
      this.#flushMemoryNow(EXIT_TIMEOUT_MS)
    } catch (error) {
      this.warn('ERR_LOST', `${this.path}: not everything could be written at exit: ${error}`)
    }
  }

  protected _open(): void {}

  protected _writeBatch(lines: Buffer): number {
    this.#writer.countDropped(this.counters.dropped - this.#refusedSeen)
    this.#refusedSeen = this.counters.dropped
    const taken = this.#writer.tryLogLines(lines, 0, lines.length)
    if (taken < lines.length) Atomics.store(this.#memory.words, control.wantSpace, 1)
    return taken
  }

  // Not called, as the base's durability is 'none'.
  protected async _sync(): Promise<void> {}
  protected _syncNow(): void {}
  // The flusher itself leaves a file whose sync failed.
  protected _seal(): void {}

  protected async _close(): Promise<void> {
    const { words } = this.#memory
    this.#writer.countDropped(this.counters.dropped - this.#refusedSeen)
    this.#refusedSeen = this.counters.dropped
    for (const state of [runState.opening, runState.open, runState.degraded]) {
      if (Atomics.compareExchange(words, control.state, state, runState.closing) === state) break
    }
    this.#memory.wake()
    this.#hold()
    const timer = setTimeout(() => void this.#worker.terminate(), CLOSE_TIMEOUT_MS)
    await this.#ended
    clearTimeout(timer)
    const { totalLogs, droppedLogs } = this.getStatsSnapshot()
    const lost = totalLogs - droppedLogs - this.#memory.statistics[statistic.records]
    if (lost > 0) this.warn('ERR_LOST', `closed with ${lost} records not written to ${this.path}`)
    this.#writer.close()
    this.#lock?.close()
  }

  #dropped(): number {
    const { statistics } = this.#memory
    const pending = this.counters.dropped - this.#refusedSeen
    return statistics[statistic.goneDropped] + this.#memory.sumOfWriters(slot.dropped) + pending
  }

  #bytesInMemory(): number {
    const { words, handle } = this.#memory
    let bytes = Atomics.load(words, control.largeKib) * 1024
    const epoch = Atomics.load(words, control.epoch)
    const sets = Atomics.load(words, control.flushed) === epoch ? [epoch & 1] : [0, 1]
    for (const set of sets) {
      for (let shard = 0; shard < handle.shape.shards; shard++) {
        bytes += (Atomics.load(words, this.#memory.shardWord(set, shard)) & OFFSET_MASK) - 8
      }
    }
    return bytes
  }

  /** Resolves when everything logged before is on disk. */
  #flushMemory(): Promise<void> {
    const { words } = this.#memory
    if (Atomics.load(words, control.state) >= runState.closed) return Promise.reject(this.#gone())
    const number = (Atomics.add(words, control.flushAsked, 1) + 1) | 0
    this.#memory.wake()
    this.#hold()
    return new Promise<void>((resolve, reject) => {
      this.#waiting.set(number, () => {
        if (this.#isDone(number)) resolve()
        else reject(this.#gone())
      })
    }).finally(() => this.#letGo())
  }

  #flushMemoryNow(timeoutMs: number): void {
    const { words } = this.#memory
    const number = (Atomics.add(words, control.flushAsked, 1) + 1) | 0
    this.#memory.wake()
    const deadline = performance.now() + timeoutMs
    for (;;) {
      const done = Atomics.load(words, control.flushDone)
      if (((done - number) | 0) >= 0) return
      if (Atomics.load(words, control.state) >= runState.closed) throw this.#gone()
      if (performance.now() >= deadline) {
        const message = `${this.path} could not be written within ${timeoutMs} ms`
        throw new LogboomError('ERR_IO', message, { path: this.path })
      }
      Atomics.wait(words, control.flushDone, done, WAIT_MS)
    }
  }

  #receive(message: FlusherMessage): void {
    switch (message.type) {
      case 'rotated':
        this.announce('rotated', { from: message.from, to: message.to, bytes: message.bytes })
        break
      case 'warning':
        this.warn(message.code, message.message)
        break
      case 'degraded':
        this.announce('degraded', { code: message.code, message: message.message, path: this.path })
        break
      case 'recovered':
        this.announce('recovered')
        break
      case 'flushed':
        for (const [number, settle] of this.#waiting) {
          if (((message.number - number) | 0) < 0) continue
          this.#waiting.delete(number)
          settle()
        }
    }
  }

  #isDone(number: number): boolean {
    return ((Atomics.load(this.#memory.words, control.flushDone) - number) | 0) >= 0
  }

  #died(): void {
    const { words } = this.#memory
    if (Atomics.load(words, control.state) !== runState.closed) {
      Atomics.store(words, control.state, runState.died)
      Atomics.notify(words, control.flushed)
    }
    for (const settle of this.#waiting.values()) settle()
    this.#waiting.clear()
  }

  #gone(): LogboomError {
    const message = `the thread that writes ${this.path} has ended`
    return new LogboomError('ERR_CLOSED', message, { path: this.path })
  }

  /** Keeps the process alive while something waits for the flusher; otherwise the exit hook has the last word. */
  #hold(): void {
    if (this.#refs++ === 0) this.#worker.ref()
  }

  #letGo(): void {
    if (--this.#refs === 0) this.#worker.unref()
  }
}

function startFlusher(handle: DirectFileHandle, options: ParsedDirectFileOptions): Worker {
  const flusher: FlusherOptions = {
    path: options.path,
    maxBytes: options.maxBytes,
    preallocate: options.preallocate,
    directIO: options.directIO,
    mode: options.mode,
    dirMode: options.dirMode,
    mkdir: options.mkdir,
    flushIntervalMs: options.flushInterval,
    flushTimeoutMs: options.flushTimeout
  }
  const worker = new Worker(new URL('./flusher-thread.js', import.meta.url), {
    workerData: { handle, options: flusher },
    // The application's loaders and debug options are not for this thread.
    execArgv: []
  })
  worker.unref()
  return worker
}

/** A direct file has one writing process; undefined where there are no kernel locks to make sure of that. */
function takeLock(options: ParsedDirectFileOptions): Lock | undefined {
  if (!native.canLock) return undefined
  const lock = new Lock(realDisk, options.path, options)
  let state: ReturnType<Lock['acquire']>
  try {
    state = lock.acquire(0)
  } catch (error) {
    if (error instanceof LogboomError) throw error
    // The folder cannot be written now; the flusher goes on trying to open the file.
    return undefined
  }
  if (state === undefined) {
    lock.close()
    const { path } = options
    throw new LogboomError('ERR_LOCKED', `${path} is already open as a direct file`, { path })
  }
  lock.save({ ...state, pid: process.pid, writing: false })
  return lock
}

/** Refusals are thrown by the constructor; whatever else is wrong is for the flusher to retry. */
function checkFile(options: ParsedDirectFileOptions): void {
  const { path } = options
  try {
    const file = openFile(realDisk, path, constants.O_RDWR, options)
    const { size } = realDisk.fstat(file.fd)
    file.release()
    if (size > 0 && inspect(realDisk, path, size) === 'other') {
      throw new LogboomError('ERR_FORMAT', `${path} exists and is not a direct file`, { path })
    }
  } catch (error) {
    if (error instanceof LogboomError) throw error
  }
}

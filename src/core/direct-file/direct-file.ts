// Records from any thread of this process to one file, through double-buffered shared memory and O_DIRECT.
import { constants } from 'node:fs'
import { LogboomError, systemCode } from '../../base/errors.ts'
import { realDisk } from '../../io/disk.ts'
import { openFile } from '../../io/open-file.ts'
import { BaseSink } from '../sink/base-sink.ts'
import type { ControlRequest, Durability, FlushCallback, SinkStats } from '../sink/contract.ts'
import type { FlusherMessage } from './flusher.ts'
import { FlusherLink } from './flusher-link.ts'
import { inspect } from './frame-file.ts'
import { type DirectFileOptions, type ParsedDirectFileOptions, parseDirectFileOptions } from './options.ts'
import { PathLock } from './path-lock.ts'
import { control, type DirectFileHandle, runState } from './shared-memory.ts'
import {
  acceptedRecords,
  counters,
  type DirectFileCounters,
  type FlushMetrics,
  flushMetrics,
  type ShardStats,
  shardStats,
  sinkStats
} from './statistics.ts'
import { attachWriter, DirectWriter } from './writer.ts'

/** How long a commit blocks its thread. */
const COMMIT_WAIT_MS = 50
const EXIT_TIMEOUT_MS = 8_000

export class DirectFile extends BaseSink {
  // Back-pressure, not a lock: it lasts as long as the disk takes.
  protected readonly _lockTimeoutMs = Number.POSITIVE_INFINITY
  readonly #flusher: FlusherLink
  readonly #writer: DirectWriter
  readonly #lock: PathLock
  /** Whether `commit` is true only when the records are on disk. */
  readonly #acknowledges: boolean
  #commits = 0
  /** Drops of the base that the writer has counted. */
  #countedDropped = 0

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
    this.#lock = new PathLock(realDisk, options.path, options)
    try {
      checkFile(options)
      this.#flusher = new FlusherLink(
        {
          shape: options.shape,
          path: options.path,
          overflow: options.overflow,
          maxLargeBytes: options.maxBufferBytes
        },
        { ...options, flushIntervalMs: options.flushInterval, flushTimeoutMs: options.flushTimeout },
        (message) => this.#receive(message)
      )
    } catch (error) {
      this.#lock.close()
      throw error
    }
    this.#writer = new DirectWriter(this.#flusher.memory)
    this.openNow()
  }

  /** A writer for the thread that calls it; `handle` comes from `share()` of a `DirectFile` in this process. */
  static attach(handle: DirectFileHandle): DirectWriter {
    return attachWriter(handle)
  }

  /** What other threads need for `DirectFile.attach`: can be posted or passed as `workerData`. */
  share(): DirectFileHandle {
    return this.#flusher.handle
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
    Atomics.add(this.#flusher.memory.words, control.rotateAsked, 1)
    await this.flush()
  }

  override commit(chunk: string | Uint8Array): boolean {
    if (!this.#acknowledges) return super.commit(chunk)
    this.write(chunk)
    const commit = ++this.#commits
    if (this.writeLinesNow()) {
      try {
        this.#flusher.flushNow(COMMIT_WAIT_MS)
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

  /** Resolves when everything accepted before is on disk, whatever the level. */
  override flush(to?: Durability | FlushCallback): Promise<void> {
    return super.flush(to)
  }

  override async flushLines(to?: Durability): Promise<void> {
    if (to === 'none') return
    await super.flushLines('os')
    await this.#flusher.flush()
  }

  override flushSync(to?: Durability): void {
    if (to === 'none') return
    super.flushSync('os')
    this.#flusher.flushNow(EXIT_TIMEOUT_MS)
  }

  override control(request: ControlRequest): boolean {
    const { words } = this.#flusher.memory
    if (request.type === 'rotate') {
      this.rotate().catch((error) => this.warn(systemCode(error) ?? 'ERR_IO', String(error)))
    } else if (request.type === 'reopen') {
      Atomics.add(words, control.reopenAsked, 1)
      this.#flusher.memory.wake()
    } else return false
    return true
  }

  override stats(): SinkStats {
    const stats = sinkStats(this.#flusher.memory, super.stats())
    stats.dropped += this.counters.dropped - this.#countedDropped
    return stats
  }

  getStatsSnapshot(): DirectFileCounters {
    this.#countDropped()
    return counters(this.#flusher.memory)
  }

  getFlushMetrics(): FlushMetrics {
    return flushMetrics(this.#flusher.memory)
  }

  getShardStats(): ShardStats[] {
    return shardStats(this.#flusher.memory)
  }

  /** For the exit hook: records of other threads count, too. */
  override exitNow(): void {
    super.exitNow()
    if (this.#flusher.state >= runState.closing) return
    try {
      this.#flusher.flushNow(EXIT_TIMEOUT_MS)
    } catch (error) {
      this.warn('ERR_LOST', `${this.path}: not everything could be written at exit: ${error}`)
    }
  }

  protected _open(): void {}

  protected _writeBatch(lines: Buffer): number {
    this.#countDropped()
    return this.#writer.tryLogLines(lines, 0, lines.length)
  }

  // Not called, as the base's durability is 'none'.
  protected async _sync(): Promise<void> {}
  protected _syncNow(): void {}
  protected _seal(): void {}

  protected async _close(): Promise<void> {
    this.#countDropped()
    this.#writer.close()
    await this.#flusher.close()
    const lost = acceptedRecords(this.#flusher.memory) - this.stats().records
    if (lost > 0) this.warn('ERR_LOST', `closed with ${lost} records not written to ${this.path}`)
    this.#lock.close()
  }

  #countDropped(): void {
    this.#writer.countDropped(this.counters.dropped - this.#countedDropped)
    this.#countedDropped = this.counters.dropped
  }

  #receive(message: FlusherMessage): void {
    if (message.type === 'warning') this.warn(message.code, message.message)
    else if (message.type === 'recovered') this.announce('recovered')
    else if (message.type === 'degraded') {
      const { code, message: text } = message
      this.notice(text)
      this.announce('degraded', { code, message: text, path: this.path })
    } else if (message.type === 'rotated') {
      this.announce('rotated', { from: message.from, to: message.to, bytes: message.bytes })
    }
  }
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

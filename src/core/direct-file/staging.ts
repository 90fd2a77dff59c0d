// What a direct file and a folder of direct event files have in common: shared memory, the thread that writes it, the
// lock of the path, and what is told and counted on the way.
import type { LogboomError } from '../../base/errors.ts'
import type { Dropped } from '../queue/byte-queue.ts'
import { addExitHandler, type ExitDeadline, removeExitHandler } from '../sink/at-exit.ts'
import type { FinishedEvent, RemovedEvent } from '../sink/contract.ts'
import { type Internals, internals } from '../sink/internals.ts'
import { STALL_TIMEOUT_MS } from '../sink/progress.ts'
import { PermanentError } from '../sink/target.ts'
import { BackupUpkeep } from './backup-upkeep.ts'
import { FlusherLink } from './flusher/flusher-link.ts'
import type {
  FileClosed,
  FlusherMessage,
  FlusherOptions,
  FlusherRequest
} from './flusher/flusher-protocol.ts'
import { activity, control, runState, statistic } from './memory/shared-memory.ts'
import { DirectWriter } from './memory/writer.ts'
import type { ParsedDirectFileOptions } from './options.ts'
import { PathLock } from './path-lock.ts'
import { bytesInMemory, droppedRecords, openRecords } from './statistics.ts'

/** Of time in which the flusher works without getting anything on disk, one in so many looks counts. */
const WORKING_LOOKS = 8
const LOCK_RETRY_MS = 500

export interface StagingNews {
  rotated(event: { from: string; to: string; bytes: number }): void
  finished(event: FinishedEvent): void
  removed(event: RemovedEvent): void
  warning(code: string, message: string, path: string): void
  degraded(code: string, message: string, path: string): void
  recovered(): void
  /** Nothing will be written any more. */
  failed(error: PermanentError): void
  /** Accepted records were given up. */
  lost(dropped: Dropped): void
  /** What could not be written when the process ended. */
  notice(message: string): void
}

export interface StagingOptions {
  readonly file: ParsedDirectFileOptions
  /** The file, or the folder of a group. */
  readonly path: string
  /** What the lock is named after. */
  readonly lockPath: string
  readonly flusher: Pick<FlusherOptions, 'sync' | 'mustSync' | 'group'>
}

export class Staging {
  readonly link: FlusherLink
  readonly writer: DirectWriter
  readonly upkeep: BackupUpkeep
  readonly #path: string
  readonly #news: StagingNews
  readonly #lock: PathLock
  #lockTimer: NodeJS.Timeout | undefined
  #warnedOfLock = false
  #isDegraded = false
  /** That is why; no file is worse for it. */
  #isDiskFull = false
  /** Flushes that somebody waits for. */
  #flushing = 0
  /** The last caller who blocked for a flush gave up. */
  #wasVain = false
  #looks = 0
  #progress = 0
  #seenProgress = 0
  /** Lost records that were told. */
  #told = 0
  #isClosing = false
  #isClosed = false

  /** Throws `ERR_LOCKED`, `ERR_NOT_FILE` and other refusals; `check` is called under the lock. */
  constructor(
    { file, path, lockPath, flusher }: StagingOptions,
    news: StagingNews,
    resend: () => readonly FlusherRequest[] = () => [],
    check: (disk: Internals['disk']) => void = () => {}
  ) {
    const { disk, now, threadDisk, stallMs } = internals()
    this.#path = path
    this.#news = news
    this.#lock = new PathLock(disk, lockPath, file)
    this.upkeep = new BackupUpkeep(disk, now, file, {
      failed: (error) => news.warning('ERR_IO', `${path}: ${error}`, path),
      warn: (code, message) => news.warning(code, `${path}: ${message}`, path),
      commandFailed: (message) => news.warning('ERR_IO', message, path),
      isPaused: () => this.#isDegraded && !this.#isDiskFull,
      noBackupsLeft: (isSo) => Atomics.store(this.link.memory.words, control.noBackupsLeft, isSo ? 1 : 0),
      finished: (event) => news.finished(event),
      removed: (event) => news.removed(event)
    })
    try {
      check(disk)
      const { shape, overflow, maxBufferBytes } = file
      this.link = new FlusherLink(
        { shape, path, overflow, maxLargeBytes: maxBufferBytes },
        {
          ...flusher,
          path,
          maxBytes: file.maxBytes,
          preallocate: file.preallocate,
          directIO: file.directIO,
          mode: file.mode,
          dirMode: file.dirMode,
          mkdir: file.mkdir,
          flushIntervalMs: file.flushInterval,
          flushTimeoutMs: file.flushTimeout,
          minFreeBytes: file.minFreeBytes,
          diskModule: threadDisk,
          stallMs
        },
        {
          message: (message) => this.#hear(message),
          ended: (error) => this.#degraded(error.code, error.message, path),
          failed: (error) => this.#failed(error)
        },
        resend
      )
      this.writer = new DirectWriter(this.link.memory, () => this.link.look())
    } catch (error) {
      this.#lock.close()
      throw error
    }
  }

  /**
   * To be called when everything else of the sink is set up: it is told at once if there can be no thread now, and at exit it
   * has its turn after the pump.
   */
  start(): void {
    this.link.start()
    addExitHandler(this)
    this.#watchLock()
  }

  /** Why nothing will be written any more. */
  get failure(): PermanentError | undefined {
    const { failure } = this.link
    return failure && new PermanentError(failure.code, textOf(failure), { path: this.#path, cause: failure })
  }

  /** Dropped records that no account has been told of; `passed` are those of the account that writers were told of. */
  untoldDropped(passed: number): number {
    return droppedRecords(this.link.memory) - this.#told - passed
  }

  async flush(): Promise<void> {
    this.#flushing++
    if (this.#lockTimer !== undefined) this.#holdLock()
    try {
      await this.link.flush()
    } catch (error) {
      throw this.failure ?? error
    } finally {
      this.#flushing--
      this.tellLost()
    }
  }

  /** Closes file `tag` of a group; see `FlusherLink.closeFile`. */
  async closeFile(tag: number): Promise<FileClosed> {
    try {
      return await this.link.closeFile(tag)
    } finally {
      this.tellLost()
    }
  }

  /** A wait as long as that of a closing file is one that goes on while the disk does. */
  flushNow(waitMs: number): void {
    this.#wasVain = true
    try {
      this.link.flushNow(waitMs >= STALL_TIMEOUT_MS ? undefined : waitMs)
      this.#wasVain = false
    } catch (error) {
      throw this.failure ?? error
    } finally {
      this.tellLost()
    }
  }

  // The flusher counts before it answers, and its messages come a turn later than what this thread sees in the memory.
  /** Tells of all records given up so far: to be called before anything that covers them is acknowledged. */
  tellLost(): void {
    if (this.#isClosing) return
    const lost = this.#takeLost()
    if (lost > 0) this.#news.lost({ lines: lost, bytes: 0 })
  }

  // Whoever looks takes a number that stays the same for a standstill. A thread that gets no processor stands, too,
  // but it is not the disk that fails: only one look in eight is told so. Between attempts that fail it works, too.
  pending(): { bytes: number; progress: number } {
    const { words } = this.link.memory
    const progress = Atomics.load(words, control.progress)
    const isDegraded = Atomics.load(words, control.state) === runState.degraded
    const isWorking = !isDegraded && Atomics.load(words, control.activity) === activity.working
    if (progress !== this.#seenProgress || (isWorking && ++this.#looks % WORKING_LOOKS !== 0))
      this.#progress++
    this.#seenProgress = progress
    return { bytes: this.#isClosed ? 0 : bytesInMemory(this.link.memory), progress: this.#progress }
  }

  /** Writes what is left unless that has been waited for in vain; resolves with what could not be written. */
  async close(): Promise<Dropped> {
    this.writer.close()
    const bytes = bytesInMemory(this.link.memory)
    this.tellLost()
    this.#isClosing = true
    await this.link.close(this.#flushing > 0)
    await this.upkeep.stop()
    this.#isClosed = true
    clearInterval(this.#lockTimer)
    removeExitHandler(this)
    this.#lock.close()
    const lines = this.#takeLost()
    return { lines, bytes: lines === 0 ? 0 : bytes }
  }

  /** For a process that exits: gives up what is in memory, and says how much that is. Nothing is written afterwards. */
  abandon(): Dropped {
    this.tellLost()
    const bytes = bytesInMemory(this.link.memory)
    this.link.endNow()
    const lines = this.#takeLost()
    return { lines, bytes: lines === 0 ? 0 : bytes }
  }

  /** For the exit hook, after the pump has had its turn. Closing may be under way; records of threads may be left. */
  exitNow(deadline: ExitDeadline): void {
    const { memory, state } = this.link
    if (this.#isClosed || state >= runState.closed) return
    try {
      if (state === runState.closing) this.link.closeNow()
      else if (openRecords(memory) > 0 && !this.#wasVain)
        this.link.flushNow(undefined, Math.round(deadline.patience.totalMs))
    } catch {
      // Said below.
    }
    const lost = openRecords(memory)
    if (lost === 0) return
    memory.statistics[statistic.lost] += lost
    this.#news.notice(`ended with ${lost} records not written to ${this.#path} [ERR_LOST]`)
  }

  #hear(message: FlusherMessage): void {
    const { type } = message
    if (type === 'warning') this.#news.warning(message.code, message.message, message.path)
    else if (type === 'lost') this.tellLost()
    else if (type === 'short') this.upkeep.makeRoom()
    else if (type === 'rotated') {
      const { from, to, bytes } = message
      this.#news.rotated({ from, to, bytes })
      this.upkeep.rotated(from, to, bytes, message.isQuarantine)
    } else if (type === 'degraded') this.#degraded(message.code, message.message, message.path)
    else if (type === 'recovered') {
      this.#isDegraded = false
      this.#holdLock()
      this.#news.recovered()
    } else if (type === 'replaced') {
      this.#news.warning('ERR_REPLACED', message.message, message.path)
      this.#holdLock()
    }
  }

  #degraded(code: string, message: string, path: string): void {
    this.#isDegraded = true
    this.#isDiskFull = code === 'ENOSPC' || code === 'EDQUOT' || code === 'ERR_SPACE'
    if (this.#isDiskFull) this.upkeep.diskFull()
    this.#news.degraded(code, message, path)
  }

  #failed(error: LogboomError): void {
    this.tellLost()
    this.#news.failed(new PermanentError(error.code, textOf(error), { path: this.#path, cause: error.cause }))
  }

  /** How many records were given up and not told of yet. */
  #takeLost(): number {
    const lost = this.link.memory.statistics[statistic.lost] - this.#told
    this.#told += lost
    return lost
  }

  /** With the folder the file of the lock may have gone, or there was no room for it. */
  #holdLock(): void {
    const lock = this.#lock
    if (this.#isClosed) return
    try {
      if (!lock.isMine() && !this.#warnedOfLock) {
        this.#warnedOfLock = true
        const message = `${this.#path} is written by this process, and another holds its lock`
        this.#news.warning('ERR_LOCKED', message, this.#path)
      }
    } catch (error) {
      if (!this.#warnedOfLock) this.#news.warning('ERR_LOCKED', String(error), this.#path)
      this.#warnedOfLock = true
    }
    this.#watchLock()
  }

  /** While there is no room for the lock's file, or no descriptor, it is tried again and again. */
  #watchLock(): void {
    if (this.#lock.isHeld) {
      clearInterval(this.#lockTimer)
      this.#lockTimer = undefined
    } else this.#lockTimer ??= setInterval(() => this.#holdLock(), LOCK_RETRY_MS).unref()
  }
}

/** The message without the code, which is put behind it again. */
function textOf({ message }: LogboomError): string {
  return message.replace(/ \[ERR_[A-Z_]+\]$/, '')
}

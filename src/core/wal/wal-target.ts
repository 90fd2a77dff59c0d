// A write-ahead log as the target of a pump: each line of the stream is a record. Batches of `log` come past the pump, through
// a queue of their own.
import { errorMessage, LogboomError } from '../../base/errors.ts'
import { failpoint } from '../../io/failpoint.ts'
import type { AppendJournal } from '../lane/append-journal.ts'
import type { Dropped } from '../queue/byte-queue.ts'
import { splitFrames } from '../queue/payload-queue.ts'
import type { Account } from '../sink/account.ts'
import type { Internals } from '../sink/internals.ts'
import { settledWhileProgress } from '../sink/progress.ts'
import {
  NotSyncableError,
  nothingDropped,
  PermanentError,
  type SyncLevel,
  type Target
} from '../sink/target.ts'
import { CommitQueue } from './commit-queue.ts'
import type { LogWriter } from './log-writer.ts'
import { notedEntries } from './noted-entries.ts'
import type { ParsedWalOptions } from './options.ts'
import { callersPatience, type PatienceLimits } from './patience.ts'
import { RunningLog } from './running-log.ts'
import { Syncability } from './syncability.ts'
import type { IndexRange, WalRecords } from './writer-contract.ts'

/** So much is written at most before a sync, whatever the durability: it is kept in memory until then. */
const MAX_UNSYNCED_BYTES = 16 * 1024 * 1024

export interface WalTargetHooks {
  degraded(error: LogboomError): void
  recovered(): void
  failed(error: LogboomError): void
}

export class WalTarget implements Target {
  readonly lockTimeoutMs = 0
  readonly isStaging = false
  readonly commits: CommitQueue
  running: RunningLog | undefined
  readonly #internals: Internals
  readonly #syncability: Syncability
  readonly #options: ParsedWalOptions
  readonly #account: Account
  readonly #patience: PatienceLimits
  readonly #hooks: WalTargetHooks
  /** Whether records are acknowledged only when they are on disk. */
  readonly #isDurable: boolean
  #journal: AppendJournal | undefined
  #syncTimer: NodeJS.Timeout | undefined
  /** Lines of the stream that are being appended right now. */
  #lines: Buffer[] = []
  #isClosed = false
  #stallMs: number

  constructor(
    options: ParsedWalOptions,
    isDurable: boolean,
    account: Account,
    replaced: Internals,
    hooks: WalTargetHooks
  ) {
    this.#internals = replaced
    this.#stallMs = replaced.stallMs
    const isRefused = options.durability === 'disk'
    this.#syncability = new Syncability(replaced.disk, options.walDir, isRefused, ({ code, message }) =>
      account.warn(code, message, options.walDir)
    )
    this.#options = options
    this.#isDurable = isDurable
    this.#account = account
    this.#patience = replaced.patience ?? callersPatience
    this.#hooks = hooks
    this.commits = new CommitQueue(
      {
        writer: () => this.#writer(),
        settle: () => this.#settle(),
        commitNow: (batch) => this.#commitNow(batch),
        degraded: (error) => hooks.degraded(error),
        recovered: () => hooks.recovered()
      },
      this.#internals.shortSyncMs
    )
  }

  open(): void {
    if (this.running !== undefined) return
    if (this.#isClosed) throw this.closedError()
    try {
      this.running = new RunningLog(this.#syncability.disk, this.#options, this.#patience, this.#account, {
        degraded: (error) => this.#hooks.degraded(error),
        recovered: () => this.#hooks.recovered(),
        failed: (error) => this.#hooks.failed(error),
        waiting: () =>
          this.#lines.length > 0 ? [...this.commits.waiting, this.#lines] : [...this.commits.waiting],
        now: this.#internals.now
      })
    } catch (error) {
      throw error instanceof NotSyncableError ? permanent(error) : error
    }
  }

  /** The open log, opened if it is not. Throws `ERR_IO` where that may pass. */
  log(): RunningLog {
    if (this.running !== undefined) return this.running
    try {
      this.open()
    } catch (error) {
      if (error instanceof LogboomError) throw error
      const { path } = this.#account
      throw new LogboomError('ERR_IO', `${path}: ${errorMessage(error)}`, { path, cause: error })
    }
    return this.running!
  }

  /** From now on tells `journal` of each append: as offset the index of its first record. */
  noteIn(journal: AppendJournal): void {
    this.#journal = journal
  }

  ready(): boolean {
    const journal = this.#journal
    if (journal?.isUnsettled === true) {
      this.log()
      journal.settle(notedEntries(this.#internals.disk, this.#options.walDir))
    }
    return true
  }

  write(frames: Buffer): number {
    const writer = this.#writer()
    this.#lines = splitFrames(frames)
    const journal = this.#journal?.isNoting === true ? this.#journal : undefined
    let kept = 0
    try {
      // What waits was given before: a batch that came after these lines would have had them written first.
      this.commits.appendNow()
      journal?.appending({ dev: 0n, ino: 0n, offset: Number(writer.nextIndex), length: frames.length })
      const [answer] = writer.append([this.#lines], true)
      if (answer instanceof LogboomError) throw permanent(answer)
      failpoint('appended')
      kept = frames.length
    } catch (error) {
      throw this.#asPermanent(writer, error)
    } finally {
      journal?.appended(kept)
      this.#lines = []
    }
    this.syncLater()
    this.running!.retention.checkNow()
    return frames.length
  }

  async sync(to: SyncLevel): Promise<void> {
    const { writer } = this.log()
    if (to === 'os') return
    try {
      await writer.sync()
      this.requireDisk()
    } catch (error) {
      throw this.#asPermanent(writer, error)
    }
  }

  syncNow(to: SyncLevel): void {
    const { writer } = this.log()
    if (to === 'os') return
    try {
      writer.syncNow()
      this.requireDisk()
    } catch (error) {
      throw this.#asPermanent(writer, error)
    }
  }

  pending(): { bytes: number; progress: number } {
    const durable = Number(BigInt.asUintN(52, this.running?.writer.durableIndex ?? 0n))
    return { bytes: this.commits.queuedBytes, progress: this.commits.progress + durable }
  }

  closeNow(): boolean {
    if (this.commits.queuedBytes > 0 || this.running?.closeNow(this.closedError()) === false) return false
    this.#isClosed = true
    clearTimeout(this.#syncTimer)
    return true
  }

  async close(): Promise<Dropped> {
    this.#isClosed = true
    clearTimeout(this.#syncTimer)
    const progress = (): number => this.pending().progress
    const isIdle = await settledWhileProgress(this.commits.idle(), progress, this.#stallMs)
    const { running } = this
    if (!isIdle) {
      running?.writer.end()
      this.commits.rejectAll(this.closedError())
    }
    return (await running?.close(this.closedError())) ?? nothingDropped
  }

  /** `close` does not wait for what makes no progress. */
  hurry(): void {
    this.#stallMs = 0
  }

  /** Throws `ERR_UNSUPPORTED` where nothing can be on disk. */
  requireDisk(): void {
    this.#syncability.require()
  }

  closedError(): LogboomError {
    const { path } = this.#account
    return new LogboomError('ERR_CLOSED', `the log in ${path} is closed`, { path })
  }

  /** Sees to it that what was appended without a sync is synced in time, and that not too much of it waits. */
  syncLater(): void {
    if (this.#isDurable) return
    const { writer } = this.log()
    if (writer.unsyncedBytes > MAX_UNSYNCED_BYTES) writer.sync().catch(() => {})
    if (this.#options.syncInterval === 0 || this.#syncTimer !== undefined) return
    this.#syncTimer = setTimeout(() => {
      this.#syncTimer = undefined
      writer.sync().catch(() => {})
    }, this.#options.syncInterval)
    this.#syncTimer.unref()
  }

  /** The writer, if it keeps no more in memory than it may. Throws `ERR_IO` where that may pass. */
  #writer(): LogWriter {
    const { writer } = this.log()
    if (writer.unsyncedBytes > 2 * MAX_UNSYNCED_BYTES) writer.syncNow()
    return writer
  }

  /** What an acknowledgement waits for. */
  #settle(): Promise<void> | undefined {
    if (this.#isDurable) return this.log().writer.sync()
    this.syncLater()
    return undefined
  }

  #commitNow(batch: WalRecords): IndexRange | undefined {
    if (!this.#isDurable) return undefined
    try {
      return this.#writer().appendNow(batch)
    } catch {
      // The other way waits as long as the cause may pass, and rejects what cannot be taken.
      return undefined
    }
  }

  /** An error of a log that has failed will not pass. */
  #asPermanent(writer: LogWriter, error: unknown): unknown {
    return writer.failure === undefined || !(error instanceof LogboomError) ? error : permanent(error)
  }
}

function permanent(error: LogboomError): PermanentError {
  const { path, cause } = error
  const message = error.message.replace(/ \[ERR_\w+\]$/, '')
  return new PermanentError(error.code, message, { ...(path !== undefined && { path }), cause })
}

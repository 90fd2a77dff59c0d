// A log that is open: its lock, the writer of its last segment, its snapshots, and what bounds it.
import { basename, dirname, join } from 'node:path'
import { errorMessage, type LogboomError } from '../../base/errors.ts'
import { laterIndex, parseSegmentName } from '../../formats/wal.ts'
import type { Disk } from '../../io/disk.ts'
import { makeFolders } from '../../io/open-file.ts'
import type { Dropped } from '../queue/byte-queue.ts'
import type { Account } from '../sink/account.ts'
import { type ConsumerInfo, Consumers } from './consumers.ts'
import { writeDump } from './dump.ts'
import { FinishedFiles } from './finished-files.ts'
import type { FolderLock } from './folder-lock.ts'
import { makeIdentityQuietly } from './identity.ts'
import { LogWriter } from './log-writer.ts'
import { type OpenLog, openLog } from './open-log.ts'
import type { ParsedWalOptions } from './options.ts'
import type { PatienceLimits } from './patience.ts'
import { ReleaseNote } from './release-note.ts'
import { Retention } from './retention.ts'
import { Snapshots } from './snapshots.ts'
import { syncEntries, syncParent } from './sync-entries.ts'
import type { WalRecords, WriterHooks } from './writer-contract.ts'

/** What the log tells the sink that owns it. */
export interface RunningHooks {
  degraded(error: LogboomError): void
  recovered(): void
  failed(error: LogboomError): void
  /** Batches that were not appended yet, for the dump. */
  waiting(): WalRecords[]
  /** The wall clock, ms since 1970. */
  now(): number
}

export class RunningLog {
  readonly writer: LogWriter
  readonly snapshots: Snapshots
  readonly retention: Retention
  readonly consumers: Consumers
  readonly #disk: Disk
  readonly #options: ParsedWalOptions
  readonly #account: Account
  readonly #hooks: RunningHooks
  readonly #metadata: Uint8Array | undefined
  readonly #note: ReleaseNote
  readonly #identity: string | undefined
  readonly #finished: FinishedFiles
  #lock: FolderLock
  #isReleased = false

  /** Opens the folder. Throws what `openLog` throws. */
  constructor(
    disk: Disk,
    options: ParsedWalOptions,
    patience: PatienceLimits,
    account: Account,
    hooks: RunningHooks
  ) {
    this.#disk = disk
    this.#options = options
    this.#account = account
    this.#hooks = hooks
    const log = openLog(disk, options, account.counters)
    const { metadata, recovered, segment, position, snapDir } = log
    this.#lock = log.lock
    this.#metadata = metadata
    this.#identity = log.identity
    const acknowledgesAppended = options.durability !== 'disk' || options.syncInterval > 0
    const writerOptions = { ...options, metadata, patience, acknowledgesAppended }
    this.writer = new LogWriter(disk, writerOptions, account.counters, this.#writerHooks(), segment, position)
    const released = recovered?.snapshotIndex ?? 0n
    const warn = (error: LogboomError): void => account.warnOf(error)
    const noteOptions = { ...options, snapDir, isOwnFolder: isOwnFolder(options, snapDir) }
    this.#finished = new FinishedFiles(disk, { ...options, snapDir }, account, {
      now: hooks.now,
      snapshots: () => this.#note.names(),
      mayRemove: () => this.#removeWaiting()
    })
    this.#note = new ReleaseNote(disk, noteOptions, this.writer, released, warn, this.#finished)
    this.consumers = new Consumers(disk, options.walDir, log.identity, options.foreignOwner === 'allow')
    this.snapshots = new Snapshots(
      disk,
      options,
      this.writer,
      this.#note,
      released,
      warn,
      this.consumers,
      this.#finished
    )
    this.#tellRepaired(log)
    this.#tellAhead()
    for (const path of log.foreign) {
      account.warn(
        'ERR_OWNER',
        `${path} belongs to another user: what it says of this log is not believed`,
        path
      )
    }
    // Before anything is removed: it knows for which files the command has run.
    this.#finished.start()
    this.retention = new Retention(options, this.snapshots, this.consumers, {
      now: hooks.now,
      removed: (first, last, bytes, late) => this.#tellRemoved(first, last, bytes, late),
      heldUp: (bytes) => this.#tellHeldUp(bytes),
      failed: (error) => account.warnOf(error)
    })
  }

  /** See `Target.closeNow`. */
  closeNow(error: LogboomError): boolean {
    if (!this.writer.closeNow()) return false
    this.retention.close()
    this.snapshots.close(error)
    void this.#finished.stop()
    this.#release()
    return true
  }

  /** Frees everything. Does not throw. Resolves with what was lost with a file that somebody took away. */
  async close(error: LogboomError): Promise<Dropped> {
    this.retention.close()
    this.snapshots.close(error)
    try {
      await this.writer.close()
    } catch (failure) {
      this.#account.warnOf(failure)
    }
    await this.#finished.stop()
    this.#release()
    return this.writer.lost
  }

  #release(): void {
    if (this.#isReleased) return
    this.#isReleased = true
    this.#note.close()
    this.#lock.release()
  }

  #writerHooks(): WriterHooks {
    const { walDir } = this.#options
    return {
      rotated: (from, to, bytes) => {
        this.#lock.note(parseSegmentName(basename(to)))
        this.#account.announce('rotated', { from, to, bytes })
        // Not if its file was taken away, and is made once more.
        if (from !== to) this.#finished.finished(basename(from), bytes)
        this.retention.check()
      },
      warning: (error) => this.#account.warn(error.code, error.message),
      degraded: (error) => this.#hooks.degraded(error),
      recovered: () => this.#hooks.recovered(),
      failed: (error, records, crc) => {
        this.#dump(records, crc)
        this.#hooks.failed(error)
      },
      prepareFolder: () => this.#prepareFolder(),
      releasedIndex: () => this.snapshots.releasedIndex,
      entriesLost: (first, last) => {
        this.snapshots.releasedIndex = laterIndex(last, this.snapshots.releasedIndex)
        const message = `entries ${first} to ${last} of ${walDir} are gone: somebody removed or changed their files`
        this.#account.warn('ERR_CORRUPT', message)
      }
    }
  }

  /** What was not removed as long as it waited for its command. */
  #removeWaiting(): void {
    if (this.snapshots.releasedIndex > 0n) this.snapshots.cleanUp()
    this.retention.check()
  }

  #prepareFolder(): void {
    const { walDir, dirMode, mkdir, foreignOwner } = this.#options
    if (mkdir && !this.#disk.exists(walDir)) {
      makeFolders(this.#disk, walDir, dirMode)
      syncParent(this.#disk, walDir)
    }
    if (this.#lock.isIn(walDir)) return
    this.#lock = this.#lock.replacedBy(walDir, foreignOwner)
    if (this.#identity !== undefined)
      makeIdentityQuietly(this.#disk, walDir, this.#options.mode, this.#identity)
    syncEntries(this.#disk, walDir)
  }

  #dump(encoded: Uint8Array[], crc: number): void {
    const { dumpOnFailure, mode } = this.#options
    if (dumpOnFailure === undefined) return
    const { durableIndex, nextIndex } = this.writer
    const batches = this.#hooks.waiting()
    try {
      const content = { metadata: this.#metadata, durableIndex, encoded, crc, nextIndex, batches }
      const path = writeDump(this.#disk, dumpOnFailure, mode, content)
      this.#account.warn('ERR_WAL_FAILED', `records that were not acknowledged are in ${path}`, path)
    } catch (error) {
      const message = `cannot save unacknowledged records: ${errorMessage(error)}`
      this.#account.warn('ERR_LOST', message, dumpOnFailure)
    }
  }

  #tellRepaired({ recovered }: OpenLog): void {
    const repaired = recovered?.repaired
    if (repaired === undefined) return
    const { path, bytes, lost } = repaired
    this.#account.repaired(path, bytes)
    if (lost === undefined) return
    const message = `${path} was damaged (${lost.reason}): ${bytes} bytes were cut off, everything is kept in ${lost.copy}`
    this.#account.warn('ERR_CORRUPT', message, path)
  }

  /** Indices that a consumer has seen are given again: the consumer will say so, too. */
  #tellAhead(): void {
    const { walDir } = this.#options
    const { lastIndex } = this.writer
    try {
      for (const { name, index } of this.consumers.list()) {
        if (index <= lastIndex) continue
        const message = `consumer ${name} of ${walDir} has acknowledged entry ${index}, but the log ends with ${lastIndex}: it is an older copy`
        this.#account.warn('ERR_CURSOR_LOST', message, walDir)
      }
    } catch (error) {
      // The log is as good as without them.
      this.#account.warnOf(error)
    }
  }

  #tellRemoved(first: bigint, last: bigint, bytes: number, late: readonly ConsumerInfo[]): void {
    const { walDir } = this.#options
    const names = late.map(({ name, index }) => `${name} (at ${index})`).join(', ')
    const lost = late.length === 0 ? '' : `; consumers that had not acknowledged them: ${names}`
    const message = `entries ${first} to ${last} of ${walDir} (${bytes} bytes) were removed to keep its bound${lost}`
    const event = { code: 'ERR_RETENTION', message, path: walDir }
    // Where nobody consumes the log this is what was asked for; a consumer has lost them.
    if (this.snapshots.hasConsumer || late.length > 0) this.#account.warn(event.code, message, walDir)
    else this.#account.announce('warning', event)
  }

  #tellHeldUp(bytes: number): void {
    const { walDir } = this.#options
    const message = `${walDir} is larger than its bound by ${bytes} bytes, because a snapshot that was not released or a reader holds them`
    this.#account.warn('ERR_RETENTION', message, walDir)
  }
}

/** Whether the folder of the snapshots cannot be another log's, too. */
function isOwnFolder({ snapDir, walDir }: ParsedWalOptions, used: string): boolean {
  if (snapDir !== undefined) return false
  return used === `${walDir}.snap` || (basename(walDir) === 'wal' && used === join(dirname(walDir), 'snap'))
}

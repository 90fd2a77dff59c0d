// What several writers append to, as the target of a pump: turns under the lock, repair, rotation by rename, and the
// way around failures. The rules of a kind say what a record is, where a file ends, and how its backups are called.
import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { monotonicMs } from '../../base/clock.ts'
import { errorMessage, LogboomError, systemCode } from '../../base/errors.ts'
import { sleep } from '../../base/sleep.ts'
import { upkeepSlot } from '../../formats/lock-file.ts'
import type { Disk } from '../../io/disk.ts'
import { once } from '../../io/file-mode.ts'
import { cannotSync, openFile, whyNoSync } from '../../io/open-file.ts'
import { native, whyNoAddon } from '../../native/index.ts'
import type { AppendJournal } from '../lane/append-journal.ts'
import type { LaneUnit } from '../lane/lane-codec.ts'
import { laneSettler } from '../lane/settle.ts'
import type { Dropped } from '../queue/byte-queue.ts'
import type { Account } from '../sink/account.ts'
import type { LaneOptions } from '../sink/common-options.ts'
import type { Durability, RotatedEvent, SinkStats } from '../sink/contract.ts'
import { internals } from '../sink/internals.ts'
import {
  DataSyncError,
  NotSyncableError,
  nothingDropped,
  type SyncLevel,
  type Target
} from '../sink/target.ts'
import type { BackupGrammar } from './backup-grammar.ts'
import { Finisher, notePathOf } from './finisher.ts'
import { FreeSpace } from './free-space.ts'
import { notedFiles } from './noted-file.ts'
import { type ReadAt, type Retirement, SharedFile, type SharedFileOptions } from './shared-file.ts'
import type { ParsedStartOptions } from './start-options.ts'
import { Statistics } from './statistics.ts'
import { Upkeep } from './upkeep.ts'
import type { ParsedSpaceOptions, ParsedUpkeepOptions } from './upkeep-options.ts'

/** A turn ends after this, between two records, so that the other writers get theirs. */
const MAX_HOLD_MS = 20
/** The lock knows no queue: who had it long stays away until somebody who polls for it has seen it free. */
const YIELD_MS = 1
/** How long a file that has to be left waits for its lock; what failed is tried again. */
const QUARANTINE_WAIT_MS = 50
const PROBE_BYTES = 4096
/** A turn that begins faster had nobody to wait for. */
const MIN_WAIT_MS = 0.2

export interface BackupCandidate {
  readonly path: string
  readonly stamp: number
  readonly number: number
}

/** What one kind of file decides. */
export interface FileRules {
  /** What a record of a lane becomes, unless the lane says. */
  readonly unit: LaneUnit
  /** See `SharedFileHooks.wholeEnd`. */
  wholeEnd(start: number, end: number, readAt: ReadAt): number
  countRecords(bytes: Uint8Array, start: number, end: number): number
  /** Called in a turn before a batch and after each rotation in it: makes sure that a record may be appended. */
  prepare(): void
  /** The end of the records from `at` that the file may still take; `at` if it must be rotated first. */
  fitting(records: Buffer, at: number): number
  /** Names for the next backup, the best first, behind all that exist. */
  backupNames(): Iterable<BackupCandidate>
  /** Called in a turn after records were appended. */
  appended?(): void
  /** How backups are called, for upkeep. */
  readonly grammar: BackupGrammar
  /** Where they are. */
  readonly backupFolder: string
  /** Called in a turn when the sink is opened; refuses what cannot work. */
  check?(): void
}

export interface SharedFileTargetOptions
  extends SharedFileOptions,
    ParsedUpkeepOptions,
    ParsedSpaceOptions,
    ParsedStartOptions {
  readonly lockTimeout: number
  readonly durability: Durability
  readonly lane?: false | LaneOptions | undefined
  readonly maxBytes: number
  readonly statistics: boolean
}

export class SharedFileTarget implements Target {
  readonly lockTimeoutMs: number
  readonly isStaging = false
  readonly file: SharedFile
  readonly disk: Disk
  readonly #account: Account
  readonly #options: SharedFileTargetOptions
  readonly #rules: FileRules
  readonly #upkeep: Upkeep
  /** Undefined where all of the file system may be used. */
  readonly #space: FreeSpace | undefined
  #journal: AppendJournal | undefined
  readonly #now: () => number
  /** Undefined where none are kept. */
  #statistics: Statistics | undefined
  #isSyncFailing = false
  /** What the options say of a file from before is still to be done. */
  #isStarting: boolean
  /** It was opened, or written to, before. */
  #isInUse = false
  #heldLong = false
  #saidCannotSync = false

  constructor(
    disk: Disk,
    now: () => number,
    account: Account,
    options: SharedFileTargetOptions,
    retirement: Retirement,
    rules: FileRules
  ) {
    this.disk = disk
    this.lockTimeoutMs = options.lockTimeout
    this.#now = now
    this.#account = account
    this.#options = options
    this.#rules = rules
    this.#isStarting = options.rotateOnStart || options.truncateOnStart
    this.file = new SharedFile(
      disk,
      account.path,
      { ...options, warn: once((code, message, path) => account.warn(code, message, path)) },
      options.durability === 'disk' ? 'keep' : retirement,
      {
        wholeEnd: (start, end, readAt) => rules.wholeEnd(start, end, readAt),
        repaired: (path, bytes) => account.repaired(path, bytes),
        failed: (error) => account.warnOf(error),
        backupFolder: rules.backupFolder,
        cannotSync: (path, error) => this.#sayCannotSync(path, error),
        settle: laneSettler(options.lane === false ? undefined : options.lane?.dir, rules.unit)
      },
      account.counters
    )
    const { path } = account
    const folder = rules.backupFolder
    this.#upkeep = new Upkeep({
      disk,
      now,
      lock: () => this.file.lock?.tryOther(upkeepSlot),
      failed: (error) => account.warnOf(error),
      warn: (code, message) => account.warn(code, `${path}: ${message}`),
      isPaused: () => this.#isSyncFailing,
      folder,
      logFolder: dirname(path),
      base: basename(path),
      grammar: rules.grammar,
      maxRetainedBytes: options.maxRetainedBytes,
      maxRetainedAgeMs: options.maxRetainedAge,
      isForeignUsed: options.foreignOwner === 'allow',
      maxBackups: options.maxBackups,
      maxAgeMs: options.maxAge,
      maxTotalBytes: options.maxTotalBytes,
      minFreeBytes: options.minFreeBytes,
      compress: options.compress,
      mode: options.mode,
      shared: options.lock,
      finisher: new Finisher({
        ...options,
        disk,
        path,
        notePath: notePathOf(path),
        pathOf: (name) => join(folder, name),
        command: options.onFinished,
        waitMs: options.finishedWait,
        compresses: options.compress !== false,
        warn: (message) => account.warn('ERR_IO', message)
      }),
      finished: (to, bytes) => account.announce('finished', { path: to, bytes }),
      removed: (from, bytes, reason) => account.announce('removed', { path: from, bytes, reason })
    })
    const { minFreeBytes } = options
    if (minFreeBytes > 0) {
      this.#space = new FreeSpace({
        disk,
        path,
        folder: dirname(path),
        minFreeBytes,
        removeBackups: () => this.#upkeep.request(),
        isExhausted: () => this.#upkeep.isExhausted
      })
    }
    if (options.lock && !native.canLock && internals().saysNoSharing)
      account.warn('ERR_UNSUPPORTED', notShared(path))
  }

  /** From now on tells `journal` of each append. */
  noteIn(journal: AppendJournal): void {
    this.#journal = journal
  }

  /** Begins to look after backups, and to keep statistics; when the sink is known to be made. */
  start(stats: () => SinkStats): void {
    this.#upkeep.start()
    if (!this.#options.statistics) return
    const source = { stats, lastError: () => this.#account.lastError }
    this.#statistics = new Statistics(this.disk, this.#now, this.path, this.#options, source)
    this.#statistics.changed()
  }

  get path(): string {
    return this.#account.path
  }

  get obstacle(): string | undefined {
    return this.file.lock?.obstacle
  }

  warnOf(error: unknown): void {
    this.#account.warnOf(error)
  }

  open(): void {
    try {
      this.turn(0, () => {
        if (this.#options.durability === 'disk') this.#refuseUnsyncable()
        this.#rules.check?.()
        if (this.#isStarting) this.#beginAnew()
      })
      this.#isInUse = true
    } catch (error) {
      // A sink that is refused is not made, so nobody would close what was opened on the way.
      if (error instanceof LogboomError && !this.#isInUse) this.file.abandon()
      throw error
    }
  }

  ready(waitMs: number): boolean {
    const journal = this.#journal
    if (journal === undefined || !journal.isUnsettled) return true
    return this.turn(waitMs, () => {
      // Entering has repaired the log, and thereby settled what an announcement in the lock file speaks of.
      journal.settle(notedFiles(this.disk, this.path, this.#rules, this.#options.lock))
    })
  }

  write(records: Buffer, waitMs: number): number {
    this.#isInUse = true
    if (this.#heldLong) sleep(YIELD_MS)
    this.#heldLong = false
    let written = 0
    try {
      this.turn(waitMs, () => {
        written = this.#append(records)
      })
    } catch (error) {
      if (isDiskFull(error)) this.#upkeep.diskFull()
      throw error
    } finally {
      this.#statistics?.changed()
    }
    return written
  }

  async sync(to: SyncLevel): Promise<void> {
    if (to === 'os') return
    const beganAtMs = monotonicMs()
    try {
      await this.file.sync()
      this.#statistics?.synced(monotonicMs() - beganAtMs)
      this.#isSyncFailing = false
    } catch (error) {
      throw this.#syncError(error)
    }
  }

  syncNow(to: SyncLevel): void {
    if (to === 'os') return
    const beganAtMs = monotonicMs()
    try {
      this.file.syncNow()
      this.#statistics?.synced(monotonicMs() - beganAtMs)
      this.#isSyncFailing = false
    } catch (error) {
      throw this.#syncError(error)
    }
  }

  quarantine(): void {
    const isLeft = this.turn(QUARANTINE_WAIT_MS, () => {
      if (this.file.size > 0) this.rotate(true)
      else this.file.reopen()
    })
    if (isLeft) {
      this.#isSyncFailing = false
      return
    }
    const { path } = this.#account
    throw new LogboomError(
      'ERR_LOCK_TIMEOUT',
      `${path} is to be left after a failed sync, but its lock is held`,
      {
        path
      }
    )
  }

  /** Writes and syncs a block in a file beside the log, which is removed again. */
  probe(): void {
    const { disk } = this
    const { path } = this.#account
    // A name that nobody has, so that it is nobody's file that is written to and removed.
    const name = `.${basename(path)}.${randomBytes(6).toString('hex')}.probe`
    const probe = join(dirname(path), name)
    const file = openFile(disk, probe, constants.O_RDWR, { ...this.#options, mode: 0o600 })
    try {
      disk.write(file.fd, Buffer.alloc(PROBE_BYTES), 0, PROBE_BYTES, 0)
      disk.fdatasync(file.fd)
    } finally {
      file.release()
      if (disk.exists(probe)) disk.unlink(probe)
    }
  }

  closeNow(): boolean {
    // Upkeep goes on where the file does.
    if (this.#upkeep.mustEnd || !this.file.closeNow()) return false
    this.#upkeep.stopNow()
    this.#statistics?.close()
    return true
  }

  async close(): Promise<Dropped> {
    await this.#upkeep.stop()
    await this.file.close()
    this.#statistics?.close()
    return nothingDropped
  }

  /** Runs `work` under the lock; false if somebody else holds it. */
  turn(waitMs: number, work: () => void): boolean {
    if (!this.#enter(waitMs)) return false
    try {
      work()
    } finally {
      this.file.leave()
    }
    return true
  }

  #enter(waitMs: number): boolean {
    if (this.#statistics === undefined) return this.file.enter(waitMs)
    const beganAtMs = monotonicMs()
    const entered = this.file.enter(waitMs)
    const waitedMs = monotonicMs() - beganAtMs
    if (!entered || waitedMs > MIN_WAIT_MS) this.#statistics.waited(waitedMs)
    return entered
  }

  /** Rotates within a turn. */
  rotate(isQuarantine = false): RotatedEvent {
    const bytes = this.file.size
    const to = this.file.renameAway(this.#rules.backupNames())
    const event = { from: this.#account.path, to, bytes }
    this.#account.counters.rotations++
    this.#account.announce('rotated', event)
    if (this.#options.compress === false) this.#account.announce('finished', { path: to, bytes })
    if (isQuarantine) this.#upkeep.spare(basename(to))
    this.#upkeep.request()
    this.file.open()
    return event
  }

  /** Deals with a file from before the start, once; in a turn. */
  #beginAnew(): void {
    if (this.file.size > 0) {
      if (this.#options.rotateOnStart) this.rotate()
      else this.file.empty()
    }
    this.#isStarting = false
  }

  /** Appends whole records, rotating between them where the limit or the clock demands it. */
  #append(records: Buffer): number {
    const untilMs = monotonicMs() + MAX_HOLD_MS
    const { counters } = this.#account
    const rules = this.#rules
    let at = 0
    try {
      if (this.#isStarting) this.#beginAnew()
      this.#space?.require(records.length)
      while (at < records.length) {
        rules.prepare()
        const end = rules.fitting(records, at)
        if (end === at) {
          this.rotate()
          continue
        }
        const written = this.file.append(records, at, end, this.#journal)
        counters.records += rules.countRecords(records, at, at + written)
        counters.bytes += written
        at += written
        if (at < end) break
        rules.appended?.()
        // Many small files made in one turn: the others are to have theirs.
        this.#heldLong = at < records.length && monotonicMs() >= untilMs
        if (this.#heldLong) break
      }
    } catch (error) {
      // What was appended before is in the file; the failure meets the next attempt.
      if (at === 0) throw error
    }
    return at
  }

  #refuseUnsyncable(): void {
    try {
      this.disk.fdatasync(this.file.fd)
    } catch (error) {
      if (cannotSync(error)) throw this.#notSyncable(error)
      // Whatever else it is may pass.
    }
  }

  #syncError(error: unknown): unknown {
    if (error instanceof DataSyncError) this.#isSyncFailing = true
    if (!cannotSync(error)) return error
    this.#sayCannotSync(this.path, error)
    return this.#notSyncable(error)
  }

  #notSyncable(error: unknown): NotSyncableError {
    return new NotSyncableError(this.#account.path, error)
  }

  #sayCannotSync(path: string, error: unknown): void {
    if (this.#saidCannotSync) return
    this.#saidCannotSync = true
    const message = `${path} ${whyNoSync(error)}; what is written there may be lost with the power (${errorMessage(error)})`
    this.#account.warn('ERR_UNSUPPORTED', message, path)
  }
}

function isDiskFull(error: unknown): boolean {
  const code = systemCode(error)
  return code === 'ENOSPC' || code === 'EDQUOT'
}

/** What is not promised where there are no kernel locks. */
export function notShared(what: string): string {
  return `${what}: one thread of one process at a time writes a file, and others wait until that is closed or gone, as there are no kernel locks without the native addon: ${whyNoAddon}`
}

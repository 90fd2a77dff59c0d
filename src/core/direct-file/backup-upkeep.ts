// What happens to the backups of direct files: the same as to those of rotated files, on the thread that opened them.
import { basename, dirname, join } from 'node:path'
import { backupBase } from '../../formats/backup-name.ts'
import type { Disk } from '../../io/disk.ts'
import type { OpenOptions } from '../../io/open-file.ts'
import { stampedGrammar } from '../shared-file/backup-grammar.ts'
import { Finisher, notePathOf } from '../shared-file/finisher.ts'
import { Upkeep } from '../shared-file/upkeep.ts'
import type { ParsedSpaceOptions, ParsedUpkeepOptions } from '../shared-file/upkeep-options.ts'
import type { FinishedEvent, RemovedEvent } from '../sink/contract.ts'

export interface BackupUpkeepOptions extends ParsedUpkeepOptions, ParsedSpaceOptions, OpenOptions {}

export interface BackupUpkeepNews {
  failed(error: unknown): void
  warn(code: string, message: string): void
  /** The command of `onFinished` is to be run again. */
  commandFailed(message: string): void
  /** While this holds nothing is removed. */
  isPaused(): boolean
  /** Whether nothing could be removed that makes room enough. */
  noBackupsLeft(isSo: boolean): void
  finished(event: FinishedEvent): void
  removed(event: RemovedEvent): void
}

export class BackupUpkeep {
  readonly #disk: Disk
  readonly #now: () => number
  readonly #options: BackupUpkeepOptions
  readonly #news: BackupUpkeepNews
  readonly #isNeeded: boolean
  readonly #byPath = new Map<string, Upkeep>()
  #makingRoom: Promise<void> | undefined
  #isStopping = false
  /** Names of files in a folder that had backups when it was first looked at. */
  readonly #withBackups = new Map<string, ReadonlySet<string>>()

  constructor(disk: Disk, now: () => number, options: BackupUpkeepOptions, news: BackupUpkeepNews) {
    const { maxBackups, maxAge, maxTotalBytes, minFreeBytes, compress, onFinished } = options
    this.#disk = disk
    this.#now = now
    this.#options = options
    this.#news = news
    const isLimited = maxBackups > 0 || maxAge > 0 || maxTotalBytes > 0 || minFreeBytes > 0
    this.#isNeeded = isLimited || compress !== false || onFinished !== undefined
  }

  /** The file at `path` is going to be written: sees to backups that an earlier process left. */
  begin(path: string): void {
    // With thousands of files in a folder, reading it for each of them would be too much.
    if (this.#isNeeded && this.#backupsIn(dirname(path)).has(basename(path))) this.#of(path)
  }

  /** The file at `path` got the backup name `to`. */
  rotated(path: string, to: string, bytes: number, isQuarantine: boolean): void {
    if (this.#options.compress === false) this.#news.finished({ path: to, bytes })
    if (!this.#isNeeded) return
    const upkeep = this.#of(path)
    if (isQuarantine) upkeep.spare(basename(to))
    upkeep.request()
  }

  /** The disk is full. */
  diskFull(): void {
    for (const upkeep of this.#byPath.values()) upkeep.diskFull()
  }

  /** Less is free than `minFreeBytes`: removes the oldest backups of one file after the other until that is over. */
  makeRoom(): void {
    this.#makingRoom ??= this.#makeRoom().finally(() => {
      this.#makingRoom = undefined
    })
  }

  /** Lets what is under way finish, within a limit. */
  async stop(): Promise<void> {
    this.#isStopping = true
    await Promise.all([...this.#byPath.values()].map((upkeep) => upkeep.stop()))
    await this.#makingRoom
  }

  async #makeRoom(): Promise<void> {
    for (const upkeep of this.#byPath.values()) {
      if (this.#isStopping) return
      upkeep.request()
      await upkeep.settled()
      if (!upkeep.isExhausted) break
    }
    this.#news.noBackupsLeft([...this.#byPath.values()].every(({ isExhausted }) => isExhausted))
  }

  #of(path: string): Upkeep {
    const found = this.#byPath.get(path)
    if (found !== undefined) return found
    const { maxBackups, maxAge, maxTotalBytes, compress, mode } = this.#options
    const folder = dirname(path)
    const { maxRetainedBytes, maxRetainedAge, foreignOwner } = this.#options
    const upkeep = new Upkeep({
      disk: this.#disk,
      now: this.#now,
      // One process writes these files, and it has the lock.
      shared: false,
      lock: () => undefined,
      failed: (error) => this.#news.failed(error),
      warn: (code, message) => this.#news.warn(code, message),
      isPaused: () => this.#news.isPaused(),
      folder,
      logFolder: folder,
      base: basename(path),
      maxRetainedBytes,
      maxRetainedAgeMs: maxRetainedAge,
      isForeignUsed: foreignOwner === 'allow',
      grammar: stampedGrammar(basename(path)),
      maxBackups,
      maxAgeMs: maxAge,
      maxTotalBytes,
      minFreeBytes: this.#options.minFreeBytes,
      compress,
      mode,
      finisher: new Finisher({
        ...this.#options,
        disk: this.#disk,
        path,
        notePath: notePathOf(path),
        pathOf: (name) => join(folder, name),
        command: this.#options.onFinished,
        waitMs: this.#options.finishedWait,
        compresses: compress !== false,
        warn: (message) => this.#news.commandFailed(message)
      }),
      finished: (file, bytes) => this.#news.finished({ path: file, bytes }),
      removed: (file, bytes, reason) => this.#news.removed({ path: file, bytes, reason })
    })
    this.#byPath.set(path, upkeep)
    upkeep.start()
    return upkeep
  }

  #backupsIn(folder: string): ReadonlySet<string> {
    let bases = this.#withBackups.get(folder)
    if (bases === undefined) {
      let names: string[] = []
      try {
        names = this.#disk.readdir(folder)
      } catch {
        // Not there yet, or not to be read now: then the next rotation will see to them.
      }
      bases = new Set(
        names.map((name) => backupBase(name.replace(/\.tmp$/, ''))).filter((base) => base !== undefined)
      )
      this.#withBackups.set(folder, bases)
    }
    return bases
  }
}

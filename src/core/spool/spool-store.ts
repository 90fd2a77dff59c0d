// What the workers of one spool share: folders, note, names, recovery and the account of published files.
import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { LogboomError, systemCode } from '../../base/errors.ts'
import type { Disk } from '../../io/disk.ts'
import { makeFolders } from '../../io/open-file.ts'
import { fdatasync, open, type Steps } from '../../io/steps.ts'
import { native } from '../../native/index.ts'
import type { SinkEvents } from '../sink/contract.ts'
import { SpoolNote } from './note.ts'
import type { ParsedSpoolOptions } from './options.ts'
import { type RecoveryHost, recover } from './recovery.ts'
import type { WorkerHost } from './spool-worker.ts'
import { type Content, type SpoolFolders, syncFolder } from './temp-file.ts'

const RECOVERY_INTERVAL_MS = 10_000
const MAX_UNSYNCED = 4096

export interface SpoolReports {
  announce<E extends keyof SinkEvents>(name: E, ...args: SinkEvents[E]): void
  warn(code: string, message: string, path: string): void
  /** Records were taken but could not be kept. */
  lost(records: number, bytes: number, reason: string): void
  /** A published file could not be made durable. */
  unsynced(path: string, error: unknown): void
}

export interface SpoolCounters {
  records: number
  bytes: number
  writes: number
  syncs: number
  rotations: number
  repairs: number
}

export class SpoolStore implements WorkerHost, RecoveryHost {
  readonly folders: SpoolFolders
  readonly prefix: string
  readonly size: number
  readonly instance = randomBytes(8).toString('hex')
  /** Files of dead spools that were published here. */
  recoveredFiles = 0
  readonly #options: ParsedSpoolOptions
  readonly #disk: Disk
  readonly #counters: SpoolCounters
  readonly #reports: SpoolReports
  #note: SpoolNote | undefined
  /** Notes that somebody removed while files they speak of were open. */
  readonly #oldNotes: SpoolNote[] = []
  #number = 0
  #lastTime = 0n
  #clockOffset = 0n
  #recovering: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #copyWarned = false
  /** Published files that were not synced, at most one more than `MAX_UNSYNCED`. */
  #unsynced: string[] = []

  constructor(options: ParsedSpoolOptions, disk: Disk, counters: SpoolCounters, reports: SpoolReports) {
    this.#options = options
    this.#disk = disk
    this.#counters = counters
    this.#reports = reports
    this.prefix = options.prefix
    this.size = options.size
    this.folders = {
      disk,
      temp: options.temp,
      target: options.path,
      permission: options.permission,
      durable: options.durability === 'disk',
      counters,
      now: () => this.#now(),
      copied: () => this.#warnOfCopy()
    }
  }

  /** Makes the folders and recovers what dead spools left, now and then every ten seconds. Throws system errors. */
  open(): void {
    this.makeFolders()
    if (!native.canLock || this.#timer !== undefined) return
    this.recoverSoon()
    this.#timer = setInterval(() => this.recoverSoon(), RECOVERY_INTERVAL_MS)
    this.#timer.unref()
  }

  makeFolders(): void {
    const { path, temp, mkdir, dirMode } = this.#options
    for (const folder of path === temp ? [path] : [path, temp]) {
      if (mkdir && !this.#disk.exists(folder)) makeFolders(this.#disk, folder, dirMode)
    }
  }

  recoverSoon(): void {
    this.#recovering ??= recover(this)
      .catch((error) =>
        this.#reports.warn(systemCode(error) ?? 'ERR_IO', `recovery: ${error}`, this.folders.temp)
      )
      .finally(() => {
        this.#recovering = undefined
      })
  }

  /** Resolves when no recovery is under way. */
  async settled(): Promise<void> {
    await this.#recovering
  }

  note(): SpoolNote | undefined {
    // Without locks a note would look like that of a dead spool to everybody else.
    if (!native.canLock) return undefined
    if (this.#note?.isThere) return this.#note
    this.makeFolders()
    if (this.#note !== undefined) this.#oldNotes.push(this.#note)
    this.#note = undefined
    const { dev, ino } = this.#disk.stat(this.folders.target)
    const { permission, workers, path } = this.#options
    this.#note = SpoolNote.create(this.#disk, this.folders.temp, { permission, workers, dev, ino, path })
    return this.#note
  }

  get isCopying(): boolean {
    return this.#copyWarned
  }

  nextNumber(): number {
    return this.#number++
  }

  isOwn(instance: string): boolean {
    return this.#note?.instance === instance
  }

  published(from: string, to: string, content: Content): void {
    this.#counters.records += content.records
    this.#counters.bytes += content.end
    this.#counters.rotations++
    if (!this.folders.durable && this.#unsynced.length <= MAX_UNSYNCED) this.#unsynced.push(to)
    this.#reports.announce('rotated', { from, to, bytes: content.end })
  }

  recoveredFile(from: string, to: string, content: Content): void {
    this.recoveredFiles++
    this.#reports.announce('rotated', { from, to, bytes: content.end })
  }

  torn(path: string, bytes: number): void {
    this.#counters.repairs++
    this.#reports.announce('repaired', { path, bytes })
  }

  warn(code: string, message: string, path: string): void {
    this.#reports.warn(code, message, path)
  }

  lost(records: number, bytes: number, reason: string): void {
    this.#reports.lost(records, bytes, reason)
  }

  unsynced(path: string, error: unknown): void {
    this.#reports.unsynced(path, error)
  }

  /** Makes durable what was published without it. Throws if those files are too many to remember. */
  *syncPublished(): Steps<void> {
    const paths = [...this.#unsynced]
    if (paths.length === 0) return
    if (paths.length > MAX_UNSYNCED) {
      const message = `more than ${MAX_UNSYNCED} files were published unsynced; use durability: 'disk'`
      throw new LogboomError('ERR_UNSUPPORTED', message, { path: this.folders.target })
    }
    for (const path of paths) {
      // Collected and removed in the meantime: no longer ours to keep.
      if (!this.#disk.exists(path)) continue
      const fd = yield* open(path, constants.O_RDONLY | constants.O_NOFOLLOW, 0)
      try {
        this.#counters.syncs++
        yield* fdatasync(fd)
      } finally {
        this.#disk.close(fd)
      }
    }
    yield* syncFolder(this.folders, this.folders.target)
    this.#unsynced = this.#unsynced.slice(paths.length)
  }

  /** Ends recovery and frees the note; `keepNote` if temp files are left for another spool to recover. Does not throw. */
  async close(keepNote: boolean): Promise<void> {
    clearInterval(this.#timer)
    await this.#recovering
    for (const note of this.#oldNotes.splice(0)) note.leave()
    const note = this.#note
    this.#note = undefined
    try {
      if (keepNote) note?.leave()
      else note?.remove()
    } catch (error) {
      // Whoever finds it later finds that nothing is left to recover.
      this.#reports.warn(systemCode(error) ?? 'ERR_IO', `cannot remove a note: ${error}`, this.folders.temp)
    }
  }

  // The monotonic clock, set by the system clock and again when that was changed. Nanoseconds count: files of
  // different processes that are published in the same millisecond must not get the same name.
  #now(): bigint {
    const monotonic = process.hrtime.bigint()
    const wall = BigInt(Date.now()) * 1_000_000n
    if (isFar(monotonic + this.#clockOffset, wall)) {
      this.#clockOffset = BigInt(Math.round((performance.timeOrigin + performance.now()) * 1e6)) - monotonic
      if (isFar(monotonic + this.#clockOffset, wall))
        this.#clockOffset = wall - monotonic + (monotonic % 1_000_000n)
    }
    const time = monotonic + this.#clockOffset
    this.#lastTime = time > this.#lastTime ? time : this.#lastTime + 1n
    return this.#lastTime
  }

  #warnOfCopy(): void {
    if (this.#copyWarned) return
    this.#copyWarned = true
    const { temp, target } = this.folders
    const message = `${temp} is on another file system than ${target}: every file has to be copied`
    this.#reports.warn('EXDEV', message, temp)
  }
}

/** More than the millisecond that the two clocks can differ by rounding. */
function isFar(time: bigint, wall: bigint): boolean {
  return time < wall - 2_000_000n || time > wall + 3_000_000n
}

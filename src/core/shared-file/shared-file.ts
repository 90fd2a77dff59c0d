// An append-only file that several processes and threads write to in turns. Per turn: lock, check that the path
// is still our file, repair what a dead writer left, append whole records, unlock (docs/design.md).
import { constants } from 'node:fs'
import { dirname } from 'node:path'
import { isOutOfDescriptors, systemCode } from '../../base/errors.ts'
import { emptyLockState, type LockState } from '../../formats/lock-file.ts'
import type { Disk } from '../../io/disk.ts'
import { failpoint } from '../../io/failpoint.ts'
import {
  cannotSync,
  type OpenFile,
  type OpenOptions,
  openFile,
  syncFolder,
  syncFolderAsync
} from '../../io/open-file.ts'
import { isFolderGone, ShutFolder } from '../../io/shut-folder.ts'
import type { AppendJournal, AppendPlace, SettleLane } from '../lane/append-journal.ts'
import { exitDeadline } from '../sink/at-exit.ts'
import { DataSyncError } from '../sink/target.ts'
import { createLock } from './create-lock.ts'
import type { Lock } from './lock.ts'

/** More files than this waiting to be synced in the background are synced on the spot. */
const MAX_RETIRED = 16
/** So many calls in a row may be interrupted or write nothing. */
const MAX_IDLE_CALLS = 100

export interface SharedFileOptions extends OpenOptions {
  /** Whether other processes write to the file, too. */
  lock: boolean
}

/** What becomes of a file that is left: kept until the next `sync`, synced in the background, or just closed. */
export type Retirement = 'keep' | 'sync' | 'close'

export interface SharedFileHooks {
  /**
   * The end of the last whole record in `[start, end)` of the file, `start` if there is none; a record begins at
   * `start`. `read` fills as much of a buffer as there is from a position on, and returns how much that was.
   */
  wholeEnd(start: number, end: number, read: ReadAt): number
  repaired(path: string, bytes: number): void
  /** Where the file goes when it is renamed. */
  readonly backupFolder: string
  /** Work in the background failed. */
  failed(error: unknown): void
  /** The file system has no fsync for this file or folder. */
  cannotSync(path: string, error: unknown): void
  /** Called in a turn, before anything is appended; what it throws fails the turn. */
  readonly settle: SettleLane
}

export type ReadAt = (buffer: Uint8Array, position: number) => number

export interface SharedFileCounters {
  writes: number
  syncs: number
}

export class SharedFile {
  readonly path: string
  /** Size of the file at the path; valid during a turn. */
  size = 0
  /** When it was last written to, in ms since 1970; valid from the start of a turn to the first append. */
  mtimeMs = 0
  /** Whether its end is as a writer of ours left it, so that it is known to end with a whole record. */
  clean = true
  readonly #disk: Disk
  readonly #options: SharedFileOptions
  readonly #retirement: Retirement
  readonly #hooks: SharedFileHooks
  readonly #counters: SharedFileCounters
  readonly #lock: Lock | undefined
  #state: LockState = emptyLockState()
  #file: OpenFile | undefined
  readonly #retired = new Set<OpenFile>()
  /** Those under way; they keep descriptors open. */
  readonly #syncs = new Set<Promise<void>>()
  /** Its sync failed: it is left without another one, which would prove nothing. */
  #poisoned: OpenFile | undefined
  #syncFailure: unknown
  /** A file was created, renamed or found since the folder was last synced. */
  #folderChanged = false
  readonly #shut = new ShutFolder()

  constructor(
    disk: Disk,
    path: string,
    options: SharedFileOptions,
    retirement: Retirement,
    hooks: SharedFileHooks,
    counters: SharedFileCounters
  ) {
    this.path = path
    this.#disk = disk
    this.#options = options
    this.#retirement = retirement
    this.#hooks = hooks
    this.#counters = counters
    this.#lock = options.lock ? createLock(disk, path, options) : undefined
  }

  get lock(): Lock | undefined {
    return this.#lock
  }

  /** The descriptor of the file at the path; only during a turn. */
  get fd(): number {
    return this.#current().fd
  }

  /** Time and number of the newest backup that a writer noted here; time 0 if none is known. */
  get newestBackup(): { stamp: number; number: number } {
    return { stamp: this.#state.backupStamp, number: this.#state.backupNumber }
  }

  /** Begins a turn. False if another writer has the lock after `waitMs`. */
  enter(waitMs: number): boolean {
    try {
      return this.#enter(waitMs)
    } catch (error) {
      if (isOutOfDescriptors(systemCode(error))) this.#giveBack()
      throw error
    }
  }

  /** Nothing can be written for want of one more descriptor: those held for it are not to be what others want. */
  #giveBack(): void {
    this.#retire()
    this.#syncRetired()
    this.#lock?.close()
  }

  #enter(waitMs: number): boolean {
    if (this.#lock !== undefined) {
      const state = this.#lock.acquire(waitMs)
      if (state === undefined) return false
      this.#state = state
      if (this.#lock.tookOver) this.#retire()
    }
    try {
      this.#look()
      if (this.#state.writing) this.#repair()
      failpoint('turn')
      return true
    } catch (error) {
      this.leave()
      throw error
    }
  }

  /** Ends the turn. Does not throw: what was done in the turn stays done. */
  leave(): void {
    try {
      this.#lock?.release()
    } catch (error) {
      this.#hooks.failed(error)
    }
    // Not before, because others wait for the lock.
    this.#syncRetired(MAX_RETIRED)
  }

  /**
   * Appends `bytes[start, end)`, whole records. Returns how many bytes of whole records are in the file, fewer
   * than asked after a failure half-way. Throws only if none are. `journal`: whom the records come from.
   */
  append(bytes: Uint8Array, start: number, end: number, journal?: AppendJournal): number {
    const file = this.#current()
    const state = this.#state
    const isNoted = journal?.isNoting === true
    state.writing = true
    state.pid = process.pid
    state.dev = file.dev
    state.ino = file.ino
    state.offset = this.size
    state.length = end - start
    state.lane = isNoted ? journal.lane : undefined
    this.#lock?.save(state)
    failpoint('append')
    if (isNoted) {
      journal.appending(placeOf(state))
      failpoint('noted')
    }
    let at = start
    let failure: unknown
    for (let idleCalls = 0; at < end && failure === undefined; ) {
      try {
        this.#counters.writes++
        const written = this.#disk.write(file.fd, bytes, at, end - at, null)
        at += written
        idleCalls = written > 0 ? 0 : idleCalls + 1
      } catch (error) {
        if (systemCode(error) !== 'EINTR') failure = error
        idleCalls++
      }
      if (idleCalls > MAX_IDLE_CALLS) failure ??= new Error(`EIO: write to ${this.path} makes no progress`)
    }
    if (failure !== undefined) {
      return this.#cutBack(file, bytes, start, at, failure, isNoted ? journal : undefined)
    }
    failpoint('appended')
    this.size += end - start
    this.clean = true
    if (isNoted) {
      journal.appended(end - start)
      failpoint('settled')
    }
    this.#confirm()
    return end - start
  }

  /** Renames the file to the first of `names` that is free and leaves it; the next turn creates a new one. */
  renameAway(names: Iterable<{ path: string; stamp: number; number: number }>): string {
    for (const { path, stamp, number } of names) {
      this.#state.backupStamp = stamp
      this.#state.backupNumber = number
      // Noted first: should this process die in between, a number is left out, never used twice.
      this.#lock?.save(this.#state)
      failpoint('rename')
      try {
        this.#disk.renameNoReplace(this.path, path)
      } catch (error) {
        if (systemCode(error) === 'EEXIST') continue
        throw error
      }
      failpoint('renamed')
      this.#folderChanged = true
      this.#retire()
      return path
    }
    throw new Error(`no free name for a backup of ${this.path}`)
  }

  /** Removes everything from the file. */
  empty(): void {
    this.#disk.truncate(this.#current().fd, 0)
    this.size = 0
    this.clean = true
    // What the state says of its end would be behind it.
    this.#state.offset = 0
    this.#state.length = 0
    this.#confirm()
  }

  /** Opens the path if it is not open; to be called after `renameAway` to go on in the same turn. */
  open(): void {
    if (this.#file === undefined) this.#look()
  }

  /** Leaves the present file: the path is opened again when it is needed next. */
  reopen(): void {
    this.#retire()
  }

  /** Makes the present file, those left before and the folder durable. */
  sync(): Promise<void> {
    return this.#underWay(this.#syncAll())
  }

  async #syncAll(): Promise<void> {
    const results = await Promise.allSettled(this.#files().map((file) => this.#sync(file)))
    for (const result of results) if (result.status === 'rejected') throw result.reason
    this.#throwSyncFailure()
    if (!this.#folderChanged) return
    // What is created while the sync runs is not covered by it.
    this.#folderChanged = false
    for (const folder of this.#folders()) {
      this.#counters.syncs++
      try {
        await syncFolderAsync(this.#disk, folder)
        this.#shut.opened()
      } catch (error) {
        this.#folderSyncFailed(folder, error)
      }
    }
  }

  syncNow(): void {
    for (const file of this.#files()) this.#syncNow(file)
    this.#throwSyncFailure()
    if (!this.#folderChanged) return
    this.#folderChanged = false
    for (const folder of this.#folders()) {
      this.#counters.syncs++
      try {
        syncFolder(this.#disk, folder)
        this.#shut.opened()
      } catch (error) {
        this.#folderSyncFailed(folder, error)
      }
    }
  }

  /**
   * Closes everything; files left before are synced first if the options say so. The present file was flushed as far
   * as the sink promises.
   */
  async close(): Promise<void> {
    if (this.#retirement === 'keep') this.#retire()
    this.#file?.release()
    this.#file = undefined
    for (const file of [...this.#retired]) {
      // While an earlier one was waited for, the background may have synced and closed this one.
      if (this.#retired.has(file)) {
        await this.#sync(file).catch((error) => this.#syncInBackgroundFailed(file, error))
      }
    }
    await Promise.allSettled(this.#syncs)
    this.#lock?.close()
  }

  /**
   * The same on this thread; false, with nothing released, if a sync fails. One under way keeps its file open for as long as
   * it takes, but nothing waits for it, and while the process exits not even that. The folder is left to the caller.
   */
  closeNow(): boolean {
    try {
      for (const file of this.#retirement === 'keep' ? this.#files() : this.#retired) this.#syncNow(file)
    } catch (error) {
      this.#syncFailure = error
      return false
    }
    if (this.#file !== undefined) letGo(this.#file)
    this.#file = undefined
    this.#lock?.close()
    return true
  }

  /** Closes everything at once, with nothing written: the sink is refused. */
  abandon(): void {
    for (const file of this.#files()) file.release()
    this.#retired.clear()
    this.#file = undefined
    this.#lock?.close()
  }

  #current(): OpenFile {
    this.open()
    return this.#file as OpenFile
  }

  /** Makes sure that `#file` is what stands at the path, and notes its size. */
  #look(): void {
    let found = this.#disk.lstat(this.path)
    if (this.#file === undefined || found === undefined || !this.#file.is(found)) {
      this.#retire()
      this.#file = this.#openPath()
      // Whoever made it may have died before its name was durable.
      this.#folderChanged = true
      if (found === undefined) failpoint('created')
      found = this.#disk.fstat(this.#file.fd)
    }
    this.size = found.size
    this.mtimeMs = found.mtimeMs
    const { offset, length, writing } = this.#state
    this.clean = !writing && this.#isNoted() && found.size === offset + length
  }

  #openPath(): OpenFile {
    const open = () => openFile(this.#disk, this.path, constants.O_RDWR | constants.O_APPEND, this.#options)
    try {
      return open()
    } catch (error) {
      // Those that were left hold descriptors until they are synced.
      if (!isOutOfDescriptors(systemCode(error)) || this.#retired.size === 0) throw error
      this.#syncRetired()
      return open()
    }
  }

  /** Whether the state speaks of the file at the path. */
  #isNoted(): boolean {
    return (
      this.#file !== undefined && this.#file.ino === this.#state.ino && this.#file.dev === this.#state.dev
    )
  }

  // A writer died between announcing a write and confirming it. SIGKILL cuts a write(2) at a page boundary, so
  // what it wrote may end inside a record. Bytes behind the announced range are somebody else's and stay.
  #repair(): void {
    const { offset, length, lane } = this.#state
    const place = placeOf(this.#state)
    const isOurs = this.#isNoted() && this.size <= offset + length
    if (isOurs && this.size > offset) {
      const end = this.#hooks.wholeEnd(offset, this.size, this.readAt)
      if (end < this.size) {
        this.#disk.truncate(this.fd, end)
        this.#hooks.repaired(this.path, this.size - end)
      }
      this.size = end
      this.#state.length = end - offset
      this.clean = true
    }
    // Where somebody has moved the file or written behind the range, the lane's note stays, to be compared with what
    // is in the file when the lane is taken over.
    if (isOurs && lane !== undefined) {
      failpoint('settle')
      this.#hooks.settle(lane, place, Math.max(0, this.size - offset))
    }
    this.#confirm()
  }

  /** Fills `buffer` from `position` of the present file on; returns how many bytes there are. */
  readonly readAt: ReadAt = (buffer, position) => {
    let at = 0
    while (at < buffer.length) {
      const count = this.#disk.read(this.fd, buffer, at, buffer.length - at, position + at)
      if (count === 0) break
      at += count
    }
    return at
  }

  #confirm(): void {
    this.#state.writing = false
    this.#state.lane = undefined
    try {
      this.#lock?.save(this.#state)
    } catch (error) {
      // The records are in the file, so this turn succeeded; who finds the announcement will find it fulfilled.
      this.#hooks.failed(error)
    }
  }

  /** Only `bytes[start, at)` reached the file before `error`: keeps the whole records of it. */
  #cutBack(
    file: OpenFile,
    bytes: Uint8Array,
    start: number,
    at: number,
    error: unknown,
    journal: AppendJournal | undefined
  ): number {
    const readAt: ReadAt = (buffer, position) => {
      const piece = bytes.subarray(start + position, Math.min(at, start + position + buffer.length))
      buffer.set(piece)
      return piece.length
    }
    const written = at - start
    const kept = written === 0 ? 0 : this.#hooks.wholeEnd(0, written, readAt)
    let isCut = false
    try {
      if (kept < written) this.#disk.truncate(file.fd, this.size + kept)
      isCut = true
    } catch (truncateError) {
      // The announcement stays, so the next turn, ours or another's, cuts the rest off.
      this.#hooks.failed(truncateError)
    }
    // Either way what is kept is known, and the lane needs nobody else to settle it.
    journal?.appended(kept)
    if (isCut) {
      this.#state.length = kept
      this.#confirm()
    }
    if (kept === 0) throw error
    this.size += kept
    return kept
  }

  #retire(): void {
    const file = this.#file
    if (file === undefined) return
    this.#file = undefined
    if (this.#retirement === 'close' || file === this.#poisoned) {
      file.release()
      return
    }
    this.#retired.add(file)
    if (this.#retirement === 'sync') setImmediate(() => this.#syncInBackground(file))
  }

  /** Syncs on this thread the oldest of those that were left, but for so many, and closes them. */
  #syncRetired(butFor = 0): void {
    for (const file of this.#retired) {
      if (this.#retired.size <= butFor) return
      try {
        this.#syncNow(file)
      } catch (error) {
        this.#syncFailure = error
      }
    }
  }

  #syncInBackground(file: OpenFile): void {
    if (!this.#retired.has(file)) return
    this.#sync(file).catch((error) => this.#syncInBackgroundFailed(file, error))
  }

  #syncInBackgroundFailed(file: OpenFile, error: unknown): void {
    if (cannotSync(error)) this.#hooks.cannotSync(file.path, error)
    else this.#hooks.failed(error)
  }

  #sync(file: OpenFile): Promise<void> {
    return this.#underWay(this.#syncAndLeave(file))
  }

  #underWay(sync: Promise<void>): Promise<void> {
    const done = (): boolean => this.#syncs.delete(sync)
    this.#syncs.add(sync)
    sync.then(done, done)
    return sync
  }

  async #syncAndLeave(file: OpenFile): Promise<void> {
    // A file left only while its sync runs may hold writes that the sync does not cover.
    const wasRetired = this.#retired.has(file)
    file.retain()
    try {
      this.#counters.syncs++
      await this.#disk.fdatasyncAsync(file.fd)
    } catch (error) {
      throw this.#dataSyncFailed(file, error)
    } finally {
      if (wasRetired || file === this.#poisoned) this.#leave(file)
      file.release()
    }
  }

  #syncNow(file: OpenFile): void {
    try {
      this.#counters.syncs++
      this.#disk.fdatasync(file.fd)
    } catch (error) {
      throw this.#dataSyncFailed(file, error)
    } finally {
      this.#leave(file)
    }
  }

  #dataSyncFailed(file: OpenFile, error: unknown): Error {
    if (cannotSync(error)) return error as Error
    this.#poisoned = file
    return new DataSyncError(file.path, error)
  }

  /** Whether its sync succeeded or not: a second one would prove nothing. */
  #leave(file: OpenFile): void {
    if (this.#retired.delete(file)) letGo(file)
  }

  #files(): OpenFile[] {
    return this.#file === undefined ? [...this.#retired] : [...this.#retired, this.#file]
  }

  /** A backup's new name must not be lost after its old one is. */
  #folders(): Set<string> {
    return new Set([this.#hooks.backupFolder, dirname(this.path)])
  }

  #throwSyncFailure(): void {
    const failure = this.#syncFailure
    this.#syncFailure = undefined
    if (failure !== undefined) throw failure
  }

  /** The data is on disk; only the name of a new file may be lost with the power. */
  #folderSyncFailed(folder: string, error: unknown): void {
    if (this.#shut.isUnsyncable(error)) {
      this.#hooks.cannotSync(folder, error)
      return
    }
    if (isFolderGone(this.#disk, folder, error)) {
      // Backups are gone with theirs, and what is in the file with its own.
      if (folder !== dirname(this.path)) return
      throw new DataSyncError(this.path, error)
    }
    this.#folderChanged = true
    throw error
  }
}

/** Syncs that are under way keep it open, but for a process that exits, in which they come to no end. */
function letGo(file: OpenFile): void {
  if (exitDeadline() === undefined) file.release()
  else file.end()
}

function placeOf({ dev, ino, offset, length }: LockState): AppendPlace {
  return { dev, ino, offset, length }
}

// What the workers of one spool share: folders, manifest, names, recovery, and what of the published files is durable.
import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { errorMessage, LogboomError, systemCode } from '../../base/errors.ts'
import type { Disk } from '../../io/disk.ts'
import { cannotSync, makeFolders } from '../../io/open-file.ts'
import { fdatasync, open, type Steps } from '../../io/steps.ts'
import { native } from '../../native/index.ts'
import type { Account } from '../sink/account.ts'
import { NotSyncableError } from '../sink/target.ts'
import { closeQuietly } from './file-state.ts'
import { SpoolManifest } from './manifest.ts'
import type { ParsedSpoolOptions } from './options.ts'
import { type RecoveryHost, recover } from './recovery.ts'
import { SpoolClock } from './spool-clock.ts'
import { type Extent, type SpoolFolders, syncNames } from './temp-file.ts'
import type { WorkerHost } from './worker-host.ts'

const RECOVERY_INTERVAL_MS = 10_000
const MAX_UNSYNCED = 4096
/** So many different complaints are remembered, so that each is made once. */
const MAX_SAID = 100

export interface SpoolStoreOptions {
  readonly options: ParsedSpoolOptions
  readonly disk: Disk
  readonly now: () => number
  readonly account: Account
  /** Records were taken but could not be kept. */
  readonly lost: (records: number, bytes: number, reason: string) => void
}

export class SpoolStore implements WorkerHost, RecoveryHost {
  readonly folders: SpoolFolders
  readonly prefix: string
  readonly size: number
  readonly instance = randomBytes(8).toString('hex')
  /** Files of dead spools that were published here. */
  recoveredFiles = 0
  readonly lost: SpoolStoreOptions['lost']
  readonly #options: ParsedSpoolOptions
  readonly #disk: Disk
  readonly #account: Account
  readonly #clock: SpoolClock
  #manifest: SpoolManifest | undefined
  /** Manifests that somebody removed, or that are not trusted any more, while files they speak of were open. */
  #oldManifests: SpoolManifest[] = []
  /** The manifest that each worker's temp file has. */
  readonly #used: (SpoolManifest | undefined)[] = []
  #number = 0
  #recovering: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #isClosed = false
  #isCopying = false
  /** A sync in the folder of the temp files has succeeded. */
  #isSyncable = false
  readonly #said = new Set<string>()
  /** Published files that were not synced, at most one more than `MAX_UNSYNCED`. */
  #unsynced: string[] = []
  /** Names published since the folder was synced last, and how many at that time. */
  #names = 0
  #syncedNames = 0
  /** Whether it was said that the folder cannot be synced at the moment. */
  #isUnsyncedSaid = false

  constructor({ options, disk, now, account, lost }: SpoolStoreOptions) {
    this.#options = options
    this.#disk = disk
    this.#account = account
    this.#clock = new SpoolClock(now)
    this.lost = lost
    this.prefix = options.prefix
    this.size = options.size
    this.folders = {
      disk,
      temp: options.temp,
      target: options.path,
      permission: options.permission,
      durable: options.durability === 'disk',
      counters: account.counters,
      now: () => this.#clock.next(),
      copied: () => this.#copied(),
      cannotSync: (folder, error) => this.#cannotSync(folder, error),
      leftBehind: (path, error) =>
        account.warn('ERR_IO', `cannot remove ${path}: ${errorMessage(error)}`, path)
    }
  }

  /**
   * Makes the folders and recovers what dead spools left, now and then every ten seconds. Throws system errors, and
   * `ERR_UNSUPPORTED` where nothing can be durable that has to be.
   */
  open(): void {
    this.makeFolders()
    if (this.folders.durable) this.#refuseUnsyncable()
    if (!native.canLock || this.#timer !== undefined) return
    this.recoverSoon()
    this.#timer = setInterval(() => this.recoverSoon(), RECOVERY_INTERVAL_MS)
    this.#timer.unref()
  }

  /** After a failure: somebody may have removed the folders. */
  reopen(): void {
    try {
      this.open()
    } catch {
      // What is wrong shows again in the work itself.
    }
  }

  makeFolders(): void {
    const { path, temp, mkdir, dirMode } = this.#options
    for (const folder of path === temp ? [path] : [path, temp]) {
      if (mkdir && !this.#disk.exists(folder)) makeFolders(this.#disk, folder, dirMode)
    }
  }

  recoverSoon(): void {
    if (this.#isClosed) return
    this.#recovering ??= recover(this)
      .catch((error) => {
        const code = systemCode(error) ?? 'ERR_IO'
        this.#sayOnce(code, `recovery in ${this.folders.temp}: ${errorMessage(error)}`, this.folders.temp)
      })
      .finally(() => {
        this.#recovering = undefined
      })
  }

  manifest(): SpoolManifest | undefined {
    // Without locks a manifest would look like that of a dead spool to everybody else.
    if (!native.canLock) {
      this.makeFolders()
      return undefined
    }
    if (this.#manifest?.isThere) return this.#manifest
    this.makeFolders()
    this.#leaveManifest()
    const { dev, ino } = this.#disk.stat(this.folders.target)
    const { permission, workers, path } = this.#options
    this.#manifest = SpoolManifest.create(this.#disk, this.folders.temp, {
      permission,
      workers,
      dev,
      ino,
      path
    })
    return this.#manifest
  }

  usesManifest(worker: number, manifest: SpoolManifest | undefined): void {
    this.#used[worker] = manifest
    if (this.#oldManifests.length > 0) this.#removeUnused()
  }

  distrustManifest(manifest: SpoolManifest): void {
    if (manifest === this.#manifest) this.#leaveManifest()
  }

  get isCopying(): boolean {
    return this.#isCopying
  }

  nextNumber(): number {
    return this.#number++
  }

  isOwn(instance: string): boolean {
    return this.#manifest?.instance === instance
  }

  published(from: string, to: string, content: Extent): void {
    const { counters } = this.#account
    counters.records += content.records
    counters.bytes += content.end
    counters.rotations++
    this.#names++
    if (!this.folders.durable && this.#unsynced.length <= MAX_UNSYNCED) this.#unsynced.push(to)
    this.#account.announce('rotated', { from, to, bytes: content.end })
  }

  recoveredFile(from: string, to: string, content: Extent): void {
    this.recoveredFiles++
    this.#account.announce('rotated', { from, to, bytes: content.end })
  }

  torn(path: string, bytes: number): void {
    this.#account.repaired(path, bytes)
  }

  refused(path: string, reason: string): void {
    this.#sayOnce('ERR_OWNER', `${path} is left alone: ${reason}`, path)
  }

  warn(code: string, message: string, path: string): void {
    this.#sayOnce(code, message, path)
  }

  /** Whether a published file may not be on disk yet, though that was promised. */
  get isUnsynced(): boolean {
    return this.folders.durable && this.#syncedNames < this.#names
  }

  unsynced(error: unknown): void {
    this.#account.counters.errors++
    if (this.#isUnsyncedSaid) return
    this.#isUnsyncedSaid = true
    this.#account.warn('ERR_SYNC', `${this.folders.target}: ${errorMessage(error)}`)
  }

  /** Makes durable what was published and is not yet. Throws if those files are too many to remember. */
  *syncPublished(): Steps<void> {
    const names = this.#names
    const paths = [...this.#unsynced]
    if (this.#syncedNames === names && paths.length === 0) return
    if (paths.length > MAX_UNSYNCED) {
      const message = `more than ${MAX_UNSYNCED} files were published unsynced; use durability: 'disk'`
      throw new LogboomError('ERR_UNSUPPORTED', message, { path: this.folders.target })
    }
    for (const path of paths) yield* this.#syncFile(path)
    yield* syncNames(this.folders, this.folders.target)
    // Another run of this may have done the same meanwhile.
    const synced = new Set(paths)
    this.#unsynced = this.#unsynced.filter((path) => !synced.has(path))
    this.#syncedNames = Math.max(this.#syncedNames, names)
    this.#isUnsyncedSaid = false
  }

  /**
   * Ends recovery and frees the manifest; `keepManifest` if temp files are left for another spool to recover. Does not
   * throw.
   */
  async close(keepManifest: boolean): Promise<void> {
    this.#isClosed = true
    clearInterval(this.#timer)
    await this.#recovering
    for (const manifest of this.#oldManifests.splice(0)) manifest.leave()
    const manifest = this.#manifest
    this.#manifest = undefined
    if (manifest === undefined) return
    if (keepManifest) manifest.leave()
    else this.#removeManifest(manifest)
  }

  *#syncFile(path: string): Steps<void> {
    const found = this.#disk.lstat(path)
    // Collected and removed in the meantime: no longer ours to keep. What took its place is none of ours either.
    if (found === undefined || !found.isFile) return
    const fd = yield* open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK, 0)
    try {
      this.#account.counters.syncs++
      yield* fdatasync(fd)
    } catch (error) {
      throw cannotSync(error) ? new NotSyncableError(path, error) : error
    } finally {
      closeQuietly(this.#disk, fd)
    }
  }

  #leaveManifest(): void {
    if (this.#manifest !== undefined) this.#oldManifests.push(this.#manifest)
    this.#manifest = undefined
  }

  // With the manifest, which every temp file needs anyway. Whatever else it is may pass; such a manifest is not used.
  #refuseUnsyncable(): void {
    if (this.#isSyncable) return
    const manifest = this.manifest()
    if (manifest === undefined) return
    try {
      this.#disk.fdatasync(manifest.fd)
      this.#isSyncable = true
    } catch (error) {
      if (!this.#used.includes(manifest)) this.distrustManifest(manifest)
      this.#removeUnused()
      if (cannotSync(error)) throw new NotSyncableError(this.folders.temp, error)
    }
  }

  #removeUnused(): void {
    const isUsed = (manifest: SpoolManifest): boolean => this.#used.includes(manifest)
    for (const manifest of this.#oldManifests) {
      if (!isUsed(manifest)) this.#removeManifest(manifest)
    }
    this.#oldManifests = this.#oldManifests.filter(isUsed)
  }

  #removeManifest(manifest: SpoolManifest): void {
    try {
      manifest.remove()
    } catch (error) {
      // Whoever finds it later finds that nothing is left to recover.
      const code = systemCode(error) ?? 'ERR_IO'
      this.#account.warn(code, `cannot remove a manifest: ${errorMessage(error)}`, this.folders.temp)
    }
  }

  #copied(): void {
    this.#isCopying = true
    const { temp, target } = this.folders
    const message = `${temp} is on another file system than ${target}: every file has to be copied`
    this.#sayOnce('EXDEV', message, temp)
  }

  #cannotSync(folder: string, error: unknown): void {
    const message = `${folder} is on a file system that cannot sync folders; a new name may be lost with the power (${errorMessage(error)})`
    this.#sayOnce('ERR_UNSUPPORTED', message, folder)
  }

  #sayOnce(code: string, message: string, path: string): void {
    if (this.#said.has(message) || this.#said.size >= MAX_SAID) return
    this.#said.add(message)
    this.#account.warn(code, message, path)
  }
}

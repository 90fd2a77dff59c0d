// What the workers of one spool share: folders, manifest, names, recovery, and what of the published files is durable.
import { randomBytes } from 'node:crypto'
import { basename } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { errorMessage, systemCode } from '../../base/errors.ts'
import { parseTempName } from '../../formats/spool.ts'
import type { Disk } from '../../io/disk.ts'
import { once } from '../../io/file-mode.ts'
import { cannotSync, makeFolders, whyNoSync } from '../../io/open-file.ts'
import { ShutFolder } from '../../io/shut-folder.ts'
import { run, runNow, type Steps } from '../../io/steps.ts'
import { native } from '../../native/index.ts'
import type { CommandRounds } from '../shared-file/command-rounds.ts'
import type { Account } from '../sink/account.ts'
import { NotSyncableError } from '../sink/target.ts'
import type { SpoolManifest } from './manifest.ts'
import { Manifests } from './manifests.ts'
import type { ParsedSpoolOptions } from './options.ts'
import { tempRefusal } from './ownership.ts'
import { createPublishedCommands, isOfPrefix } from './published-commands.ts'
import { PublishedFiles } from './published-files.ts'
import { type RecoveryHost, recover } from './recovery.ts'
import { SpoolClock } from './spool-clock.ts'
import type { Extent, SpoolFolders } from './temp-file.ts'
import type { WorkerHost } from './worker-host.ts'

const RECOVERY_INTERVAL_MS = 10_000
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
  readonly #manifests: Manifests
  readonly #published: PublishedFiles
  /** Undefined without `onFinished`. */
  readonly #commands: CommandRounds | undefined
  #number = 0
  #recovering: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #hasOpened = false
  #isClosed = false
  #isCopying = false
  /** A sync in the folder of the temp files has succeeded. */
  #isSyncable = false
  /** Files that nobody needs and that could not be removed. */
  readonly #left = new Set<string>()
  readonly #said = new Set<string>()
  /** Whether it was said that the folder cannot be synced at the moment. */
  #isUnsyncedSaid = false

  constructor({ options, disk, now, account, lost }: SpoolStoreOptions) {
    this.#options = options
    this.#disk = disk
    this.#account = account
    this.#clock = new SpoolClock(now)
    this.#manifests = new Manifests(options, disk, account, (instance) => this.hasLeft(instance))
    this.lost = lost
    this.prefix = options.prefix
    this.size = options.size
    const [shutTarget, shutTemp] = [new ShutFolder(), new ShutFolder()]
    this.folders = {
      disk,
      temp: options.temp,
      target: options.path,
      permission: options.permission,
      durable: options.durability === 'disk',
      counters: account.counters,
      now: () => this.#clock.next(),
      copied: () => this.#copied(),
      shut: (folder) => (folder === options.path ? shutTarget : shutTemp),
      cannotSync: (folder, error) => this.#cannotSync(folder, error),
      otherMode: once((code, message, path) => account.warn(code, message, path)),
      leftBehind: (path, error) => {
        this.#left.add(path)
        account.warn('ERR_IO', `cannot remove ${path}: ${errorMessage(error)}`, path)
      }
    }
    this.#published = new PublishedFiles(this.folders)
    this.#commands = createPublishedCommands(options, disk, account)
  }

  /**
   * Makes the folders and recovers what dead spools left, now and then every ten seconds. Throws system errors, and
   * `ERR_UNSUPPORTED` where nothing can be durable that has to be.
   */
  open(): void {
    this.makeFolders()
    if (this.folders.durable) this.#refuseUnsyncable()
    if (!this.#hasOpened) this.#commands?.start()
    this.#hasOpened = true
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
    if (!this.#isClosed) this.#recovering ??= this.#recover()
  }

  /** The same at once, for who is about to write what the dead have logged behind that. */
  recoverNow(): void {
    if (this.#isClosed || !native.canLock) return
    try {
      runNow(this.#disk, recover(this))
    } catch (error) {
      this.#sayWhyNot(error)
    }
  }

  async #recover(): Promise<void> {
    // Not before `recoverNow` had its turn, for which what is being recovered here would be in other hands.
    await nextTurn()
    try {
      await run(this.#disk, recover(this), () => true)
    } catch (error) {
      this.#sayWhyNot(error)
    }
    this.#recovering = undefined
  }

  #sayWhyNot(error: unknown): void {
    const { temp } = this.folders
    this.#sayOnce(systemCode(error) ?? 'ERR_IO', `recovery in ${temp}: ${errorMessage(error)}`, temp)
  }

  manifest(): SpoolManifest | undefined {
    // Without locks a manifest would look like that of a dead spool to everybody else.
    if (!native.canLock) {
      this.makeFolders()
      return undefined
    }
    const current = this.#manifests.current()
    if (current !== undefined) return current
    this.makeFolders()
    return this.#manifests.create()
  }

  usesManifest(worker: number, manifest: SpoolManifest | undefined): void {
    this.#manifests.use(worker, manifest)
  }

  distrustManifest(manifest: SpoolManifest): void {
    this.#manifests.distrust(manifest)
  }

  get isCopying(): boolean {
    return this.#isCopying
  }

  nextNumber(): number {
    return this.#number++
  }

  hasLeft(instance: string): boolean {
    for (const path of this.#left) {
      if (parseTempName(basename(path))?.instance !== instance) continue
      if (!this.#removeLeft(path)) return true
      this.#left.delete(path)
    }
    return false
  }

  #removeLeft(path: string): boolean {
    try {
      const there = this.#disk.lstat(path)
      if (there !== undefined && tempRefusal(there) === undefined) this.#disk.unlink(path)
      return true
    } catch {
      return false
    }
  }

  isOwn(instance: string): boolean {
    return this.#manifests.isOwn(instance)
  }

  published(from: string, to: string, content: Extent): void {
    const { counters } = this.#account
    counters.records += content.records
    counters.bytes += content.end
    counters.rotations++
    this.#published.add(to)
    this.#finished(from, to, content.end)
  }

  recoveredFile(from: string, to: string, content: Extent): void {
    this.recoveredFiles++
    this.#finished(from, to, content.end)
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
    return this.folders.durable && this.#published.areNamesUnsynced
  }

  unsynced(error: unknown): void {
    this.#account.counters.errors++
    if (this.#isUnsyncedSaid) return
    this.#isUnsyncedSaid = true
    this.#account.warn('ERR_SYNC', `${this.folders.target}: ${errorMessage(error)}`)
  }

  /** See `PublishedFiles.sync`. */
  *syncPublished(): Steps<void> {
    yield* this.#published.sync()
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
    this.#manifests.close(keepManifest)
    await this.#commands?.stop()
  }

  /** A published file is in its final form. */
  #finished(from: string, to: string, bytes: number): void {
    this.#account.announce('rotated', { from, to, bytes })
    this.#account.announce('finished', { path: to, bytes })
    const name = basename(to)
    if (isOfPrefix(name, this.prefix)) this.#commands?.finished(name)
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
      this.#manifests.distrust(manifest)
      if (cannotSync(error)) throw new NotSyncableError(this.folders.temp, error)
    }
  }

  #copied(): void {
    this.#isCopying = true
    const { temp, target } = this.folders
    const message = `${temp} is on another file system than ${target}: every file has to be copied`
    this.#sayOnce('EXDEV', message, temp)
  }

  #cannotSync(folder: string, error: unknown): void {
    const message = `${folder} ${whyNoSync(error)}; a new name may be lost with the power (${errorMessage(error)})`
    this.#sayOnce('ERR_UNSUPPORTED', message, folder)
  }

  #sayOnce(code: string, message: string, path: string): void {
    if (this.#said.has(message) || this.#said.size >= MAX_SAID) return
    this.#said.add(message)
    this.#account.warn(code, message, path)
  }
}

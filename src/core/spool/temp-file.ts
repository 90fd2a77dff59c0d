// A temp file of a spool and its way into the folder where readers look: complete, with its final permission,
// under a name nobody has. Writer and recovery publish through the same steps.
import { constants } from 'node:fs'
import { join, sep } from 'node:path'
import { assert } from '../../base/assert.ts'
import { errorMessage, systemCode } from '../../base/errors.ts'
import { PLACE_TARGET, PLACE_TEMP, publishedName, tempName } from '../../formats/spool.ts'
import type { Disk } from '../../io/disk.ts'
import { failpoint } from '../../io/failpoint.ts'
import { giveMode, type ModeWarning } from '../../io/file-mode.ts'
import { cannotSync } from '../../io/open-file.ts'
import { closeQuietly, removeQuietly } from '../../io/quietly.ts'
import type { ShutFolder } from '../../io/shut-folder.ts'
import { FolderSyncError, fdatasync, open, read, type Steps, syncFolder, writeAll } from '../../io/steps.ts'
import { native } from '../../native/index.ts'
import { NotSyncableError } from '../sink/target.ts'
import { isKnownAt } from './file-state.ts'
import type { SpoolManifest } from './manifest.ts'

const TEMP_MODE = 0o600
const COPY_BYTES = 256 * 1024
/** Names carry nanoseconds that never come twice, so one that is taken is bad luck or somebody's joke. */
const NAME_ATTEMPTS = 100
const CREATE = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW

/** What all files of one spool share. */
export interface SpoolFolders {
  readonly disk: Disk
  readonly temp: string
  readonly target: string
  readonly permission: number
  /** Whether a published file must survive power loss. */
  readonly durable: boolean
  readonly counters: { writes: number; syncs: number }
  /** Nanoseconds since 1970; never twice the same. */
  now(): bigint
  /** `temp` is on another file system than `target`: files have to be copied. */
  copied(): void
  /** Tells whether `folder` can be synced at all. */
  shut(folder: string): ShutFolder
  /** It cannot. */
  cannotSync(folder: string, error: unknown): void
  /** A file could not be given its permissions. */
  readonly otherMode: ModeWarning
  /** A file that nobody needs any more could not be removed. */
  leftBehind(path: string, error: unknown): void
}

/** How much of a file is complete. */
export interface Extent {
  readonly end: number
  readonly records: number
}

/** The complete part of a temp file. */
export interface Content extends Extent {
  readonly crc: number
}

export interface TempFileName {
  readonly base: string
  readonly worker: number
  readonly number: number
  readonly instance: string
  readonly pid: number
  /** Told how far a copy has come. */
  readonly reached?: (position: number) => void
}

/** fdatasync of a temp file failed: the kernel may have dropped what was in it. */
export class TempSyncError extends Error {
  constructor(path: string, cause: unknown) {
    super(`sync of ${path} failed: ${errorMessage(cause)}`, { cause })
  }
}

export class TempFile {
  readonly base: string
  readonly worker: number
  readonly number: number
  fd: number
  path: string
  place: number
  readonly #instance: string
  readonly #pid: number
  readonly #reached: ((position: number) => void) | undefined

  constructor(name: TempFileName, path: string, place: number, fd: number) {
    this.base = name.base
    this.worker = name.worker
    this.number = name.number
    this.#instance = name.instance
    this.#pid = name.pid
    this.#reached = name.reached
    this.path = path
    this.place = place
    this.fd = fd
    native.closeAtExit(fd)
  }

  static *create(folders: SpoolFolders, name: TempFileName): Steps<TempFile> {
    const path = tempPath(folders, name)
    const fd = yield* open(path, CREATE, TEMP_MODE)
    failpoint('spool-created')
    return new TempFile(name, path, PLACE_TEMP, fd)
  }

  /**
   * Gives the file, of which `content` is complete, its final name and returns that; `isLonger` if more than that was
   * written to it. After a failure it can be called again. The file stays open.
   */
  *publish(
    folders: SpoolFolders,
    manifest: SpoolManifest | undefined,
    content: Content,
    isLonger: boolean
  ): Steps<string> {
    const { disk } = folders
    if (isLonger) disk.truncate(this.fd, content.end)
    giveMode(disk, this.path, this.fd, folders.permission, folders.otherMode)
    if (folders.durable && this.place === PLACE_TEMP) yield* this.sync(folders)
    failpoint('spool-sealed')
    let failure: unknown
    for (let attempt = 0; attempt < NAME_ATTEMPTS; attempt++) {
      const path = targetPath(folders, this.base)
      try {
        disk.renameNoReplace(this.path, path)
        return path
      } catch (error) {
        // Over a network the answer can get lost behind the deed, which must not be done again.
        if (isKnownAt(disk, this.fd, path)) return path
        failure = error
        const code = systemCode(error)
        if (code === 'EXDEV' && this.place === PLACE_TEMP) yield* this.#move(folders, manifest, content)
        else if (code !== 'EEXIST') break
      }
    }
    throw failure
  }

  /** Makes what was written durable. Throws `TempSyncError` if a second attempt would prove nothing. */
  *sync(folders: SpoolFolders): Steps<void> {
    folders.counters.syncs++
    try {
      yield* fdatasync(this.fd)
    } catch (error) {
      throw cannotSync(error) ? new NotSyncableError(this.path, error) : new TempSyncError(this.path, error)
    }
  }

  /** Copies `content` to `to`; false if it is not what was written. */
  *copyTo(to: number, folders: SpoolFolders, content: Content): Steps<boolean> {
    const buffer = Buffer.allocUnsafeSlow(COPY_BYTES)
    let crc = 0
    for (let at = 0; at < content.end; ) {
      const count = yield* read(this.fd, buffer, Math.min(COPY_BYTES, content.end - at), at)
      if (count <= 0) return false
      crc = native.crc32c(buffer, crc, 0, count)
      yield* writeAll(to, buffer, 0, count, at)
      folders.counters.writes++
      at += count
      this.#reached?.(at)
    }
    return crc === content.crc
  }

  close(disk: Disk): void {
    native.forget(this.fd)
    closeQuietly(disk, this.fd)
  }

  // The copy is a temp file of the same name in the folder to publish in. The manifest says which of the two is the
  // file; it changes when the copy is durable and before the source goes, so at every moment exactly one counts.
  *#move(folders: SpoolFolders, manifest: SpoolManifest | undefined, content: Content): Steps<void> {
    assert(this.place === PLACE_TEMP)
    folders.copied()
    const { disk } = folders
    const path = join(folders.target, tempName(this.base, this.#pid, this.#instance, this.number))
    if (disk.exists(path)) {
      // Left by an attempt that failed; the manifest may speak for it.
      this.#save(manifest, content, PLACE_TEMP)
      disk.unlink(path)
    }
    const fd = yield* open(path, CREATE, TEMP_MODE)
    let progress: 'copying' | 'noting' | 'done' = 'copying'
    try {
      yield* this.#fillCopy(fd, folders, content)
      progress = 'noting'
      this.#switchPlace(manifest, content)
      progress = 'done'
    } finally {
      // Also where the run was ended from outside.
      if (progress !== 'done') closeQuietly(disk, fd)
      // What the manifest may speak for stays; the next attempt removes it when it is known not to.
      if (progress === 'copying') removeQuietly(disk, path)
    }
    const source = this.path
    this.close(disk)
    native.closeAtExit(fd)
    this.fd = fd
    this.path = path
    this.place = PLACE_TARGET
    failpoint('spool-moved')
    try {
      disk.unlink(source)
    } catch (error) {
      folders.leftBehind(source, error)
    }
  }

  *#fillCopy(fd: number, folders: SpoolFolders, content: Content): Steps<void> {
    if (!(yield* this.copyTo(fd, folders, content)))
      throw new Error(`${this.path} does not read back as written`)
    giveMode(folders.disk, this.path, fd, folders.permission, folders.otherMode)
    folders.counters.syncs++
    yield* fdatasync(fd)
    yield* syncNames(folders, folders.target)
    failpoint('spool-copied')
  }

  #switchPlace(manifest: SpoolManifest | undefined, content: Content): void {
    try {
      this.#save(manifest, content, PLACE_TARGET)
    } catch (error) {
      // Some of it may be in the manifest all the same.
      this.#save(manifest, content, PLACE_TEMP)
      throw error
    }
  }

  #save(manifest: SpoolManifest | undefined, content: Content, place: number): void {
    manifest?.save(this.worker, { ...content, place, file: this.number })
  }
}

/** Where a temp file is made. */
export function tempPath(folders: SpoolFolders, name: TempFileName): string {
  return inFolder(folders.temp, tempName(name.base, name.pid, name.instance, name.number))
}

/** A path nobody has used, for a file to be published at. */
export function targetPath(folders: SpoolFolders, base: string): string {
  return inFolder(folders.target, publishedName(base, folders.now()))
}

// What `join` does to a folder that is absolute and normal; every file would pay for the rest.
function inFolder(folder: string, name: string): string {
  return folder.endsWith(sep) ? folder + name : folder + sep + name
}

/** Makes the names in `folder` durable, where its file system can. */
export function* syncNames(folders: SpoolFolders, folder: string): Steps<void> {
  folders.counters.syncs++
  try {
    yield* syncFolder(folders.disk, folder)
    folders.shut(folder).opened()
  } catch (error) {
    const cause = error instanceof FolderSyncError ? error.cause : error
    if (!folders.shut(folder).isUnsyncable(cause)) throw error
    folders.cannotSync(folder, cause)
  }
}

/** Removes a temp file that holds nothing to keep. */
export function removeTemp(disk: Disk, path: string): void {
  if (disk.exists(path)) disk.unlink(path)
}

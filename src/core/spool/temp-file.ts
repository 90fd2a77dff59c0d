// A temp file of a spool and its way into the folder where readers look: complete, with its final permission,
// under a name nobody has. Writer and recovery publish through the same steps.
import { constants } from 'node:fs'
import { join, sep } from 'node:path'
import { systemCode } from '../../base/errors.ts'
import { PLACE_TARGET, PLACE_TEMP, publishedName, tempName } from '../../formats/spool.ts'
import type { Disk } from '../../io/disk.ts'
import { failpoint } from '../../io/failpoint.ts'
import { fdatasync, fsync, open, read, type Steps, writeAll } from '../../io/steps.ts'
import { native } from '../../native/index.ts'
import type { SpoolNote } from './note.ts'

const TEMP_MODE = 0o600
const COPY_BYTES = 256 * 1024

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
}

/** The complete part of a temp file. */
export interface Content {
  readonly end: number
  readonly records: number
  readonly crc: number
}

export interface TempFileName {
  readonly base: string
  readonly worker: number
  readonly number: number
  readonly instance: string
  readonly pid: number
}

/** fdatasync of a temp file failed: the kernel may have dropped what was in it. */
export class TempSyncError extends Error {}

export class TempFile {
  readonly base: string
  readonly worker: number
  readonly number: number
  fd: number
  path: string
  place: number
  readonly #instance: string
  readonly #pid: number

  constructor(name: TempFileName, path: string, place: number, fd: number) {
    this.base = name.base
    this.worker = name.worker
    this.number = name.number
    this.#instance = name.instance
    this.#pid = name.pid
    this.path = path
    this.place = place
    this.fd = fd
    native.closeAtExit(fd)
  }

  static *create(folders: SpoolFolders, name: TempFileName): Steps<TempFile> {
    const path = tempPath(folders, name)
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
    const fd = yield* open(path, flags, TEMP_MODE)
    failpoint('spool-created')
    return new TempFile(name, path, PLACE_TEMP, fd)
  }

  /**
   * Gives the file, of which `content` is complete, its final name and returns that; `isLonger` if more than that was
   * written to it. After a failure it can be called again. The file stays open.
   */
  *publish(
    folders: SpoolFolders,
    note: SpoolNote | undefined,
    content: Content,
    isLonger: boolean
  ): Steps<string> {
    const { disk } = folders
    if (isLonger) disk.truncate(this.fd, content.end)
    disk.chmod(this.fd, folders.permission)
    if (folders.durable && this.place === PLACE_TEMP) yield* this.#sync(folders)
    failpoint('spool-sealed')
    for (;;) {
      const path = targetPath(folders, this.base)
      try {
        disk.renameNoReplace(this.path, path)
        return path
      } catch (error) {
        const code = systemCode(error)
        if (code === 'EXDEV' && this.place === PLACE_TEMP) yield* this.#move(folders, note, content)
        else if (code !== 'EEXIST') throw error
      }
    }
  }

  /** Copies `content` to `to`; false if it is not what was written. */
  *copyTo(to: number, folders: SpoolFolders, content: Content): Steps<boolean> {
    const buffer = Buffer.allocUnsafeSlow(COPY_BYTES)
    let crc = 0
    for (let at = 0; at < content.end; ) {
      const count = yield* read(this.fd, buffer, Math.min(COPY_BYTES, content.end - at), at)
      if (count === 0) return false
      crc = native.crc32c(buffer, crc, 0, count)
      yield* writeAll(to, buffer, 0, count, at)
      folders.counters.writes++
      at += count
    }
    return crc === content.crc
  }

  close(disk: Disk): void {
    native.forget(this.fd)
    disk.close(this.fd)
  }

  *#sync(folders: SpoolFolders): Steps<void> {
    folders.counters.syncs++
    try {
      yield* fdatasync(this.fd)
    } catch (error) {
      throw new TempSyncError(`sync of ${this.path} failed`, { cause: error })
    }
  }

  // The copy is a temp file of the same name in the folder to publish in. The note says which of the two is the
  // file; it changes when the copy is durable and before the source goes, so at every moment exactly one counts.
  *#move(folders: SpoolFolders, note: SpoolNote | undefined, content: Content): Steps<void> {
    folders.copied()
    const { disk } = folders
    const path = join(folders.target, tempName(this.base, this.#pid, this.#instance, this.number))
    if (disk.exists(path)) disk.unlink(path)
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
    const fd = yield* open(path, flags, TEMP_MODE)
    try {
      if (!(yield* this.copyTo(fd, folders, content)))
        throw new Error(`${this.path} does not read back as written`)
      disk.chmod(fd, folders.permission)
      folders.counters.syncs++
      yield* fdatasync(fd)
      yield* syncFolder(folders, folders.target)
      failpoint('spool-copied')
      note?.save(this.worker, { ...content, place: PLACE_TARGET, file: this.number })
      failpoint('spool-moved')
    } catch (error) {
      disk.close(fd)
      disk.unlink(path)
      throw error
    }
    disk.unlink(this.path)
    this.close(disk)
    native.closeAtExit(fd)
    this.fd = fd
    this.path = path
    this.place = PLACE_TARGET
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

/** Makes the names in `folder` durable. */
export function* syncFolder(folders: Pick<SpoolFolders, 'disk' | 'counters'>, folder: string): Steps<void> {
  const fd = yield* open(folder, constants.O_RDONLY | constants.O_DIRECTORY, 0)
  try {
    folders.counters.syncs++
    yield* fsync(fd)
  } finally {
    folders.disk.close(fd)
  }
}

/** Removes a temp file that holds nothing to keep. */
export function removeTemp(disk: Disk, path: string): void {
  if (disk.exists(path)) disk.unlink(path)
}

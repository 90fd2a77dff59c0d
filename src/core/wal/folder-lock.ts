// One process at a time may have a log open. The kernel lock on `.lock` decides; the process id in the file only
// tells others whom to ask. Behind it the file names the newest segment, so that its loss does not go unnoticed. Without
// kernel locks the thread that has the log claims it (shared-file/claim.ts), and the process id is looked at, too.
import { constants } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { LogboomError, systemCode } from '../../base/errors.ts'
import { isAlive } from '../../base/process.ts'
import type { Claim as Owner } from '../../formats/claim-name.ts'
import { parseSegmentName, type SegmentName } from '../../formats/wal.ts'
import type { Disk } from '../../io/disk.ts'
import { type OpenFile, openFile, refuseOthers } from '../../io/open-file.ts'
import { closeQuietly } from '../../io/quietly.ts'
import { thisThread } from '../../io/thread-life.ts'
import { writeAll } from '../../io/write-all.ts'
import { native } from '../../native/index.ts'
import { Claim, claimFolderOf, describeOwner, ownerOf } from '../shared-file/claim.ts'

export const LOCK_NAME = '.lock'
const LOCK_MODE = 0o600
const SLOT = 0
const NOT_FOLLOWED = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY
const MAX_OWNER_BYTES = 512
const MAX_TURNS = 100
/**
 * `<pid> <host>`, and in a line of its own the name of a segment; perhaps cut short by a full disk, or zeros, which is
 * what a power loss may leave of it.
 */
const CONTENT =
  /^(\d{1,10}|(\d{1,10} [^\s\0]{0,255})?(\n+([0-9a-f]{1,16}(-[0-9a-f]{0,16}(\.w?a?l?)?)?\n*)?)?|\0*)$/

/** Whether files of other users are used. */
export type ForeignOwner = 'refuse' | 'allow'

/** Where a log may be written and the folder that it is in may not, or can have no more names, nothing is claimed. */
const NO_CLAIM = new Set(['EACCES', 'EPERM', 'EROFS', 'ENAMETOOLONG'])

/** Folders open in this thread. */
const openHere = new Set<string>()

export class FolderLock {
  readonly #disk: Disk
  readonly #file: OpenFile
  readonly #key: string
  #claim: Claim | undefined
  /** The newest segment that was noted here. */
  #noted: SegmentName | undefined
  /** Bytes in the file. */
  #length: number

  private constructor(disk: Disk, file: OpenFile, key: string, content: string, claim: Claim | undefined) {
    this.#disk = disk
    this.#file = file
    this.#key = key
    this.#claim = claim
    this.#noted = notedIn(content)
    this.#length = content.length
  }

  /**
   * Locks an existing folder, which is or will be that of the log in `walDir`. Throws `ERR_LOCKED` naming the owner's process
   * id, or `ERR_NOT_FILE`.
   */
  static acquire(disk: Disk, folder: string, foreignOwner: ForeignOwner, walDir = folder): FolderLock {
    const claim = claimOf(disk, walDir, foreignOwner)
    try {
      return FolderLock.#acquire(disk, folder, foreignOwner, claim)
    } catch (error) {
      claim?.release()
      throw error
    }
  }

  static #acquire(
    disk: Disk,
    folder: string,
    foreignOwner: ForeignOwner,
    claim: Claim | undefined
  ): FolderLock {
    const path = join(folder, LOCK_NAME)
    const options = { mode: LOCK_MODE, dirMode: 0, mkdir: false, foreignOwner }
    for (let turn = 0; turn < MAX_TURNS; turn++) {
      const file = openFile(disk, path, constants.O_RDWR, options)
      try {
        const content = contentOf(disk, file)
        const key = `${file.dev}:${file.ino}`
        if (!take(disk, file, key, content)) throw locked(folder, content)
        const found = disk.lstat(path)
        if (found !== undefined && file.is(found)) {
          const lock = new FolderLock(disk, file, key, content, claim)
          lock.#sign()
          openHere.add(key)
          return lock
        }
        // The folder was moved into place or away in between: the lock counts only where others will look.
      } catch (error) {
        file.release()
        throw error
      }
      file.release()
    }
    throw new LogboomError('ERR_LOCKED', `${path} is replaced all the time`, { path })
  }

  /** The newest segment of this folder that a writer has noted, if any. */
  get noted(): SegmentName | undefined {
    return this.#noted
  }

  /**
   * Notes the newest segment, which must have its name durably by now: then a note that is old or lost does no harm, and
   * one that is ahead of the folder proves that a segment is gone. Needs no sync for that.
   */
  note(newest: SegmentName | undefined): void {
    this.#noted = newest
    try {
      this.#write(`${process.pid} ${hostname()}`)
    } catch {
      // The note before stays, and proves less.
    }
  }

  /** Whether the lock is still where others will look for it. */
  isIn(folder: string): boolean {
    const found = this.#disk.lstat(join(folder, LOCK_NAME))
    return found !== undefined && this.#file.is(found)
  }

  /** Locks the folder that is at this one's path by now, and frees this one. */
  replacedBy(folder: string, foreignOwner: ForeignOwner): FolderLock {
    const claim = this.#claim?.isHeld() === true ? this.#claim : claimOf(this.#disk, folder, foreignOwner)
    const lock = FolderLock.#acquire(this.#disk, folder, foreignOwner, claim)
    this.#claim = undefined
    this.release()
    return lock
  }

  /** Frees the lock. The file stays: removing it would let two processes lock two files of one name. */
  release(): void {
    openHere.delete(this.#key)
    if (!native.canLock) this.#unsign()
    this.#file.release()
    this.#claim?.release()
  }

  /** Without kernel locks the process id is all that others go by, and this process may live on. */
  #unsign(): void {
    try {
      this.#write('')
    } catch {
      // The disk has failed; who comes next is refused as long as this process lives, which is the safe side.
    }
  }

  #sign(): void {
    try {
      this.#write(`${process.pid} ${hostname()}`)
    } catch (error) {
      // Where the kernel decides, the name of the owner is only told to others.
      if (!native.canLock) throw error
    }
  }

  /** Over what is there: on a full disk a file that was emptied first could not be written again. */
  #write(owner: string): void {
    const content = this.#noted === undefined ? `${owner}\n` : `${owner}\n${this.#noted.name}\n`
    const before = this.#length
    this.#length = Math.max(before, content.length)
    writeAll(this.#disk, this.#file.fd, Buffer.from(content.padEnd(before, '\n'), 'latin1'), 0)
    if (before > content.length) this.#disk.truncate(this.#file.fd, content.length)
    this.#length = content.length
  }
}

/** What is found where the lock file of a folder should be. */
export interface LockFile {
  /** The newest segment that a writer has noted. */
  readonly noted?: SegmentName | undefined
  /** Why no writer would use the file. */
  readonly refusal?: string
}

/** Looks at the lock file of a folder without taking its lock. */
export function lookAtLock(disk: Disk, folder: string, foreignOwner: ForeignOwner): LockFile {
  const path = join(folder, LOCK_NAME)
  let fd: number | undefined
  try {
    const found = disk.lstat(path)
    if (found === undefined) return {}
    refuseOthers(disk, path, found, { foreignOwner })
    fd = disk.open(path, NOT_FOLLOWED, 0)
    refuseOthers(disk, path, disk.fstat(fd), { foreignOwner })
    return { noted: notedIn(contentOf(disk, { path, fd })) }
  } catch (error) {
    // One that cannot be read says nothing of the log; its owner may open it.
    return error instanceof LogboomError ? { refusal: error.message } : {}
  } finally {
    if (fd !== undefined) closeQuietly(disk, fd)
  }
}

/** Whether the segment that was noted is missing behind those that are there. */
export function isNewestMissing(noted: SegmentName | undefined, segments: readonly SegmentName[]): boolean {
  return noted !== undefined && !segments.some(({ sequence }) => sequence >= noted.sequence)
}

function notedIn(content: string): SegmentName | undefined {
  return parseSegmentName(content.replace(/^[^\n]*/, '').trim())
}

/** What the file says. Throws `ERR_NOT_FILE` if it is not one of ours: it must not be written to. */
function contentOf(disk: Disk, { path, fd }: Pick<OpenFile, 'path' | 'fd'>): string {
  const { nlink, size } = disk.fstat(fd)
  const bytes = Buffer.alloc(MAX_OWNER_BYTES)
  const content = bytes.toString('latin1', 0, disk.read(fd, bytes, 0, bytes.length, 0))
  // A file that was removed a moment ago has no name; it is opened anew.
  if (nlink > 1) {
    throw new LogboomError('ERR_NOT_FILE', `${path} has ${nlink} names: it is a hard link to another file`, {
      path
    })
  }
  if (size > MAX_OWNER_BYTES || !CONTENT.test(content)) {
    throw new LogboomError(
      'ERR_NOT_FILE',
      `${path} is not the lock file of a log, but a file of somebody else`,
      { path }
    )
  }
  return content
}

/** Throws `ERR_LOCKED` if a living thread has claimed the log; claims it where there are no kernel locks. */
function claimOf(disk: Disk, walDir: string, foreignOwner: ForeignOwner): Claim | undefined {
  const options = { mode: LOCK_MODE, dirMode: 0, mkdir: false, foreignOwner }
  try {
    if (native.canLock) {
      const owner = ownerOf(disk, claimFolderOf(walDir), options)
      if (owner === undefined) return undefined
      throw claimed(walDir, owner)
    }
    const claim = new Claim(disk, walDir, options)
    if (claim.take()) return claim
    throw claimed(walDir, claim.owner)
  } catch (error) {
    if (!NO_CLAIM.has(systemCode(error) ?? '')) throw error
    return undefined
  }
}

function claimed(walDir: string, owner: Owner | undefined): LogboomError {
  const self = thisThread()
  const isHere = owner?.machine === self.machine && owner.space === self.space
  if (owner === undefined || isHere) return locked(walDir, `${owner?.pid ?? ''} ${hostname()}`)
  const message = `${walDir} is ${describeOwner(owner, claimFolderOf(walDir))}`
  return new LogboomError('ERR_LOCKED', message, { path: walDir })
}

function take(disk: Disk, file: OpenFile, key: string, content: string): boolean {
  if (openHere.has(key)) return false
  if (native.canLock) return disk.lock(file.fd, SLOT, 0)
  const pid = Number.parseInt(ownerIn(content), 10)
  return !Number.isInteger(pid) || pid === process.pid || !isAlive(pid)
}

function locked(folder: string, text: string): LogboomError {
  const [pid, host] = ownerIn(text).replaceAll('\0', '').trim().split(' ')
  const owner = pid === '' ? 'another process' : `process ${pid} on ${host ?? 'this host'}`
  return new LogboomError('ERR_LOCKED', `${folder} is in use by ${owner}`, { path: folder })
}

function ownerIn(content: string): string {
  return content.split('\n', 1)[0]
}

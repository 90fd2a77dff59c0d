// One process at a time may have a log open. The kernel lock on `.lock` decides; the process id in the file only
// tells others whom to ask.
import { constants } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { LogboomError } from '../../base/errors.ts'
import { isAlive } from '../../base/process.ts'
import type { Disk } from '../../io/disk.ts'
import { type OpenFile, openFile } from '../../io/open-file.ts'
import { native } from '../../native/index.ts'
import { writeAll } from './write-all.ts'

export const LOCK_NAME = '.lock'
const LOCK_MODE = 0o600
const SLOT = 0
const MAX_OWNER_BYTES = 512
const MAX_TURNS = 100
/** `<pid> <host>`, perhaps cut short by a full disk, or zeros, which is what a power loss may leave of it. */
const OWNER = /^(\d{1,10}( [^\s\0]{0,255}\n*)?|\0*)$/

/** Whether files of other users are used. */
export type ForeignOwner = 'refuse' | 'allow'

/** Folders open in this thread: all there is to go by without kernel locks, besides the process ids. */
const openHere = new Set<string>()

export class FolderLock {
  readonly #disk: Disk
  readonly #file: OpenFile
  readonly #key: string

  private constructor(disk: Disk, file: OpenFile, key: string) {
    this.#disk = disk
    this.#file = file
    this.#key = key
  }

  /** Locks an existing folder. Throws `ERR_LOCKED` naming the owner's process id, or `ERR_NOT_FILE`. */
  static acquire(disk: Disk, folder: string, foreignOwner: ForeignOwner): FolderLock {
    const path = join(folder, LOCK_NAME)
    const options = { mode: LOCK_MODE, dirMode: 0, mkdir: false, foreignOwner }
    for (let turn = 0; turn < MAX_TURNS; turn++) {
      const file = openFile(disk, path, constants.O_RDWR, options)
      try {
        const owner = ownerOf(disk, file)
        const key = `${file.dev}:${file.ino}`
        if (!take(disk, file, key, owner)) throw locked(folder, owner)
        const found = disk.lstat(path)
        if (found !== undefined && file.is(found)) {
          const lock = new FolderLock(disk, file, key)
          lock.#sign(owner.length)
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

  /** Whether the lock is still where others will look for it. */
  isIn(folder: string): boolean {
    const found = this.#disk.lstat(join(folder, LOCK_NAME))
    return found !== undefined && this.#file.is(found)
  }

  /** Frees the lock. The file stays: removing it would let two processes lock two files of one name. */
  release(): void {
    openHere.delete(this.#key)
    if (!native.canLock) this.#unsign()
    this.#file.release()
  }

  /** Without kernel locks the process id is all that others go by, and this process may live on. */
  #unsign(): void {
    try {
      this.#disk.truncate(this.#file.fd, 0)
    } catch {
      // The disk has failed; who comes next is refused as long as this process lives, which is the safe side.
    }
  }

  /** Over what is there: on a full disk a file that was emptied first could not be written again. */
  #sign(before: number): void {
    const owner = Buffer.from(`${process.pid} ${hostname()}\n`)
    try {
      writeAll(this.#disk, this.#file.fd, Buffer.from(owner.toString().padEnd(before, '\n')), 0)
      if (before > owner.length) this.#disk.truncate(this.#file.fd, owner.length)
    } catch (error) {
      // Where the kernel decides, the name of the owner is only told to others.
      if (!native.canLock) throw error
    }
  }
}

/** What the file says. Throws `ERR_NOT_FILE` if it is not one of ours: it must not be written to. */
function ownerOf(disk: Disk, file: OpenFile): string {
  const { path } = file
  const { nlink, size } = disk.fstat(file.fd)
  const bytes = Buffer.alloc(MAX_OWNER_BYTES)
  const owner = bytes.toString('latin1', 0, disk.read(file.fd, bytes, 0, bytes.length, 0))
  // A file that was removed a moment ago has no name; it is opened anew.
  if (nlink > 1) {
    throw new LogboomError('ERR_NOT_FILE', `${path} has ${nlink} names: it is a hard link to another file`, {
      path
    })
  }
  if (size > MAX_OWNER_BYTES || !OWNER.test(owner)) {
    throw new LogboomError(
      'ERR_NOT_FILE',
      `${path} is not the lock file of a log, but a file of somebody else`,
      { path }
    )
  }
  return owner
}

function take(disk: Disk, file: OpenFile, key: string, owner: string): boolean {
  if (openHere.has(key)) return false
  if (native.canLock) return disk.lock(file.fd, SLOT, 0)
  const pid = Number.parseInt(owner, 10)
  return !Number.isInteger(pid) || pid === process.pid || !isAlive(pid)
}

function locked(folder: string, text: string): LogboomError {
  const [pid, host] = text.replaceAll('\0', '').trim().split(' ')
  const owner = pid === '' ? 'another process' : `process ${pid} on ${host ?? 'this host'}`
  return new LogboomError('ERR_LOCKED', `${folder} is in use by ${owner}`, { path: folder })
}

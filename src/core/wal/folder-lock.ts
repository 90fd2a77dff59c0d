// One process at a time may have a log open. The kernel lock on `.lock` decides; the process id in the file only
// tells others whom to ask.
import { constants } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { LogboomError } from '../../base/errors.ts'
import type { Disk } from '../../io/disk.ts'
import { type OpenFile, openFile } from '../../io/open-file.ts'
import { native } from '../../native/index.ts'

export const LOCK_NAME = '.lock'
const LOCK_MODE = 0o600
const SLOT = 0
const MAX_OWNER_BYTES = 512
const MAX_TURNS = 100

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

  /** Locks an existing folder. Throws `ERR_LOCKED` naming the owner's process id. */
  static acquire(disk: Disk, folder: string): FolderLock {
    const path = join(folder, LOCK_NAME)
    const options = { mode: LOCK_MODE, dirMode: 0, mkdir: false }
    for (let turn = 0; turn < MAX_TURNS; turn++) {
      const file = openFile(disk, path, constants.O_RDWR, options)
      try {
        const key = `${file.dev}:${file.ino}`
        if (!take(disk, file, key)) throw locked(disk, file, folder)
        const found = disk.lstat(path)
        if (found !== undefined && file.is(found)) {
          const lock = new FolderLock(disk, file, key)
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

  #sign(): void {
    const owner = Buffer.from(`${process.pid} ${hostname()}\n`)
    this.#disk.truncate(this.#file.fd, 0)
    this.#disk.write(this.#file.fd, owner, 0, owner.length, 0)
  }
}

function take(disk: Disk, file: OpenFile, key: string): boolean {
  if (openHere.has(key)) return false
  if (native.canLock) return disk.lock(file.fd, SLOT, 0)
  const pid = Number.parseInt(readOwner(disk, file), 10)
  return !Number.isInteger(pid) || pid === process.pid || !isAlive(pid)
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function readOwner(disk: Disk, file: OpenFile): string {
  const bytes = Buffer.alloc(MAX_OWNER_BYTES)
  return bytes.toString('utf8', 0, disk.read(file.fd, bytes, 0, bytes.length, 0))
}

function locked(disk: Disk, file: OpenFile, folder: string): LogboomError {
  const [pid, host] = readOwner(disk, file).trim().split(' ')
  const owner = pid === '' ? 'another process' : `process ${pid} on ${host}`
  return new LogboomError('ERR_LOCKED', `${folder} is in use by ${owner}`, { path: folder })
}

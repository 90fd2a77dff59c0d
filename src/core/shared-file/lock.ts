// The kernel lock of a log that several writers share, and the state they leave each other under it.
import { constants } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { LogboomError } from '../../base/errors.ts'
import {
  decodeLockState,
  emptyLockState,
  encodeLockState,
  isLockFile,
  type LockState,
  lockFileBytes,
  lockFileName,
  lockStateBytes,
  writeSlot
} from '../../formats/lock-file.ts'
import type { Disk } from '../../io/disk.ts'
import { type OpenFile, type OpenOptions, openFile } from '../../io/open-file.ts'

/** Private whatever the mode of the log: who can open a lock file can hold up its users. */
const LOCK_FILE_MODE = 0o600
const MAX_TURNS = 100

export class Lock {
  readonly path: string
  readonly #disk: Disk
  readonly #options: OpenOptions
  readonly #bytes = Buffer.alloc(lockStateBytes)
  #file: OpenFile | undefined

  constructor(disk: Disk, logPath: string, options: OpenOptions) {
    this.path = join(dirname(logPath), lockFileName(basename(logPath)))
    this.#disk = disk
    this.#options = { ...options, mode: LOCK_FILE_MODE }
  }

  /**
   * Takes the writers' lock within `waitMs`, and reads the state; undefined if somebody else holds it. The
   * kernel frees it when its holder dies.
   */
  acquire(waitMs: number): LockState | undefined {
    for (let turn = 0; ; turn++) {
      if (turn === MAX_TURNS) throw new Error(`${this.path} is replaced all the time`)
      const file = this.#open()
      if (!this.#disk.lock(file.fd, writeSlot, waitMs)) return undefined
      try {
        // Somebody may have removed the file or its folder: the lock counts only on the file that others will open.
        const found = this.#disk.lstat(this.path)
        if (found !== undefined && file.is(found)) return this.#read(file)
      } catch (error) {
        this.close()
        throw error
      }
      this.close()
    }
  }

  /** Writes the state; only under the lock. */
  save(state: LockState): void {
    encodeLockState(state, this.#bytes)
    const written = this.#disk.write(this.#held().fd, this.#bytes, 0, lockStateBytes, 0)
    // Half a state is as good as none, and a write that it announces could not be repaired.
    if (written !== lockStateBytes) {
      throw Object.assign(
        new Error(`ENOSPC: only ${written} bytes of the state were written to ${this.path}`),
        {
          code: 'ENOSPC'
        }
      )
    }
  }

  /** Frees the lock. Throws what the system says; the lock is free all the same, as the file is closed then. */
  release(): void {
    if (this.#file === undefined) return
    try {
      this.#disk.unlock(this.#file.fd, writeSlot)
    } catch (error) {
      this.close()
      throw error
    }
  }

  /** Takes another slot of the same file without waiting; a descriptor of its own keeps it apart from `release`. */
  tryOther(slot: number): OpenFile | undefined {
    const file = this.#openLockFile()
    let held = false
    try {
      held = this.#disk.lock(file.fd, slot, 0)
    } finally {
      if (!held) file.release()
    }
    return held ? file : undefined
  }

  /** Closes the descriptor, which frees the lock. */
  close(): void {
    this.#file?.release()
    this.#file = undefined
  }

  #open(): OpenFile {
    this.#file ??= this.#openLockFile()
    return this.#file
  }

  // The state is written to whatever lies at this name, so it must be a lock file, and nobody else's file by another
  // name.
  #openLockFile(): OpenFile {
    const file = openFile(this.#disk, this.path, constants.O_RDWR, this.#options)
    try {
      const stat = this.#disk.fstat(file.fd)
      const head = Buffer.alloc(lockFileBytes)
      const length = this.#disk.read(file.fd, head, 0, lockFileBytes, 0)
      if (stat.nlink > 1 || !isLockFile(head.subarray(0, length))) {
        const what = stat.nlink > 1 ? 'has a second name (a hard link)' : 'is no lock file of ours'
        throw new LogboomError('ERR_NOT_FILE', `${this.path} ${what} and is left alone`, { path: this.path })
      }
      // Who can open a lock file can hold up its users.
      if ((stat.mode & 0o077) !== 0 && stat.uid === process.geteuid?.()) this.#makePrivate(file)
      return file
    } catch (error) {
      file.release()
      throw error
    }
  }

  #makePrivate(file: OpenFile): void {
    try {
      this.#disk.chmod(file.fd, LOCK_FILE_MODE)
    } catch {
      // A file system without permissions of its own; there is nothing to make private.
    }
  }

  #held(): OpenFile {
    if (this.#file === undefined) throw new Error(`${this.path} is not locked`)
    return this.#file
  }

  #read(file: OpenFile): LockState {
    const length = this.#disk.read(file.fd, this.#bytes, 0, lockStateBytes, 0)
    return decodeLockState(this.#bytes.subarray(0, length)) ?? emptyLockState()
  }
}

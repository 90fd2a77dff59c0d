// Makes sure that one sink writes a direct file, or a folder of them: the lock, of the kernel or a claim, is held as
// long as the sink is open, and taken again where its file was removed.
import { constants } from 'node:fs'
import { LogboomError } from '../../base/errors.ts'
import { decodeLockState, lockFileBytes } from '../../formats/lock-file.ts'
import type { Disk } from '../../io/disk.ts'
import { openFile } from '../../io/open-file.ts'
import { createLock } from '../shared-file/create-lock.ts'
import type { Lock } from '../shared-file/lock.ts'

export interface PathLockOptions {
  readonly mode: number
  readonly dirMode: number
  readonly mkdir: boolean
}

export class PathLock {
  readonly #disk: Disk
  readonly #path: string
  readonly #lock: Lock
  #isHeld = false

  /**
   * Throws `ERR_LOCKED` if somebody else has `path`, and refusals of the lock file. Where the folder cannot be written
   * now the lock is not held yet: `isMine` tries again.
   */
  constructor(disk: Disk, path: string, options: PathLockOptions) {
    this.#disk = disk
    this.#path = path
    this.#lock = createLock(disk, path, options, 'held')
    let isMine: boolean
    try {
      isMine = this.isMine()
    } catch (error) {
      this.close()
      throw error
    }
    if (isMine) return
    const refusal = this.#refusal()
    this.close()
    throw refusal
  }

  /** Whether it was held when it was last looked at. */
  get isHeld(): boolean {
    return this.#isHeld
  }

  /** Whether the lock is held on the file that is at its place now; takes it where it is free. */
  isMine(): boolean {
    const lock = this.#lock
    this.#isHeld = false
    try {
      const state = lock.acquire(0)
      if (state === undefined) return false
      this.#isHeld = true
      if (state.pid !== process.pid) lock.save({ ...state, pid: process.pid, writing: false })
    } catch (error) {
      if (error instanceof LogboomError) throw error
      // The disk is full or the folder not to be written now: the sink starts and waits, as all of them do. The number
      // of the process is for messages only.
    }
    return true
  }

  /** Frees the lock. */
  close(): void {
    this.#lock.close()
  }

  #refusal(): LogboomError {
    const pid = this.#ownerPid()
    const owner =
      pid === undefined ? 'somebody else' : pid === process.pid ? 'this process' : `process ${pid}`
    const message =
      `${this.#path} is already open for direct writing by ${owner}; one process writes a direct file, ` +
      "and with instance: 'per-process' each process writes one of its own"
    return new LogboomError('ERR_LOCKED', message, { path: this.#path })
  }

  #ownerPid(): number | undefined {
    const bytes = Buffer.alloc(lockFileBytes)
    try {
      const options = { mode: 0, dirMode: 0, mkdir: false }
      const file = openFile(this.#disk, this.#lock.path, constants.O_RDONLY, options)
      try {
        this.#disk.read(file.fd, bytes, 0, bytes.length, 0)
      } finally {
        file.release()
      }
    } catch {
      return undefined
    }
    return decodeLockState(bytes)?.pid
  }
}

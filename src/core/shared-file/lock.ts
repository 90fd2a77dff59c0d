// The kernel lock of a log that several writers share, and the state they leave each other under it.
import { constants } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import {
  decodeLockState,
  emptyLockState,
  encodeLockState,
  type LockState,
  lockFileBytes,
  lockFileName,
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
  readonly #bytes = Buffer.alloc(lockFileBytes)
  #file: OpenFile | undefined

  constructor(disk: Disk, logPath: string, options: OpenOptions) {
    this.path = join(dirname(logPath), lockFileName(basename(logPath)))
    this.#disk = disk
    this.#options = { mode: LOCK_FILE_MODE, dirMode: options.dirMode, mkdir: options.mkdir }
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
    this.#disk.write(this.#held().fd, this.#bytes, 0, lockFileBytes, 0)
  }

  release(): void {
    if (this.#file !== undefined) this.#disk.unlock(this.#file.fd, writeSlot)
  }

  /** Takes another slot of the same file without waiting; a descriptor of its own keeps it apart from `release`. */
  tryOther(slot: number): OpenFile | undefined {
    const file = openFile(this.#disk, this.path, constants.O_RDWR, this.#options)
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
    this.#file ??= openFile(this.#disk, this.path, constants.O_RDWR, this.#options)
    return this.#file
  }

  #held(): OpenFile {
    if (this.#file === undefined) throw new Error(`${this.path} is not locked`)
    return this.#file
  }

  #read(file: OpenFile): LockState {
    const length = this.#disk.read(file.fd, this.#bytes, 0, lockFileBytes, 0)
    return decodeLockState(this.#bytes.subarray(0, length)) ?? emptyLockState()
  }
}

// The lock file of a log as a file: opened safely, and the state of the log in it (src/formats/lock-file.ts). Who may
// read and write it when is up to the lock that uses it.
import { constants } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { LogboomError } from '../../base/errors.ts'
import {
  claimNoteAt,
  claimNoteBytes,
  decodeLockState,
  emptyLockState,
  encodeLockState,
  isLockFile,
  type LockState,
  lockFileBytes,
  lockFileHead,
  lockFileName,
  lockFileReadBytes,
  lockStateBytes,
  notedClaim
} from '../../formats/lock-file.ts'
import type { Disk } from '../../io/disk.ts'
import { type OpenFile, type OpenOptions, openFile } from '../../io/open-file.ts'

/** Private whatever the mode of the log: who can open a lock file can hold up its users. */
const LOCK_FILE_MODE = 0o600

export class StateFile {
  readonly path: string
  /** The token of the claim that was noted when the state was last read; 0 if there was none. */
  claim = 0
  readonly #disk: Disk
  readonly #options: OpenOptions
  readonly #bytes = Buffer.alloc(lockFileReadBytes)
  readonly #state = this.#bytes.subarray(0, lockStateBytes)
  readonly #note = Buffer.alloc(claimNoteBytes)
  #file: OpenFile | undefined

  constructor(disk: Disk, logPath: string, options: OpenOptions) {
    this.path = join(dirname(logPath), lockFileName(basename(logPath)))
    this.#disk = disk
    this.#options = { ...options, mode: LOCK_FILE_MODE }
  }

  /** The open file, if it is open. */
  get file(): OpenFile | undefined {
    return this.#file
  }

  /** Opens it, if it is not open. */
  open(): OpenFile {
    this.#file ??= this.openAnother()
    return this.#file
  }

  /** Whether the open file is the one that others will open: somebody may have removed it or its folder. */
  isInPlace(): boolean {
    const found = this.#disk.lstat(this.path)
    return found !== undefined && this.#file?.is(found) === true
  }

  read(): LockState {
    const { fd } = this.#opened()
    const length = this.#disk.read(fd, this.#bytes, 0, lockFileReadBytes, 0)
    this.claim = notedClaim(this.#bytes.subarray(0, length))
    return decodeLockState(this.#bytes.subarray(0, length)) ?? emptyLockState()
  }

  save(state: LockState): void {
    encodeLockState(state, this.#bytes)
    this.#write(this.#state, 0)
  }

  /** Notes the token of a claim; only for its owner, who may not be alone yet, so that nothing else is changed. */
  noteClaim(token: number): void {
    const { fd } = this.#opened()
    // A new file that begins with zeros would not be taken for a lock file.
    if (this.#disk.fstat(fd).size < lockFileBytes) this.#write(lockFileHead, 0)
    this.#note.writeUIntLE(token, 0, claimNoteBytes)
    this.#write(this.#note, claimNoteAt)
    this.claim = token
  }

  close(): void {
    this.#file?.release()
    this.#file = undefined
  }

  /**
   * A descriptor of its own. The state is written to whatever lies at this name, so it must be a lock file, and nobody
   * else's file by another name.
   */
  openAnother(): OpenFile {
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

  // Half a state is as good as none, and a write that it announces could not be repaired.
  #write(bytes: Uint8Array, position: number): void {
    const written = this.#disk.write(this.#opened().fd, bytes, 0, bytes.length, position)
    if (written === bytes.length) return
    const message = `ENOSPC: only ${written} bytes of the state were written to ${this.path}`
    throw Object.assign(new Error(message), { code: 'ENOSPC' })
  }

  #opened(): OpenFile {
    if (this.#file === undefined) throw new Error(`${this.path} is not locked`)
    return this.#file
  }
}

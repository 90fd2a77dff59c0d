// How far a shipper has come: a small JSON file that is replaced as a whole, and a lock beside it, so that one shipper at a
// time goes on from it. Batches are noted before they are sent, so that after a crash the same ones are sent again.
import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { dirname, resolve } from 'node:path'
import * as v from 'valibot'
import { errorMessage, LogboomError, systemCode } from '../base/errors.ts'
import { type Disk, realDisk } from '../io/disk.ts'
import { type OpenFile, openFile, syncFolder } from '../io/open-file.ts'
import { native } from '../native/index.ts'

const LOCK_SLOT = 0
const MAX_BYTES = 256 * 1024
const ACCESS = { mode: 0o600, dirMode: 0o700, mkdir: true }

const whole = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const stateSchema = v.strictObject({
  version: v.literal(1),
  stream: v.pipe(v.string(), v.regex(/^[0-9a-f]{16}$/)),
  /** Behind the last record of which it is known that the target has it; null for none. */
  cursor: v.nullable(v.string()),
  /** How many records and batches that were. */
  records: whole,
  batches: whole,
  /** Noted and not known to be there, in order: the cursor of the last record, how many, and when. */
  pending: v.array(v.strictObject({ cursor: v.string(), records: whole, timeMs: whole }))
})

export type CheckpointState = v.InferOutput<typeof stateSchema>
export type PendingBatch = CheckpointState['pending'][number]

export class Checkpoint {
  readonly path: string
  readonly #disk: Disk
  readonly #lock: OpenFile
  #state: CheckpointState

  private constructor(path: string, disk: Disk, lock: OpenFile, state: CheckpointState) {
    this.path = path
    this.#disk = disk
    this.#lock = lock
    this.#state = state
  }

  /** Throws `ERR_LOCKED` if another shipper has it, `ERR_CORRUPT` for a file that is none, `ERR_UNSUPPORTED` without locks. */
  static open(file: string, disk: Disk = realDisk): Checkpoint {
    const path = resolve(file)
    if (!native.canLock) {
      const message = 'shipping needs kernel locks, which the addon gives'
      throw new LogboomError('ERR_UNSUPPORTED', message, { path })
    }
    const lock = openFile(disk, `${path}.lock`, constants.O_RDWR, ACCESS)
    try {
      if (!disk.lock(lock.fd, LOCK_SLOT, 0)) {
        throw new LogboomError('ERR_LOCKED', `another shipper is using the checkpoint ${path}`, { path })
      }
      const state = read(disk, path)
      const checkpoint = new Checkpoint(path, disk, lock, state ?? newState())
      if (state === undefined) checkpoint.write(checkpoint.state)
      return checkpoint
    } catch (error) {
      lock.release()
      throw error
    }
  }

  get state(): CheckpointState {
    return this.#state
  }

  /** On disk when it returns. Throws `ERR_IO`; the state before stays then. */
  write(state: CheckpointState): void {
    const temporary = `${this.path}.tmp`
    try {
      const file = openFile(this.#disk, temporary, constants.O_RDWR | constants.O_TRUNC, ACCESS)
      try {
        const bytes = Buffer.from(`${JSON.stringify(state)}\n`)
        for (let at = 0; at < bytes.length; )
          at += this.#disk.write(file.fd, bytes, at, bytes.length - at, at)
        this.#disk.fsync(file.fd)
      } finally {
        file.release()
      }
      this.#disk.rename(temporary, this.path)
      syncFolder(this.#disk, dirname(this.path))
    } catch (error) {
      if (error instanceof LogboomError) throw error
      const message = `cannot write the checkpoint ${this.path}: ${errorMessage(error)}`
      throw new LogboomError('ERR_IO', message, { path: this.path, cause: error })
    }
    this.#state = state
  }

  close(): void {
    this.#lock.release()
  }
}

function newState(): CheckpointState {
  const stream = randomBytes(8).toString('hex')
  return { version: 1, stream, cursor: null, records: 0, batches: 0, pending: [] }
}

function read(disk: Disk, path: string): CheckpointState | undefined {
  let fd: number
  try {
    fd = disk.open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK, 0)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw new LogboomError('ERR_IO', `cannot read the checkpoint ${path}: ${errorMessage(error)}`, {
      path,
      cause: error
    })
  }
  try {
    const bytes = Buffer.alloc(MAX_BYTES)
    const text = bytes.toString('utf8', 0, disk.read(fd, bytes, 0, MAX_BYTES, 0))
    return v.parse(stateSchema, JSON.parse(text))
  } catch (error) {
    const message = `${path} is no checkpoint of a shipper: ${errorMessage(error)}`
    throw new LogboomError('ERR_CORRUPT', message, { path, cause: error })
  } finally {
    disk.close(fd)
  }
}

// How far a shipper has come: a small file that is overwritten in place, also on a full disk, and a lock beside it, so that
// one shipper at a time goes on from it. Batches are noted before they are sent, so that after a crash the same ones are sent
// again. docs/formats.md describes it.
import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { dirname, resolve } from 'node:path'
import * as v from 'valibot'
import { errorMessage, LogboomError, systemCode } from '../base/errors.ts'
import { encodeSlot } from '../formats/slots.ts'
import { type Disk, realDisk } from '../io/disk.ts'
import { type OpenFile, openFile, syncFolderIfPossible } from '../io/open-file.ts'
import { closeQuietly, removeQuietly } from '../io/quietly.ts'
import { writeAll } from '../io/write-all.ts'
import { native } from '../native/index.ts'
import { SlotPair } from './slot-file.ts'

const LOCK_SLOT = 0
/** Whoever looks whether it is held has it for a moment. */
const LOCK_WAIT_MS = 100
/** Room for a hundred batches under way in a log with the longest name. */
export const checkpointSlotBytes = 256 * 1024
const ACCESS = { mode: 0o600, dirMode: 0o700, mkdir: true }

const whole = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const names = v.array(v.string())
const stateSchema = v.strictObject({
  version: v.literal(1),
  stream: v.pipe(v.string(), v.regex(/^[0-9a-f]{16}$/)),
  /** Behind the last record of which it is known that the target has it; null for none. */
  cursor: v.nullable(v.string()),
  /** How many records and batches that were. */
  records: whole,
  batches: whole,
  /**
   * Noted and not known to be there, in order: the cursor of the last record, how many, when, and of a spool the files that
   * ended in it.
   */
  pending: v.array(v.strictObject({ cursor: v.string(), records: whole, timeMs: whole, files: names })),
  /** Files of a spool that are in the target and not removed yet. */
  done: names
})

export type CheckpointState = v.InferOutput<typeof stateSchema>
export type PendingBatch = CheckpointState['pending'][number]

export class Checkpoint {
  readonly path: string
  /** As it is to be; `save` makes it durable. */
  state: CheckpointState
  readonly #lock: OpenFile
  readonly #file: OpenFile
  readonly #slots: SlotPair
  #present: Promise<void> | undefined
  #next: Promise<void> | undefined

  private constructor(path: string, lock: OpenFile, file: OpenFile, slots: SlotPair, state: CheckpointState) {
    this.path = path
    this.state = state
    this.#lock = lock
    this.#file = file
    this.#slots = slots
  }

  /**
   * Throws `ERR_LOCKED` if another shipper has it, `ERR_CORRUPT` for a file that is none, `ERR_IO`, `ERR_UNSUPPORTED`
   * without locks.
   */
  static open(path: string, disk: Disk = realDisk): Checkpoint {
    const own = resolve(path)
    if (!native.canLock) {
      const message = 'shipping needs kernel locks, which the addon gives'
      throw new LogboomError('ERR_UNSUPPORTED', message, { path: own })
    }
    const lock = opened(own, () => openFile(disk, `${own}.lock`, constants.O_RDWR, ACCESS))
    let file: OpenFile | undefined
    try {
      if (!disk.lock(lock.fd, LOCK_SLOT, LOCK_WAIT_MS)) {
        throw new LogboomError('ERR_LOCKED', `another shipper is using the checkpoint ${own}`, { path: own })
      }
      if (disk.lstat(own) === undefined) create(disk, own)
      file = opened(own, () => openFile(disk, own, constants.O_RDWR, { ...ACCESS, mkdir: false }))
      const { slots, content } = SlotPair.read(disk, file.fd, checkpointSlotBytes)
      return new Checkpoint(own, lock, file, slots, parseState(own, content))
    } catch (error) {
      file?.release()
      lock.release()
      throw error
    }
  }

  /** The state of this moment, or a later one, is on disk when it resolves. Rejects with `ERR_IO`; the state before is there then. */
  save(): Promise<void> {
    this.#next ??= this.#saveBehind(this.#present)
    return this.#next
  }

  async close(): Promise<void> {
    await this.#next?.catch(() => {})
    await this.#present?.catch(() => {})
    this.#file.release()
    this.#lock.release()
  }

  /** One at a time; all that is asked for meanwhile is one more. */
  async #saveBehind(before: Promise<void> | undefined): Promise<void> {
    await before?.catch(() => {})
    this.#present = this.#next
    this.#next = undefined
    try {
      await this.#slots.writeDurably(this.state)
    } catch (error) {
      throw cannotWrite(this.path, error)
    }
  }
}

/** What the checkpoint at `path` says. Throws `ERR_CORRUPT`, `ERR_IO`. */
export function readCheckpoint(path: string, disk: Disk = realDisk): CheckpointState {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants
  const fd = opened(path, () => disk.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0))
  try {
    return parseState(path, SlotPair.read(disk, fd, checkpointSlotBytes).content)
  } finally {
    closeQuietly(disk, fd)
  }
}

function parseState(path: string, content: unknown): CheckpointState {
  const { success, output } = v.safeParse(stateSchema, content)
  if (success) return output
  throw new LogboomError('ERR_CORRUPT', `${path} is no checkpoint of a shipper, or a damaged one`, {
    path,
    offset: 0
  })
}

/** A new one, whole when it has its name. */
function create(disk: Disk, path: string): void {
  const stream = randomBytes(8).toString('hex')
  const state = { version: 1, stream, cursor: null, records: 0, batches: 0, pending: [], done: [] }
  const temporary = `${path}.tmp`
  try {
    // What lies there may be another name of a file of somebody else.
    removeQuietly(disk, temporary)
    const file = openFile(disk, temporary, constants.O_RDWR | constants.O_EXCL, ACCESS)
    try {
      // All of its room, so that it can be overwritten when the disk is full.
      const bytes = Buffer.alloc(2 * checkpointSlotBytes)
      encodeSlot({ sequence: 0n, content: state }, checkpointSlotBytes).copy(bytes)
      writeAll(disk, file.fd, bytes, 0)
      disk.fsync(file.fd)
    } finally {
      file.release()
    }
    disk.rename(temporary, path)
    syncFolderIfPossible(disk, dirname(path))
  } catch (error) {
    throw cannotWrite(path, error)
  }
}

function opened<T>(path: string, open: () => T): T {
  try {
    return open()
  } catch (error) {
    if (error instanceof LogboomError || systemCode(error) === undefined) throw error
    const message = `cannot open the checkpoint ${path}: ${errorMessage(error)}`
    throw new LogboomError('ERR_IO', message, { path, cause: error })
  }
}

function cannotWrite(path: string, cause: unknown): LogboomError {
  if (cause instanceof LogboomError) return cause
  const message = `cannot write the checkpoint ${path}: ${errorMessage(cause)}`
  return new LogboomError('ERR_IO', message, { path, cause })
}

// The file of one consumer, open and locked: its room is taken when it is made and overwritten in place, so that a full
// disk does not keep a consumer from acknowledging.
import { constants } from 'node:fs'
import { join } from 'node:path'
import { errorMessage, LogboomError } from '../../base/errors.ts'
import {
  CONSUMER_FILE_BYTES,
  CONSUMERS_FOLDER,
  type ConsumerState,
  decodeConsumerFile,
  encodeSlot,
  isBegun,
  slotOffset
} from '../../formats/consumer-file.ts'
import type { Disk } from '../../io/disk.ts'
import { makeFolders, type OpenFile, openFile } from '../../io/open-file.ts'
import { writeAll } from '../../io/write-all.ts'
import { native } from '../../native/index.ts'
import { syncEntries } from './sync-entries.ts'

const LOCK_SLOT = 0
const MAX_TURNS = 100

/** Files open in this thread, by device and inode: all there is to go by without kernel locks. */
const openHere = new Set<string>()

export interface ConsumerFileOptions {
  readonly mode: number
  readonly dirMode: number
  readonly foreignOwner: 'refuse' | 'allow'
}

/** Where a consumer stands. */
export type Position = Pick<ConsumerState, 'index' | 'entry'>

export class ConsumerFile {
  /** It was made by this call. */
  readonly isNew: boolean
  readonly #disk: Disk
  readonly #file: OpenFile
  readonly #key: string
  #state: ConsumerState

  private constructor(disk: Disk, file: OpenFile, key: string, state: ConsumerState, isNew: boolean) {
    this.isNew = isNew
    this.#disk = disk
    this.#file = file
    this.#key = key
    this.#state = state
  }

  /**
   * Opens the file of a consumer and locks it. A new one begins at `start()`. Throws `ERR_LOCKED` if the consumer is in use,
   * `ERR_CORRUPT` if nothing in the file is sound, `ERR_NOT_FILE`, `ERR_SYMLINK`, `ERR_OWNER`.
   */
  static open(
    disk: Disk,
    walDir: string,
    name: string,
    identity: string | undefined,
    options: ConsumerFileOptions,
    start: () => Position
  ): ConsumerFile {
    const folder = join(walDir, CONSUMERS_FOLDER)
    const path = join(folder, name)
    if (!disk.exists(folder)) makeFolders(disk, folder, options.dirMode)
    for (let turn = 0; turn < MAX_TURNS; turn++) {
      const file = openFile(disk, path, constants.O_RDWR, { ...options, mkdir: false })
      const key = `${file.dev}:${file.ino}`
      try {
        if (openHere.has(key) || (native.canLock && !disk.lock(file.fd, LOCK_SLOT, 0)))
          throw inUse(path, name)
        const there = disk.lstat(path)
        if (there !== undefined && file.is(there)) {
          const found = read(disk, file)
          const state = found ?? create(disk, file, folder, identity, start())
          openHere.add(key)
          return new ConsumerFile(disk, file, key, state, found === undefined)
        }
      } catch (error) {
        file.release()
        throw error
      }
      file.release()
    }
    throw new LogboomError('ERR_LOCKED', `${path} is replaced all the time`, { path })
  }

  get path(): string {
    return this.#file.path
  }

  get state(): ConsumerState {
    return this.#state
  }

  /** On disk when it returns. Throws `ERR_IO`; the position before stays then. */
  write(position: Position, identity: string | undefined): void {
    const state = nextState(this.#state.sequence + 1n, identity, position)
    try {
      writeAll(this.#disk, this.#file.fd, encodeSlot(state), slotOffset(state.sequence))
      this.#disk.fdatasync(this.#file.fd)
    } catch (error) {
      const message = `cannot note in ${this.path} what was acknowledged: ${errorMessage(error)}`
      throw new LogboomError('ERR_IO', message, { path: this.path, cause: error })
    }
    this.#state = state
  }

  release(): void {
    openHere.delete(this.#key)
    this.#file.release()
  }
}

function nextState(
  sequence: bigint,
  identity: string | undefined,
  { index, entry }: Position
): ConsumerState {
  return { sequence, identity, index, entry, timeMs: Date.now(), pid: process.pid }
}

/** Undefined for a file that was not finished when it was made. */
function read(disk: Disk, { fd, path }: OpenFile): ConsumerState | undefined {
  const { size, nlink } = disk.fstat(fd)
  const bytes = Buffer.alloc(CONSUMER_FILE_BYTES)
  const length = disk.read(fd, bytes, 0, bytes.length, 0)
  const state = decodeConsumerFile(bytes.subarray(0, length))
  if (nlink > 1 || (size < CONSUMER_FILE_BYTES && !isBegun(bytes.subarray(0, length)))) {
    const what = nlink > 1 ? 'has a second name (a hard link)' : 'is no file of a consumer'
    throw new LogboomError('ERR_NOT_FILE', `${path} ${what} and is left alone`, { path })
  }
  if (size === CONSUMER_FILE_BYTES && state !== undefined) return state
  if (size <= CONSUMER_FILE_BYTES && (size < CONSUMER_FILE_BYTES || bytes.every((byte) => byte === 0)))
    return undefined
  const message = `${path} does not say how far its consumer has come; remove it to begin with the oldest entry there is`
  throw new LogboomError('ERR_CORRUPT', message, { path, offset: 0 })
}

function create(
  disk: Disk,
  { fd }: OpenFile,
  folder: string,
  identity: string | undefined,
  position: Position
): ConsumerState {
  const state = nextState(0n, identity, position)
  const bytes = Buffer.alloc(CONSUMER_FILE_BYTES)
  encodeSlot(state).copy(bytes, slotOffset(state.sequence))
  writeAll(disk, fd, bytes, 0)
  disk.fsync(fd)
  syncEntries(disk, folder)
  syncEntries(disk, join(folder, '..'))
  return state
}

function inUse(path: string, name: string): LogboomError {
  return new LogboomError('ERR_LOCKED', `consumer ${JSON.stringify(name)} is in use: ${path} is locked`, {
    path
  })
}

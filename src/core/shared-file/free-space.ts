// Keeps room on the file system free: the oldest backups go first, and when there are none left, nothing is written, so that
// the overflow policy decides what becomes of the records.
import { monotonicMs } from '../../base/clock.ts'
import { LogboomError, systemCode } from '../../base/errors.ts'
import type { Disk } from '../../io/disk.ts'

/** While there is room, it is looked again after so much time, ... */
const CHECK_MS = 1_000
/** ... or when so much was written here. Others write, too. */
const CHECK_BYTES = 1024 * 1024
/** So long the removal of backups is waited for, which somebody else may keep from its turn. */
const REMOVAL_MS = 5_000

export interface FreeSpaceHost {
  readonly disk: Disk
  /** The live file. */
  readonly path: string
  readonly folder: string
  readonly minFreeBytes: number
  /** Has the oldest backups removed. */
  readonly removeBackups: () => void
  /** The last look at the backups found none that could be removed. */
  readonly isExhausted: () => boolean
}

export class FreeSpace {
  readonly #host: FreeSpaceHost
  #nextMs = Number.NEGATIVE_INFINITY
  #unseenBytes = 0
  #shortSinceMs: number | undefined

  constructor(host: FreeSpaceHost) {
    this.#host = host
  }

  /** To be called before `bytes` are written. Throws `ERR_SPACE` if there is no room that may be used. */
  require(bytes: number): void {
    const now = monotonicMs()
    this.#unseenBytes += bytes
    const isDue = now >= this.#nextMs || this.#unseenBytes >= CHECK_BYTES
    if (this.#shortSinceMs === undefined && !isDue) return
    this.#nextMs = now + CHECK_MS
    this.#unseenBytes = 0
    const { disk, path, folder, minFreeBytes, removeBackups, isExhausted } = this.#host
    const free = freeBytesIn(disk, folder)
    if (free === undefined || free >= minFreeBytes) {
      this.#shortSinceMs = undefined
      return
    }
    this.#shortSinceMs ??= now
    const isOver = isExhausted() || now - this.#shortSinceMs > REMOVAL_MS
    removeBackups()
    if (!isOver) return
    const message = `${path} is not written, as ${free} bytes are free there, less than 'minFreeBytes' (${minFreeBytes}), and no backups are left to be removed`
    throw new LogboomError('ERR_SPACE', message, { path })
  }
}

/** Undefined if the folder is not there: it is made with the first file in it. */
export function freeBytesIn(disk: Disk, folder: string): number | undefined {
  try {
    return disk.freeBytes(folder)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw error
  }
}

// Makes durable what of a log is about to be shipped, so that a power cut cannot take records from the log that the checkpoint
// counts as shipped: who goes on would not find its place. As rarely as that is possible, because it is work for the disk
// that the log is written to.
import { constants } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { monotonicMs } from '../base/clock.ts'
import { errorMessage, LogboomError, systemCode } from '../base/errors.ts'
import type { Disk } from '../io/disk.ts'
import { cannotSync } from '../io/open-file.ts'
import type { RecordBatch } from '../readers/reader.ts'

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK, O_NOCTTY } = constants
const MIN_INTERVAL_MS = 100

/** How far of a file is to be durable. */
export interface Reached {
  readonly file: string
  /** As cursors name it. */
  readonly place: string
  readonly end: number
  /** Nothing is appended to the file any more, so one sync is enough. */
  readonly isFinished: boolean
  /** Its size says where its records end. */
  readonly isGrowing: boolean
}

/** The part of a batch up to record number `at`, exclusive. */
export function reachedIn(batch: RecordBatch, at: number): Reached {
  const format = batch.place?.format
  return {
    file: batch.file,
    place: batch.place?.file ?? '',
    end: batch.position + batch.bounds[2 * at - 1],
    isFinished: batch.place?.file.startsWith('=') === true && format !== 'wal',
    isGrowing: format !== 'wal'
  }
}

export class DurableLog {
  readonly #disk: Disk
  readonly #signal: AbortSignal
  /** Of the file that was synced last. */
  #name = ''
  #end = 0
  #syncedAtMs = Number.NEGATIVE_INFINITY

  constructor(disk: Disk, signal: AbortSignal) {
    this.#disk = disk
    this.#signal = signal
  }

  /** Rejects with `ERR_IO`. */
  async sync({ file, place, end, isFinished, isGrowing }: Reached): Promise<void> {
    // A file that was rotated has another place, and may have another file at its path.
    const name = `${place} ${file}`
    if (this.#name === name && end <= this.#end) return
    const waitMs = this.#syncedAtMs + MIN_INTERVAL_MS - monotonicMs()
    if (isGrowing && !isFinished && waitMs > 0) {
      await sleep(waitMs, undefined, { signal: this.#signal }).catch(() => {})
    }
    const size = await this.#syncFile(file)
    this.#syncedAtMs = monotonicMs()
    this.#name = name
    this.#end = isFinished ? Number.POSITIVE_INFINITY : isGrowing ? Math.max(size, end) : end
  }

  /** Returns its size before. */
  async #syncFile(path: string): Promise<number> {
    try {
      const fd = await this.#disk.openAsync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0)
      try {
        const { size } = this.#disk.fstat(fd)
        await this.#disk.fdatasyncAsync(fd)
        return size
      } finally {
        this.#disk.close(fd)
      }
    } catch (error) {
      // Rotated or removed meanwhile, or there is no sync here at all.
      const code = systemCode(error)
      if (code === 'ENOENT' || code === 'ELOOP' || cannotSync(error)) return 0
      const message = `cannot sync ${path} before it is shipped: ${errorMessage(error)}`
      throw new LogboomError('ERR_IO', message, { path, cause: error })
    }
  }
}

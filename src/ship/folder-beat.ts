// The file by which who ships all logs of a folder tells the writers that it lives, so that they keep what it has not got, also of logs
// that it has not seen yet; and by which they tell it what they could not keep.
import { errorMessage, LogboomError, systemCode } from '../base/errors.ts'
import { type LostBackups, shortCode } from '../formats/log-consumer.ts'
import { realDisk } from '../io/disk.ts'
import type { FolderShipperStats } from './folder-shipper.ts'
import { PositionFile } from './position-file.ts'

const BEAT_MS = 1_000

export interface FolderBeatSource {
  stats(): FolderShipperStats
  isDegraded(): boolean
  warn(error: unknown): void
  lost(error: Error): void
}

export class FolderBeat {
  readonly #folder: string
  readonly #consumer: string
  readonly #target: string
  readonly #of: FolderBeatSource
  readonly #startedAtMs = Date.now()
  readonly #timer: NodeJS.Timeout
  #file: PositionFile | undefined
  #known: LostBackups | undefined

  /** Throws `ERR_LOCKED`. */
  constructor(folder: string, consumer: string, target: string, of: FolderBeatSource) {
    this.#folder = folder
    this.#consumer = consumer
    this.#target = target
    this.#of = of
    this.#open()
    this.#timer = setInterval(() => this.#tell(this.#state()), BEAT_MS).unref()
  }

  /** The folder may have been removed and made again. Throws `ERR_LOCKED`. */
  look(): void {
    if (this.#file?.isThere() === false) {
      this.#file.close()
      this.#file = undefined
    }
    if (this.#file === undefined) this.#open()
    else this.#tellLost(this.#file)
  }

  close(failure: unknown): void {
    clearInterval(this.#timer)
    this.#tell(failure === undefined ? 'closed' : 'failed', failure)
    this.#file?.close()
    this.#file = undefined
  }

  #state(): 'open' | 'degraded' {
    return this.#of.isDegraded() ? 'degraded' : 'open'
  }

  #open(): void {
    try {
      this.#file = PositionFile.openOfFolder(realDisk, this.#folder, this.#consumer)
      this.#known = this.#file.lost()
      this.#tell(this.#state())
    } catch (error) {
      if (error instanceof LogboomError && error.code === 'ERR_LOCKED') throw error
      // It is not there yet.
      if (systemCode(error) === 'ENOENT') return
      const message = `${this.#folder} does not keep what was not shipped of new logs: ${errorMessage(error)}`
      this.#of.warn(new LogboomError('ERR_RETENTION', message, { path: this.#folder }))
    }
  }

  /** Of logs that it did not know. */
  #tellLost(file: PositionFile): void {
    try {
      const before = this.#known
      const { backups, bytes, last } = file.lost()
      this.#known = { backups, bytes, last }
      if (before === undefined || backups <= before.backups) return
      const much = `${backups - before.backups} files (${bytes - before.bytes} bytes), the last of them ${last}`
      const message = `writers have removed ${much} before the first look at their logs`
      this.#of.lost(new LogboomError('ERR_CURSOR_LOST', message, { path: this.#folder }))
    } catch {
      // The next look tells.
    }
  }

  #tell(state: 'open' | 'degraded' | 'closed' | 'failed', failure?: unknown): void {
    const { records, bytes, rejected, retries, lagBytes } = this.#of.stats()
    try {
      this.#file?.write({
        file: '',
        pid: process.pid,
        startedAtMs: Math.max(0, this.#startedAtMs),
        updatedAtMs: Math.max(0, Date.now()),
        target: this.#target,
        state,
        records,
        bytes,
        rejected,
        retries,
        lagRecords: 0,
        lagBytes,
        lagMs: 0,
        lastError: failure instanceof LogboomError ? shortCode(failure.code) : ''
      })
    } catch {
      // The lock tells that it lives.
    }
  }
}

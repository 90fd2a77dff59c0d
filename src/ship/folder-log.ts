// One log of a folder that is shipped as a whole: what its files looked like when it was shipped last, and when it is its turn.
import { readdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { monotonicMs } from '../base/clock.ts'
import { systemCode } from '../base/errors.ts'
import type { FoundLog } from '../readers/engine/log-finder.ts'
import { isHidden } from '../readers/engine/log-finder.ts'
import { firstPauseMs, nextPauseMs } from './attempts.ts'
import type { ShipTarget } from './target.ts'

/** Two changes that follow each other so fast may leave the same time in a file. */
const SAME_TIME_MS = 100

/** What a log looks like from outside. */
export interface Look {
  /** Changes with the files of the log. */
  readonly mark: string
  readonly size: number
  /** A change that comes right now might not be seen in `mark`. */
  readonly isFresh: boolean
}

const nothing: Look = { mark: '', size: 0, isFresh: false }

export interface LogCounters {
  records: number
  bytes: number
  batches: number
  rejected: number
  retries: number
  losses: number
  skippedBytes: number
}

export interface Turn {
  /** A change waits for more of them for so long. */
  readonly batchAgeMs: number
  /** Unless it is this large. */
  readonly batchBytes: number
}

export class FolderLog {
  /** As it is called in the folder, with the extension of its file. */
  readonly name: string
  readonly event: string
  /** Of its file, or of the folder that it is. */
  readonly path: string
  /** Where its files are: for a write-ahead log within `path`. */
  readonly place: string
  readonly startedAtMs = Date.now()
  readonly counters: LogCounters = emptyCounters()
  target: ShipTarget | undefined
  /** Now; undefined if there is nothing. */
  seen: Look | undefined
  /** Why it is shipped no more. */
  failure: Error | undefined
  isRunning = false
  readonly #isFolder: boolean
  /** When the last pass that came to the end began. */
  #shipped: Look | undefined
  /** When there was something. */
  #last: Look | undefined
  #changedAtMs = Number.NEGATIVE_INFINITY
  /** Not before, as it has failed. */
  #notBeforeMs = Number.NEGATIVE_INFINITY
  #pauseMs = firstPauseMs

  constructor(folder: string, { path, reader, event }: FoundLog) {
    this.#isFolder = reader.unit === 'folder'
    this.place = path
    this.path = this.#isFolder ? join(folder, event ?? basename(path)) : path
    this.name = basename(this.path)
    this.event = event ?? this.name
  }

  /** It was shipped to its end, and has not changed since. */
  get isShipped(): boolean {
    const shipped = this.#shipped
    return shipped !== undefined && !shipped.isFresh && shipped.mark === this.seen?.mark
  }

  /** It has come to the end of the log at least once. */
  get wasShipped(): boolean {
    return this.#shipped !== undefined
  }

  get isDegraded(): boolean {
    return this.#notBeforeMs !== Number.NEGATIVE_INFINITY
  }

  /** Of a log that is gone: whether there was something in it that had not been shipped. */
  get isRemovedUnshipped(): boolean {
    const last = this.#last
    return last !== undefined && (last.size > 0 || this.#isFolder) && last.mark !== this.#shipped?.mark
  }

  /** What is not shipped yet, as far as sizes tell. */
  get unshippedBytes(): number {
    return this.isShipped ? 0 : Math.max(0, (this.seen?.size ?? 0) - (this.#shipped?.size ?? 0))
  }

  /** Since when it has been waiting. */
  get waitsSinceMs(): number {
    return Math.max(this.#changedAtMs, this.#notBeforeMs)
  }

  async look(): Promise<void> {
    const found = await (this.#isFolder ? lookAtFolder(this.place) : lookAtFile(this.place))
    // It takes part in the turn from its first change on.
    if (this.isShipped && found?.mark !== this.seen?.mark) this.#changedAtMs = monotonicMs()
    this.seen = found ?? nothing
    this.#last = found ?? this.#last
  }

  isDue({ batchAgeMs, batchBytes }: Turn): boolean {
    const now = monotonicMs()
    if (this.isRunning || this.failure !== undefined || now < this.#notBeforeMs) return false
    if (this.#shipped === undefined || this.isDegraded) return true
    if (this.isShipped) return false
    return now - this.#changedAtMs >= batchAgeMs || this.unshippedBytes >= batchBytes
  }

  /** A pass that began when the log looked like `before` came to its end. */
  done(before: Look | undefined): void {
    this.#shipped = before ?? nothing
    this.#notBeforeMs = Number.NEGATIVE_INFINITY
    this.#pauseMs = firstPauseMs
    if (!this.isShipped) this.#changedAtMs = monotonicMs()
  }

  /** Something failed that may pass; `askedMs`: for how long the target wants to be left alone. */
  failed(askedMs: number): void {
    this.#notBeforeMs = monotonicMs() + Math.max(askedMs, this.#pauseMs * (0.5 + Math.random() / 2))
    this.#pauseMs = nextPauseMs(this.#pauseMs)
  }
}

export function emptyCounters(): LogCounters {
  return { records: 0, bytes: 0, batches: 0, rejected: 0, retries: 0, losses: 0, skippedBytes: 0 }
}

async function lookAtFile(path: string): Promise<Look | undefined> {
  try {
    const { ino, size, mtimeMs } = await stat(path)
    return { mark: `${ino} ${size} ${mtimeMs}`, size, isFresh: isFresh(mtimeMs) }
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return undefined
    throw error
  }
}

/** Its segments have their full size from the start. */
async function lookAtFolder(path: string): Promise<Look | undefined> {
  try {
    const names = (await readdir(path)).filter((name) => !isHidden(name))
    const looks = await Promise.all(names.map((name) => lookAtFile(join(path, name))))
    return {
      mark: `${names.join(' ')} ${looks.map((each) => each?.mark).join(' ')}`,
      size: 0,
      isFresh: looks.some((each) => each?.isFresh === true)
    }
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return undefined
    throw error
  }
}

function isFresh(mtimeMs: number): boolean {
  return Math.abs(Date.now() - mtimeMs) < SAME_TIME_MS
}

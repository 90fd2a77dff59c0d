// The target of the pump of event files: finds the event of each line and moves the line to the outputs.
import { setTimeout as setTimeoutAsync } from 'node:timers/promises'
import { monotonicMs } from '../../base/clock.ts'
import { LogboomError, systemCode } from '../../base/errors.ts'
import { decodeLength, LENGTH_BYTES } from '../../formats/binary-file.ts'
import type { Dropped } from '../queue/byte-queue.ts'
import { internals } from '../sink/internals.ts'
import {
  DataSyncError,
  NotSyncableError,
  nothingDropped,
  PermanentError,
  type SyncLevel,
  type Target
} from '../sink/target.ts'
import type { EventTable } from './event-table.ts'
import { LineEvents } from './line-events.ts'
import type { ParsedEventFilesOptions } from './options.ts'
import type { EventEntry, Outputs } from './outputs.ts'

/** A pump that allows a batch more time than this has a caller who is to be blocked. */
const SHORT_WAIT_MS = 10
const TRY_AGAIN_MS = 100
const NEWLINE = Buffer.from('\n')
/** What an error's message ends with. */
const CODE = / \[ERR_[A-Z_]+\]$/

export class EventTarget implements Target {
  /** Waiting is back-pressure. */
  readonly lockTimeoutMs = Number.POSITIVE_INFINITY
  readonly isStaging = true
  readonly #lines: LineEvents
  readonly #events: EventTable
  readonly #outputs: Outputs
  /** Whether a line is no record, but tells of drops. */
  readonly #isNotice: (line: Uint8Array) => boolean
  readonly #isDurable: boolean
  /** What is written are records with their lengths before them, else lines. */
  readonly #isFramed: boolean
  readonly #folder: string
  readonly #patienceMs = internals().stallMs
  #isClosed = false

  constructor(
    { own, checked, folder }: ParsedEventFilesOptions,
    events: EventTable,
    outputs: Outputs,
    isNotice: (line: Uint8Array) => boolean,
    isFramed: boolean
  ) {
    this.#isFramed = isFramed
    this.#folder = folder
    this.#isNotice = isNotice
    this.#lines = new LineEvents(own.eventKey)
    this.#isDurable = checked.durability === 'disk'
    this.#events = events
    this.#outputs = outputs
  }

  write(records: Buffer, waitMs: number): number {
    return this.#isFramed ? this.#writeFrames(records, waitMs) : this.#writeLines(records, waitMs)
  }

  #writeFrames(frames: Buffer, waitMs: number): number {
    let at = 0
    while (at < frames.length) {
      const start = at + LENGTH_BYTES
      const end = start + decodeLength(frames, at)
      const record = frames.subarray(start, end)
      const line = Buffer.concat([record, NEWLINE])
      // A text of several lines may be a JSON object all the same.
      const isLine = this.#lines.scan(line, 0, line.length) === 1
      const isNotice = this.#isNotice(line)
      const entry = isNotice
        ? this.#events.default
        : isLine
          ? this.#events.entryOfLine(this.#lines, line, 0, 0)
          : this.#entryOfText(record)
      while (record.length > 0 && !this.#outputs.add(entry, frames, start, end)) {
        if (at > 0 || waitMs < SHORT_WAIT_MS) return at
        this.#outputs.waitForRoom()
      }
      if (record.length > 0) {
        entry.isActive = true
        entry.accepted++
        if (isNotice) entry.notices++
      }
      at = end
    }
    return at
  }

  #entryOfText(record: Buffer): EventEntry {
    try {
      const line = Buffer.from(`${JSON.stringify(JSON.parse(record.toString()))}\n`)
      if (this.#lines.scan(line, 0, line.length) === 1)
        return this.#events.entryOfLine(this.#lines, line, 0, 0)
    } catch {
      // Not JSON: no name.
    }
    return this.#events.default
  }

  #writeLines(lines: Buffer, waitMs: number): number {
    let at = 0
    while (at < lines.length) {
      const count = this.#lines.scan(lines, at, lines.length)
      for (let index = 0; index < count; index++) {
        const end = this.#lines.endOf(index)
        if (end - at > 1) {
          // Whatever the key of events is, a notice has no event.
          const isNotice = this.#isNotice(lines.subarray(at, end))
          const entry = isNotice
            ? this.#events.default
            : this.#events.entryOfLine(this.#lines, lines, at, index)
          while (!this.#outputs.add(entry, lines, at, end - 1)) {
            if (at > 0 || waitMs < SHORT_WAIT_MS) return at
            this.#outputs.waitForRoom()
          }
          entry.isActive = true
          entry.accepted++
          if (isNotice) entry.notices++
        }
        at = end
      }
    }
    return at
  }

  async sync(to: SyncLevel): Promise<void> {
    let failingSinceMs: number | undefined
    while (!this.#isClosed) {
      try {
        await this.#outputs.flush(to)
        return
      } catch (error) {
        if (isFinal(error)) throw error
        // Something passing, such as no descriptor for a file that was closed meanwhile; but not for ever.
        failingSinceMs ??= monotonicMs()
        if (monotonicMs() - failingSinceMs >= this.#patienceMs) throw error
        await setTimeoutAsync(TRY_AGAIN_MS)
      }
    }
    throw new LogboomError('ERR_CLOSED', `files in ${this.#folder} were closed before they were flushed`, {
      path: this.#folder
    })
  }

  syncNow(to: SyncLevel, waitMs: number): void {
    try {
      this.#outputs.flushNow(to, waitMs)
    } catch (error) {
      // Files that are synced by themselves keep what is not on disk, and write it again by themselves.
      if (!(error instanceof DataSyncError) || !this.#isDurable) throw error
      throw new LogboomError('ERR_IO', error.message.replace(CODE, ''), { path: error.path, cause: error })
    }
  }

  pending(): { bytes: number; progress: number } {
    return this.#outputs.pending()
  }

  abandon(): Dropped {
    return this.#outputs.abandon?.() ?? nothingDropped
  }

  close(): Promise<Dropped> {
    this.#isClosed = true
    return this.#outputs.close()
  }
}

/** Whether a flush that failed so will not succeed: what it covers cannot be promised any more. */
function isFinal(error: unknown): boolean {
  if (error instanceof DataSyncError || error instanceof NotSyncableError || error instanceof PermanentError)
    return true
  return error instanceof LogboomError && systemCode(error) === 'ERR_UNSUPPORTED'
}

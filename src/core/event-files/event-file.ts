// The open file of one event: a sink of its own, and what its event needs to know of it.
import { monotonicMs } from '../../base/clock.ts'
import { type LogboomError, systemCode } from '../../base/errors.ts'
import type { Dropped } from '../queue/byte-queue.ts'
import type { SinkEvents, WarningEvent } from '../sink/contract.ts'
import type { InternalSink } from '../sink/pumped-sink.ts'
import type { SyncLevel } from '../sink/target.ts'
import type { EventEntry, OutputTotals } from './outputs.ts'

/** What a file tells of itself, after the call that caused it. */
export interface EventFileNews {
  rotated(...event: SinkEvents['rotated']): void
  finished(...event: SinkEvents['finished']): void
  removed(...event: SinkEvents['removed']): void
  repaired(...event: SinkEvents['repaired']): void
  warning(...event: SinkEvents['warning']): void
  degraded(file: EventFile, event: WarningEvent): void
  recovered(file: EventFile): void
  /** Records it had accepted will not be written. */
  dropped(file: EventFile, dropped: Dropped): void
}

const WRITTEN = ['records', 'bytes', 'rotations'] as const
const TOTALS = ['writes', 'syncs', 'rotations', 'repairs', 'errors'] as const

export class EventFile {
  readonly entry: EventEntry
  readonly #sink: InternalSink
  readonly #news: EventFileNews
  /** What of it the event knows. */
  readonly #counted: EventEntry['written'] = { records: 0, bytes: 0, rotations: 0 }
  #dropped = 0
  /** Where it is in a list of `OpenFiles`. */
  at = 0
  usedAtMs = 0
  #laggingSinceMs: number | undefined
  /** Why, if its sink said so. */
  trouble: WarningEvent | undefined
  /** Resolves when it is closed; undefined while it is open. */
  closed: Promise<void> | undefined
  /** Why it was closed without having written everything. */
  closeError: unknown
  /** Whether everything written is known to be on disk, at least as far as somebody asked. */
  isSynced = true

  constructor(entry: EventEntry, sink: InternalSink, news: EventFileNews) {
    this.entry = entry
    this.#sink = sink
    this.#news = news
    sink.on('rotated', news.rotated)
    sink.on('finished', news.finished)
    sink.on('removed', news.removed)
    sink.on('repaired', news.repaired)
    sink.on('warning', news.warning)
    sink.on('degraded', (event) => {
      this.trouble = event
      news.degraded(this, event)
    })
    sink.on('recovered', () => {
      this.trouble = undefined
      news.recovered(this)
    })
    // How many they are is asked for, because events come late and seldom; how large they were only they know.
    sink.on('dropped', ({ bytes }) => {
      this.count()
      news.dropped(this, { lines: 0, bytes })
    })
  }

  /** Bytes it was given and has not written. */
  get queuedBytes(): number {
    return this.#sink.queuedBytes
  }

  /** Since it was opened. */
  get bytesWritten(): number {
    return this.#sink.stats().bytes
  }

  /** When it was first found unable to write everything; undefined while it keeps up. */
  get laggingSinceMs(): number | undefined {
    // It may have caught up by itself.
    if (this.#laggingSinceMs !== undefined && this.queuedBytes === 0) this.#laggingSinceMs = undefined
    return this.#laggingSinceMs
  }

  get isLagging(): boolean {
    return this.laggingSinceMs !== undefined
  }

  /** Why it cannot write. */
  get failure(): LogboomError | undefined {
    return this.#sink.failure
  }

  get failureCode(): string | undefined {
    const { failure } = this.#sink
    return failure === undefined ? undefined : (systemCode(failure.cause) ?? failure.code)
  }

  /** Nothing more will be written by it, although nobody closed it. */
  get isDead(): boolean {
    const { state } = this.#sink.stats()
    return state === 'failed' || state === 'closed'
  }

  /** Takes lines as one piece, or, where records are not lines, each by itself. */
  give(lines: Buffer | readonly Buffer[]): void {
    this.isSynced = false
    if (Buffer.isBuffer(lines)) this.#sink.accept(lines)
    else this.#sink.writeRecords(lines)
  }

  /** Writes at once what can be written now. `isHeld`: see `Pump.writeNow`. */
  writeNow(isHeld = false): void {
    if (this.queuedBytes > 0) this.#sink.writeNow(isHeld)
    const now = monotonicMs()
    this.usedAtMs = now
    if (this.queuedBytes > 0) this.#laggingSinceMs ??= now
  }

  /** The same before the next attempt is due, and waiting for a lock. */
  tryNow(): void {
    try {
      this.#sink.flushSync('os')
    } catch {
      // It goes on trying, and says so by event.
    }
    this.writeNow()
  }

  async flush(to: SyncLevel): Promise<void> {
    await this.#sink.flushLines(to)
    if (to === 'disk') this.isSynced = true
  }

  flushSync(to: SyncLevel): void {
    this.#sink.flushSync(to)
    if (to === 'disk') this.isSynced = true
  }

  /** `hurry`: what is in trouble is not waited for. */
  close(hurry: boolean): Promise<void> {
    if (hurry) this.#sink.hurry()
    return this.#sink.close()
  }

  /** Closes it on this thread, if nothing is left to do for it but a sync; ends a close that is under way. */
  closeNow(): boolean {
    return this.#sink.closeNow()
  }

  /** Drops the oldest records of those it could not write yet. */
  dropOldest(bytes: number): void {
    this.#sink.dropOldest(bytes)
    this.count()
  }

  /** Gives up what it has not written, and counts it as dropped. */
  abandon(): void {
    const { bytes } = this.#sink.abandon()
    this.count()
    this.#news.dropped(this, { lines: 0, bytes })
  }

  /** Brings what is known of the event up to date, and adds to `totals`. */
  count(totals?: OutputTotals): void {
    const stats = this.#sink.stats()
    const { written } = this.entry
    // One file may be on its way out while the next one of the event is open.
    for (const name of WRITTEN) {
      written[name] += stats[name] - this.#counted[name]
      this.#counted[name] = stats[name]
    }
    const lines = stats.dropped - this.#dropped
    this.#dropped = stats.dropped
    if (lines > 0) this.#news.dropped(this, { lines, bytes: 0 })
    if (totals !== undefined) for (const name of TOTALS) totals[name] += stats[name]
  }
}

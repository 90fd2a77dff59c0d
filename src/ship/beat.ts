// Once a second a shipper looks how far it is behind, and tells it in its file beside the log.
import { monotonicMs } from '../base/clock.ts'
import { LogboomError, systemCode } from '../base/errors.ts'
import { shortCode } from '../formats/log-consumer.ts'
import type { Attempts } from './attempts.ts'
import type { CutBatch } from './batches.ts'
import type { Reached } from './durable-log.ts'
import { type Lag, unreadBytes } from './lag.ts'
import type { Registration } from './registration.ts'
import { ownTime } from './ship-record.ts'
import type { SourceLog } from './source.ts'

const BEAT_MS = 1_000
/** As long as none was seen. */
const SOME_RECORD_BYTES = 256

/** A batch on its way. */
export interface Sending {
  readonly cut: CutBatch
  readonly sinceMs: number
  isDone: boolean
}

/** What is told. */
export interface BeatSource {
  cursor(): string | null
  counters(): { records: number; bytes: number; rejected: number; retries: number }
  sending(): readonly Sending[]
  reached(): Reached | undefined
  /** Nothing has come for a while. */
  isAtEnd(): boolean
  readonly attempts: Attempts
}

export class Beat {
  readonly #source: SourceLog
  readonly #registration: Registration
  readonly #target: string
  readonly #of: BeatSource
  readonly #startedAtMs: number
  #timer: NodeJS.Timeout | undefined
  #isLooking = false
  /** As of the last look, and how much had been read. */
  #unreadBytes = 0
  #readBytes = 0
  /** When the target had everything, on the monotonic clock. */
  #caughtUpAtMs = monotonicMs()

  constructor(
    source: SourceLog,
    registration: Registration,
    target: string,
    startedAtMs: number,
    of: BeatSource
  ) {
    this.#source = source
    this.#startedAtMs = startedAtMs
    this.#registration = registration
    this.#target = target
    this.#of = of
  }

  /** `also` is called with every beat. */
  async start(also: () => Promise<void>): Promise<void> {
    await this.#look()
    this.#tell('open')
    this.#timer = setInterval(() => {
      // What it has to tell is not waited for by what has to be done.
      also().catch(() => {})
      this.#look().then(
        () => this.#tell('open'),
        () => {}
      )
    }, BEAT_MS).unref()
  }

  /** The last word: why it ended, if that was not wanted; of one that comes back, that it goes on. */
  close(failure: unknown, comesBack: boolean): void {
    clearInterval(this.#timer)
    if (comesBack) this.#tell(failure === undefined ? 'open' : 'degraded', failure)
    else this.#tell(failure === undefined ? 'closed' : 'failed', failure)
  }

  lag(): Lag {
    const sending = this.#of.sending()
    let records = 0
    let bytes = 0
    for (const { cut } of sending) {
      records += cut.noted.records
      bytes += cut.bytes
    }
    const { records: shipped, bytes: shippedBytes } = this.#of.counters()
    const seen = shipped + records
    const recordBytes = seen === 0 ? SOME_RECORD_BYTES : Math.max(1, (shippedBytes + bytes) / seen)
    // What was read since the last look is no longer unread.
    const unread = Math.max(0, this.#unreadBytes - (shippedBytes + bytes - this.#readBytes))
    const isBehind = unread > 0 || sending.length > 0
    return {
      records: records + Math.ceil(unread / recordBytes),
      bytes: bytes + unread,
      ms: isBehind ? this.#waitingMs(sending[0]) : 0
    }
  }

  /** By the oldest record's own time where it tells; else since everything was there, or it was read. */
  #waitingMs(oldest: Sending | undefined): number {
    const sinceMs = Math.min(oldest?.sinceMs ?? Number.POSITIVE_INFINITY, this.#caughtUpAtMs)
    const waitedMs = monotonicMs() - sinceMs
    const own = oldest === undefined ? undefined : ownTime(oldest.cut.data[0])
    return Math.max(0, Math.round(own === undefined ? waitedMs : Date.now() - own))
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return
    this.#isLooking = true
    try {
      const { reader, path } = this.#source
      const reached = this.#of.reached()
      const { bytes: shipped } = this.#of.counters()
      const read = this.#of.sending().reduce((sum, { cut }) => sum + cut.bytes, shipped)
      const bytes = unreadBytes(await reader.list(path), reached, this.#of.isAtEnd())
      this.#unreadBytes = bytes
      this.#readBytes = read
      if (bytes === 0 && this.#of.sending().length === 0) this.#caughtUpAtMs = monotonicMs()
    } catch {
      // Rotated in between: the next look sees it.
    } finally {
      this.#isLooking = false
    }
  }

  #tell(
    state: 'open' | 'degraded' | 'closed' | 'failed',
    failure: unknown = this.#of.attempts.lastError
  ): void {
    const { records, bytes, rejected, retries } = this.#of.counters()
    const lag = this.lag()
    const { isDegraded } = this.#of.attempts
    this.#registration.update(this.#of.cursor(), {
      pid: process.pid,
      startedAtMs: Math.max(0, this.#startedAtMs),
      updatedAtMs: Math.max(0, Date.now()),
      target: this.#target,
      state: state === 'open' && isDegraded ? 'degraded' : state,
      records,
      bytes,
      rejected,
      retries,
      lagRecords: lag.records,
      lagBytes: lag.bytes,
      lagMs: lag.ms,
      lastError: state === 'closed' || (state === 'open' && !isDegraded) ? '' : codeOf(failure)
    })
  }
}

function codeOf(error: unknown): string {
  if (error instanceof LogboomError) return shortCode(error.code)
  return shortCode(systemCode(error) ?? systemCode((error as Error | undefined)?.cause) ?? 'ERR_TARGET')
}

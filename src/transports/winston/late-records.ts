// The account of records that were logged to a transport after it was closed: nobody waits for them, but nobody is to
// miss them without a word.
import { monotonicMs } from '../../base/clock.ts'
import { LogboomError } from '../../base/errors.ts'
import { addExitHandler, removeExitHandler } from '../../core/sink/at-exit.ts'
import type { DroppedEvent } from '../../core/sink/contract.ts'
import { Notice } from '../../core/sink/notice.ts'

const INTERVAL_MS = 10_000

export class LateRecords {
  readonly #path: string
  readonly #notice: Notice
  readonly #tell: (error: LogboomError, dropped: DroppedEvent) => void
  #untold: DroppedEvent = { count: 0, bytes: 0 }
  #nextAtMs = 0
  readonly #atExit = { exitNow: (): void => this.report() }

  constructor(
    path: string,
    fallback: false | 'stderr',
    tell: (error: LogboomError, dropped: DroppedEvent) => void
  ) {
    this.#path = path
    this.#notice = new Notice(fallback)
    this.#tell = tell
  }

  /** Tells of the first one at once, of further ones every ten seconds, and of the rest at exit. */
  add(text: string): void {
    if (this.#untold.count === 0) addExitHandler(this.#atExit)
    this.#untold.count++
    this.#untold.bytes += Buffer.byteLength(text)
    if (monotonicMs() >= this.#nextAtMs) this.report()
  }

  report(): void {
    const dropped = this.#untold
    if (dropped.count === 0) return
    removeExitHandler(this.#atExit)
    this.#untold = { count: 0, bytes: 0 }
    this.#nextAtMs = monotonicMs() + INTERVAL_MS
    const what = dropped.count === 1 ? '1 record was' : `${dropped.count} records were`
    const error = new LogboomError(
      'ERR_CLOSED',
      `${what} logged to the transport of ${this.#path} after it was closed, and lost`,
      { path: this.#path }
    )
    this.#notice.write(error.message, true)
    this.#tell(error, dropped)
  }
}

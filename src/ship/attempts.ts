// Tries again what may pass, with longer and longer pauses, and tells once that something fails and once that it works again.
import { setTimeout as sleep } from 'node:timers/promises'
import { LogboomError } from '../base/errors.ts'
import { RefusedError, RetryLaterError } from './target.ts'

export const firstPauseMs = 500
const MAX_PAUSE_MS = 30_000
/** A target that asks for more is asked again sooner: its clock, or who wrote its configuration, may be wrong. */
const MAX_ASKED_MS = 300_000

export interface AttemptNews {
  degraded(error: Error): void
  recovered(): void
}

export class Attempts {
  /** Attempts that failed and were made again. */
  retries = 0
  /** Once is enough: who ships many logs comes back later. */
  readonly #isPatient: boolean
  readonly #signal: AbortSignal
  readonly #news: AttemptNews
  /** What fails at the moment. */
  readonly #failing = new Set<object>()
  /** Of the last failure. */
  lastError: unknown

  constructor(signal: AbortSignal, news: AttemptNews, isPatient = true) {
    this.#isPatient = isPatient
    this.#signal = signal
    this.#news = news
  }

  get isDegraded(): boolean {
    return this.#failing.size > 0
  }

  /**
   * What `attempt` resolves with. Rejects with `RefusedError` and errors of this package at once, and when it is stopped; an
   * attempt that does not heed the signal must not hold that up.
   */
  async untilDone<T>(attempt: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return await this.#repeat(
      async () => await untilStopped(attempt(this.#signal), this.#signal),
      (error) => error instanceof LogboomError || error instanceof RefusedError
    )
  }

  /** The same for the disk, whose errors may all pass; when it is stopped, too, one attempt is made. */
  async untilWritten(write: () => void | Promise<void>): Promise<void> {
    if (this.#signal.aborted) return await write()
    await this.#repeat(
      async () => await write(),
      () => false
    )
  }

  async #repeat<T>(attempt: () => Promise<T>, isFinal: (error: unknown) => boolean): Promise<T> {
    const self = {}
    try {
      for (let pauseMs = firstPauseMs; ; pauseMs = nextPauseMs(pauseMs)) {
        this.#signal.throwIfAborted()
        try {
          const result = await attempt()
          this.#end(self, true)
          return result
        } catch (error) {
          if (isFinal(error)) throw error
          this.#signal.throwIfAborted()
          this.retries++
          this.#fails(self, error)
          if (!this.#isPatient) throw error
          const ownMs = pauseMs * (0.5 + Math.random() / 2)
          await sleep(Math.max(ownMs, askedMs(error)), undefined, { signal: this.#signal })
        }
      }
    } finally {
      this.#end(self, false)
    }
  }

  #fails(self: object, error: unknown): void {
    this.lastError = error
    const isNew = this.#failing.size === 0
    this.#failing.add(self)
    if (isNew) this.#news.degraded(error instanceof Error ? error : new Error(String(error)))
  }

  /** It works again when nothing fails any more; an attempt that was given up says nothing of that. */
  #end(self: object, works: boolean): void {
    if (this.#failing.delete(self) && works && this.#failing.size === 0) this.#news.recovered()
  }
}

export function nextPauseMs(pauseMs: number): number {
  return Math.min(2 * pauseMs, MAX_PAUSE_MS)
}

/** For how long the target wants to be left alone. */
export function askedMs(error: unknown): number {
  return error instanceof RetryLaterError ? Math.min(Math.max(0, error.afterMs) || 0, MAX_ASKED_MS) : 0
}

async function untilStopped<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop = (): void => {}
  const stopped = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason)
    signal.addEventListener('abort', stop)
  })
  try {
    return await Promise.race([work, stopped])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

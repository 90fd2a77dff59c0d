// Tries again what may pass, with longer and longer pauses, and tells once that something fails and once that it works again.
import { setTimeout as sleep } from 'node:timers/promises'
import { LogboomError } from '../base/errors.ts'
import { RefusedError } from './target.ts'

const FIRST_PAUSE_MS = 500
const MAX_PAUSE_MS = 30_000

export interface AttemptNews {
  degraded(error: Error): void
  recovered(): void
}

export class Attempts {
  /** Attempts that failed and were made again. */
  retries = 0
  readonly #signal: AbortSignal
  readonly #news: AttemptNews
  /** What fails at the moment. */
  readonly #failing = new Set<object>()
  /** Of the last failure. */
  lastError: unknown

  constructor(signal: AbortSignal, news: AttemptNews) {
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
      for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)) {
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
          await sleep(pauseMs * (0.5 + Math.random() / 2), undefined, { signal: this.#signal })
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

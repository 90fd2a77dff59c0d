// Repeats work until it succeeds, with growing pauses. Whether a pause keeps the process alive depends on whether
// somebody awaits what comes after it.
import type { Backoff } from '../sink/backoff.ts'

export class RetryLoop {
  /** Each with what ends it before its time. */
  readonly #pauses = new Map<NodeJS.Timeout, () => void>()
  /** Promises given to callers that cannot be kept before a pause is over. */
  #awaited = 0
  #hasGivenUp = false

  /**
   * Runs `work` until it succeeds, `backoff` saying how long to wait. After each failure `failed` is called, which may
   * throw to end it. After `giveUp` it is not run again, and the last error is thrown.
   */
  async run(work: () => Promise<void>, backoff: Backoff, failed: (error: unknown) => void): Promise<void> {
    for (;;) {
      try {
        await work()
        return
      } catch (error) {
        failed(error)
        if (!this.#hasGivenUp) await this.#pause(backoff.next())
        if (this.#hasGivenUp) throw error
      }
    }
  }

  /** Who awaits `work` wants the process to live until it is done. */
  async keepAlive<T>(work: Promise<T>): Promise<T> {
    this.#awaited++
    for (const timer of this.#pauses.keys()) timer.ref()
    try {
      return await work
    } finally {
      this.#awaited--
    }
  }

  /** Ends every loop that fails, now or later. */
  giveUp(): void {
    this.#hasGivenUp = true
    for (const end of this.#pauses.values()) end()
  }

  get hasGivenUp(): boolean {
    return this.#hasGivenUp
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer)
        this.#pauses.delete(timer)
        resolve()
      }
      const timer = setTimeout(end, delayMs)
      this.#pauses.set(timer, end)
      // Otherwise the exit hook has the last word, and an idle process may end.
      if (this.#awaited === 0) timer.unref()
    })
  }
}

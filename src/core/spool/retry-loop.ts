// Repeats work until it succeeds, with growing pauses. Whether a pause keeps the process alive depends on whether
// somebody awaits what comes after it.
import { afterFailure, Backoff } from '../sink/backoff.ts'

export class RetryLoop {
  readonly #pauses = new Set<NodeJS.Timeout>()
  /** Promises given to callers that cannot be kept before a pause is over. */
  #awaited = 0
  #givenUp = false

  /**
   * Runs `work` until it succeeds. After each failure `failed` is called, which may throw to end it. After `giveUp`
   * it is not run again.
   */
  async run(work: () => Promise<void>, failed: (error: unknown) => void): Promise<void> {
    const backoff = new Backoff(afterFailure)
    for (;;) {
      try {
        await work()
        return
      } catch (error) {
        failed(error)
        if (!this.#givenUp) await this.#pause(backoff.next())
        if (this.#givenUp) throw error
      }
    }
  }

  /** Who awaits `work` wants the process to live until it is done. */
  async keepAlive(work: Promise<void>): Promise<void> {
    this.#awaited++
    for (const timer of this.#pauses) timer.ref()
    try {
      await work
    } finally {
      this.#awaited--
    }
  }

  giveUp(): void {
    this.#givenUp = true
  }

  get hasGivenUp(): boolean {
    return this.#givenUp
  }

  #pause(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#pauses.delete(timer)
        resolve()
      }, waitMs)
      this.#pauses.add(timer)
      // Otherwise the exit hook has the last word, and an idle process may end.
      if (this.#awaited === 0) timer.unref()
    })
  }
}

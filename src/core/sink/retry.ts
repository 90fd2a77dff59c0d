// When a pump that cannot write tries again: soon and evenly while a lock is busy, later and later after a failure.
import { monotonicMs } from '../../base/clock.ts'
import { afterFailure, Backoff, whileBusy } from './backoff.ts'

export class Retry {
  readonly #run: () => void
  /** Whether somebody waits for the outcome; otherwise the process may end before. */
  readonly #isAwaited: () => boolean
  readonly #failure = new Backoff(afterFailure)
  readonly #busy = new Backoff(whileBusy)
  #timer: NodeJS.Timeout | undefined
  #busySinceMs: number | undefined

  constructor(run: () => void, isAwaited: () => boolean) {
    this.#run = run
    this.#isAwaited = isAwaited
  }

  /** Whether writing waits for a failure or a busy lock to pass. */
  get isSet(): boolean {
    return this.#timer !== undefined
  }

  get isBusy(): boolean {
    return this.#busySinceMs !== undefined
  }

  /** The lock was busy. False when it has been for `timeoutMs`. */
  busy(timeoutMs: number): boolean {
    const now = monotonicMs()
    this.#busySinceMs ??= now
    if (now - this.#busySinceMs >= timeoutMs) return false
    this.#schedule(this.#busy.next())
    return true
  }

  failed(): void {
    this.#schedule(this.#failure.next())
  }

  /** Somebody has begun to wait. */
  keepAlive(): void {
    this.#timer?.ref()
  }

  clear(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  /** There was a turn; whether what was done in it holds is another question. */
  turned(): void {
    this.clear()
    this.#busySinceMs = undefined
    this.#busy.reset()
  }

  /** Everything works, and nothing is left to do. */
  reset(): void {
    this.turned()
    this.#failure.reset()
  }

  /** What failed works again. An attempt that is planned still takes place, as records may wait for it. */
  worked(): void {
    this.#failure.reset()
  }

  #schedule(delayMs: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#run()
    }, delayMs)
    if (!this.#isAwaited()) this.#timer.unref()
  }
}

// When a sink that cannot write tries again: soon and evenly while a lock is busy, later and later after a failure.

export const FAILURE_MIN_MS = 50
/** Below a second, so that a sink is back within one when the cause has gone. */
export const FAILURE_MAX_MS = 500
const BUSY_MAX_MS = 5

export class Retry {
  readonly #run: () => void
  /** Whether somebody waits for the outcome; otherwise the process may end before. */
  readonly #isAwaited: () => boolean
  #timer: NodeJS.Timeout | undefined
  #delayMs = 0
  #busySinceMs = 0

  constructor(run: () => void, isAwaited: () => boolean) {
    this.#run = run
    this.#isAwaited = isAwaited
  }

  /** Whether writing waits for a failure or a busy lock to pass. */
  get isSet(): boolean {
    return this.#timer !== undefined
  }

  get isBusy(): boolean {
    return this.#busySinceMs > 0
  }

  /** The lock was busy. False when it has been for `timeoutMs`. */
  busy(timeoutMs: number): boolean {
    const now = Date.now()
    this.#busySinceMs ||= now
    if (now - this.#busySinceMs >= timeoutMs) return false
    this.#schedule(Math.min(this.#delayMs * 2 || 1, BUSY_MAX_MS))
    return true
  }

  failed(): void {
    this.#schedule(Math.min(Math.max(this.#delayMs * 2, FAILURE_MIN_MS), FAILURE_MAX_MS))
  }

  /** Somebody has begun to wait. */
  keepAlive(): void {
    this.#timer?.ref()
  }

  clear(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  /** Writing works. */
  reset(): void {
    this.clear()
    this.#delayMs = 0
    this.#busySinceMs = 0
  }

  #schedule(delayMs: number): void {
    clearTimeout(this.#timer)
    this.#delayMs = delayMs
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#run()
    }, delayMs)
    if (!this.#isAwaited()) this.#timer.unref()
  }
}

// How long a failure may last before the log has failed, and how often writing is tried meanwhile.
import { LogboomError, systemCode } from '../../base/errors.ts'

const RETRY_MIN_MS = 50
const RETRY_MAX_MS = 500
const ROW_GAP_MS = 5_000

export interface PatienceLimits {
  /** For causes outside the disk: full, read-only, no permission, no descriptors. */
  passingMs: number
  /** For a disk that fails. */
  failingMs: number
}

const DEFAULT_LIMITS: PatienceLimits = { passingMs: 30_000, failingMs: 2_000 }

const PASSING_CODES = new Set(
  'ENOSPC EDQUOT EMFILE ENFILE ENOMEM EACCES EPERM EROFS ENOENT EINTR EAGAIN EFBIG'.split(' ')
)

export class Patience {
  readonly #limits: PatienceLimits
  #ended = false
  /** The first failure in a row, and the last. */
  #since = 0
  #lastAt = 0
  #delayMs = RETRY_MIN_MS
  readonly #waiting = new Set<() => void>()

  constructor(limits: PatienceLimits = DEFAULT_LIMITS) {
    this.#limits = limits
  }

  /** Writing works again. */
  reset(): void {
    this.#lastAt = 0
    this.#delayMs = RETRY_MIN_MS
  }

  /** An attempt failed: whether trying again is hopeless. Failures with a long pause in between are not in a row. */
  isOver(error: unknown): boolean {
    const now = Date.now()
    if (now - this.#lastAt > ROW_GAP_MS) this.#since = now
    this.#lastAt = now
    const code = systemCode(error instanceof LogboomError ? error.cause : error) ?? ''
    const limitMs = PASSING_CODES.has(code) ? this.#limits.passingMs : this.#limits.failingMs
    return this.#ended || now - this.#since >= limitMs
  }

  /** Waits before the next attempt, longer each time. */
  async wait(): Promise<void> {
    if (this.#ended) return
    const delayMs = this.#delayMs
    this.#delayMs = Math.min(delayMs * 2, RETRY_MAX_MS)
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        clearTimeout(timer)
        this.#waiting.delete(wake)
        resolve()
      }
      const timer = setTimeout(wake, delayMs)
      this.#waiting.add(wake)
    })
  }

  /** From now on no failure is waited out; who waits goes on at once. */
  end(): void {
    this.#ended = true
    for (const wake of this.#waiting) wake()
  }
}

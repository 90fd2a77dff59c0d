// How long a failure may last before the log has failed, and how often writing is tried meanwhile.
import { monotonicMs } from '../../base/clock.ts'
import { LogboomError, systemCode } from '../../base/errors.ts'
import { afterFailure, Backoff } from '../sink/backoff.ts'
import { NotSyncableError } from '../sink/target.ts'

const ROW_GAP_MS = 5_000

export interface PatienceLimits {
  /** For causes outside the disk: full, read-only, no permission, no descriptors. */
  passingMs: number
  /** For a disk that fails. */
  failingMs: number
}

/** Callers that hold promises are told within this. */
export const callersPatience: PatienceLimits = { passingMs: 30_000, failingMs: 2_000 }
/** Nobody waits behind a transport, which must be back as soon as the disk is. */
export const endlessPatience: PatienceLimits = {
  passingMs: Number.POSITIVE_INFINITY,
  failingMs: Number.POSITIVE_INFINITY
}

const PASSING_CODES = new Set(
  'ENOSPC EDQUOT EMFILE ENFILE ENOMEM EACCES EPERM EROFS ENOENT EINTR EAGAIN EFBIG'.split(' ')
)

export class Patience {
  readonly #limits: PatienceLimits
  readonly #backoff = new Backoff(afterFailure)
  #ended = false
  /** The first failure in a row, and the last. */
  #sinceMs = 0
  #lastMs = Number.NEGATIVE_INFINITY
  readonly #waiting = new Set<() => void>()

  constructor(limits: PatienceLimits = callersPatience) {
    this.#limits = limits
  }

  /** Writing works again. */
  reset(): void {
    this.#lastMs = Number.NEGATIVE_INFINITY
    this.#backoff.reset()
  }

  /** An attempt failed: whether trying again is hopeless. Failures with a long pause in between are not in a row. */
  isOver(error: unknown): boolean {
    if (error instanceof NotSyncableError) return true
    const now = monotonicMs()
    if (now - this.#lastMs > ROW_GAP_MS) this.#sinceMs = now
    this.#lastMs = now
    const code = systemCode(error instanceof LogboomError ? error.cause : error) ?? ''
    const limitMs = PASSING_CODES.has(code) ? this.#limits.passingMs : this.#limits.failingMs
    return this.#ended || now - this.#sinceMs >= limitMs
  }

  /** Waits before the next attempt, longer each time. */
  async wait(): Promise<void> {
    if (this.#ended) return
    const delayMs = this.#backoff.next()
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

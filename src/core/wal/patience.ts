// How long a failure may last whose cause can go away by itself, and how often writing is tried meanwhile.
import { LogboomError, systemCode } from '../errors.ts'

const RETRY_MIN_MS = 50
const RETRY_MAX_MS = 500
/** After this the log has failed, so that no promise stays open for ever. */
const LIMIT_MS = 30_000

const PASSING_CODES = new Set(
  'ENOSPC EDQUOT EMFILE ENFILE ENOMEM EACCES EPERM EROFS ENOENT EINTR EAGAIN EFBIG'.split(' ')
)

/** Whether a failure may go away without the disk being replaced. */
export function isPassing(error: unknown): boolean {
  return PASSING_CODES.has(systemCode(error instanceof LogboomError ? error.cause : error) ?? '')
}

export class Patience {
  #ended = false
  #wake: (() => void) | undefined
  #since = 0
  #delayMs = RETRY_MIN_MS

  /** The first failure in a row. */
  begin(): void {
    this.#since = Date.now()
    this.#delayMs = RETRY_MIN_MS
  }

  /** Whether another attempt would come too late. */
  get isOver(): boolean {
    return this.#ended || Date.now() + this.#delayMs - this.#since > LIMIT_MS
  }

  /** Waits before the next attempt, longer each time. */
  async wait(): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, this.#delayMs)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    this.#delayMs = Math.min(this.#delayMs * 2, RETRY_MAX_MS)
  }

  /** From now on no failure is waited out; who waits goes on at once. */
  end(): void {
    this.#ended = true
    this.#wake?.()
  }
}

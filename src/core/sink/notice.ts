// The last resort of a logger that cannot log: a rate-limited line on stderr.
import { writeSync } from 'node:fs'

const INTERVAL_MS = 10_000

export class Notice {
  readonly #enabled: boolean
  #nextAt = 0
  #suppressed = 0

  constructor(fallback: false | 'stderr') {
    this.#enabled = fallback === 'stderr'
  }

  /** Writes `logboom: <message>` unless one was written within ten seconds; `urgent` ones always. */
  write(message: string, urgent = false): void {
    if (!this.#enabled) return
    const now = Date.now()
    if (!urgent && now < this.#nextAt) {
      this.#suppressed++
      return
    }
    const more = this.#suppressed > 0 ? ` (${this.#suppressed} more notices not shown)` : ''
    this.#nextAt = now + INTERVAL_MS
    this.#suppressed = 0
    try {
      // Not process.stderr: in a worker that goes through the main thread, which may be ending.
      writeSync(2, `logboom: ${message}${more}\n`)
    } catch {
      // stderr is closed or a full pipe; there is nowhere left to say so.
    }
  }
}

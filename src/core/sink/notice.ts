// The last resort of a logger that cannot log: a rate-limited line on stderr.
import { writeSync } from 'node:fs'
import { monotonicMs } from '../../base/clock.ts'

const INTERVAL_MS = 10_000
const STDERR = 2
/** Kept for a stderr that takes nothing at the moment. */
const MAX_WAITING_BYTES = 65_536

let waiting = Buffer.alloc(0)

// Not process.stderr: in a worker that goes through the main thread, which may be ending. A stderr that is closed or a
// full pipe is no reason to wait or to fail; there is nowhere left to say so. The next notice tries what waits once more.
function toStderr(line: string): void {
  const bytes = Buffer.from(line)
  if (waiting.length + bytes.length <= MAX_WAITING_BYTES) waiting = Buffer.concat([waiting, bytes])
  try {
    while (waiting.length > 0) waiting = waiting.subarray(writeSync(STDERR, waiting))
  } catch {
    // Closed, or full.
  }
}

export class Notice {
  readonly #enabled: boolean
  #nextAtMs = 0
  #suppressed = 0

  constructor(fallback: false | 'stderr') {
    this.#enabled = fallback === 'stderr'
  }

  /** Writes `logboom: <message>` unless one was written within ten seconds; `urgent` ones always. */
  write(message: string, urgent = false): void {
    if (!this.#enabled) return
    const now = monotonicMs()
    if (!urgent && now < this.#nextAtMs) {
      this.#suppressed++
      return
    }
    const more = this.#suppressed > 0 ? ` (${this.#suppressed} more notices not shown)` : ''
    this.#nextAtMs = now + INTERVAL_MS
    this.#suppressed = 0
    toStderr(`logboom: ${message}${more}\n`)
  }
}

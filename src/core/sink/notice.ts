// The last resort of a logger that cannot log: a rate-limited line on stderr.
import sonicBoom from 'sonic-boom'

import { monotonicMs } from '../../base/clock.ts'
import { printable } from '../../base/printable.ts'

const INTERVAL_MS = 10_000

let stream: sonicBoom.SonicBoom | undefined

// Not process.stderr: in a worker that goes through the main thread, which may be ending. A stderr that is closed or a
// full pipe is no reason to wait or to fail; there is nowhere left to say so.
function stderr(): sonicBoom.SonicBoom {
  if (stream === undefined) {
    stream = new sonicBoom.SonicBoom({ fd: 2, sync: true, maxLength: 65_536, retryEAGAIN: () => false })
    stream.on('error', () => {})
  }
  return stream
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
    // Names of files, and what a command has said, may hold what acts on a terminal.
    stderr().write(`logboom: ${printable(message)}${more}\n`)
  }
}

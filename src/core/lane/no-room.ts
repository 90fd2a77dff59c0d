// What is told when a lane cannot keep what it is there for: once for a while, however often it happens.
import { monotonicMs } from '../../base/clock.ts'
import { errorMessage, type LogboomError, systemCode } from '../../base/errors.ts'
import { native } from '../../native/index.ts'

const INTERVAL_MS = 10_000
/** Of reasons that were told. */
const told = new Set<string>()

export function noLane(path: string, failure: unknown): string {
  return `${path} has no lane, so what waits ends with the process: ${errorMessage(failure)}`
}

/**
 * Whether it is worth telling, to somebody who did not ask for a lane, that there is none: once in a thread for each reason,
 * however many logs have none, and only where there could have been one.
 */
export function isNews({ code, cause }: LogboomError): boolean {
  // What is missing with the addon is told by whoever misses more than that.
  if (code === 'ERR_UNSUPPORTED' && (process.platform !== 'linux' || native.backend !== 'addon')) return false
  const reason = `${code} ${systemCode(cause)}`
  if (told.has(reason)) return false
  told.add(reason)
  return true
}

/** Tells of large records for which there is no room beside the ring of the log at `path`. */
export class NoRoomNews {
  readonly #path: string
  readonly #tell: (message: string) => void
  #nextAtMs = 0

  constructor(path: string, tell: (message: string) => void) {
    this.#path = path
    this.#tell = tell
  }

  /** `reason`: why there is no room for this one. */
  add(bytes: number, reason: unknown): void {
    const nowMs = monotonicMs()
    if (nowMs < this.#nextAtMs) return
    this.#nextAtMs = nowMs + INTERVAL_MS
    this.#tell(
      `the lane of ${this.#path} has no room for a record of ${bytes} bytes, which waits in memory that ends with the process: ${errorMessage(reason)}`
    )
  }
}

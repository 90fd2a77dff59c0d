// The one policy for trying again: each wait is twice the last one, between two bounds.

export interface BackoffLimits {
  readonly minMs: number
  readonly maxMs: number
}

/** After a failure that may pass. The most is below a second, so that a sink is back within one when the cause is gone. */
export const afterFailure: BackoffLimits = { minMs: 50, maxMs: 500 }
/** While somebody else has a lock, which is nothing unusual. */
export const whileBusy: BackoffLimits = { minMs: 1, maxMs: 5 }

export class Backoff {
  readonly #limits: BackoffLimits
  #delayMs = 0

  constructor(limits: BackoffLimits) {
    this.#limits = limits
  }

  /** How long to wait before the next attempt, in ms. */
  next(): number {
    const { minMs, maxMs } = this.#limits
    this.#delayMs = Math.min(Math.max(this.#delayMs * 2, minMs), maxMs)
    return this.#delayMs
  }

  /** The last attempt succeeded. */
  reset(): void {
    this.#delayMs = 0
  }
}

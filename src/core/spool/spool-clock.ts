// The times in the names of published files.

/** The two clocks can differ by a millisecond of rounding; more means that the system clock was set. */
const EARLIEST_NS = 2_000_000n
const LATEST_NS = 3_000_000n

/**
 * The monotonic clock, set by the wall clock and again when that was changed. Nanoseconds count: files of different
 * processes that are published in the same millisecond must not get the same name.
 */
export class SpoolClock {
  readonly #wallMs: () => number
  #offset = 0n
  #last = 0n

  constructor(wallMs: () => number) {
    this.#wallMs = wallMs
  }

  /** Nanoseconds since 1970; always more than the last time. */
  next(): bigint {
    const monotonic = process.hrtime.bigint()
    const wall = BigInt(Math.floor(this.#wallMs())) * 1_000_000n
    if (isFar(monotonic + this.#offset, wall)) {
      this.#offset = BigInt(Math.round((performance.timeOrigin + performance.now()) * 1e6)) - monotonic
      if (isFar(monotonic + this.#offset, wall)) this.#offset = wall - monotonic + (monotonic % 1_000_000n)
    }
    const time = monotonic + this.#offset
    this.#last = time > this.#last ? time : this.#last + 1n
    return this.#last
  }
}

function isFar(time: bigint, wall: bigint): boolean {
  return time < wall - EARLIEST_NS || time > wall + LATEST_NS
}

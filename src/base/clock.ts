// The monotonic clock, for durations and deadlines: the wall clock may be set at any time.

/** Milliseconds since the start of the process (CLOCK_MONOTONIC); never goes back. */
export function monotonicMs(): number {
  return performance.now()
}

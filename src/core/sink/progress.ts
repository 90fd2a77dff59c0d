// Waiting as long as something gets done. Closing a sink has no fixed time: a full queue on a slow disk takes as long
// as it takes, and only a standstill ends the wait.

/**
 * How long closing and exiting wait while nothing at all gets done, in ms. Below the ten seconds that thread-stream
 * gives a worker that ends.
 */
export const STALL_TIMEOUT_MS = 8_000

const TICK_MS = 100

/**
 * True when `work` has settled, either way; false after `stallMs` in which `progress()` stayed the same. Time is
 * counted in turns of this thread's event loop: a process that was stopped or starved meanwhile has not had the
 * chance to get anything done, and that does not count.
 */
export function settledWhileProgress(
  work: Promise<unknown>,
  progress: () => number,
  stallMs = STALL_TIMEOUT_MS
): Promise<boolean> {
  return new Promise((resolve) => {
    let seen = progress()
    let idleTicks = 0
    const timer = setInterval(() => {
      const now = progress()
      idleTicks = now === seen ? idleTicks + 1 : 0
      seen = now
      if (idleTicks * TICK_MS >= stallMs) finish(false)
    }, TICK_MS)
    const finish = (isSettled: boolean): void => {
      clearInterval(timer)
      resolve(isSettled)
    }
    work.then(
      () => finish(true),
      () => finish(true)
    )
  })
}

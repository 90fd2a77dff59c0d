// Waits for something to be so, in place of a fixed sleep.
import { setTimeout as delay } from 'node:timers/promises'

const POLL_MS = 5

/** Resolves when `condition` answers with something truthy, and gives that; rejects after `timeoutMs`. */
export async function until<T>(
  condition: () => T | Promise<T>,
  options: { timeoutMs?: number; what?: string } = {}
): Promise<T> {
  const { timeoutMs = 10_000, what = condition.toString() } = options
  for (const start = performance.now(); ; await delay(POLL_MS)) {
    const found = await condition()
    if (found) return found
    if (performance.now() - start > timeoutMs) throw new Error(`not so after ${timeoutMs} ms: ${what}`)
  }
}

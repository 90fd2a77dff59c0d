// The random numbers of a test: from the seed of the run, and in each test from the beginning.
import { createRandom } from './random.mjs'

/** Of this run: LOGBOOM_SEED, or chosen by vitest.config.ts. */
export const seed = Number(process.env.LOGBOOM_SEED)

let draw = createRandom('')

/** Begins anew for a test, so that its numbers do not depend on which tests ran before. */
export function seedRandom(test: string): void {
  draw = createRandom(test)
}

/** From 0 up to, not including, 1. */
export function random(): number {
  return draw()
}

/** The address of the module with `createRandom`, as text to put after `from` in a script. */
export const randomModule = JSON.stringify(new URL('random.mjs', import.meta.url).href)

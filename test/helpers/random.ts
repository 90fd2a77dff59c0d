// The random numbers of a test: from the seed of the run, and in each test from the beginning.
import { AsyncLocalStorage } from 'node:async_hooks'
import { createRandom } from './random.mjs'

/** Of this run: LOGBOOM_SEED, or chosen by vitest.config.ts. */
export const seed = Number(process.env.LOGBOOM_SEED)

let draw = createRandom('')
const ofTest = new AsyncLocalStorage<() => number>()

/** Begins anew for a test, so that its numbers do not depend on which tests ran before. */
export function seedRandom(test: string): void {
  draw = createOf(test)
}

/** The same for work beside that of other tests: it has numbers of its own. */
export function withRandom<T>(test: string, work: () => T): T {
  return ofTest.run(createOf(test), work)
}

/** From 0 up to, not including, 1. */
export function random(): number {
  return (ofTest.getStore() ?? draw)()
}

/** The count that a title begins with is that of the size: a smaller run is to draw the same numbers. */
function createOf(test: string): () => number {
  return createRandom(test.replace(/^\d+ /, ''))
}

/** The address of the module with `createRandom`, as text to put after `from` in a script. */
export const randomModule = JSON.stringify(new URL('random.mjs', import.meta.url).href)

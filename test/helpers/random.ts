// Random numbers that come again: from the seed of the run and, in each test, from the beginning.

/** Of this run: LOGBOOM_SEED, or chosen by vitest.config.ts. */
export const seed = Number(process.env.LOGBOOM_SEED)
if (!Number.isSafeInteger(seed)) throw new Error('LOGBOOM_SEED must be a whole number')

let state = seed

/** Begins anew for a test, so that its numbers do not depend on which tests ran before. */
export function seedRandom(test: string): void {
  state = seed
  for (let index = 0; index < test.length; index++)
    state = Math.imul(state ^ test.charCodeAt(index), 0x01000193)
}

/** From 0 up to, not including, 1: mulberry32. */
export function random(): number {
  state = (state + 0x6d2b79f5) | 0
  let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
}

// Random numbers that come again, also in the processes and threads that tests start.

/**
 * Numbers from 0 up to, not including, 1: mulberry32. They follow from the seed of the run (LOGBOOM_SEED) and `name`,
 * which says who draws them.
 */
export function createRandom(name) {
  const seed = Number(process.env.LOGBOOM_SEED)
  if (!Number.isSafeInteger(seed)) throw new Error('LOGBOOM_SEED must be a whole number')
  let state = seed
  for (let index = 0; index < name.length; index++)
    state = Math.imul(state ^ name.charCodeAt(index), 0x01000193)
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

// Record number `n` of the kill tests: its length and bytes follow from the number, so that a reader knows what is whole.

const FILLER = 'abcdefghijklmnopqrstuvwxyzäöü€'.repeat(400)

/** Mostly some hundred bytes, sometimes more than half of a small ring. */
export function recordOf(n, isMixed) {
  const length = isMixed && n % 17 === 0 ? 9_000 : (n * 7919) % 450
  return `${n} ${FILLER.slice(n % 30, (n % 30) + length)}`
}

// Sizes of the records that test threads log: mostly small, some of a byte, sometimes up to `largest`.

/** Records below carry no number, only their thread's byte. */
export const NUMBERED_BYTES = 20

/** The byte that records without a number consist of; no digit. */
export const threadByte = (thread) => 128 + thread

/** The same for the same thread and number. */
export function recordSize(thread, number, largest) {
  const roll = (Math.imul(number + thread * 7919, 2654435761) >>> 0) / 2 ** 32
  if (roll < 0.1) return 1 + Math.floor(roll * 10 * (NUMBERED_BYTES - 1))
  if (roll < 0.98) return NUMBERED_BYTES + Math.floor(roll * 300)
  return NUMBERED_BYTES + Math.floor(((roll - 0.98) / 0.02) * (largest - NUMBERED_BYTES))
}

// Two sizes of a test: the full one with LOGBOOM_LONG=1, and one for which the normal run has time.

export const isLong = process.env.LOGBOOM_LONG === '1'

/** Part of the full size, or a multiple of it: what a campaign was asked for, and how it makes a failing run shorter. */
const share = Number(process.env.LOGBOOM_SIZE ?? 1)
if (!(share > 0)) throw new Error('LOGBOOM_SIZE must be a number above 0')

export function sized<T>(long: T, normal: T): T {
  if (!isLong) return normal
  // Only counts have a size; what is listed stays whole.
  return typeof long === 'number' ? (Math.max(1, Math.round(long * share)) as T) : long
}

/**
 * How far to go on from the n-th call: to the next one in the long run; else all of the `dense` first ones are visited
 * and fewer and fewer of the others.
 */
export function stride(nth: number, dense = 6): number {
  return isLong || nth < dense ? 1 : Math.ceil(nth / 2)
}

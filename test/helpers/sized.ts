// Two sizes of a test: the full one with LOGBOOM_LONG=1, and one for which the normal run has time.

export const isLong = process.env.LOGBOOM_LONG === '1'

export function sized<T>(long: T, normal: T): T {
  return isLong ? long : normal
}

/**
 * How far to go on from the n-th call: to the next one in the long run; else all of the `dense` first ones are visited
 * and fewer and fewer of the others.
 */
export function stride(nth: number, dense = 6): number {
  return isLong || nth < dense ? 1 : Math.ceil(nth / 2)
}

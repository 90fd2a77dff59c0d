// pino's levels: the scale that all others are put on.

export const levels = { trace: 10, debug: 20, info: 30, warn: 40, error: 50, fatal: 60 } as const
export type LevelName = keyof typeof levels

/** From the lowest to the highest. */
export const levelNames = Object.keys(levels) as readonly LevelName[]

const byNumber = new Map<number, LevelName>(levelNames.map((name) => [levels[name], name]))

/** The name of the level with exactly this number. */
export function levelName(number: number): LevelName | undefined {
  return byNumber.get(number)
}

/** Where in `levelNames` a number belongs that may lie between two, or below or above all. */
export function levelStep(number: number): number {
  return Math.max(
    0,
    levelNames.findLastIndex((name) => levels[name] <= number)
  )
}

// Boundaries of time rotation that a cron pattern gives: a period begins with each of its times.
import { Cron } from 'croner'
import { KeptPeriod } from './period.ts'

/** Five fields, six with seconds before them, or a name such as `@daily`. Not the dates that croner takes as well. */
const PATTERN = /^(?:@[a-z]+|\S+(?:\s+\S+){4,5})$/i
const SECOND_MS = 1_000
/** The first span in which the last time is looked for; it is doubled until one is found, ... */
const FIRST_SPAN_MS = 60_000
/** ... but no further: 29 February comes every eight years at least. */
const MAX_SPAN_MS = 20 * 366 * 86_400_000

/** Whether `pattern` is a cron pattern that has a time at all. */
export function isCronPattern(pattern: string): boolean {
  try {
    return PATTERN.test(pattern.trim()) && cronOf(pattern, 'UTC').nextRun(new Date(0)) !== null
  } catch {
    return false
  }
}

export class CronPeriods extends KeptPeriod {
  readonly #cron: Cron

  constructor(pattern: string, timeZone: string) {
    super()
    this.#cron = cronOf(pattern, timeZone)
  }

  protected override locate(instant: number, lastEnd: number): [start: number, end: number] {
    const next = this.#nextAfter(instant)
    const isFollowing = instant >= lastEnd && this.#nextAfter(lastEnd) === next
    return [isFollowing ? lastEnd : this.#lastUntil(instant), next]
  }

  /** The last time that is not later than `instant`, looked for from before it: looking back, croner fails now and then. */
  #lastUntil(instant: number): number {
    let early = instant
    for (let spanMs = FIRST_SPAN_MS; this.#nextAfter(early) > instant; spanMs *= 2) {
      if (spanMs > MAX_SPAN_MS) return Number.NEGATIVE_INFINITY
      early = instant - spanMs
    }
    let late = instant
    // One of two seconds that follow each other is early enough, the other one is not.
    while (late - early > SECOND_MS) {
      const middle = Math.floor((early + late) / 2)
      if (this.#nextAfter(middle) > instant) late = middle
      else early = middle
    }
    return this.#nextAfter(early)
  }

  #nextAfter(instant: number): number {
    return this.#cron.nextRun(new Date(instant))?.getTime() ?? Number.POSITIVE_INFINITY
  }
}

function cronOf(pattern: string, timeZone: string): Cron {
  // Without a function nothing is scheduled.
  return new Cron(pattern.trim(), timeZone === 'local' ? {} : { timezone: timeZone })
}

// Boundaries of time rotation: where the hour, day, week, month, year or other span that holds an instant begins, in the
// wall clock of a time zone, right across changes of its offset.

export type RotateEvery = 'hourly' | 'daily' | 'weekly' | 'monthly' | 'yearly' | number

/** When a file's time is over. Instants are ms since 1970. */
export interface Boundaries {
  /** The first instant of the period that holds `instant`. */
  startOf(instant: number): number
  /** The first instant of the period after it; Infinity if it is the last one. */
  endOf(instant: number): number
}

/** Asked for every batch and almost always within the same period, which is therefore kept. */
export abstract class KeptPeriod implements Boundaries {
  #start = Number.POSITIVE_INFINITY
  #end = Number.POSITIVE_INFINITY

  startOf(instant: number): number {
    this.#keep(instant)
    return this.#start
  }

  endOf(instant: number): number {
    this.#keep(instant)
    return this.#end
  }

  #keep(instant: number): void {
    if (instant >= this.#start && instant < this.#end) return
    const [start, end] = this.locate(instant, this.#end)
    this.#start = start
    this.#end = end
  }

  /** Start and end of the period that holds `instant`; `lastEnd` is that of the one asked for before, or Infinity. */
  protected abstract locate(instant: number, lastEnd: number): [start: number, end: number]
}

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** From 1970-01-01, a Thursday, to the Monday before. */
const MONDAY_MS = -3 * DAY_MS

/** Whether `name` is an IANA time zone this runtime knows, 'UTC' or 'local'. */
export function isTimeZone(name: string): boolean {
  // Asking Intl costs tens of milliseconds, the first time.
  if (name === 'UTC' || name === 'local') return true
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: name })
    return true
  } catch {
    return false
  }
}

export class Periods extends KeptPeriod {
  readonly #every: RotateEvery
  readonly #offset: (instant: number) => number

  constructor(every: RotateEvery, timeZone: string) {
    super()
    this.#every = every
    this.#offset = offsetOf(timeZone)
  }

  protected override locate(instant: number): [start: number, end: number] {
    const every = this.#every
    if (every === 'hourly') return this.#locateInDay(instant, HOUR_MS)
    if (every === 'daily') return this.#locateDays(instant, DAY_MS, 0)
    if (every === 'weekly') return this.#locateDays(instant, 7 * DAY_MS, MONDAY_MS)
    if (every === 'monthly') return this.#locateMonths(instant, 1)
    if (every === 'yearly') return this.#locateMonths(instant, 12)
    return every < DAY_MS ? this.#locateInDay(instant, every) : this.#locateDays(instant, every, 0)
  }

  /** Spans of a day or more, counted on the wall clock from `origin`. */
  #locateDays(instant: number, span: number, origin: number): [start: number, end: number] {
    const wall = instant + this.#offset(instant)
    const index = Math.floor((wall - origin) / span)
    return [this.#instantOf(origin + index * span), this.#instantOf(origin + (index + 1) * span)]
  }

  /** Whole months, counted on the wall clock from January 1970. */
  #locateMonths(instant: number, months: number): [start: number, end: number] {
    const wall = new Date(instant + this.#offset(instant))
    const month = (wall.getUTCFullYear() - 1970) * 12 + wall.getUTCMonth()
    const first = Math.floor(month / months) * months
    return [this.#instantOf(Date.UTC(1970, first)), this.#instantOf(Date.UTC(1970, first + months))]
  }

  /** Shorter spans, counted in elapsed time from local midnight, so that an hour the clock repeats is two. */
  #locateInDay(instant: number, span: number): [start: number, end: number] {
    const midnight = Math.floor((instant + this.#offset(instant)) / DAY_MS) * DAY_MS
    const dayStart = this.#instantOf(midnight)
    const start = dayStart + Math.floor((instant - dayStart) / span) * span
    return [start, Math.min(start + span, this.#instantOf(midnight + DAY_MS))]
  }

  /** The first instant at which the wall clock shows `wall`, or passes it where a change of offset skips it. */
  #instantOf(wall: number): number {
    const before = this.#offset(wall - DAY_MS)
    const after = this.#offset(wall + DAY_MS)
    const candidates = [wall - before, wall - after].filter((at) => at + this.#offset(at) === wall)
    return candidates.length === 0 ? wall - before : Math.min(...candidates)
  }
}

/** What the zone's wall clock is ahead of UTC, in ms. */
function offsetOf(timeZone: string): (instant: number) => number {
  if (timeZone === 'UTC') return () => 0
  if (timeZone === 'local') return (instant) => -new Date(instant).getTimezoneOffset() * 60_000
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric'
  })
  return (instant) => {
    const at: Partial<Record<Intl.DateTimeFormatPartTypes, number>> = {}
    for (const { type, value } of format.formatToParts(instant)) at[type] = Number(value)
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = at
    return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(instant / 1000) * 1000
  }
}

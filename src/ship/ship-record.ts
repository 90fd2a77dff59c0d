// One record on its way to a target; its time is looked for by those who need it.
import { recordTime } from '../readers/engine/record-time.ts'
import type { ShipRecord } from './target.ts'

/** In nanoseconds it is the largest number of 64 bits with a sign. */
const MAX_TIME_MS = 9_223_372_036_854

export class NumberedRecord implements ShipRecord {
  readonly data: Buffer
  readonly number: number
  readonly #notedMs: number

  constructor(data: Buffer, number: number, notedMs: number) {
    this.data = data
    this.number = number
    this.#notedMs = notedMs
  }

  get timeMs(): number {
    return ownTime(this.data) ?? this.#notedMs
  }
}

/** Its own, if it is one that stores of logs can hold. */
export function ownTime(data: Buffer): number | undefined {
  const time = recordTime(data)
  return time !== undefined && time >= 0 && time <= MAX_TIME_MS ? time : undefined
}

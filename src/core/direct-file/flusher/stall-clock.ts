// Tells a flusher that gets nothing done from one that goes on, however slowly.
import { monotonicMs } from '../../../base/clock.ts'
import { activity, control, type SharedMemory } from '../memory/shared-memory.ts'

/** At most so much of the time between two looks counts: a stopped process has not waited. */
const MOST_PER_LOOK_MS = 250
/** Time in which the flusher neither waits for the disk nor pauses counts little: it gets no processor, or starts. */
const WORKING_SHARE = 1 / 8

export class StallClock {
  readonly #words: Int32Array
  readonly #limitMs: number
  #progress: number
  #lookedAtMs = monotonicMs()
  #stalledMs = 0

  constructor({ words }: SharedMemory, limitMs: number) {
    this.#words = words
    this.#limitMs = limitMs
    this.#progress = Atomics.load(words, control.progress)
  }

  /** To be asked several times a second: whether nothing has reached the disk for `limitMs`. */
  isStalled(): boolean {
    const nowMs = monotonicMs()
    const passedMs = Math.min(nowMs - this.#lookedAtMs, MOST_PER_LOOK_MS)
    this.#lookedAtMs = nowMs
    const progress = Atomics.load(this.#words, control.progress)
    if (progress !== this.#progress) {
      this.#progress = progress
      this.#stalledMs = 0
      return false
    }
    const isWorking = Atomics.load(this.#words, control.activity) === activity.working
    this.#stalledMs += isWorking ? passedMs * WORKING_SHARE : passedMs
    return this.#stalledMs >= this.#limitMs
  }
}

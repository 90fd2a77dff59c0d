// The account of dropped records: exact counts, an event at most once a second, and the record that is left in
// the log itself when writing works again.

import { monotonicMs } from '../../base/clock.ts'
import type { Dropped } from '../queue/byte-queue.ts'
import type { DroppedEvent } from './contract.ts'

const EVENT_INTERVAL_MS = 1_000

/** The line that stands in the log for `count` dropped records of together `bytes` bytes. */
function dropNotice(count: number, bytes: number): string {
  const msg = `logboom: ${count} records dropped`
  return `${JSON.stringify({ level: 40, time: Date.now(), msg, dropped: count, bytes })}\n`
}

export class Drops {
  readonly #emit: (event: DroppedEvent) => void
  #unlogged: DroppedEvent = { count: 0, bytes: 0 }
  #unreported: DroppedEvent = { count: 0, bytes: 0 }
  #nextEventAtMs = 0

  constructor(emit: (event: DroppedEvent) => void) {
    this.#emit = emit
  }

  add(dropped: Dropped): void {
    for (const sum of [this.#unlogged, this.#unreported]) {
      sum.count += dropped.lines
      sum.bytes += dropped.bytes
    }
    if (monotonicMs() >= this.#nextEventAtMs) this.report()
  }

  /** Emits what was not reported yet. */
  report(): void {
    if (this.#unreported.count === 0) return
    this.#nextEventAtMs = monotonicMs() + EVENT_INTERVAL_MS
    this.#emit(this.#unreported)
    this.#unreported = { count: 0, bytes: 0 }
  }

  /** Whether the log has no record of some. */
  get hasUnlogged(): boolean {
    return this.#unlogged.count > 0
  }

  /** The line for the log, or undefined when nothing was dropped since the last one. */
  takeNotice(): string | undefined {
    if (this.#unlogged.count === 0) return undefined
    this.report()
    const { count, bytes } = this.#unlogged
    this.#unlogged = { count: 0, bytes: 0 }
    return dropNotice(count, bytes)
  }
}

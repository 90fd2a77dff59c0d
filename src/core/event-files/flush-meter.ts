// How handing records over to files goes, in the terms of direct files.
import { monotonicMs } from '../../base/clock.ts'
import type { FlushMetrics } from '../direct-file/statistics.ts'

export class FlushMeter implements FlushMetrics {
  totalFlushes = 0
  avgFlushDuration = 0
  maxFlushDuration = 0
  avgWriteDuration = 0
  maxWriteDuration = 0
  writePercent = 0
  flushQueueDepth = 0
  /** Records that found the buffer full. */
  blockedSwaps = 0
  #flushMs = 0
  #writeMs = 0
  #longestWriteMs = 0

  /** A round begins: when that is. */
  begin(): number {
    this.flushQueueDepth = 1
    this.#longestWriteMs = 0
    return monotonicMs()
  }

  /** One file was written to since `startedMs`. */
  wrote(startedMs: number): void {
    const ms = monotonicMs() - startedMs
    this.#writeMs += ms
    this.#longestWriteMs = Math.max(this.#longestWriteMs, ms)
  }

  /** The round that began at `startedMs` is over. */
  end(startedMs: number): void {
    const ms = monotonicMs() - startedMs
    this.#flushMs += ms
    this.flushQueueDepth = 0
    this.totalFlushes++
    this.avgFlushDuration = this.#flushMs / this.totalFlushes
    this.maxFlushDuration = Math.max(this.maxFlushDuration, ms)
    this.avgWriteDuration = this.#writeMs / this.totalFlushes
    this.maxWriteDuration = Math.max(this.maxWriteDuration, this.#longestWriteMs)
    this.writePercent = this.#flushMs === 0 ? 0 : Math.min(100, (this.#writeMs / this.#flushMs) * 100)
  }
}

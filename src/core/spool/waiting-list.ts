// Records that found no idle worker, oldest first: bounded, and each waiting no longer than `timeout`.
import { monotonicMs } from '../../base/clock.ts'
import type { Overflow } from '../sink/contract.ts'
import type { SpoolRecord } from './record.ts'

/** Taken entries are let go in batches of this size. */
const COMPACT_AT = 1024

export interface Waiting {
  readonly record: SpoolRecord
  readonly bytes: number
  readonly deadline: number
  readonly resolve: (taken: boolean) => void
  readonly reject: (error: unknown) => void
}

export interface WaitingListOptions {
  /** Milliseconds. */
  timeout: number
  queue: number
  maxBufferBytes: number
  overflow: string
}

export class WaitingList {
  readonly #options: WaitingListOptions
  readonly #dropped: (bytes: number) => void
  #entries: Waiting[] = []
  #head = 0
  #bytes = 0
  #timer: NodeJS.Timeout | undefined
  #last: Promise<unknown> = Promise.resolve()

  constructor(options: WaitingListOptions, dropped: (bytes: number) => void) {
    this.#options = options
    this.#dropped = dropped
  }

  get length(): number {
    return this.#entries.length - this.#head
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Resolves true once a worker has taken the record, false if it is discarded. */
  add(record: SpoolRecord, bytes: number): Promise<boolean> {
    const { queue, maxBufferBytes, timeout } = this.#options
    const overflow = this.#options.overflow as Overflow
    if (overflow === 'drop-oldest') {
      while (this.length > 0 && (this.length >= queue || this.#bytes + bytes > maxBufferBytes))
        this.#refuseOldest()
    } else if (this.#isFull(bytes, overflow)) {
      this.#dropped(bytes)
      return Promise.resolve(false)
    }
    const result = new Promise<boolean>((resolve, reject) => {
      this.#entries.push({ record, bytes, deadline: monotonicMs() + timeout, resolve, reject })
    })
    this.#bytes += bytes
    this.#last = result.catch(() => {})
    this.#watch()
    return result
  }

  /** The oldest record, now in the hands of the caller. */
  take(): Waiting | undefined {
    if (this.length === 0) return undefined
    const first = this.#entries[this.#head++]
    this.#bytes -= first.bytes
    if (this.#head === this.#entries.length) {
      this.#entries = []
      this.#head = 0
      clearTimeout(this.#timer)
      this.#timer = undefined
    } else if (this.#head === COMPACT_AT) {
      this.#entries = this.#entries.slice(this.#head)
      this.#head = 0
    }
    return first
  }

  /** Everything that waits is taken off, counted as dropped. */
  clear(): Waiting[] {
    const all: Waiting[] = []
    for (let next = this.take(); next !== undefined; next = this.take()) {
      this.#dropped(next.bytes)
      all.push(next)
    }
    return all
  }

  /** Resolves when every record that waits now has been taken or discarded. */
  async settled(): Promise<void> {
    await this.#last
  }

  // 'block' makes the caller wait, so a full queue is no reason to refuse; memory still has its bound. A single
  // record larger than the bound is taken when nothing else waits.
  #isFull(bytes: number, overflow: Overflow): boolean {
    if (this.length > 0 && this.#bytes + bytes > this.#options.maxBufferBytes) return true
    return overflow === 'drop-newest' && this.length >= this.#options.queue
  }

  #refuseOldest(): void {
    const oldest = this.take() as Waiting
    this.#dropped(oldest.bytes)
    oldest.resolve(false)
  }

  /** One timer, for the oldest: all wait equally long, so no other can be due before it. */
  #watch(): void {
    if (this.#timer !== undefined || this.length === 0) return
    const delay = this.#entries[this.#head].deadline - monotonicMs()
    this.#timer = setTimeout(() => this.#expire(), Math.max(0, Math.ceil(delay)))
  }

  #expire(): void {
    this.#timer = undefined
    const now = monotonicMs()
    while (this.length > 0 && this.#entries[this.#head].deadline <= now) this.#refuseOldest()
    this.#watch()
  }
}

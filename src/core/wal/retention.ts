// Bounds a log that nobody consumes: removes its oldest segments by size or age, noting durably that their entries are
// not there any more. The segment that is appended to stays, and so does what a snapshot has handed out. What all named
// consumers have acknowledged goes without a bound.
import { laterIndex, type SegmentName } from '../../formats/wal.ts'
import type { RemovalReason } from '../sink/contract.ts'
import type { ConsumerInfo, Consumers } from './consumers.ts'
import type { Snapshots } from './snapshots.ts'

const MIN_INTERVAL_MS = 1_000
const MAX_INTERVAL_MS = 3_600_000

export interface RetentionOptions {
  /** 0 for no bound. */
  maxRetainedBytes: number
  maxRetainedAge: number
}

export interface RetentionHooks {
  /** The wall clock, ms since 1970. */
  now(): number
  /** Entries that nobody has released, or that `consumers` had not acknowledged, were removed. */
  removed(first: bigint, last: bigint, bytes: number, consumers: readonly ConsumerInfo[]): void
  /** A snapshot that is out keeps more than the bound. */
  heldUp(bytes: number): void
  failed(error: unknown): void
}

export class Retention {
  readonly #options: RetentionOptions
  readonly #snapshots: Snapshots
  readonly #consumers: Consumers
  readonly #hooks: RetentionHooks
  #timer: NodeJS.Timeout | undefined
  #isClosed = false
  #isDue = true
  #saidHeldUp = false

  constructor(options: RetentionOptions, snapshots: Snapshots, consumers: Consumers, hooks: RetentionHooks) {
    this.#consumers = consumers
    this.#options = options
    this.#snapshots = snapshots
    this.#hooks = hooks
    if (options.maxRetainedAge > 0) {
      const intervalMs = Math.min(Math.max(options.maxRetainedAge / 10, MIN_INTERVAL_MS), MAX_INTERVAL_MS)
      this.#timer = setInterval(() => {
        this.#isDue = true
        this.checkNow()
      }, intervalMs).unref()
    }
    this.checkNow()
  }

  /** A segment was finished or came back from a reader: looks when the present call is over. */
  check(): void {
    this.#isDue = true
    setImmediate(() => this.checkNow()).unref()
  }

  /** The same at once, if there was a reason for it since the last time. Does not throw. */
  checkNow(): void {
    const { maxRetainedBytes, maxRetainedAge } = this.#options
    if (!this.#isDue || this.#isClosed) return
    this.#isDue = false
    try {
      this.#snapshots.releaseConsumed()
      if (maxRetainedBytes > 0 || maxRetainedAge > 0) this.#enforce()
    } catch (error) {
      this.#isDue = true
      this.#hooks.failed(error)
    }
  }

  close(): void {
    this.#isClosed = true
    clearInterval(this.#timer)
  }

  #enforce(): void {
    const { files } = this.#snapshots
    const segments = files.list()
    const sizes = segments.map((segment) => files.stat(segment)?.size ?? 0)
    const expired = this.#expired(segments, sizes)
    const wanted = expired.length
    const free = Math.min(wanted, this.#free(segments))
    if (free < wanted) this.#sayHeldUp(sum(sizes.slice(free, wanted)))
    else this.#saidHeldUp = false
    // A command that takes its time is nothing to tell of.
    const count = files.unheld(segments, free)
    if (count <= 0) return
    const before = this.#snapshots.releasedIndex
    const last = segments[count].index - 1n
    const late = this.#consumers.list().filter(({ index }) => index < last)
    this.#snapshots.noteReleased(last)
    try {
      files.remove(segments, count, (position) => expired[position])
    } finally {
      // Nobody is given them any more, also if a segment cannot be removed yet.
      const first =
        late.length > 0 && segments[0].index <= before ? laterIndex(segments[0].index, 1n) : before + 1n
      if (last > before || late.length > 0) this.#hooks.removed(first, last, sum(sizes.slice(0, count)), late)
    }
  }

  /** Which bound each of the oldest segments is beyond; never all of them. */
  #expired(segments: readonly SegmentName[], sizes: readonly number[]): RemovalReason[] {
    const { maxRetainedBytes, maxRetainedAge } = this.#options
    const tooOld = maxRetainedAge > 0 ? this.#tooOld(segments, this.#hooks.now() - maxRetainedAge) : 0
    let total = sum(sizes)
    const reasons: RemovalReason[] = []
    for (let count = 0; count < segments.length - 1; count++) {
      const isTooMuch = maxRetainedBytes > 0 && total > maxRetainedBytes
      if (!isTooMuch && count >= tooOld) break
      reasons.push(isTooMuch ? 'maxRetainedBytes' : 'maxRetainedAge')
      total -= sizes[count]
    }
    return reasons
  }

  /** How many come up to the last one that is too old: those before it are, too, whatever a clock that was ahead gave them. */
  #tooOld(segments: readonly SegmentName[], beforeMs: number): number {
    const { files } = this.#snapshots
    const isTooOld = (segment: SegmentName) =>
      (files.stat(segment)?.mtimeMs ?? Number.POSITIVE_INFINITY) < beforeMs
    return segments.slice(0, -1).findLastIndex(isTooOld) + 1
  }

  /** How many of the oldest segments neither a snapshot that is out nor a reader needs. */
  #free(segments: readonly SegmentName[]): number {
    let free = segments.length - 1
    const { outAfter, files } = this.#snapshots
    if (outAfter !== undefined) {
      free = Math.max(
        0,
        segments.findLastIndex(({ index }) => index <= outAfter + 1n)
      )
    }
    for (const read of files.readers.values()) {
      free = Math.min(
        free,
        segments.findIndex(({ sequence }) => sequence >= read)
      )
    }
    return Math.max(0, free)
  }

  #sayHeldUp(bytes: number): void {
    if (this.#saidHeldUp) return
    this.#saidHeldUp = true
    this.#hooks.heldUp(bytes)
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

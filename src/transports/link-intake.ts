// Where the records of an output go on the main thread: into its ring, and what finds no room there into memory within a
// bound, where the policy `overflow` decides.

import type { Dropped } from '../core/queue/byte-queue.ts'
import { exitDeadline } from '../core/sink/at-exit.ts'
import type { Overflow } from '../core/sink/contract.ts'
import type { Drops } from '../core/sink/drops.ts'
import { MAX_CAPACITY_BYTES, maxPayloadBytes } from '../formats/lane.ts'
import { Backlog } from './backlog.ts'
import type { OutputRing } from './pool/output-ring.ts'
import type { OutputWords, Patience } from './pool/output-words.ts'
import type { PoolWorker } from './pool/pool-worker.ts'

/** How long a record that finds no room in the ring blocks, before it waits in memory. */
const ROOM_PATIENCE: Patience = {
  totalMs: 60_000,
  stallMs: 5_000,
  startMs: 5_000,
  degradedMs: 0,
  refusedMs: 0
}
/** The same where the sink drops what is oldest, so that there will be room though it cannot write. */
const DROPPING_PATIENCE: Patience = { ...ROOM_PATIENCE, degradedMs: ROOM_PATIENCE.stallMs }
/** How long a record blocks that finds no room in memory either, with the policy 'block'. */
const FULL_PATIENCE: Patience = {
  totalMs: Number.POSITIVE_INFINITY,
  stallMs: 10_000,
  startMs: 10_000,
  degradedMs: 5_000,
  refusedMs: 0
}
/** No ring has room for a longer record. */
const LARGEST_BYTES = maxPayloadBytes(MAX_CAPACITY_BYTES)

export interface IntakeOptions {
  readonly maxBufferBytes: number
  readonly overflow: Overflow
  readonly ring: OutputRing
  readonly words: OutputWords
  readonly worker: PoolWorker
  readonly drops: Drops
  /** How many records a text has. */
  readonly countRecords: (text: string) => number
  /** Nothing waits in memory any more. */
  readonly moved: () => void
  /** Everything that was taken is in the ring. */
  readonly allInRing: () => void
}

export class LinkIntake {
  readonly #options: IntakeOptions
  readonly #ring: OutputRing
  readonly #words: OutputWords
  readonly #worker: PoolWorker
  readonly #drops: Drops
  readonly #backlog = new Backlog()
  /** Whether a record may go to the ring without a further look. */
  #isQuick: boolean
  readonly #mayBeQuick: boolean
  #isShut = false
  /** The process is kept alive for what waits in memory, as long as it can be written. */
  #isHeld = false
  #dropped = 0
  /** Nothing has been done since a record has found no room in the ring in time, … */
  #slowSignal: number | undefined
  /** … and since a blocked caller has given up waiting for room in memory. */
  #stuckSignal: number | undefined

  constructor(options: IntakeOptions) {
    this.#options = options
    this.#ring = options.ring
    this.#words = options.words
    this.#worker = options.worker
    this.#drops = options.drops
    this.#mayBeQuick = options.maxBufferBytes >= options.ring.capacityBytes
    this.#isQuick = this.#mayBeQuick && exitDeadline() === undefined
  }

  /** Records dropped on this side, of which the sink knows nothing. */
  get dropped(): number {
    return this.#dropped
  }

  /** What waits to be written. */
  get pendingBytes(): number {
    return this.#ring.written - this.#ring.drained + this.#backlog.bytes
  }

  /** Takes a record, if nothing speaks against it and there is room in the ring; else `take` is to be called. */
  takeNow(text: string): boolean {
    if (!this.#isQuick || !this.#ring.append(text)) return false
    this.#worker.ringSoon(text.length)
    return true
  }

  /** Takes a record, or drops it. False: more than `maxBufferBytes` wait, and nothing may be dropped. */
  take(text: string, lines: number | undefined): boolean {
    return (this.move() && this.#append(text)) || this.#keep(text, lines)
  }

  /** Blocks this thread until no more than `maxBufferBytes` wait, or until there is no use in waiting longer. */
  waitForRoom(): void {
    const hasRoom = (): boolean => this.move() || this.pendingBytes < this.#options.maxBufferBytes
    if (!this.#words.block(hasRoom, FULL_PATIENCE)) this.#stuckSignal = this.#words.signal
  }

  /** Moves what waits in memory to the ring; true if nothing is left. `isEnd`: the record of drops has to go, too. */
  move(isEnd = false): boolean {
    if (!this.#backlog.isEmpty) {
      const append = (text: string): boolean => this.#append(text)
      this.#backlog.moveTo(append)
      if (!this.#backlog.isEmpty) {
        // Looked at again behind the wish for a message, for there may have been room just before it.
        this.#words.want('room')
        this.#worker.ringNow()
        this.#backlog.moveTo(append)
        if (!this.#backlog.isEmpty) return false
      }
      this.#letGo()
      this.#options.moved()
    }
    if (this.#drops.hasUnlogged && (isEnd || this.pendingBytes <= this.#options.maxBufferBytes / 2)) {
      const notice = this.#drops.takeNotice()!
      if (!this.#append(notice)) {
        this.#push(notice, 0)
        return false
      }
    }
    const mayBeQuick = this.#mayBeQuick && !this.#isShut && !this.#drops.hasUnlogged
    this.#isQuick = mayBeQuick && exitDeadline() === undefined
    this.#options.allInRing()
    return true
  }

  drop(dropped: Dropped): void {
    if (dropped.lines === 0) return
    this.#dropped += dropped.lines
    this.#drops.add(dropped)
  }

  /** Each record asks first, until all that was taken is in the ring. */
  slow(): void {
    this.#isQuick = false
  }

  /** The same for good: the output ends. */
  shut(): void {
    this.#isShut = true
    this.#isQuick = false
  }

  /**
   * Writing fails. A process that has nothing else to do ends then, with as little patience as for what is in the ring:
   * waiting for a disk might last for ever.
   */
  degraded(): void {
    this.#letGo()
  }

  /** It can be written again, and takes the time it takes. */
  recovered(): void {
    if (!this.#backlog.isEmpty) this.#hold()
  }

  /** Forgets what waits in memory. */
  clear(): Dropped {
    this.#letGo()
    return this.#backlog.clear()
  }

  /** Puts a record into the ring, if there is room. */
  #append(text: string): boolean {
    if (!this.#mayBeQuick) {
      const waiting = this.#ring.written - this.#ring.drained
      if (waiting > 0 && waiting + text.length > this.#options.maxBufferBytes) return false
    }
    if (!this.#ring.append(text) && !(this.#ring.grow(text) && this.#ring.append(text))) return false
    this.#worker.ringSoon(text.length)
    return true
  }

  /** Takes a record for which the ring has no room. False: the caller should wait. */
  #keep(text: string, given: number | undefined): boolean {
    const { overflow, maxBufferBytes } = this.#options
    if (overflow !== 'drop-newest' && this.#blockForRoom(text)) return true
    const lines = given ?? this.#options.countRecords(text)
    const bytes = Buffer.byteLength(text)
    const overBytes = this.pendingBytes === 0 ? 0 : this.pendingBytes + bytes - maxBufferBytes
    const isStuck = this.#stuckSignal === this.#words.signal
    if (bytes > LARGEST_BYTES || (overBytes > 0 && (overflow === 'drop-newest' || isStuck))) {
      this.drop({ lines, bytes })
      return true
    }
    if (overBytes > 0 && overflow === 'drop-oldest') this.drop(this.#backlog.dropOldest(overBytes))
    this.#push(text, lines)
    return overflow !== 'block' || this.pendingBytes < maxBufferBytes
  }

  // The thread catches up in milliseconds, unless it cannot write. With 'drop-oldest' it makes room even then.
  #blockForRoom(text: string): boolean {
    const { signal, isDegraded } = this.#words
    const dropsOldest = this.#options.overflow === 'drop-oldest'
    if (isDegraded && !dropsOldest) return false
    if (this.#slowSignal === signal || this.#stuckSignal === signal) return false
    // Little by little, because what is dropped before the disk comes back cannot be had again.
    const boundBytes = Math.min(this.#ring.capacityBytes, this.#options.maxBufferBytes)
    const discardBytes = Math.max(text.length, Math.ceil(boundBytes / 8))
    const append = (): boolean => {
      if (this.move() && this.#append(text)) return true
      // Looked at again behind the wishes, for there may have been room just before them.
      if (dropsOldest && this.#words.isDegraded) this.#words.discard(discardBytes)
      this.#words.want('room')
      this.#worker.ringNow()
      if (!(this.move() && this.#append(text))) return false
      this.#words.discard(0)
      return true
    }
    if (this.#words.block(append, dropsOldest ? DROPPING_PATIENCE : ROOM_PATIENCE)) return true
    this.#slowSignal = this.#words.signal
    return false
  }

  #push(text: string, lines: number): void {
    this.#isQuick = false
    // Held already where it was emptied only because what is oldest was dropped.
    if (!this.#words.isDegraded) this.#hold()
    this.#backlog.push(text, lines)
    this.move()
  }

  #hold(): void {
    if (!this.#isHeld) this.#worker.hold()
    this.#isHeld = true
  }

  #letGo(): void {
    if (this.#isHeld) this.#worker.letGo()
    this.#isHeld = false
  }
}

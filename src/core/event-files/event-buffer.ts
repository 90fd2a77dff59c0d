// Records of many events in one buffer, in the order of their arrival, to be taken out event by event.
import { native } from '../../native/index.ts'
import type { Dropped } from '../queue/byte-queue.ts'
import type { EventEntry } from './outputs.ts'

const NEWLINE = 10
const INITIAL_BYTES = 256 * 1024
const INITIAL_LINES = 4096
const INITIAL_EVENTS = 256
const NONE = -1

export class EventBuffer {
  readonly capacity: number
  #buffer = Buffer.allocUnsafeSlow(INITIAL_BYTES)
  #used = 0
  #live = 0
  // Line i is [starts[i], ends[i]) with its line end; next[i] is the next line of the same event.
  #starts = new Int32Array(INITIAL_LINES)
  #ends = new Int32Array(INITIAL_LINES)
  #next = new Int32Array(INITIAL_LINES)
  /** Whose lines they are. */
  readonly #owners: EventEntry[] = []
  #lines = 0
  // By the event's tag. No Map: its tables, outgrown and refilled all the time, hold each other and what was in them
  // until the next full collection.
  #heads = new Int32Array(INITIAL_EVENTS).fill(NONE)
  #tails = new Int32Array(INITIAL_EVENTS)
  #isListed = new Uint8Array(INITIAL_EVENTS)
  /** The events that have lines here, and those whose lines were taken out since the last reset. */
  readonly #listed: EventEntry[] = []

  /** Holds `capacity` bytes; a single longer line is taken when nothing else waits. */
  constructor(capacity: number) {
    this.capacity = capacity
  }

  /** Bytes that wait. */
  get bytes(): number {
    return this.#live
  }

  /** Takes a line, given without its end. False if there is no room. */
  add(entry: EventEntry, data: Uint8Array, start: number, end: number): boolean {
    const bytes = end - start + 1
    if (this.#used + bytes > this.capacity && this.#live > 0) return false
    this.#reserve(bytes, entry.tag)
    native.copy(data, start, end, this.#buffer, this.#used)
    this.#buffer[this.#used + bytes - 1] = NEWLINE
    this.#append(entry, bytes)
    return true
  }

  /** The events that have lines here. */
  entries(): EventEntry[] {
    return this.#listed.filter(({ tag }) => this.#heads[tag] !== NONE)
  }

  /** Whether lines of the event wait. */
  has(entry: EventEntry): boolean {
    return this.#headOf(entry) !== NONE
  }

  /** Bytes of an event that wait. */
  bytesOf(entry: EventEntry): number {
    let bytes = 0
    for (let line = this.#headOf(entry); line !== NONE; line = this.#next[line]) {
      bytes += this.#ends[line] - this.#starts[line]
    }
    return bytes
  }

  /** Takes out all lines of an event, each by itself, with its line end; views that the next `add` may overwrite. */
  takeEach(entry: EventEntry): Buffer[] {
    const lines: Buffer[] = []
    for (let line = this.#headOf(entry); line !== NONE; line = this.#next[line]) {
      lines.push(this.#buffer.subarray(this.#starts[line], this.#ends[line]))
      this.#taken(line)
    }
    this.#heads[entry.tag] = NONE
    if (this.#live === 0) this.reset()
    return lines
  }

  /** Takes out all lines of an event, as one piece. */
  take(entry: EventEntry): Buffer {
    const pieces: Buffer[] = []
    let line = this.#headOf(entry)
    let start = NONE
    let end = NONE
    for (; line !== NONE; line = this.#next[line]) {
      // Neighbours are copied as one.
      if (this.#starts[line] !== end) {
        if (end !== NONE) pieces.push(this.#buffer.subarray(start, end))
        start = this.#starts[line]
      }
      end = this.#ends[line]
      this.#taken(line)
    }
    if (end !== NONE) pieces.push(this.#buffer.subarray(start, end))
    this.#heads[entry.tag] = NONE
    const lines = pieces.length === 1 ? pieces[0] : Buffer.concat(pieces)
    if (this.#live === 0) this.reset()
    return lines
  }

  /** Takes out the oldest lines of all, of at least so many bytes; tells how many of each event they were. */
  dropOldest(bytes: number): Map<EventEntry, Dropped> {
    const dropped = new Map<EventEntry, Dropped>()
    const until = this.#live - bytes
    for (let line = 0; line < this.#lines && this.#live > until; line++) {
      const length = this.#ends[line] - this.#starts[line]
      if (length === 0) continue
      const entry = this.#owners[line]
      // The oldest of all is the oldest of its event, too.
      this.#heads[entry.tag] = this.#next[line]
      this.#taken(line)
      const before = dropped.get(entry) ?? { lines: 0, bytes: 0 }
      dropped.set(entry, { lines: before.lines + 1, bytes: before.bytes + length })
    }
    if (this.#live === 0) this.reset()
    return dropped
  }

  /** Gives back the room of lines that were taken out, if that is worth moving the others, or `anyway`. */
  compact(anyway = false): void {
    if (this.#live === 0) {
      this.reset()
      return
    }
    const isWorth = anyway
      ? this.#live < this.#used
      : 2 * this.#live < this.#used && 2 * this.#used > this.capacity
    if (!isWorth) return
    const lines = this.#lines
    this.reset()
    for (let line = 0; line < lines; line++) {
      const start = this.#starts[line]
      const end = this.#ends[line]
      if (start === end) continue
      // Everything moves to the front, so nothing is overwritten that is still to be moved.
      const entry = this.#owners[line]
      this.#buffer.copyWithin(this.#used, start, end)
      this.#append(entry, end - start)
    }
  }

  reset(): void {
    this.#used = this.#live = this.#lines = 0
    for (const { tag } of this.#listed) {
      this.#heads[tag] = NONE
      this.#isListed[tag] = 0
    }
    this.#listed.length = 0
  }

  /** The bytes at the end are a line. */
  #append(entry: EventEntry, bytes: number): void {
    const { tag } = entry
    const line = this.#lines++
    this.#owners[line] = entry
    this.#starts[line] = this.#used
    this.#used += bytes
    this.#live += bytes
    this.#ends[line] = this.#used
    this.#next[line] = NONE
    if (this.#heads[tag] === NONE) this.#begin(entry, line)
    else this.#next[this.#tails[tag]] = line
    this.#tails[tag] = line
  }

  /** A line that was taken out is an empty one. */
  #taken(line: number): void {
    this.#live -= this.#ends[line] - this.#starts[line]
    this.#starts[line] = this.#ends[line]
  }

  #begin(entry: EventEntry, line: number): void {
    this.#heads[entry.tag] = line
    if (this.#isListed[entry.tag] === 1) return
    this.#isListed[entry.tag] = 1
    this.#listed.push(entry)
  }

  #headOf(entry: EventEntry): number {
    return entry.tag < this.#heads.length ? this.#heads[entry.tag] : NONE
  }

  #reserve(bytes: number, tag: number): void {
    if (this.#live === 0) this.reset()
    if (this.#used + bytes > this.#buffer.length) {
      const size = Math.max(this.#used + bytes, Math.min(this.#buffer.length * 2, this.capacity))
      const larger = Buffer.allocUnsafeSlow(size)
      this.#buffer.copy(larger, 0, 0, this.#used)
      this.#buffer = larger
    }
    if (tag >= this.#heads.length) {
      const events = this.#heads.length
      const length = Math.max(tag + 1, 2 * events)
      this.#heads = grown(this.#heads, length).fill(NONE, events)
      this.#tails = grown(this.#tails, length)
      const isListed = new Uint8Array(length)
      isListed.set(this.#isListed)
      this.#isListed = isListed
    }
    if (this.#lines === this.#starts.length) {
      this.#starts = grown(this.#starts)
      this.#ends = grown(this.#ends)
      this.#next = grown(this.#next)
    }
  }
}

function grown(array: Int32Array, length = array.length * 2): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(length)
  larger.set(array)
  return larger
}

// Lines of many events in one buffer, in the order of their arrival, to be taken out event by event.
import { native } from '../../native/index.ts'
import type { EventEntry } from './outputs.ts'

const NEWLINE = 10
const INITIAL_BYTES = 256 * 1024
const INITIAL_LINES = 4096
const NONE = -1

export class Stage {
  readonly capacity: number
  #buffer = Buffer.allocUnsafeSlow(INITIAL_BYTES)
  #used = 0
  #live = 0
  // Line i is [starts[i], ends[i]) with its line end; next[i] is the next line of the same event.
  #starts = new Int32Array(INITIAL_LINES)
  #ends = new Int32Array(INITIAL_LINES)
  #next = new Int32Array(INITIAL_LINES)
  #lines = 0
  readonly #heads = new Map<EventEntry, number>()
  readonly #tails = new Map<EventEntry, number>()

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
    this.#reserve(bytes)
    native.copy(data, start, end, this.#buffer, this.#used)
    this.#buffer[this.#used + bytes - 1] = NEWLINE
    const line = this.#lines++
    this.#starts[line] = this.#used
    this.#used += bytes
    this.#live += bytes
    this.#ends[line] = this.#used
    this.#next[line] = NONE
    const tail = this.#tails.get(entry)
    if (tail === undefined) this.#heads.set(entry, line)
    else this.#next[tail] = line
    this.#tails.set(entry, line)
    return true
  }

  /** The events that have lines here. */
  entries(): IterableIterator<EventEntry> {
    return this.#heads.keys()
  }

  /** Takes out all lines of an event, each by itself, with its line end; views that the next `add` may overwrite. */
  takeEach(entry: EventEntry): Buffer[] {
    const lines: Buffer[] = []
    for (let line = this.#heads.get(entry) ?? NONE; line !== NONE; line = this.#next[line]) {
      lines.push(this.#buffer.subarray(this.#starts[line], this.#ends[line]))
      this.#live -= this.#ends[line] - this.#starts[line]
    }
    this.#heads.delete(entry)
    this.#tails.delete(entry)
    if (this.#live === 0) this.reset()
    return lines
  }

  /** Takes out all lines of an event, as one piece. */
  take(entry: EventEntry): Buffer {
    const pieces: Buffer[] = []
    let line = this.#heads.get(entry) ?? NONE
    let start = NONE
    let end = NONE
    for (; line !== NONE; line = this.#next[line]) {
      // Neighbours are copied as one.
      if (this.#starts[line] !== end) {
        if (end !== NONE) pieces.push(this.#buffer.subarray(start, end))
        start = this.#starts[line]
      }
      end = this.#ends[line]
    }
    if (end !== NONE) pieces.push(this.#buffer.subarray(start, end))
    this.#heads.delete(entry)
    this.#tails.delete(entry)
    const lines = pieces.length === 1 ? pieces[0] : Buffer.concat(pieces)
    this.#live -= lines.length
    if (this.#live === 0) this.reset()
    return lines
  }

  /** Gives back the room of lines that were taken out. */
  compact(): void {
    if (this.#live === 0) {
      this.reset()
      return
    }
    const rest = [...this.#heads.keys()].map(
      (entry) => [entry, this.takeEach(entry).map((line) => Buffer.from(line))] as const
    )
    this.reset()
    for (const [entry, lines] of rest) {
      for (const line of lines) this.add(entry, line, 0, line.length - 1)
    }
  }

  reset(): void {
    this.#used = this.#live = this.#lines = 0
    this.#heads.clear()
    this.#tails.clear()
  }

  #reserve(bytes: number): void {
    if (this.#live === 0) this.reset()
    if (this.#used + bytes > this.#buffer.length) {
      const size = Math.max(this.#used + bytes, Math.min(this.#buffer.length * 2, this.capacity))
      const larger = Buffer.allocUnsafeSlow(size)
      this.#buffer.copy(larger, 0, 0, this.#used)
      this.#buffer = larger
    }
    if (this.#lines === this.#starts.length) {
      this.#starts = grown(this.#starts)
      this.#ends = grown(this.#ends)
      this.#next = grown(this.#next)
    }
  }
}

function grown(array: Int32Array): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(array.length * 2)
  larger.set(array)
  return larger
}

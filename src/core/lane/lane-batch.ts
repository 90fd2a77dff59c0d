// Records read from a ring at once, and a cursor in them: from bytes of the file back to places in the ring.
import { constants } from 'node:buffer'
import { assert } from '../../base/assert.ts'
import { recordBytes } from '../../formats/lane.ts'
import type { LaneCodec, RawCursor, RawRecords } from './lane-codec.ts'
import type { Ring } from './ring.ts'

/** So much is read at once, unless a single record is longer. */
export const READ_BYTES = 1024 * 1024
const READ_RECORDS = 16 * 1024
/** A record that is read alone may be this long. */
const MAX_READ_BYTES = Math.min(constants.MAX_LENGTH, 2 ** 32 - 1)

/** How far a ring was written to a file: the first record that is not in it as a whole, and how much of that one is. */
export interface LanePoint {
  readonly from: number
  readonly skip: number
}

export interface Counted {
  readonly records: number
  readonly bytes: number
}

/** Memory that records are read to. */
class Room {
  #bytes: Buffer | undefined
  #ends: Uint32Array | undefined

  get bytes(): Buffer {
    this.#bytes ??= Buffer.allocUnsafeSlow(READ_BYTES)
    return this.#bytes
  }

  get ends(): Uint32Array {
    this.#ends ??= new Uint32Array(READ_RECORDS)
    return this.#ends
  }
}

// One for all rings of a thread, as a batch is read, written and done with before anybody reads the next. What is read
// for another purpose may be in the middle of that: entering a turn with a batch may settle other rings.
const batchRoom = new Room()
const asideRoom = new Room()
const nothing: RawRecords = { bytes: Buffer.alloc(0), ends: new Uint32Array(0), count: 0 }

export class LaneBatch {
  readonly #ring: Ring
  readonly #codec: LaneCodec
  #raw = nothing
  #next = 0
  /** Whether nothing but records lies between the first and the last one, so that their places follow from their lengths. */
  #isRegular = true
  #isPlain = false
  #cursor: RawCursor = { record: 0, at: 0 }
  /** Place of the record at the cursor. */
  #cursorFrom = 0
  #lost = 0
  #isDamaged = false

  constructor(ring: Ring, codec: LaneCodec) {
    this.#ring = ring
    this.#codec = codec
  }

  /** What lies behind is no sound record, so nothing more can be read. */
  get isDamaged(): boolean {
    return this.#isDamaged
  }

  get isEmpty(): boolean {
    return this.#raw.count === 0
  }

  /** Records from the cursor to `end`, and the bytes of their payloads. */
  countTo(end: LanePoint): Counted {
    const { record, at } = this.#cursor
    const { count, bytes } = this.#raw
    // The first record that begins at `end` or behind it; what of it is before `end.skip` counts, too.
    let low = record
    let high = count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#placeOf(middle, record) < end.from) low = middle + 1
      else high = middle
    }
    const isWithin = end.skip > 0 && low < count && this.#placeOf(low, record) === end.from
    const ends = this.#raw.ends.slice(0, isWithin ? low + 1 : low)
    if (isWithin) ends[low] = Math.min(ends[low], this.#startOf(low) + end.skip)
    if (ends.length === 0) return { records: 0, bytes: 0 }
    const records = this.#codec.count({ bytes, ends, count: ends.length }, this.#cursor)
    return { records, bytes: Math.max(0, ends[ends.length - 1] - at) }
  }

  /** Records that were passed over since it was asked last, because they could not be read. */
  takeLost(): number {
    const lost = this.#lost
    this.#lost = 0
    return lost
  }

  /** Reads from `point` on. What is read for a write is valid until the next such call, of whatever ring. */
  load({ from, skip }: LanePoint, maxBytes: number, use: 'write' | 'aside'): void {
    const room = use === 'write' ? batchRoom : asideRoom
    const { ends } = room
    let target = room.bytes
    let read = this.#ring.read(from, target.subarray(0, Math.max(1, maxBytes)), ends)
    if (read.needs > 0 && !read.isDamaged) {
      const isTooLong = read.needs > MAX_READ_BYTES
      // Not kept: a record so long is seldom, and would be held for ever.
      if (read.needs > target.length && !isTooLong) target = Buffer.allocUnsafe(read.needs)
      // No sink takes so long a record, so the length is not one that was written.
      read = isTooLong
        ? { ...read, isDamaged: true }
        : this.#ring.read(from, target.subarray(0, read.needs), ends)
    }
    this.#isDamaged = read.isDamaged
    this.#lost += read.lost
    this.#next = read.next
    this.#raw = { bytes: target.subarray(0, read.bytes), ends, count: read.records }
    this.#cursorFrom = from
    // A point within a record that is shorter than that would be one of another ring.
    this.#cursor = { record: 0, at: read.records > 0 ? Math.min(skip, ends[0]) : 0 }
    let position = from
    for (let record = 0, at = 0; record < read.records; record++) {
      position += recordBytes(ends[record] - at)
      at = ends[record]
    }
    this.#isRegular = position === read.next
    this.#isPlain = this.#codec.isPlain(this.#raw)
  }

  /** The bytes for the file from the cursor on. A view until the next call. */
  encode(): Buffer {
    return this.isEmpty ? nothing.bytes : this.#codec.encode(this.#raw, this.#cursor, this.#isPlain)
  }

  /** Moves the cursor behind `fileBytes`, which are whole records. */
  move(fileBytes: number): LanePoint {
    if (this.#isPlain) return this.#moveTo(this.#cursorAt(this.#cursor.at + fileBytes))
    const { end, bytes } = this.#codec.advance(this.#raw, this.#cursor, fileBytes)
    assert(bytes === fileBytes, 'whole records of the batch')
    return this.#moveTo(end)
  }

  /** Moves the cursor behind as many whole records as are in the first `fileBytes`, and says how many bytes those are. */
  moveWithin(fileBytes: number): { point: LanePoint; bytes: number } {
    const { end, bytes } = this.#codec.advance(this.#raw, this.#cursor, fileBytes)
    return { point: this.#moveTo(end), bytes }
  }

  /** Moves the cursor behind as few records of the ring as have `payloadBytes`, or all. */
  drop(payloadBytes: number): { point: LanePoint; lines: number; bytes: number } {
    const { count, ends } = this.#raw
    const start = this.#cursor
    let record = 0
    while (record < count && ends[record] - start.at < payloadBytes) record++
    const dropped = Math.min(count, record + 1)
    const at = dropped === 0 ? 0 : ends[dropped - 1]
    const lines = dropped === 0 ? 0 : this.#codec.count({ ...this.#raw, count: dropped }, start)
    const point = dropped === count ? this.pass() : this.#moveTo({ record: dropped, at })
    return { point, lines, bytes: Math.max(0, at - start.at) }
  }

  /** Moves the cursor behind all of it. */
  pass(): LanePoint {
    this.#cursor = { record: this.#raw.count, at: this.#raw.bytes.length }
    return { from: this.#next, skip: 0 }
  }

  #cursorAt(at: number): RawCursor {
    const { count, ends } = this.#raw
    let low = this.#cursor.record
    let high = count
    // The first record that ends behind it.
    while (low < high) {
      const middle = (low + high) >>> 1
      if (ends[middle] <= at) low = middle + 1
      else high = middle
    }
    return { record: low, at }
  }

  #moveTo(end: RawCursor): LanePoint {
    const { record, at } = this.#cursor
    assert(at <= end.at, 'a place behind the one before')
    if (end.at === this.#raw.bytes.length && end.record === this.#raw.count) return this.pass()
    if (end.record !== record) this.#cursorFrom = this.#placeOf(end.record, record)
    this.#cursor = end
    return { from: this.#cursorFrom, skip: end.at - this.#startOf(end.record) }
  }

  /** The place in the ring of a record of the batch, from the one at the cursor, whose index is `known`. */
  #placeOf(record: number, known: number): number {
    if (!this.#isRegular) {
      const bytes = Buffer.allocUnsafe(this.#startOf(record) - this.#startOf(known))
      return this.#ring.read(this.#cursorFrom, bytes, new Uint32Array(record - known)).next
    }
    let place = this.#cursorFrom
    for (let at = known; at < record; at++) place += recordBytes(this.#raw.ends[at] - this.#startOf(at))
    return place
  }

  #startOf(record: number): number {
    return record === 0 ? 0 : this.#raw.ends[record - 1]
  }
}

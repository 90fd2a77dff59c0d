// The consumer's end of one ring: how far its records are in a file, and what is noted in the ring about that, so that
// whoever goes on after a death neither repeats nor leaves out one.
import assert from 'node:assert'
import { constants } from 'node:buffer'
import { recordBytes } from '../../formats/lane.ts'
import type { LaneId } from '../../formats/lock-file.ts'
import type { AppendPlace, NotedFiles } from './append-journal.ts'
import { LaneCodec, type LaneFormat, type RawCursor, type RawRecords } from './lane-codec.ts'
import type { AppendNote, Ring } from './ring.ts'

/** So much is read at once, unless a single record is longer. */
const READ_BYTES = 1024 * 1024
const READ_RECORDS = 16 * 1024
/** A record that is read alone may be this long. */
const MAX_READ_BYTES = Math.min(constants.MAX_LENGTH, 2 ** 32 - 1)

/** How far a ring was written to a file: the first record that is not in it as a whole, and how much of that one is. */
export interface LanePoint {
  readonly from: number
  readonly skip: number
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

export class LaneSource {
  readonly id: LaneId | undefined
  readonly ring: Ring
  readonly #codec: LaneCodec
  #point: LanePoint
  /** The same for what is released. */
  #released: LanePoint
  /** A dead writer's append whose outcome is not known yet. */
  #unsettled: AppendNote | undefined
  /** The batch of the last `head`, and how far appends of it have come. */
  #raw = nothing
  #next = 0
  #isRegular = true
  #isPlain = false
  #cursor: RawCursor = { record: 0, at: 0 }
  #cursorPosition = 0
  #hasNote: boolean
  /** Whether appends of this batch were noted one by one. */
  #isJournaled = false
  #lost = 0
  #isDamaged = false

  constructor(ring: Ring, format: LaneFormat, id: LaneId | undefined) {
    this.ring = ring
    this.id = id
    this.#codec = new LaneCodec(format)
    const { drained, written, noted } = ring
    this.#released = { from: drained, skip: 0 }
    this.#point = this.#released
    this.#hasNote = noted !== undefined
    // What the one before has written and not released is kept: it may be in no file after a sync that fails.
    if (noted !== undefined && noted.from >= drained && noted.from <= written && noted.from % 8 === 0) {
      this.#point = { from: noted.from, skip: noted.skip }
      if (noted.bytes > 0) this.#unsettled = noted
    }
  }

  /** Whether it must be found out first what became of an append. */
  get isUnsettled(): boolean {
    return this.#unsettled !== undefined
  }

  /** Whether records wait that are in no file. */
  get hasRecords(): boolean {
    return this.ring.written > this.#point.from && !this.#isDamaged
  }

  /** Whether some are written and may have to be written again. */
  get hasKept(): boolean {
    return this.#point.from > this.#released.from || this.#point.skip !== this.#released.skip
  }

  /** What lies behind is no sound record, so nothing more can be read. */
  get isDamaged(): boolean {
    return this.#isDamaged
  }

  get waitingBytes(): number {
    return this.ring.written - this.#point.from
  }

  get heldBytes(): number {
    return this.ring.written - this.#released.from
  }

  get point(): LanePoint {
    return this.#point
  }

  /** Records that were passed over since it was asked last, because they could not be read. */
  takeLost(): number {
    const lost = this.#lost
    this.#lost = 0
    return lost
  }

  /** The bytes for the file, whole records. Empty if there is nothing that can be read. A view until the next call. */
  head(maxBytes: number): Buffer {
    assert(this.#unsettled === undefined, 'a ring that is settled')
    while (this.hasRecords) {
      this.#load(Math.min(maxBytes, READ_BYTES), batchRoom)
      const bytes =
        this.#raw.count === 0 ? nothing.bytes : this.#codec.encode(this.#raw, this.#cursor, this.#isPlain)
      if (bytes.length > 0) return bytes
      this.#pass()
    }
    return nothing.bytes
  }

  /** The next `length` bytes of the head go to that place of a file. */
  appending({ dev, ino, offset, length }: AppendPlace): void {
    this.#isJournaled = true
    const { from, skip } = this.#point
    this.#hasNote = true
    this.ring.note({ from, skip, bytes: length, dev, ino, offset: BigInt(offset) })
  }

  /** The next `keptBytes` of the head are in the file. */
  appended(keptBytes: number): void {
    if (keptBytes > 0) this.#moveTo(this.#end(keptBytes))
    this.#note()
  }

  /** The first `fileBytes` of the head are written. */
  consume(fileBytes: number): void {
    if (this.#isJournaled) return
    const end = this.#end(fileBytes)
    this.#moveTo(end)
    // Without a note all before `drained` is written; a place within a record has to be noted.
    if (this.#point.skip > 0 || this.#hasNote) this.#note()
  }

  /** What was written before `point` need not be written again. */
  release(point: LanePoint): void {
    this.#released = point
    if (point.from > this.ring.drained) this.ring.release(point.from)
  }

  /** Lets go of the oldest records until `bytes` are free or none is left. */
  drop(bytes: number): { lines: number; bytes: number } {
    let lines = 0
    let dropped = 0
    while (this.hasRecords && dropped < bytes) {
      this.#load(READ_BYTES)
      const { count } = this.#raw
      let record = 0
      if (count === 0 || this.#raw.ends[count - 1] - this.#cursor.at <= bytes - dropped) record = count
      else while (record < count && this.#raw.ends[record] - this.#cursor.at < bytes - dropped) record++
      record = Math.min(count, record + (record < count ? 1 : 0))
      const at = record === 0 ? 0 : this.#raw.ends[record - 1]
      lines += this.#codec.count({ ...this.#raw, count: record }, this.#cursor)
      dropped += at - this.#cursor.at
      if (record === count) this.#pass()
      else this.#moveTo({ record, at })
    }
    if (this.#hasNote) this.#note()
    return { lines, bytes: dropped }
  }

  /** What was written and not released has to be written again. */
  rewind(): void {
    this.#point = this.#released
    this.#note()
  }

  /**
   * A dead writer appended at `place`, and `keptBytes` of that stayed in the file. False if that is not what was noted
   * when this was made.
   */
  settle(place: AppendPlace, keptBytes: number): boolean {
    if (this.#unsettled === undefined) return false
    const note = this.#readNote()
    if (note === undefined) return false
    const { dev, ino, offset, length } = place
    const isSame =
      note.dev === dev && note.ino === ino && note.offset === BigInt(offset) && note.bytes === length
    if (!isSame) return false
    this.#settleAt(keptBytes)
    return true
  }

  /** The same by what is in the file: as many units as are found there count as kept, and what is left of one is cut. */
  compare(files: NotedFiles): void {
    const note = this.#readNote()
    if (note === undefined) return
    const { dev, ino } = note
    const offset = Number(note.offset)
    const { bytes: length } = note
    let kept = 0
    while (kept < length && this.hasRecords) {
      this.#load(READ_BYTES)
      if (this.#raw.count === 0) break
      const start = this.#cursor
      const expected = this.#codec.encode(this.#raw, start, this.#isPlain).subarray(0, length - kept)
      const found = Buffer.allocUnsafe(expected.length)
      const same = sameBytes(expected, found, files.read({ dev, ino, offset }, kept, found))
      const { end, bytes } = this.#codec.advance(this.#raw, start, same)
      kept += bytes
      this.#moveTo(end)
      if (bytes < expected.length || bytes === 0) break
    }
    files.cutBack({ dev, ino, offset, length }, kept)
    this.#unsettled = undefined
    this.#note()
  }

  /** Whatever became of the append: everything in it is written again. */
  forgetNote(): void {
    if (this.#readNote() === undefined) return
    this.#unsettled = undefined
    this.#note()
  }

  /** The first record of the append that has to be settled. */
  get unsettled(): AppendNote | undefined {
    return this.#unsettled
  }

  /** Waiting records and their bytes, counted without being taken. */
  count(): { records: number; bytes: number } {
    let records = 0
    let bytes = 0
    const point = this.#point
    while (this.hasRecords) {
      const from = this.#point.from
      this.#load(READ_BYTES)
      if (this.#raw.count > 0) {
        records += this.#codec.count(this.#raw, this.#cursor)
        bytes += this.#raw.ends[this.#raw.count - 1] - this.#cursor.at
      }
      this.#pass()
      if (this.#point.from === from) break
    }
    this.#point = point
    this.#isDamaged = false
    this.#lost = 0
    return { records, bytes }
  }

  /** What is noted may have been settled by somebody else since. */
  #readNote(): AppendNote | undefined {
    const { noted } = this.ring
    if (noted === undefined || noted.bytes > 0) return noted
    if (this.#unsettled !== undefined) {
      this.#point = { from: noted.from, skip: noted.skip }
      this.#unsettled = undefined
    }
    return undefined
  }

  #settleAt(keptBytes: number): void {
    let left = keptBytes
    while (left > 0 && this.hasRecords) {
      this.#load(READ_BYTES)
      if (this.#raw.count === 0) break
      const { end, bytes } = this.#codec.advance(this.#raw, this.#cursor, left)
      left -= bytes
      const isAll = end.record === this.#raw.count
      this.#moveTo(end)
      if (!isAll) break
    }
    this.#unsettled = undefined
    this.#note()
  }

  #note(): void {
    this.#hasNote = true
    const { from, skip } = this.#point
    this.ring.note({ from, skip, bytes: 0, dev: 0n, ino: 0n, offset: 0n })
  }

  /** Reads a batch from the present point on. */
  #load(maxBytes: number, room = asideRoom): void {
    const { from, skip } = this.#point
    const { ends } = room
    let target = room.bytes
    let read = this.ring.read(from, target.subarray(0, Math.max(1, maxBytes)), ends)
    if (read.needs > 0 && !read.isDamaged) {
      const isTooLong = read.needs > MAX_READ_BYTES
      // Not kept: a record so long is seldom, and would be held for ever.
      if (read.needs > target.length && !isTooLong) target = Buffer.allocUnsafe(read.needs)
      // No sink takes so long a record, so the length is not one that was written.
      read = isTooLong
        ? { ...read, isDamaged: true }
        : this.ring.read(from, target.subarray(0, read.needs), ends)
    }
    this.#isDamaged = read.isDamaged
    this.#lost += read.lost
    this.#next = read.next
    this.#raw = { bytes: target.subarray(0, read.bytes), ends, count: read.records }
    this.#isJournaled = false
    this.#cursorPosition = from
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

  /** Moves behind a batch of which nothing goes to the file. */
  #pass(): void {
    this.#point = { from: this.#next, skip: 0 }
    this.#cursor = { record: this.#raw.count, at: this.#raw.bytes.length }
  }

  /** Where so many bytes for the file end, from the cursor on. They are whole records. */
  #end(fileBytes: number): RawCursor {
    if (this.#isPlain) return this.#cursorAt(this.#cursor.at + fileBytes)
    const { end, bytes } = this.#codec.advance(this.#raw, this.#cursor, fileBytes)
    assert(bytes === fileBytes, 'whole records of the batch')
    return end
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

  #moveTo(end: RawCursor): void {
    const { record, at } = this.#cursor
    // Behind the last record that has anything for the file there may be empty ones.
    if (end.at === this.#raw.bytes.length && end.record === this.#raw.count) {
      this.#pass()
      return
    }
    if (end.record !== record) this.#cursorPosition = this.#positionOf(end.record, record)
    const begin = end.record === 0 ? 0 : this.#raw.ends[end.record - 1]
    this.#cursor = end
    this.#point = { from: this.#cursorPosition, skip: end.at - begin }
    assert(at <= end.at, 'a place behind the one before')
  }

  /** The position in the ring of a record of the batch; that of the record at the cursor is known. */
  #positionOf(record: number, known: number): number {
    if (!this.#isRegular) {
      const bytes = Buffer.allocUnsafe(this.#raw.ends[record - 1])
      return this.ring.read(this.#point.from, bytes, new Uint32Array(record - known)).next
    }
    let position = this.#cursorPosition
    for (let at = known; at < record; at++) {
      position += recordBytes(this.#raw.ends[at] - (at === 0 ? 0 : this.#raw.ends[at - 1]))
    }
    return position
  }
}

function sameBytes(a: Buffer, b: Buffer, count: number): number {
  if (a.compare(b, 0, count, 0, count) === 0) return count
  let at = 0
  while (a[at] === b[at]) at++
  return at
}

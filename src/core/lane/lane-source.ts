// The consumer's end of one ring: how far its records are in a file, and what is noted in the ring about that, so that
// whoever goes on after a death neither repeats nor leaves out one.
import { assert } from '../../base/assert.ts'
import type { LaneId } from '../../formats/lock-file.ts'
import type { AppendPlace, NotedFiles } from './append-journal.ts'
import { type Counted, LaneBatch, type LanePoint, READ_BYTES } from './lane-batch.ts'
import { LaneCodec, type LaneFormat } from './lane-codec.ts'
import type { AppendNote, Ring } from './ring.ts'

const nothing = Buffer.alloc(0)

export class LaneSource {
  readonly id: LaneId | undefined
  readonly ring: Ring
  readonly #codec: LaneCodec
  readonly #batch: LaneBatch
  #point: LanePoint
  /** The same for what is released. */
  #released: LanePoint
  /** A dead writer's append whose outcome is not known yet. */
  #unsettled: AppendNote | undefined
  #hasNote: boolean
  /** Whether what was taken is in the memory of this process until it is released. */
  #isStaged = false
  /** The end of the ring, where nobody else moves it. */
  #written: number | undefined
  /** Whether appends of the batch were noted one by one. */
  #isJournaled = false

  constructor(ring: Ring, format: LaneFormat, id: LaneId | undefined) {
    this.ring = ring
    this.id = id
    this.#codec = new LaneCodec(format)
    this.#batch = new LaneBatch(ring, this.#codec)
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

  /**
   * What is taken from now on is in no file until it is released: a note is never ahead of that, or a death would lose
   * what lies between.
   */
  stage(): void {
    this.#isStaged = true
  }

  get #end(): number {
    return this.#written ?? this.ring.written
  }

  /** Whether records wait that are in no file. */
  get hasRecords(): boolean {
    return this.#end > this.#point.from && !this.#batch.isDamaged
  }

  /** Whether some are written and may have to be written again. */
  get hasKept(): boolean {
    return this.#point.from > this.#released.from || this.#point.skip !== this.#released.skip
  }

  /** What lies behind is no sound record, so nothing more can be read. */
  get isDamaged(): boolean {
    return this.#batch.isDamaged
  }

  get waitingBytes(): number {
    return this.#end - this.#point.from
  }

  get heldBytes(): number {
    return this.#end - this.#released.from
  }

  get point(): LanePoint {
    return this.#point
  }

  /** Fills the ring, where this thread does that, too. False if there is no room. */
  append(record: string | Uint8Array): boolean {
    if (!this.ring.append(record)) return false
    // Asked once here and not whenever somebody wants to know: the addon takes as long for it as for a short record.
    this.#written = this.ring.written
    return true
  }

  /** See `LaneBatch.takeLost`. */
  takeLost(): number {
    return this.#batch.takeLost()
  }

  /** The bytes for the file, whole records. Empty if there is nothing that can be read. A view until the next call. */
  head(maxBytes: number): Buffer {
    assert(this.#unsettled === undefined, 'a ring that is settled')
    this.#isJournaled = false
    while (this.hasRecords) {
      this.#batch.load(this.#point, Math.min(maxBytes, READ_BYTES), 'write')
      const bytes = this.#batch.encode()
      if (bytes.length > 0) return bytes
      this.#point = this.#batch.pass()
    }
    return nothing
  }

  /** The next `length` bytes of the head go to that place of a file. */
  appending({ dev, ino, offset, length }: AppendPlace): void {
    this.#isJournaled = true
    this.#hasNote = true
    this.ring.note({ ...this.#point, bytes: length, dev, ino, offset: BigInt(offset) })
  }

  /** The next `keptBytes` of the head are in the file. */
  appended(keptBytes: number): void {
    if (keptBytes > 0) this.#point = this.#batch.move(keptBytes)
    this.#note()
  }

  /** The first `fileBytes` of the head are written. */
  consume(fileBytes: number): void {
    if (this.#isJournaled) return
    this.#point = this.#batch.move(fileBytes)
    if (!this.#isStaged) this.#noteIfNeeded(this.#point)
  }

  /** What was written before `point` need not be written again. */
  release(point: LanePoint): void {
    this.#released = point
    if (this.#isStaged) this.#noteIfNeeded(point)
    if (point.from > this.ring.drained) this.ring.release(point.from)
  }

  /** What was written and not released has to be written again. */
  rewind(): void {
    this.#point = this.#released
    this.#note()
  }

  /** Lets go of the oldest records until `bytes` are free or none is left. */
  drop(bytes: number): { lines: number; bytes: number } {
    const dropped = { lines: 0, bytes: 0 }
    while (this.hasRecords && dropped.bytes < bytes) {
      this.#batch.load(this.#point, READ_BYTES, 'aside')
      const { point, lines, bytes: more } = this.#batch.drop(bytes - dropped.bytes)
      this.#point = point
      dropped.lines += lines
      dropped.bytes += more
    }
    if (this.#hasNote) this.#note()
    return dropped
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
    for (let left = keptBytes; left > 0 && this.hasRecords; ) {
      this.#batch.load(this.#point, READ_BYTES, 'aside')
      if (this.#batch.isEmpty) {
        this.#passLost()
        if (keptBytes >= length) this.#batch.takeLost()
        break
      }
      const { point, bytes } = this.#batch.moveWithin(left)
      if (bytes === 0) break
      this.#point = point
      left -= bytes
    }
    this.#settled()
    return true
  }

  /** The same by what is in the file: as many records as are found there count as kept, and what is left of one is cut. */
  compare(files: NotedFiles): void {
    const note = this.#readNote()
    if (note === undefined) return
    const { dev, ino, bytes: length } = note
    const place = { dev, ino, offset: Number(note.offset), length }
    let kept = 0
    while (kept < length && this.hasRecords) {
      this.#batch.load(this.#point, READ_BYTES, 'aside')
      if (this.#batch.isEmpty) {
        // Nothing to compare with: what is in the file of a record that nobody has any more stays there.
        this.#passLost()
        kept = length
        break
      }
      const expected = this.#batch.encode().subarray(0, length - kept)
      const found = Buffer.allocUnsafe(expected.length)
      const same = sameBytes(expected, found, files.read(place, kept, found))
      const { point, bytes } = this.#batch.moveWithin(same)
      if (bytes === 0) break
      this.#point = point
      kept += bytes
      if (bytes < expected.length) break
    }
    files.cutBack(place, kept)
    this.#settled()
  }

  /** The append was of a record that went with the memory of its process: what is in the file of it is all there is. */
  #passLost(): void {
    if (!this.#batch.isDamaged) this.#point = this.#batch.pass()
  }

  /** Whatever became of the append: everything in it is written again. */
  forgetNote(): void {
    if (this.#readNote() !== undefined) this.#settled()
  }

  /** Records that are in no file and their bytes, counted without being taken. */
  count(): Counted {
    return this.#countBetween(this.#isStaged ? this.#released : this.#point, { from: this.#end, skip: 0 })
  }

  /** The same of those that were taken and not released. */
  countKept(): Counted {
    return this.#countBetween(this.#released, this.#point)
  }

  #countBetween(start: LanePoint, end: LanePoint): Counted {
    const batch = new LaneBatch(this.ring, this.#codec)
    const total = { records: 0, bytes: 0 }
    let point = start
    while (isBefore(point, end)) {
      batch.load(point, READ_BYTES, 'aside')
      const { records, bytes } = batch.countTo(end)
      const { from } = point
      total.records += records
      total.bytes += bytes
      point = batch.pass()
      if (batch.isDamaged || point.from === from) break
    }
    return total
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

  #settled(): void {
    this.#unsettled = undefined
    this.#note()
  }

  /** Without a note all before `drained` is written; a place within a record has to be noted. */
  #noteIfNeeded(point: LanePoint): void {
    if (point.skip > 0 || this.#hasNote) this.#note(point)
  }

  #note(point = this.#isStaged ? this.#released : this.#point): void {
    this.#hasNote = true
    this.ring.note({ ...point, bytes: 0, dev: 0n, ino: 0n, offset: 0n })
  }
}

function isBefore(a: LanePoint, b: LanePoint): boolean {
  return a.from < b.from || (a.from === b.from && a.skip < b.skip)
}

function sameBytes(a: Buffer, b: Buffer, count: number): number {
  if (a.compare(b, 0, count, 0, count) === 0) return count
  let at = 0
  while (a[at] === b[at]) at++
  return at
}

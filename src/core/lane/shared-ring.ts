// A ring in shared memory: for two threads of one process, in JavaScript alone. It ends with the process.
import assert from 'node:assert'
import { requireData } from '../../base/bytes.ts'
import {
  arePositions,
  checkWord,
  DATA_AT,
  DRAINED_AT,
  decodeNotes,
  decodeRingHeader,
  encodeNote,
  encodeRingHeader,
  LENGTH_MASK,
  maxPayloadBytes,
  NOTE_BYTES,
  NOTES_AT,
  RECORD_HEADER_BYTES,
  recordBytes,
  recordType,
  ringBytes,
  TYPE_SHIFT,
  WHOLE,
  WRITTEN_AT
} from '../../formats/lane.ts'
import { writeUtf8 } from '../../formats/utf8.ts'
import { native } from '../../native/index.ts'
import type { AppendNote, Ring, RingRead } from './ring.ts'

export class SharedRing implements Ring {
  /** The memory, for `new SharedRing(buffer)` in another thread. */
  readonly buffer: SharedArrayBuffer
  readonly capacityBytes: number
  readonly #bytes: Buffer
  readonly #words: Int32Array
  readonly #longs: BigUint64Array
  /** Indices of the low words of the positions, and the address of the first byte of data. */
  readonly #writtenWord: number
  readonly #drainedWord: number
  readonly #dataAt: number
  readonly #notes: Buffer
  readonly #maxPayloadBytes: number
  #written: number
  #isClosed = false

  /** A ring in new memory. `capacityBytes` is a multiple of 64. */
  static create(capacityBytes: number): SharedRing {
    const header = encodeRingHeader(capacityBytes, false, '')
    const headerBytes = header.length
    const buffer = new SharedArrayBuffer(
      ringBytes({ headerBytes, capacityBytes, isChecked: false, description: '' })
    )
    Buffer.from(buffer).set(header)
    return new SharedRing(buffer)
  }

  /** One end of the ring in `buffer`, which another one has made. */
  constructor(buffer: SharedArrayBuffer) {
    const bytes = Buffer.from(buffer)
    const header = decodeRingHeader(bytes)
    assert(header !== undefined && ringBytes(header) === buffer.byteLength, 'memory of a ring')
    const { headerBytes, capacityBytes } = header
    this.buffer = buffer
    this.capacityBytes = capacityBytes
    this.#bytes = bytes
    this.#words = new Int32Array(buffer)
    this.#longs = new BigUint64Array(buffer)
    this.#writtenWord = (headerBytes + WRITTEN_AT) / 4
    this.#drainedWord = (headerBytes + DRAINED_AT) / 4
    this.#dataAt = headerBytes + DATA_AT
    this.#notes = bytes.subarray(headerBytes + NOTES_AT, headerBytes + NOTES_AT + 2 * NOTE_BYTES)
    this.#maxPayloadBytes = maxPayloadBytes(capacityBytes)
    const drained = Atomics.load(this.#longs, this.#drainedWord / 2)
    const written = Atomics.load(this.#longs, this.#writtenWord / 2)
    assert(arePositions(written, drained, capacityBytes), 'positions of a ring')
    this.#written = Number(written)
  }

  get written(): number {
    // The low words differ by as much as the positions, because that is less than the capacity.
    this.#written += (Atomics.load(this.#words, this.#writtenWord) - this.#written) >>> 0
    return this.#written
  }

  get drained(): number {
    const { written } = this
    return written - ((written - Atomics.load(this.#words, this.#drainedWord)) >>> 0)
  }

  get noted(): AppendNote | undefined {
    return decodeNotes(this.#notes).note
  }

  append(record: string | Uint8Array): boolean {
    requireData('append', record)
    assert(!this.#isClosed, 'the ring is closed')
    const isText = typeof record === 'string'
    // Three bytes are the most that a unit of a text becomes.
    const most = isText ? record.length * 3 : record.length
    let offset = this.#written % this.capacityBytes
    if (recordBytes(most) > Math.min(this.capacityBytes - offset, this.#free())) {
      const length = isText ? Buffer.byteLength(record) : record.length
      if (length > this.#maxPayloadBytes) return false
      offset = this.#makeRoom(offset, recordBytes(length))
      if (offset < 0) return false
    }
    const at = this.#dataAt + offset + RECORD_HEADER_BYTES
    let length = most
    if (isText) length = writeUtf8(this.#bytes, record, at)
    else this.#bytes.set(record, at)
    this.#publish(recordType.record, offset, length)
    return true
  }

  #free(): number {
    const used = (this.#written - Atomics.load(this.#words, this.#drainedWord)) >>> 0
    return this.capacityBytes - used
  }

  /** Where a record of so many bytes, header included, has its place; -1 if there is no room now. */
  #makeRoom(offset: number, bytes: number): number {
    const rest = this.capacityBytes - offset
    const free = this.#free()
    if (bytes <= rest) return bytes <= free ? offset : -1
    if (rest + bytes > free) return -1
    // Seen by nobody until the record behind it is published.
    this.#writeHeader(recordType.unused, offset, rest - RECORD_HEADER_BYTES, 0)
    this.#written += rest
    return 0
  }

  #writeHeader(type: number, offset: number, length: number, hashed: number): void {
    const word = WHOLE | (type << TYPE_SHIFT) | length
    const at = this.#dataAt + offset
    const start = at + RECORD_HEADER_BYTES
    this.#words[at / 4 + 1] = checkWord(false, this.#written, word >>> 0, this.#bytes, start, start + hashed)
    this.#words[at / 4] = word
  }

  #publish(type: number, offset: number, length: number): void {
    const bytes = recordBytes(length)
    const end = this.#dataAt + offset + bytes
    for (let at = this.#dataAt + offset + RECORD_HEADER_BYTES + length; at < end; at++) this.#bytes[at] = 0
    this.#writeHeader(type, offset, length, length)
    // The value before this append, for a skipped rest of the data counts as well.
    const low = Atomics.load(this.#words, this.#writtenWord) >>> 0
    const written = this.#written + bytes
    this.#written = written
    // Both words change at once where the higher one does.
    if (written >>> 0 < low) Atomics.store(this.#longs, this.#writtenWord / 2, BigInt(written))
    else Atomics.store(this.#words, this.#writtenWord, written | 0)
  }

  read(from: number, target: Uint8Array, ends: Uint32Array): RingRead {
    const end = this.written
    assert(from >= this.drained && from <= end, 'a position that can be read')
    let at = from
    let records = 0
    let bytes = 0
    let needs = 0
    let isDamaged = false
    while (at < end && records < ends.length) {
      const offset = at % this.capacityBytes
      const word = this.#soundWord(at, offset, end)
      if (word === 0) {
        isDamaged = records === 0
        break
      }
      const length = word & LENGTH_MASK
      if (((word >>> TYPE_SHIFT) & 3) === recordType.unused) {
        at += RECORD_HEADER_BYTES + length
        continue
      }
      if (length > target.length - bytes) {
        if (records === 0) needs = length
        break
      }
      const start = this.#dataAt + offset + RECORD_HEADER_BYTES
      native.copy(this.#bytes, start, start + length, target, bytes)
      bytes += length
      at += recordBytes(length)
      ends[records++] = bytes
    }
    return { records, bytes, next: at, needs, lost: 0, isDamaged }
  }

  /** The first word of the record at `position`; 0 unless it is a sound one that ends before `end`. */
  #soundWord(position: number, offset: number, end: number): number {
    const at = this.#dataAt + offset
    const word = this.#words[at / 4] >>> 0
    const length = word & LENGTH_MASK
    const rest = this.capacityBytes - offset
    const type = (word >>> TYPE_SHIFT) & 3
    const bytes = type === recordType.unused ? RECORD_HEADER_BYTES + length : recordBytes(length)
    const isPossible =
      word >= WHOLE &&
      bytes <= Math.min(rest, end - position) &&
      (type === recordType.record || (type === recordType.unused && bytes === rest))
    if (!isPossible) return 0
    const start = at + RECORD_HEADER_BYTES
    const check = checkWord(false, position, word, this.#bytes, start, start + length)
    return this.#words[at / 4 + 1] >>> 0 === check ? word : 0
  }

  release(to: number): void {
    assert(to >= this.drained && to <= this.written && to % 8 === 0, 'a position behind what was read')
    Atomics.store(this.#longs, this.#drainedWord / 2, BigInt(to))
  }

  note(note: AppendNote | undefined): void {
    const generation = decodeNotes(this.#notes).generation + 1n
    const slot = generation % 2n === 0n ? this.#notes : this.#notes.subarray(NOTE_BYTES)
    encodeNote(slot as Buffer, generation, note)
  }

  close(): void {
    this.#isClosed = true
  }
}

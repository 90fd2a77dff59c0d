// A ring in shared memory: for two threads of one process, in JavaScript alone. It ends with the process.
import { endianness, tmpdir } from 'node:os'
import { assert } from '../../base/assert.ts'
import {
  arePositions,
  checkWord,
  DATA_AT,
  DRAINED_AT,
  decodeReference,
  decodeRingHeader,
  encodeRingHeader,
  LENGTH_MASK,
  NOTE_BYTES,
  NOTES_AT,
  RECORD_HEADER_BYTES,
  REFERENCE_BYTES,
  recordBytes,
  recordType,
  ringBytes,
  TYPE_SHIFT,
  WHOLE,
  WRITTEN_AT
} from '../../formats/lane.ts'
import { writeUtf8 } from '../../formats/utf8.ts'
import { realDisk } from '../../io/disk.ts'
import { native } from '../../native/index.ts'
import { NamelessFiles } from './large-records.ts'
import { found, RingBase, readEnd } from './ring-base.ts'

/** Which of the two words of a position is the lower one. */
const LOW_WORD = endianness() === 'LE' ? 0 : 1

export class SharedRing extends RingBase {
  /** The memory, for `new SharedRing(buffer)` in another thread. */
  readonly buffer: SharedArrayBuffer
  readonly #bytes: Buffer
  readonly #words: Int32Array
  readonly #longs: BigUint64Array
  /** Indices of the positions, and of their low words, and the address of the first byte of data. */
  readonly #writtenLong: number
  readonly #drainedLong: number
  readonly #writtenWord: number
  readonly #drainedWord: number
  readonly #dataAt: number
  readonly #notes: Buffer
  #written: number
  #isClosed = false

  /** A ring in new memory. `capacityBytes` is a multiple of 64. */
  static create(capacityBytes: number): SharedRing {
    const header = encodeRingHeader(capacityBytes, false, '')
    const buffer = new SharedArrayBuffer(ringBytes(header.length, capacityBytes))
    Buffer.from(buffer).set(header)
    return new SharedRing(buffer)
  }

  /**
   * One end of the ring in `buffer`, which another one has made. Records too large for it go through files in `folder`,
   * which have no names; its threads are of one process.
   */
  constructor(buffer: SharedArrayBuffer, folder = tmpdir()) {
    const bytes = Buffer.from(buffer)
    const header = decodeRingHeader(bytes)
    assert(header !== undefined, 'memory of a ring')
    const { headerBytes, capacityBytes } = header
    assert(ringBytes(headerBytes, capacityBytes) === buffer.byteLength, 'memory of a ring')
    super(capacityBytes, new NamelessFiles(realDisk, folder))
    this.buffer = buffer
    this.#bytes = bytes
    this.#words = new Int32Array(buffer)
    this.#longs = new BigUint64Array(buffer)
    this.#writtenLong = (headerBytes + WRITTEN_AT) / 8
    this.#drainedLong = (headerBytes + DRAINED_AT) / 8
    this.#writtenWord = 2 * this.#writtenLong + LOW_WORD
    this.#drainedWord = 2 * this.#drainedLong + LOW_WORD
    this.#dataAt = headerBytes + DATA_AT
    this.#notes = bytes.subarray(headerBytes + NOTES_AT, headerBytes + NOTES_AT + 2 * NOTE_BYTES)
    const drained = Atomics.load(this.#longs, this.#drainedLong)
    const written = Atomics.load(this.#longs, this.#writtenLong)
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

  protected _append(record: string | Uint8Array): boolean {
    assert(!this.#isClosed, 'the ring is closed')
    const isText = typeof record === 'string'
    // Three bytes are the most that a unit of a text becomes. Only where that is too much the text is measured.
    let length = isText ? record.length * 3 : record.length
    let offset = this.#written % this.capacityBytes
    if (recordBytes(length) > Math.min(this.capacityBytes - offset, this.#free())) {
      if (isText) length = Buffer.byteLength(record)
      offset = this.#makeRoom(offset, recordBytes(length))
      if (offset < 0) return false
    }
    const at = this.#dataAt + offset + RECORD_HEADER_BYTES
    if (isText) length = writeUtf8(this.#bytes, record, at)
    else this.#bytes.set(record, at)
    this.#publish(recordType.record, offset, length)
    return true
  }

  protected _appendReference(reference: Uint8Array): boolean {
    assert(!this.#isClosed, 'the ring is closed')
    const offset = this.#makeRoom(this.#written % this.capacityBytes, recordBytes(reference.length))
    if (offset < 0) return false
    this.#bytes.set(reference, this.#dataAt + offset + RECORD_HEADER_BYTES)
    this.#publish(recordType.large, offset, reference.length)
    return true
  }

  #free(): number {
    return this.capacityBytes - ((this.#written - Atomics.load(this.#words, this.#drainedWord)) >>> 0)
  }

  /** Where a record of so many bytes, header included, has its place; -1 if there is no room now. */
  #makeRoom(offset: number, bytes: number): number {
    const rest = this.capacityBytes - offset
    const free = this.#free()
    if (bytes <= rest) return bytes <= free ? offset : -1
    if (rest + bytes > free) return -1
    // Seen by nobody until the record behind it is published.
    this.#writeHeader(recordType.unused, offset, rest - RECORD_HEADER_BYTES)
    this.#written += rest
    return 0
  }

  #writeHeader(type: number, offset: number, length: number): void {
    const word = WHOLE | (type << TYPE_SHIFT) | length
    const at = this.#dataAt + offset
    this.#words[at / 4 + 1] = checkWord(false, this.#written, word >>> 0, this.#bytes, 0, 0)
    this.#words[at / 4] = word
  }

  #publish(type: number, offset: number, length: number): void {
    const bytes = recordBytes(length)
    const end = this.#dataAt + offset + bytes
    for (let at = end - bytes + RECORD_HEADER_BYTES + length; at < end; at++) this.#bytes[at] = 0
    this.#writeHeader(type, offset, length)
    // That before this append, for a rest of the data that was skipped counts as well.
    const low = this.#words[this.#writtenWord] >>> 0
    const written = this.#written + bytes
    this.#written = written
    // Both words change at once where the higher one does.
    if (written >>> 0 < low) Atomics.store(this.#longs, this.#writtenLong, BigInt(written))
    else Atomics.store(this.#words, this.#writtenWord, written | 0)
  }

  protected _read(target: Uint8Array, ends: Uint32Array, state: Float64Array): number {
    const end = this.written
    let records = state[found.records]
    let bytes = state[found.bytes]
    let at = state[found.next]
    let stop: number = readEnd.done
    state[found.needs] = 0
    if (at > end) return readEnd.damaged
    while (at < end && records < ends.length) {
      const offset = at % this.capacityBytes
      const word = this.#soundWord(at, offset, end)
      if (word === 0) {
        stop = readEnd.damaged
        break
      }
      const length = word & LENGTH_MASK
      const type = (word >>> TYPE_SHIFT) & 3
      if (type === recordType.unused) {
        at += RECORD_HEADER_BYTES + length
        continue
      }
      const start = this.#dataAt + offset + RECORD_HEADER_BYTES
      if (type === recordType.large) {
        const reference = decodeReference(this.#bytes.subarray(start, start + REFERENCE_BYTES))
        state[found.number] = reference.number
        state[found.crc] = reference.crc
        state[found.length] = reference.length
        stop = readEnd.large
        break
      }
      if (length > target.length - bytes) {
        state[found.needs] = length
        break
      }
      native.copy(this.#bytes, start, start + length, target, bytes)
      bytes += length
      at += recordBytes(length)
      ends[records++] = bytes
    }
    state[found.records] = records
    state[found.bytes] = bytes
    state[found.next] = at
    return stop
  }

  /** The first word of the record at `position`; 0 unless it is a sound one that ends at `end` or before. */
  #soundWord(position: number, offset: number, end: number): number {
    const at = (this.#dataAt + offset) / 4
    if (!Number.isInteger(at)) return 0
    const word = this.#words[at] >>> 0
    const length = word & LENGTH_MASK
    const rest = this.capacityBytes - offset
    const type = (word >>> TYPE_SHIFT) & 3
    const bytes = type === recordType.unused ? RECORD_HEADER_BYTES + length : recordBytes(length)
    if (word < WHOLE || bytes > rest || bytes > end - position) return 0
    const isPossible =
      type === recordType.record ||
      (type === recordType.unused && bytes === rest) ||
      (type === recordType.large && length === REFERENCE_BYTES)
    if (!isPossible) return 0
    return this.#words[at + 1] >>> 0 === checkWord(false, position, word, this.#bytes, 0, 0) ? word : 0
  }

  protected _release(to: number): void {
    assert(to >= this.drained && to <= this.written && to % 8 === 0, 'a position behind what was read')
    Atomics.store(this.#longs, this.#drainedLong, BigInt(to))
  }

  protected _loadNotes(slots: Buffer): void {
    this.#notes.copy(slots)
  }

  protected _storeNote(which: number, slot: Buffer): void {
    this.#notes.set(slot.subarray(0, NOTE_BYTES), which * NOTE_BYTES)
  }

  protected _close(): void {
    this.#isClosed = true
  }
}

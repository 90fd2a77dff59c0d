// What both backings of a ring do alike: records too large for it, reading past them, and the notes.
import { assert } from '../../base/assert.ts'
import { requireData } from '../../base/bytes.ts'
import { LogboomError } from '../../base/errors.ts'
import {
  type AppendNote,
  decodeNotes,
  encodeNote,
  encodeReference,
  isInMemory,
  type LargeReference,
  maxPayloadBytes,
  NOTE_BYTES,
  REFERENCE_BYTES,
  recordBytes
} from '../../formats/lane.ts'
import type { LargeRecords } from './large-records.ts'
import type { Ring, RingRead } from './ring.ts'

/** Columns of what `_read` goes on from, and then tells. */
export const found = {
  /** Records copied, bytes of their payloads, position of the next one. */
  records: 0,
  bytes: 1,
  next: 2,
  /** Length of the next payload, if that is too long for what is left of the target; else 0. */
  needs: 3,
  /** Of a record that is in a file of its own. */
  number: 4,
  crc: 5,
  length: 6,
  columns: 7
} as const

/** Why `_read` stopped: nothing is left or no room, something unsound, a record in a file of its own. */
export const readEnd = { done: 0, damaged: 1, large: 2 } as const

/** Where a record ends in the reader's memory is told in 32 bits. */
const MAX_RECORD_BYTES = 0xffff_ffff

export abstract class RingBase implements Ring {
  readonly capacityBytes: number
  readonly #large: LargeRecords
  readonly #maxPayloadBytes: number
  /** Texts up to so many units are short enough, whatever they hold. */
  readonly #shortUnits: number
  readonly #found = new Float64Array(found.columns)
  readonly #slots = Buffer.alloc(2 * NOTE_BYTES)
  /** Producer: references to large records, with the position behind each; consumer: those read. */
  readonly #sent: Reference[] = []
  readonly #seen: Reference[] = []

  constructor(capacityBytes: number, large: LargeRecords) {
    this.capacityBytes = capacityBytes
    this.#large = large
    this.#maxPayloadBytes = maxPayloadBytes(capacityBytes)
    this.#shortUnits = Math.floor(this.#maxPayloadBytes / 3)
  }

  abstract get written(): number
  abstract get drained(): number
  protected abstract _append(record: string | Uint8Array): boolean
  protected abstract _appendReference(reference: Uint8Array): boolean
  /** Copies payloads from `found` on, until something else comes. One of `readEnd`. */
  protected abstract _read(target: Uint8Array, ends: Uint32Array, found: Float64Array): number
  protected abstract _release(to: number): void
  protected abstract _loadNotes(slots: Buffer): void
  protected abstract _storeNote(which: number, slot: Buffer): void
  protected abstract _close(): void

  append(record: string | Uint8Array): boolean {
    if (typeof record === 'string' && record.length <= this.#shortUnits) return this._append(record)
    const data = requireData('append', record)
    const length = typeof data === 'string' ? Buffer.byteLength(data) : data.length
    if (length <= this.#maxPayloadBytes) return this._append(data)
    if (length > MAX_RECORD_BYTES) {
      throw new LogboomError('ERR_TOO_LARGE', `a record of ${length} bytes; ${MAX_RECORD_BYTES} are the most`)
    }
    return this.#appendLarge(typeof data === 'string' ? Buffer.from(data) : data)
  }

  #appendLarge(record: Uint8Array): boolean {
    const { written, drained } = this
    this.#forgetSent(drained)
    // Checked before the file is written: a rest of the data and the reference behind it.
    if (this.capacityBytes - (written - drained) < 2 * recordBytes(REFERENCE_BYTES)) return false
    // What lies in files of their own is bounded like what lies in the ring, but for one that alone is larger.
    const sentBytes = this.#sent.reduce((sum, { reference }) => sum + reference.length, 0)
    if (this.#sent.length > 0 && sentBytes + record.length > this.capacityBytes) return false
    const reference = this.#large.put(record)
    if (reference === undefined) return false
    if (!this._appendReference(encodeReference(reference))) {
      this.#large.remove(reference)
      this.#large.sent(reference)
      return false
    }
    this.#sent.push({ reference, end: this.written })
    return true
  }

  /** Producer: lets go of the large records that the consumer has released. */
  forgetReleased(): void {
    this.#forgetSent(this.drained)
  }

  #forgetSent(drained: number): void {
    while (this.#sent.length > 0 && this.#sent[0].end <= drained) {
      this.#large.sent(this.#sent.shift()!.reference)
    }
  }

  read(from: number, target: Uint8Array, ends: Uint32Array): RingRead {
    assert(Number.isSafeInteger(from) && from >= this.drained, 'a position that can be read')
    const state = this.#found
    state[found.records] = 0
    state[found.bytes] = 0
    state[found.next] = from
    let lost = 0
    for (;;) {
      const end = this._read(target, ends, state)
      const needs = state[found.records] === 0 ? state[found.needs] : 0
      if (end === readEnd.done) return this.#result(needs, lost, false)
      if (end === readEnd.damaged) return this.#result(0, lost, state[found.records] === 0)
      const reference = this.#see()
      const { length } = reference
      // Read and written alone: for who finds it gone, a note of an append speaks of this record or not at all.
      const isAlone = isInMemory(reference.number)
      if (isAlone && state[found.records] > 0) return this.#result(0, lost, false)
      if (length > target.length - state[found.bytes] && this.#large.has(reference)) {
        return this.#result(state[found.records] === 0 ? length : 0, lost, false)
      }
      if (!this.#readLarge(reference, target, ends)) lost++
      // Each large record moves this loop on by one record of the ring.
      state[found.next] += recordBytes(REFERENCE_BYTES)
      if (isAlone) return this.#result(0, lost, false)
    }
  }

  #result(needs: number, lost: number, isDamaged: boolean): RingRead {
    const [records, bytes, next] = this.#found
    return { records, bytes, next, needs, lost, isDamaged }
  }

  /** The reference at the next position, which `release` will look at again. */
  #see(): LargeReference {
    const state = this.#found
    const reference = { number: state[found.number], crc: state[found.crc], length: state[found.length] }
    const end = state[found.next] + recordBytes(REFERENCE_BYTES)
    if (this.#seen.length === 0 || this.#seen[this.#seen.length - 1].end < end)
      this.#seen.push({ reference, end })
    return reference
  }

  /** False if the record that was named is gone. */
  #readLarge(reference: LargeReference, target: Uint8Array, ends: Uint32Array): boolean {
    const state = this.#found
    const at = state[found.bytes]
    if (reference.length > target.length - at || !this.#large.read(reference, target, at)) return false
    state[found.bytes] += reference.length
    ends[state[found.records]++] = state[found.bytes]
    return true
  }

  release(to: number): void {
    this._release(to)
    while (this.#seen.length > 0 && this.#seen[0].end <= to) this.#large.remove(this.#seen.shift()!.reference)
  }

  note(note: AppendNote | undefined): void {
    this._loadNotes(this.#slots)
    const generation = decodeNotes(this.#slots).generation + 1n
    encodeNote(this.#slots, generation, note)
    this._storeNote(Number(generation & 1n), this.#slots)
  }

  get noted(): AppendNote | undefined {
    this._loadNotes(this.#slots)
    return decodeNotes(this.#slots).note
  }

  close(): void {
    this.#forgetSent(Number.POSITIVE_INFINITY)
    this._close()
  }
}

interface Reference {
  readonly reference: LargeReference
  /** Position behind the record that names it. */
  readonly end: number
}

// The pre-allocated memory of a worker: the end of its file, as records come in. It mirrors the file, so a write that
// failed, was short or was overtaken is simply done again at the same place. No I/O.
import { isUint8Array } from 'node:util/types'
import { assert } from '../../base/assert.ts'
import { writeUtf8 } from '../../formats/utf8.ts'
import { native } from '../../native/index.ts'
import type { Content } from './temp-file.ts'

/** A record that overflows `size` by less than this needs no call of its own. */
const SLACK_BYTES = 64 * 1024
/** Texts are collected up to this length and encoded together: a call for each costs as much as 200 bytes of it. */
const COLLECTED_UNITS = 8 * 1024
/** UTF-8 takes at most so many bytes for each UTF-16 unit. */
const MAX_BYTES_PER_UNIT = 3

/** What `rollbackTo` needs to forget everything that was put after it. */
export type Savepoint = Content

export class RecordBuffer {
  readonly bytes: Buffer
  readonly #size: number
  // Offsets in the file: #base ≤ #fill; #complete ≤ #fill; `bytes` holds [#base, #fill).
  #base = 0
  /** End of the last complete record. */
  #complete = 0
  #fill = 0
  /** Texts of records to come at #fill, not yet encoded: so few that they cannot make the file full. */
  #collected = ''
  #records = 0
  /** CRC-32C of the file up to #crcEnd. */
  #crc = 0
  #crcEnd = 0
  /** The same of a record in pieces, up to #fill. */
  #newCrc = 0

  /** `size`: bytes at which a file is full. */
  constructor(size: number) {
    this.#size = size
    this.bytes = Buffer.allocUnsafeSlow(size + SLACK_BYTES)
  }

  /** Where in the file `bytes` begins. What lies before is in the file only. */
  get base(): number {
    return this.#base
  }

  /** The end of the complete records. */
  get end(): number {
    this.#encodeCollected()
    return this.#complete
  }

  /** The end of what has come, complete or not. */
  get fill(): number {
    return this.#fill
  }

  get records(): number {
    return this.#records
  }

  /** Whether the file is to be published; what is collected cannot make it full. */
  get isFull(): boolean {
    return this.#complete >= this.#size
  }

  /** Takes a record. False if there is no room for it: it has to come in pieces. */
  put(record: string | Uint8Array): boolean {
    const isTaken = typeof record === 'string' ? this.#putText(record) : this.#putBytes(record)
    if (isTaken) this.#records++
    return isTaken
  }

  /** Begins a record that comes in pieces. Nothing of it counts until `endRecord`. */
  beginRecord(): void {
    this.#advanceCrc()
    this.#newCrc = this.#crc
  }

  /** Copies what has room of `piece` from `at` on; returns how many bytes. At 0 the buffer has to be spilled. */
  append(piece: Uint8Array, at: number): number {
    assert(isUint8Array(piece) && at < piece.length)
    const start = this.#fill - this.#base
    const length = Math.min(piece.length - at, this.bytes.length - start)
    this.bytes.set(length === piece.length ? piece : piece.subarray(at, at + length), start)
    this.#newCrc = native.crc32c(this.bytes, this.#newCrc, start, start + length)
    this.#fill += length
    return length
  }

  /** Everything that has come is in the file: makes room for more. */
  spilled(): void {
    this.#base = this.#fill
  }

  endRecord(records: number): void {
    this.#complete = this.#crcEnd = this.#fill
    this.#crc = this.#newCrc
    this.#records += records
  }

  /** Forgets what lies behind the last complete record. False if there is nothing. */
  rollback(): boolean {
    if (this.#fill === this.#complete) return false
    if (this.#base > this.#complete) this.#base = this.#complete
    this.#fill = this.#complete
    return true
  }

  savepoint(): Savepoint {
    return this.content()
  }

  rollbackTo({ end, records, crc }: Savepoint): void {
    assert(end <= this.#complete && records <= this.#records)
    this.#complete = this.#crcEnd = end
    this.#records = records
    this.#crc = crc
    this.rollback()
  }

  /** The complete records as their file has them. */
  content(): Content {
    this.#advanceCrc()
    return { end: this.#complete, records: this.#records, crc: this.#crc }
  }

  /** Begins a new file. */
  reset(): void {
    assert(this.#collected === '')
    this.#base = this.#complete = this.#fill = 0
    this.#records = this.#crc = this.#crcEnd = 0
  }

  #putText(text: string): boolean {
    const collected = this.#collected.length + text.length
    if (this.#complete + collected * MAX_BYTES_PER_UNIT < this.#size) {
      // Two halves of a pair of surrogates in two records are no character.
      if (isLowSurrogate(text.charCodeAt(0))) this.#encodeCollected()
      this.#collected += text
      if (this.#collected.length >= COLLECTED_UNITS) this.#encodeCollected()
      return true
    }
    this.#encodeCollected()
    const room = this.#room
    if (text.length * MAX_BYTES_PER_UNIT > room && Buffer.byteLength(text) > room) return false
    this.#encode(text)
    return true
  }

  #putBytes(bytes: Uint8Array): boolean {
    this.#encodeCollected()
    if (bytes.length > this.#room) return false
    this.bytes.set(bytes, this.#fill - this.#base)
    this.#complete = this.#fill += bytes.length
    return true
  }

  get #room(): number {
    return this.bytes.length - (this.#fill - this.#base)
  }

  #encodeCollected(): void {
    if (this.#collected.length === 0) return
    this.#encode(this.#collected)
    this.#collected = ''
  }

  #encode(text: string): void {
    this.#complete = this.#fill += writeUtf8(this.bytes, text, this.#fill - this.#base)
  }

  #advanceCrc(): void {
    this.#encodeCollected()
    if (this.#crcEnd === this.#complete) return
    this.#crc = native.crc32c(this.bytes, this.#crc, this.#crcEnd - this.#base, this.#complete - this.#base)
    this.#crcEnd = this.#complete
  }
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff
}

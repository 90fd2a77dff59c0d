// From the records of a ring, as the host gave them, to the bytes of a file, and back: which of them an append covers.
import { encodeLength, LENGTH_BYTES } from '../../formats/binary-file.ts'

const NEWLINE = 10
const NO_PREFIX = Buffer.alloc(0)

/**
 * What a record of the ring becomes. `text`: whole lines, as they are. Frames with a length: one of each `line`, without
 * its end; one of each `record`, without a last line end; one of each `payload`, as it is.
 */
export type LaneUnit = 'text' | 'line' | 'record' | 'payload'

export interface LaneFormat {
  readonly unit: LaneUnit
  /** Put before every line of a text. */
  readonly prefix?: Uint8Array | undefined
}

/** Records read from a ring: payloads one behind the other, and where each ends. */
export interface RawRecords {
  readonly bytes: Buffer
  readonly ends: Uint32Array
  readonly count: number
}

/** A place in `RawRecords`, between two units. The index tells apart empty records at the same place. */
export interface RawCursor {
  readonly record: number
  readonly at: number
}

export class LaneCodec {
  readonly unit: LaneUnit
  readonly #prefix: Uint8Array
  #target = NO_PREFIX

  constructor(format: LaneFormat) {
    this.unit = format.unit
    this.#prefix = format.prefix ?? NO_PREFIX
  }

  /** Whether what is in the file are the bytes of the ring, so that nothing need be copied. */
  isPlain(raw: RawRecords): boolean {
    if (this.unit !== 'text' || this.#prefix.length > 0) return false
    for (let record = 0; record < raw.count; record++) {
      const end = raw.ends[record]
      if (end > 0 && raw.bytes[end - 1] !== NEWLINE) return false
    }
    return true
  }

  /** The bytes for the file, from `start` on. A view that the next call overwrites. */
  encode(raw: RawRecords, start: RawCursor, isPlain = this.isPlain(raw)): Buffer {
    if (isPlain) return raw.bytes.subarray(start.at, raw.ends[raw.count - 1])
    this.#reserve(raw, start)
    const isFramed = this.unit !== 'text'
    let to = 0
    this.#walk(raw, start, (at, end, next) => {
      if (isFramed) {
        encodeLength(this.#target, to, end - at)
        to += LENGTH_BYTES
      } else {
        this.#target.set(this.#prefix, to)
        to += this.#prefix.length
      }
      to += raw.bytes.copy(this.#target, to, at, end)
      if (!isFramed && (next === at || raw.bytes[next - 1] !== NEWLINE)) this.#target[to++] = NEWLINE
      return true
    })
    return this.#target.subarray(0, to)
  }

  /** The number of records for the file. */
  count(raw: RawRecords, start: RawCursor): number {
    let units = 0
    this.#walk(raw, start, () => {
      units++
      return true
    })
    return units
  }

  /** As many whole units from `start` on as `fileBytes` of the file can hold: where they end, and their bytes there. */
  advance(raw: RawRecords, start: RawCursor, fileBytes: number): { end: RawCursor; bytes: number } {
    let bytes = 0
    let end = start
    this.#walk(raw, start, (from, to, next, record) => {
      const more = this.#fileBytes(raw, from, to, next)
      if (bytes + more > fileBytes) return false
      bytes += more
      end = next === raw.ends[record] ? { record: record + 1, at: next } : { record, at: next }
      return true
    })
    return { end, bytes }
  }

  #fileBytes(raw: RawRecords, at: number, end: number, next: number): number {
    if (this.unit !== 'text') return LENGTH_BYTES + end - at
    const isEnded = next > at && raw.bytes[next - 1] === NEWLINE
    return this.#prefix.length + (end - at) + (isEnded ? 0 : 1)
  }

  /** Visits the units from `start` on: where each begins and ends, where the next begins, and its record. */
  #walk(
    raw: RawRecords,
    start: RawCursor,
    visit: (at: number, end: number, next: number, record: number) => boolean
  ): void {
    const isWhole = this.unit === 'record' || this.unit === 'payload'
    let { at } = start
    for (let { record } = start; record < raw.count; record++) {
      const recordEnd = raw.ends[record]
      if (isWhole) {
        const isEnded = this.unit === 'record' && recordEnd > at && raw.bytes[recordEnd - 1] === NEWLINE
        if (!visit(at, isEnded ? recordEnd - 1 : recordEnd, recordEnd, record)) return
        at = recordEnd
        continue
      }
      while (at < recordEnd) {
        const found = raw.bytes.indexOf(NEWLINE, at)
        const isEnded = found !== -1 && found < recordEnd
        const next = isEnded ? found + 1 : recordEnd
        if (!visit(at, isEnded && this.unit === 'line' ? found : next, next, record)) return
        at = next
      }
    }
  }

  #reserve(raw: RawRecords, start: RawCursor): void {
    const overhead = this.unit === 'text' ? this.#prefix.length + 1 : LENGTH_BYTES
    const most = raw.ends[raw.count - 1] - start.at + this.count(raw, start) * overhead
    if (this.#target.length < most) this.#target = Buffer.allocUnsafeSlow(most)
  }
}

// A queue of records with length prefixes, those of the binary-file format, fed with payloads or with lines. A record
// may hold any bytes, line ends too.
import {
  completeEnd,
  decodeLength,
  encodeRecord,
  LENGTH_BYTES,
  maxRecordBytes
} from '../../formats/binary-file.ts'
import { native } from '../../native/index.ts'
import { ByteQueue, type Dropped, type RecordQueue } from './byte-queue.ts'
import { LineQueue } from './line-queue.ts'

const NEWLINE = 10
/** Longer text is measured before it is encoded, so that no memory is reserved for what it could have been. */
const MEASURE_UNITS = 16 * 1024

/** What a chunk is: one payload, or a piece of a stream whose lines are the payloads. */
export type FrameSource = 'payloads' | 'lines'

export class FrameQueue extends ByteQueue implements RecordQueue {
  readonly takesLines: boolean
  /** Lines on their way in; undefined where chunks are payloads. */
  readonly #lines: LineQueue | undefined

  constructor(source: FrameSource) {
    super()
    this.takesLines = source === 'lines'
    this.#lines = source === 'lines' ? new LineQueue() : undefined
  }

  override get bytes(): number {
    return this.end - this.kept + (this.#lines?.bytes ?? 0)
  }

  override get queuedBytes(): number {
    return this.end - this.written + (this.#lines?.bytes ?? 0)
  }

  overhead(chunk: string | Uint8Array): number {
    return this.#lines === undefined ? LENGTH_BYTES : LENGTH_BYTES * (1 + countLines(chunk))
  }

  push(chunk: string | Uint8Array): Dropped | undefined {
    if (this.#lines === undefined) {
      this.#append(chunk)
      return undefined
    }
    const discarded = this.#lines.push(chunk)
    this.#takeLines(this.#lines)
    return discarded
  }

  refuse(chunk: string | Uint8Array): Dropped {
    if (this.#lines !== undefined) return this.#lines.refuse(chunk)
    return { lines: 1, bytes: typeof chunk === 'string' ? Buffer.byteLength(chunk) : chunk.length }
  }

  head(maxBytes: number): Buffer {
    let end = this.whole
    if (end - this.written > maxBytes) {
      end = completeEnd(this.buffer, this.written, this.written + maxBytes)
      if (end === this.written) end = this.#recordEnd(this.written)
    }
    return this.buffer.subarray(this.written, end)
  }

  finishLine(): Dropped | undefined {
    if (this.#lines === undefined) return undefined
    const discarded = this.#lines.finishLine()
    this.#takeLines(this.#lines)
    return discarded
  }

  insertLine(line: Uint8Array): void {
    this.#append(line.subarray(0, line.length - 1))
  }

  dropOldest(bytes: number): Dropped {
    const from = this.written
    let cut = from
    let lines = 0
    while (cut < this.whole && cut - from < bytes) {
      cut = this.#recordEnd(cut)
      lines++
    }
    if (lines > 0) this.dropUntil(cut)
    return { lines, bytes: cut - from }
  }

  clear(): Dropped {
    const dropped = this.dropOldest(Number.POSITIVE_INFINITY)
    const partial = this.#lines?.clear()
    if (partial === undefined) return dropped
    return { lines: dropped.lines + partial.lines, bytes: dropped.bytes + partial.bytes }
  }

  #recordEnd(start: number): number {
    return start + LENGTH_BYTES + decodeLength(this.buffer, start)
  }

  #takeLines(lines: LineQueue): void {
    if (!lines.hasLines) return
    const text = lines.head(Number.POSITIVE_INFINITY)
    for (let at = 0; at < text.length; ) {
      const end = text.indexOf(NEWLINE, at)
      this.#append(text.subarray(at, end))
      at = end + 1
    }
    lines.consume(text.length, false)
  }

  #append(payload: string | Uint8Array): void {
    const isLong = typeof payload === 'string' && payload.length > MEASURE_UNITS
    this.reserve(isLong ? LENGTH_BYTES + Buffer.byteLength(payload) : maxRecordBytes(payload))
    this.end = encodeRecord(this.buffer, this.end, payload)
    this.whole = this.end
  }
}

function countLines(chunk: string | Uint8Array): number {
  if (typeof chunk !== 'string') return native.countLines(chunk, 0, chunk.length)
  let lines = 0
  for (let at = chunk.indexOf('\n'); at !== -1; at = chunk.indexOf('\n', at + 1)) lines++
  return lines
}

/** The payloads of `bytes`, whole records, as views. */
export function splitFrames(bytes: Buffer): Buffer[] {
  const payloads: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const start = at + LENGTH_BYTES
    at = start + decodeLength(bytes, at)
    payloads.push(bytes.subarray(start, at))
  }
  return payloads
}

/** The number of records in `bytes[start, end)`, whole records. */
export function countFrames(bytes: Uint8Array, start: number, end: number): number {
  let records = 0
  for (let at = start; at < end; at += LENGTH_BYTES + decodeLength(bytes, at)) records++
  return records
}

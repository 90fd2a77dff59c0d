// A queue of text lines as bytes. Text is encoded once, on entry; what leaves are whole lines only.
import { writeUtf8 } from '../../formats/utf8.ts'
import { native } from '../../native/index.ts'
import { ByteQueue, type Dropped, type RecordQueue } from './byte-queue.ts'

const NEWLINE = 10

export class LineQueue extends ByteQueue implements RecordQueue {
  readonly takesLines = true
  /** The rest of a line whose beginning was dropped is still to come. */
  #skipping = false
  readonly #prefix: Buffer | undefined

  constructor(prefix?: Uint8Array) {
    super()
    this.#prefix = prefix === undefined || prefix.length === 0 ? undefined : Buffer.from(prefix)
  }

  get hasPartial(): boolean {
    return this.end > this.whole || this.#skipping
  }

  overhead(_chunk: string | Uint8Array): number {
    return 0
  }

  /** Appends a piece of the stream. Returns what was discarded of it: the rest of a dropped line, if any. */
  push(chunk: string | Uint8Array): Dropped | undefined {
    let discarded: Dropped | undefined
    let rest = chunk
    if (this.#skipping) {
      const at = typeof chunk === 'string' ? chunk.indexOf('\n') : chunk.indexOf(NEWLINE)
      const length = at === -1 ? chunk.length : at + 1
      const skipped = typeof chunk === 'string' ? chunk.slice(0, length) : chunk.subarray(0, length)
      discarded = { lines: at === -1 ? 0 : 1, bytes: Buffer.byteLength(skipped) }
      this.#skipping = at === -1
      rest = typeof chunk === 'string' ? chunk.slice(length) : chunk.subarray(length)
    }
    if (rest.length > 0) {
      if (this.#prefix === undefined) this.#append(rest)
      else this.#appendPrefixed(rest, this.#prefix)
    }
    return discarded
  }

  /** The whole lines at the head, at most `maxBytes` unless the first line alone is longer. A view. */
  head(maxBytes: number): Buffer {
    let end = this.whole
    if (end - this.written > maxBytes) {
      end = this.buffer.lastIndexOf(NEWLINE, this.written + maxBytes - 1) + 1
      if (end <= this.written) end = this.buffer.indexOf(NEWLINE, this.written + maxBytes) + 1
    }
    return this.buffer.subarray(this.written, end)
  }

  /** Makes an unfinished line a line of its own. Returns what of it had been dropped, if anything. */
  finishLine(): Dropped | undefined {
    if (this.#skipping) {
      this.#skipping = false
      return { lines: 1, bytes: 0 }
    }
    if (this.end > this.whole) this.#append('\n')
    return undefined
  }

  /** Adds a whole line (with its end) before the unfinished one. */
  insertLine(line: Uint8Array): void {
    const bytes = this.#prefix === undefined ? line : Buffer.concat([this.#prefix, line])
    this.reserve(bytes.length)
    this.buffer.copyWithin(this.whole + bytes.length, this.whole, this.end)
    this.buffer.set(bytes, this.whole)
    this.whole += bytes.length
    this.end += bytes.length
  }

  /** Drops whole lines from the head, oldest first, until `bytes` are free or none is left. */
  dropOldest(bytes: number): Dropped {
    if (!this.hasLines) return { lines: 0, bytes: 0 }
    const target = Math.min(this.written + bytes, this.whole)
    const cut = this.buffer.indexOf(NEWLINE, target - 1) + 1
    const dropped = { lines: this.#count(this.written, cut), bytes: cut - this.written }
    this.dropUntil(cut)
    return dropped
  }

  /** Refuses a piece of the stream: all lines that it begins, continues or ends are dropped. */
  refuse(chunk: string | Uint8Array): Dropped {
    const bytes = Buffer.from(chunk as string)
    const partial = this.end - this.whole
    this.end = this.whole
    const unfinished = bytes.length > 0 ? bytes[bytes.length - 1] !== NEWLINE : this.#skipping || partial > 0
    this.#skipping = unfinished
    return { lines: native.countLines(bytes, 0, bytes.length), bytes: bytes.length + partial }
  }

  /** Drops everything that was not written, an unfinished line included. */
  clear(): Dropped {
    const partial = this.hasPartial ? 1 : 0
    const dropped = { lines: this.#count(this.written, this.whole) + partial, bytes: this.queuedBytes }
    this.whole = this.end = this.written
    this.#skipping = false
    this.reset()
    return dropped
  }

  #count(start: number, end: number): number {
    return native.countLines(this.buffer, start, end)
  }

  /** At least what `chunk` takes: three bytes for each UTF-16 unit, or measured where there is no room for those. */
  #encodedBytes(chunk: string | Uint8Array): number {
    if (typeof chunk !== 'string') return chunk.length
    const most = chunk.length * 3
    return most <= this.buffer.length - this.end ? most : Buffer.byteLength(chunk)
  }

  #append(chunk: string | Uint8Array): void {
    this.reserve(this.#encodedBytes(chunk))
    const start = this.end
    if (typeof chunk === 'string') this.end += writeUtf8(this.buffer, chunk, start)
    else {
      this.buffer.set(chunk, start)
      this.end += chunk.length
    }
    if (this.buffer[this.end - 1] === NEWLINE) this.whole = this.end
    else {
      // Only the new bytes are searched: a long line that arrives in pieces must not cost their square.
      const last = this.buffer.subarray(start, this.end).lastIndexOf(NEWLINE)
      if (last !== -1) this.whole = start + last + 1
    }
  }

  #appendPrefixed(chunk: string | Uint8Array, prefix: Buffer): void {
    const bytes = Buffer.from(chunk as string)
    for (let at = 0; at < bytes.length; ) {
      if (this.end === this.whole) {
        this.reserve(prefix.length)
        prefix.copy(this.buffer, this.end)
        this.end += prefix.length
      }
      const newline = bytes.indexOf(NEWLINE, at)
      const end = newline === -1 ? bytes.length : newline + 1
      this.#append(bytes.subarray(at, end))
      at = end
    }
  }
}

/** Cuts `chunk` behind line ends into pieces of at least `length` units, except the last. */
export function* linePieces<T extends string | Uint8Array>(chunk: T, length: number): Generator<T> {
  for (let at = 0; at < chunk.length; ) {
    const from = at + Math.max(1, Math.floor(length)) - 1
    const newline = typeof chunk === 'string' ? chunk.indexOf('\n', from) : chunk.indexOf(NEWLINE, from)
    const end = newline === -1 ? chunk.length : newline + 1
    yield (typeof chunk === 'string' ? chunk.slice(at, end) : chunk.subarray(at, end)) as T
    at = end
  }
}

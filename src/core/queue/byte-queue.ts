// Records as bytes in one buffer, waiting to be written. Bytes that were written but may have to be written again
// (a failed fsync) can be kept until `release`.

// Small, because event routing makes a queue for each file it opens; a busy one grows in a few steps.
const INITIAL_BYTES = 512
/** An empty queue gives back memory above this. */
const KEEP_BYTES = 16 * 1024 * 1024

/** Records that the overflow policy let go; a line is a record. */
export interface Dropped {
  lines: number
  bytes: number
}

/** What a sink needs of the queue of its records. */
export interface RecordQueue {
  /** Bytes held: kept, waiting and unfinished. */
  readonly bytes: number
  /** Bytes waiting to be written, an unfinished record included. */
  readonly queuedBytes: number
  /** Whether whole records wait. */
  readonly hasLines: boolean
  /** Written bytes that `rewind` would queue again. */
  readonly hasKept: boolean
  /** Whether chunks are pieces of a stream of lines. Otherwise each is a record, even an empty one. */
  readonly takesLines: boolean
  /** Whether what waits outlives the process. */
  readonly survives?: boolean
  /**
   * Present where it is worth keeping what a staging target has taken, because who finds it after this process has died
   * writes it: with more kept bytes than this, room becomes scarce.
   */
  readonly mostHeldBytes?: number
  /** Of what a staging target has taken: what it need not write, because it outlives the process here. */
  readonly heldSafely?: Dropped
  /** A mark for `release`: everything written so far. */
  readonly writtenTotal: number
  /** Bytes that `push` adds to those of the chunk itself, at most. */
  overhead(chunk: string | Uint8Array): number
  /** Appends a piece of the stream. Returns what was discarded of it: the rest of a dropped record, if any. */
  push(chunk: string | Uint8Array): Dropped | undefined
  /** Refuses a piece of the stream: all records that it begins, continues or ends are dropped. */
  refuse(chunk: string | Uint8Array): Dropped
  /** The whole records at the head, at most `maxBytes` unless the first alone is longer. A view. */
  head(maxBytes: number): Buffer
  /** The first `bytes` of `head` were written. `keep` them until `release` or `rewind`. */
  consume(bytes: number, keep: boolean): void
  /** Forgets what was kept up to the mark `total`: it is durable. */
  release(total?: number): void
  /** Queues again what was kept. */
  rewind(): void
  /** Makes an unfinished record a whole one. Returns what of it had been dropped, if anything. */
  finishLine(): Dropped | undefined
  /** Adds a whole line (with its end) before an unfinished one. */
  insertLine(line: Uint8Array): void
  /** Drops whole records from the head, oldest first, until `bytes` are free or none is left. */
  dropOldest(bytes: number): Dropped
  /** Drops everything that was not written, an unfinished record included; not what outlives the process. */
  clear(): Dropped
  /** The process exits, and what could be written is: leaves nothing behind that is of no use. */
  exit?(): void
  /** Lets go of everything. Nothing is asked afterwards. */
  close?(): void
}

/** The buffer below such a queue. */
export class ByteQueue {
  // 0 ≤ kept ≤ written ≤ whole ≤ end: kept for rewriting | whole records to write | an unfinished one.
  protected buffer = Buffer.allocUnsafeSlow(INITIAL_BYTES)
  protected kept = 0
  protected written = 0
  protected whole = 0
  protected end = 0
  #writtenTotal = 0

  get bytes(): number {
    return this.end - this.kept
  }

  get queuedBytes(): number {
    return this.end - this.written
  }

  get hasLines(): boolean {
    return this.whole > this.written
  }

  get hasKept(): boolean {
    return this.written > this.kept
  }

  get writtenTotal(): number {
    return this.#writtenTotal
  }

  consume(bytes: number, keep: boolean): void {
    if (!keep && this.kept === this.written) this.kept += bytes
    this.written += bytes
    this.#writtenTotal += bytes
    this.reset()
  }

  release(total = this.#writtenTotal): void {
    this.kept = Math.max(this.kept, this.written - (this.#writtenTotal - total))
    this.reset()
  }

  rewind(): void {
    this.#writtenTotal -= this.written - this.kept
    this.written = this.kept
  }

  /** Makes room for `bytes` behind `end`. Moves the buffer, so positions must be read again. */
  protected reserve(bytes: number): void {
    if (this.end + bytes <= this.buffer.length) return
    const used = this.end - this.kept
    let target = this.buffer
    // Moving to the front is enough when half of the buffer is free; else copying would be paid too often.
    if ((used + bytes) * 2 > this.buffer.length) {
      target = Buffer.allocUnsafeSlow(Math.max(this.buffer.length * 2, used + bytes))
    }
    this.buffer.copy(target, 0, this.kept, this.end)
    this.buffer = target
    this.written -= this.kept
    this.whole -= this.kept
    this.end -= this.kept
    this.kept = 0
  }

  /** Drops what lies between `written` and `cut`, the end of a record. */
  protected dropUntil(cut: number): void {
    if (this.kept === this.written) {
      this.kept = this.written = cut
      this.reset()
      return
    }
    const bytes = cut - this.written
    this.buffer.copyWithin(this.written, cut, this.end)
    this.whole -= bytes
    this.end -= bytes
  }

  /** To be called when something was taken away. */
  protected reset(): void {
    if (this.kept !== this.end) return
    this.kept = this.written = this.whole = this.end = 0
    if (this.buffer.length > KEEP_BYTES) this.buffer = Buffer.allocUnsafeSlow(INITIAL_BYTES)
  }
}

// Moves records from the ring of an output into its sink, a chunk at a time. The ring keeps them until the sink has
// acknowledged them.
import assert from 'node:assert'
import type { Dropped } from '../../core/queue/byte-queue.ts'
import type { InternalSink } from '../../core/sink/pumped-sink.ts'
import { native } from '../../native/index.ts'
import type { RingReader } from './ring-reader.ts'

/** Memory that all outputs of a thread use in turns. */
export interface FeedBuffers {
  readonly chunk: Buffer
  readonly ends: Uint32Array
}

export interface FeedOptions {
  /** The sink takes text: whatever lines there are. Else each record of the ring is one of the sink. */
  readonly takesText: boolean
  /** Bound of the sink's own memory. */
  readonly maxBufferBytes: number
  readonly buffers: FeedBuffers
  /** Called when records were released. */
  readonly released: () => void
}

export class Feed {
  readonly #sink: InternalSink
  readonly #ring: RingReader
  readonly #options: FeedOptions
  /** A chunk is small against what the sink may hold, so that it is never the sink that is full. */
  readonly #chunk: Buffer
  #fed: number
  /** The sink has not acknowledged the last chunk; 'drain' follows. */
  #isWaiting = false
  #waiters: { position: number; resolve: () => void }[] = []

  constructor(sink: InternalSink, ring: RingReader, options: FeedOptions) {
    this.#sink = sink
    this.#ring = ring
    this.#options = options
    const { chunk } = options.buffers
    this.#chunk = chunk.subarray(0, Math.max(1, Math.min(chunk.length, options.maxBufferBytes / 4)))
    this.#fed = ring.drained
    sink.on('drain', () => this.#acknowledged())
  }

  /** Position up to which the sink has got everything. */
  get fed(): number {
    return this.#fed
  }

  /** Moves a chunk, unless the sink still has to write the last one. Returns how many bytes it was. */
  some(): number {
    if (this.#isWaiting) return 0
    const { buffers } = this.#options
    let chunk = this.#chunk
    let found = this.#ring.read(this.#fed, chunk, buffers.ends)
    if (found.needs > 0) {
      chunk = Buffer.allocUnsafeSlow(found.needs)
      found = this.#ring.read(this.#fed, chunk, buffers.ends)
    }
    assert(!found.isDamaged, 'the memory of a ring was overwritten')
    if (found.records === 0) return 0
    this.#isWaiting = !this.#hand(chunk.subarray(0, found.bytes), found.records)
    this.#fed = found.next
    if (!this.#isWaiting) this.#release()
    return found.bytes
  }

  /** Resolves when everything before `position` was given to the sink. */
  reach(position: number): Promise<void> {
    if (this.#fed >= position) return Promise.resolve()
    return new Promise((resolve) => this.#waiters.push({ position, resolve }))
  }

  /** Gives up what is still in the ring. */
  discardRest(): Dropped {
    const { ends } = this.#options.buffers
    let lines = 0
    let bytes = 0
    for (let { written } = this.#ring; this.#fed < written; ) {
      const found = this.#ring.read(this.#fed, this.#options.buffers.chunk, ends)
      if (found.needs > 0) {
        const large = Buffer.allocUnsafeSlow(found.needs)
        Object.assign(found, this.#ring.read(this.#fed, large, ends))
        lines += this.#count(large, found.records)
      } else lines += this.#count(this.#options.buffers.chunk.subarray(0, found.bytes), found.records)
      bytes += found.bytes
      this.#fed = found.next
    }
    this.#ring.release(this.#fed)
    return { lines, bytes }
  }

  /** Hands whole records to the sink; true if they have reached its durability. */
  #hand(bytes: Buffer, records: number): boolean {
    if (this.#options.takesText) return this.#sink.commit(bytes)
    const { ends } = this.#options.buffers
    const lines: Buffer[] = []
    for (let index = 0, start = 0; index < records; start = ends[index++]) {
      lines.push(bytes.subarray(start, ends[index]))
    }
    this.#sink.writeRecords(lines)
    return this.#sink.commit('')
  }

  #count(bytes: Buffer, records: number): number {
    return this.#options.takesText ? native.countLines(bytes, 0, bytes.length) : records
  }

  #acknowledged(): void {
    if (!this.#isWaiting) return
    this.#isWaiting = false
    this.#release()
  }

  #release(): void {
    this.#ring.release(this.#fed)
    if (this.#waiters.length > 0) {
      for (const { resolve } of this.#waiters.filter(({ position }) => position <= this.#fed)) resolve()
      this.#waiters = this.#waiters.filter(({ position }) => position > this.#fed)
    }
    this.#options.released()
  }
}

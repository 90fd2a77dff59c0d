// Moves records from the ring of an output into its sink, a chunk at a time. The ring keeps them until the sink has
// acknowledged them.
import assert from 'node:assert'
import { DirectFile } from '../../core/direct-file/direct-file.ts'
import type { Dropped } from '../../core/queue/byte-queue.ts'
import type { InternalSink } from '../../core/sink/pumped-sink.ts'
import { countRecords } from './output-ring.ts'
import type { WatchedRing } from './watched-ring.ts'

/** Memory that all outputs of a thread use in turns. */
export interface FeedBuffers {
  readonly chunk: Buffer
  readonly ends: Uint32Array
}

/** Brings what is in a ring to its sink. */
export interface Mover {
  /** Position up to which the sink has got everything. */
  readonly fed: number
  /** Does what can be done without waiting. Returns how many bytes were moved. */
  some(): number
  reach(position: number): Promise<void>
  /** Gives up what the sink has not got. */
  discardRest(): Dropped
}

export interface FeedOptions {
  /** Bound of the sink's own memory. */
  readonly maxBufferBytes: number
  readonly buffers: FeedBuffers
}

export class Feed implements Mover {
  readonly #sink: InternalSink
  readonly #ring: WatchedRing
  readonly #options: FeedOptions
  /** A chunk is small against what the sink may hold, so that it is never the sink that is full. */
  readonly #chunk: Buffer
  #fed: number
  /** The sink has not acknowledged the last chunk; 'drain' follows. */
  #isWaiting = false
  #waiters: { position: number; resolve: () => void }[] = []

  constructor(sink: InternalSink, ring: WatchedRing, options: FeedOptions) {
    this.#sink = sink
    this.#ring = ring
    this.#options = options
    const { chunk } = options.buffers
    this.#chunk = chunk.subarray(0, Math.max(1, Math.min(chunk.length, options.maxBufferBytes / 4)))
    this.#fed = ring.drained
    sink.on('drain', () => this.#acknowledged())
  }

  get fed(): number {
    return this.#fed
  }

  /** Moves a chunk, unless the sink still has to write the last one. */
  some(): number {
    this.#ring.look()
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

  discardRest(): Dropped {
    this.#ring.look()
    const rest = countRecords(this.#ring, this.#fed, (_, records) => records)
    this.#fed = this.#ring.written
    this.#ring.release(this.#fed)
    return rest
  }

  /** Hands whole records to the sink; true if they have reached its durability. */
  #hand(bytes: Buffer, records: number): boolean {
    const { ends } = this.#options.buffers
    const lines: Buffer[] = []
    for (let index = 0, start = 0; index < records; start = ends[index++]) {
      lines.push(bytes.subarray(start, ends[index]))
    }
    // A text with line ends inside is one record where the sink can keep it so.
    if (this.#sink instanceof DirectFile) for (const line of lines) this.#sink.logBytes(line.subarray(0, -1))
    else this.#sink.writeRecords(lines)
    return this.#sink.commit('')
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
  }
}

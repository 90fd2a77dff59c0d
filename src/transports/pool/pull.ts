// For a sink whose queue is the ring itself: tells it when there is something new. It releases what it has written.
import { nothingDropped } from '../../core/sink/target.ts'
import type { Dropped } from '../../core/queue/byte-queue.ts'
import type { InternalSink } from '../../core/sink/pumped-sink.ts'
import type { Mover } from './feed.ts'
import type { WatchedRing } from './watched-ring.ts'

export class Pull implements Mover {
  readonly #sink: InternalSink
  readonly #ring: WatchedRing

  constructor(sink: InternalSink, ring: WatchedRing) {
    this.#sink = sink
    this.#ring = ring
    // What another thread has left.
    sink.pull()
  }

  get fed(): number {
    return this.#ring.written
  }

  some(): number {
    const bytes = this.#ring.look()
    if (bytes > 0) this.#sink.pull()
    return bytes
  }

  reach(): Promise<void> {
    this.some()
    return Promise.resolve()
  }

  /** The sink answers for all it sees. */
  discardRest(): Dropped {
    this.#ring.look()
    return nothingDropped
  }
}

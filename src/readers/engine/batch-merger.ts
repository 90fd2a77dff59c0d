// Several streams of batches as one, in the order in which batches arrive. Each source waits until its batch has
// been used, so memory is bounded by one batch per source.
import { setMaxListeners } from 'node:events'
import { abortWith } from '../../base/abort-with.ts'
import type { RecordBatch } from '../reader.ts'

type Arrival = { batch: RecordBatch; used: () => void } | { error: unknown } | 'ended'

export class BatchMerger {
  readonly #stop = new AbortController()
  readonly #unlink: () => void
  readonly #arrivals: Arrival[] = []
  readonly #pumps = new Set<Promise<void>>()
  #open = true
  #isOver = false
  #wake: (() => void) | undefined

  constructor(signal: AbortSignal) {
    // Each source listens, and of sources there is any number.
    setMaxListeners(0, this.#stop.signal)
    this.#unlink = abortWith(this.#stop, signal)
  }

  /** To be given to the sources: aborts with the outer signal, and when nobody reads any more. */
  get signal(): AbortSignal {
    return this.#stop.signal
  }

  /** Adds a source. `event` is set on its batches. */
  add(batches: AsyncGenerator<RecordBatch, void, undefined>, event?: string): void {
    this.run(() => this.#pump(batches, event))
  }

  /** Runs `work` beside the sources: `read` throws its error, and does not end before it. */
  run(work: () => Promise<void>): void {
    const pump: Promise<void> = work()
      .catch((error) => this.#arrive({ error }))
      .finally(() => {
        this.#pumps.delete(pump)
        this.#arrive('ended')
      })
    this.#pumps.add(pump)
  }

  /** No source will be added any more: `read` ends when the present ones have ended. */
  close(): void {
    this.#open = false
    this.#arrive('ended')
  }

  /** All batches. Throws the first error of any source. */
  async *read(): AsyncGenerator<RecordBatch, void, undefined> {
    try {
      while (this.#open || this.#pumps.size > 0 || this.#arrivals.length > 0) {
        const arrival = this.#arrivals.shift()
        if (arrival === undefined) {
          await new Promise<void>((resolve) => {
            this.#wake = resolve
          })
        } else if (arrival === 'ended') {
          // Only to look at the condition again.
        } else if ('error' in arrival) {
          throw arrival.error
        } else {
          try {
            yield arrival.batch
          } finally {
            arrival.used()
          }
        }
      }
    } finally {
      this.#isOver = true
      this.#unlink()
      this.#stop.abort()
      for (const arrival of this.#arrivals)
        if (typeof arrival === 'object' && 'used' in arrival) arrival.used()
      await Promise.all(this.#pumps)
    }
  }

  #arrive(arrival: Arrival): void {
    this.#arrivals.push(arrival)
    this.#wake?.()
  }

  async #pump(batches: AsyncGenerator<RecordBatch, void, undefined>, event?: string): Promise<void> {
    for await (const batch of batches) {
      if (this.#isOver) return
      if (event !== undefined) batch.event = event
      await new Promise<void>((used) => this.#arrive({ batch, used }))
      if (this.#isOver) return
    }
  }
}

// The words of an output as the main thread uses them: asking for a flush, and waiting, blocked, for what the thread does.
import { monotonicMs } from '../../base/clock.ts'
import { OUTPUT_BYTES, outputMode, outputState, wanted, word } from './protocol.ts'

/** One wait at most; then the condition is looked at again, whether anything was signalled or not. */
const SLICE_MS = 50

/** How long a blocked thread waits for an output. */
export interface Patience {
  /** At most so long in all, in ms. */
  readonly totalMs: number
  /** And at most so long while nothing gets done. */
  readonly stallMs: number
  /** The same for one whose thread has not begun: on a busy machine its start takes seconds. */
  readonly startMs: number
  /** The same for an output that is known to be unable to write. */
  readonly degradedMs: number
  /** The same for one whose log is refused, where that is less: it makes no room, and answers all the same. */
  readonly refusedMs?: number
}

export class OutputWords {
  readonly buffer = new SharedArrayBuffer(OUTPUT_BYTES)
  readonly #words = new Int32Array(this.buffer)

  get isDegraded(): boolean {
    return Atomics.load(this.#words, word.state) === outputState.degraded
  }

  get isFinishing(): boolean {
    return Atomics.load(this.#words, word.mode) !== outputMode.run
  }

  /** Counts up with all that gets done. */
  get signal(): number {
    return Atomics.load(this.#words, word.signal)
  }

  /** Asks for a flush; returns its number. */
  ask(): number {
    return Atomics.add(this.#words, word.asked, 1) + 1
  }

  isDone(flush: number): boolean {
    // The numbers may wrap.
    return ((Atomics.load(this.#words, word.done) - flush) | 0) >= 0
  }

  setMode(mode: keyof typeof outputMode): void {
    Atomics.store(this.#words, word.mode, outputMode[mode])
  }

  /** Asks for a message when it is there. */
  want(what: keyof typeof wanted): void {
    Atomics.or(this.#words, word.wants, wanted[what])
  }

  /** Has so many bytes of the oldest records dropped, if they are still not written. */
  discard(bytes: number): void {
    Atomics.store(this.#words, word.discard, bytes)
  }

  /** So many rings were made so far. */
  countRings(rings: number): void {
    Atomics.store(this.#words, word.rings, rings)
  }

  /** A new thread takes over: what the last one said no longer holds. */
  restart(): void {
    Atomics.store(this.#words, word.state, outputState.starting)
  }

  #stallMs({ startMs, degradedMs, stallMs, refusedMs = stallMs }: Patience): number {
    const state = Atomics.load(this.#words, word.state)
    if (state === outputState.starting) return startMs
    if (state === outputState.failed) return refusedMs
    return state === outputState.degraded ? degradedMs : stallMs
  }

  /** Blocks until `condition` holds; false if patience ended before. */
  block(condition: () => boolean, patience: Patience): boolean {
    const startMs = monotonicMs()
    let { signal } = this
    let progressMs = startMs
    for (;;) {
      if (condition()) return true
      const nowMs = monotonicMs()
      const stallMs = this.#stallMs(patience)
      const leftMs = Math.min(startMs + patience.totalMs, progressMs + stallMs) - nowMs
      if (leftMs <= 0) return false
      Atomics.wait(this.#words, word.signal, signal, Math.min(leftMs, SLICE_MS))
      if (this.signal === signal) continue
      signal = this.signal
      progressMs = monotonicMs()
    }
  }
}

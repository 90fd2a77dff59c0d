// A thread's end of a ring, for a sink that takes its records from there: shows what was in it when it was looked at last, so
// that a sink does not run after a logger that never pauses, and tells when something was released.
import type { AppendNote, Ring, RingRead } from '../../core/lane/ring.ts'

export class WatchedRing implements Ring {
  readonly #ring: Ring
  readonly #released: () => void
  #written: number

  constructor(ring: Ring, released: () => void) {
    this.#ring = ring
    this.#released = released
    // Nothing is shown before the first look.
    this.#written = ring.drained
  }

  /** Shows what has come since; returns how many bytes that is. */
  look(): number {
    const before = this.#written
    this.#written = this.#ring.written
    return this.#written - before
  }

  get capacityBytes(): number {
    return this.#ring.capacityBytes
  }

  get written(): number {
    return this.#written
  }

  get drained(): number {
    return this.#ring.drained
  }

  append(record: string | Uint8Array): boolean {
    return this.#ring.append(record)
  }

  read(from: number, target: Uint8Array, ends: Uint32Array): RingRead {
    const found = this.#ring.read(from, target, ends)
    // It may have found what has come since.
    if (found.next > this.#written) this.#written = found.next
    return found
  }

  release(to: number): void {
    this.#ring.release(to)
    this.#released()
  }

  note(note: AppendNote | undefined): void {
    this.#ring.note(note)
  }

  get noted(): AppendNote | undefined {
    return this.#ring.noted
  }

  close(): void {
    this.#ring.close()
  }
}

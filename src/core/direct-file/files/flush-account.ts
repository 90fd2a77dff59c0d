// What the flusher counts, in the memory that all threads share: a flusher that ends takes no number with it.
import { control, type SharedMemory, statistic } from '../memory/shared-memory.ts'

export class FlushAccount {
  readonly #words: Int32Array
  readonly #statistics: Float64Array

  constructor({ words, statistics }: SharedMemory) {
    this.#words = words
    this.#statistics = statistics
  }

  countWrite(): void {
    this.#statistics[statistic.writes]++
  }

  countSync(): void {
    this.#statistics[statistic.syncs]++
  }

  countRotation(): void {
    this.#statistics[statistic.rotations]++
  }

  countError(): void {
    this.#statistics[statistic.flushErrors]++
  }

  /** Accepted records were given up. */
  countLost(records: number): void {
    this.#statistics[statistic.lost] += records
  }

  /** Drops that seals tell of. */
  get sealedDropped(): number {
    return this.#statistics[statistic.sealedDropped]
  }

  /** What the memory of an earlier flusher held has gone with it. Returns the number of records. */
  takeHeld(): number {
    const records = this.#statistics[statistic.held]
    this.holds(0, 0)
    return records
  }

  /** So much is held for files that cannot be written. */
  holds(bytes: number, records: number): void {
    this.#statistics[statistic.held] = records
    Atomics.store(this.#words, control.heldKib, Math.ceil(bytes / 1024))
  }

  /** Something reached the disk that had not before: whoever waits for the flusher goes on waiting. */
  progress(): void {
    Atomics.add(this.#words, control.progress, 1)
  }
}

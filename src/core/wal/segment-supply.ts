// Prepares the next segment in the background, so that a cut finds a file whose blocks are all there.
import type { Disk } from '../../io/disk.ts'
import { Segment, type SegmentCounters } from './segment.ts'

/** Larger writes gain nothing from blocks that were filled with zeros before. */
const SMALL_WRITE_BYTES = 64 * 1024

export interface SupplyOptions {
  walDir: string
  segmentBytes: number
  mode: number
}

export class SegmentSupply {
  readonly #disk: Disk
  readonly #options: SupplyOptions
  readonly #counters: SegmentCounters
  #ready: Segment | undefined
  #preparing: Promise<void> | undefined
  #closed = false

  constructor(disk: Disk, options: SupplyOptions, counters: SegmentCounters) {
    this.#disk = disk
    this.#options = options
    this.#counters = counters
  }

  /** Begins to prepare a segment once the active one is half full. */
  consider(active: Segment): void {
    if (this.#ready !== undefined || this.#preparing !== undefined || this.#closed) return
    if (active.used < this.#options.segmentBytes / 2) return
    this.#preparing = this.#prepare(active.lastWriteBytes < SMALL_WRITE_BYTES)
      // Without a prepared segment the cut makes one, and reports what is wrong.
      .catch(() => {})
      .finally(() => {
        this.#preparing = undefined
      })
  }

  /** The prepared segment, or else a new one. */
  take(): Segment {
    const ready = this.#ready
    this.#ready = undefined
    return ready ?? this.#create('1.tmp')
  }

  /** Removes what was prepared. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#preparing
    const ready = this.#ready
    this.#ready = undefined
    if (ready !== undefined) this.discard(ready)
  }

  /**
   * Closes and removes a segment that is not in use; false if it could not be removed. Under a temporary name that
   * does no harm: readers ignore it and the next writer replaces it.
   */
  discard(segment: Segment): boolean {
    segment.close()
    try {
      this.#disk.unlink(segment.path)
      return true
    } catch {
      return false
    }
  }

  async #prepare(fill: boolean): Promise<void> {
    const segment = this.#create('0.tmp')
    try {
      if (fill) await segment.fillZeros(() => !this.#closed)
    } catch (error) {
      this.discard(segment)
      throw error
    }
    this.#ready = segment
  }

  // Two names: a segment may be needed at once while another one is still being prepared.
  #create(tempName: string): Segment {
    const { walDir, segmentBytes, mode } = this.#options
    return Segment.create(this.#disk, walDir, tempName, segmentBytes, mode, this.#counters)
  }
}

// Prepares the next segment in the background, so that a cut finds a file whose blocks are all there.
import { systemCode } from '../../base/errors.ts'
import type { Disk } from '../../io/disk.ts'
import { Segment, type SegmentCounters } from './segment.ts'

/** Larger writes gain nothing from blocks that were filled with zeros before. */
const SMALL_WRITE_BYTES = 64 * 1024
const MAX_LEFT = 2

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
  /** Discarded, but still there: each may hold the room of a whole segment. */
  readonly #left = new Set<string>()

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
    return ready ?? this.#create()
  }

  /** Removes what was prepared, to make room or because its folder is gone. */
  drop(): void {
    const ready = this.#ready
    this.#ready = undefined
    if (ready !== undefined) this.discard(ready)
  }

  get isPreparing(): boolean {
    return this.#preparing !== undefined
  }

  /** Removes what was prepared, and prepares nothing more. What is being prepared is not waited for. */
  closeNow(): void {
    this.#closed = true
    this.drop()
  }

  /** The same, with that. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#preparing
    this.drop()
  }

  /**
   * Closes and removes a segment that is not in use; false if it could not be removed. Under a temporary name that
   * does no harm: readers ignore it and the next writer removes it.
   */
  discard(segment: Segment): boolean {
    segment.close()
    if (this.remove(segment.path)) return true
    this.#left.add(segment.path)
    return false
  }

  /** Removes what was discarded; false if that does not work. */
  remove(path: string): boolean {
    try {
      this.#disk.unlink(path)
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') return false
    }
    // Its name may be given to another segment from now on.
    this.#left.delete(path)
    return true
  }

  async #prepare(fill: boolean): Promise<void> {
    const segment = this.#create()
    try {
      if (fill) await segment.fillZeros(() => !this.#closed)
    } catch (error) {
      this.discard(segment)
      throw error
    }
    this.#ready = segment
  }

  #create(): Segment {
    for (const path of [...this.#left]) this.remove(path)
    if (this.#left.size >= MAX_LEFT) throw new Error(`${[...this.#left].join(', ')} cannot be removed`)
    const { walDir, segmentBytes, mode } = this.#options
    return Segment.create(this.#disk, walDir, segmentBytes, mode, this.#counters)
  }
}

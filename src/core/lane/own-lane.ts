// The ring that a sink fills itself, on its own thread: made when the sink is, removed when it is empty at the end.
import type { LaneId } from '../../formats/lock-file.ts'
import type { LaneOptions } from '../sink/common-options.ts'
import type { LaneFormat } from './lane-codec.ts'
import { LaneSource } from './lane-source.ts'
import { OwnRing } from './own-ring.ts'
import type { RingSubject } from './owner.ts'
import { addSource, removeSource } from './settle.ts'
import { sweepLanes } from './sweep.ts'

export class OwnLane {
  readonly source: LaneSource
  readonly id: LaneId
  readonly isFilledHere = true
  readonly #ring: OwnRing

  /** Throws `ERR_UNSUPPORTED`, `ERR_OWNER`, `ERR_SYMLINK`, `ERR_NOT_FILE` or `ERR_IO` where there can be none. */
  constructor(options: LaneOptions, subject: RingSubject, format: LaneFormat) {
    this.#ring = new OwnRing(options, { ...subject, unit: format.unit }, sweepLanes)
    this.id = this.#ring.id
    this.source = new LaneSource(this.#ring.ring, format, this.id)
    addSource(this.source)
  }

  get capacityBytes(): number {
    return this.#ring.ring.capacityBytes
  }

  /** Whether what is left in it is found by others. */
  get survives(): boolean {
    return !this.#ring.isGone
  }

  /** Removes it from its folder, if nothing is left in it. */
  exit(): void {
    this.#ring.exit()
  }

  /** The same, and lets go of it. What is left in it is for others. */
  close(): void {
    this.exit()
    removeSource(this.source)
    this.#ring.close(true)
  }
}

// The ring that a sink fills itself, on its own thread: made when the sink is, removed when it is empty at the end.
import { basename } from 'node:path'
import { CAPACITY_STEP_BYTES } from '../../formats/lane.ts'
import { parseRingName, type RingName } from '../../formats/lane-names.ts'
import type { LaneId } from '../../formats/lock-file.ts'
import { realDisk } from '../../io/disk.ts'
import type { LaneOptions } from '../sink/common-options.ts'
import { giveRingAway } from './held-owner.ts'
import type { LaneFormat } from './lane-codec.ts'
import { LaneFolder } from './lane-folder.ts'
import { plainOptions } from './lane-format.ts'
import { LaneSource } from './lane-source.ts'
import type { MappedRing } from './mapped-ring.ts'
import { LaneOwner, type RingSubject } from './owner.ts'
import { addSource, removeSource } from './settle.ts'
import { sweepLanes } from './sweep.ts'

export class OwnLane {
  readonly source: LaneSource
  readonly id: LaneId
  readonly isFilledHere = true
  readonly #ring: MappedRing
  readonly #name: RingName
  readonly #owner: LaneOwner
  #isLeft = false

  /** Throws `ERR_UNSUPPORTED`, `ERR_OWNER`, `ERR_SYMLINK`, `ERR_NOT_FILE` or `ERR_IO` where there can be none. */
  constructor({ dir, maxBytes }: LaneOptions, subject: RingSubject, format: LaneFormat) {
    this.#owner = LaneOwner.ofThread(LaneFolder.open(realDisk, dir))
    try {
      sweepLanes(this.#owner.folder)
      const about = { ...subject, options: plainOptions(subject.options), unit: format.unit }
      const capacityBytes =
        maxBytes === undefined ? undefined : Math.floor(maxBytes / CAPACITY_STEP_BYTES) * CAPACITY_STEP_BYTES
      this.#ring = this.#owner.createRing(about, capacityBytes)
    } catch (error) {
      this.#owner.close()
      throw error
    }
    this.#name = parseRingName(basename(this.#ring.path))!
    this.id = { owner: this.#name.owner, number: this.#name.number }
    this.source = new LaneSource(this.#ring, format, this.id)
    addSource(this.source)
  }

  get capacityBytes(): number {
    return this.#ring.capacityBytes
  }

  /** Whether what is left in it is found by others. */
  get survives(): boolean {
    return !this.#isLeft
  }

  /** Removes it from its folder, if nothing is left in it. */
  exit(): void {
    if (this.#isLeft || this.#ring.drained !== this.#ring.written) return
    this.#isLeft = true
    this.#owner.folder.removeRing(this.#name)
    this.#owner.close()
  }

  /** The same, and lets go of it. What is left in it is for others. */
  close(): void {
    this.exit()
    removeSource(this.source)
    this.#ring.close()
    if (this.#isLeft) return
    this.#isLeft = true
    giveRingAway(this.#owner, this.#name)
  }
}

// A ring in a mapped file that this thread fills: made in the name of the thread, removed when it is empty at the end, else
// left for whoever opens the log next.
import { basename } from 'node:path'
import { CAPACITY_STEP_BYTES } from '../../formats/lane.ts'
import { parseRingName, type RingName } from '../../formats/lane-names.ts'
import type { LaneId } from '../../formats/lock-file.ts'
import { realDisk } from '../../io/disk.ts'
import type { LaneOptions } from '../sink/common-options.ts'
import { giveRingAway, leaveRing } from './held-owner.ts'
import { LaneFolder } from './lane-folder.ts'
import { plainOptions } from './lane-format.ts'
import type { MappedRing } from './mapped-ring.ts'
import { LaneOwner, type RingSubject } from './owner.ts'

export class OwnRing {
  readonly ring: MappedRing
  readonly name: RingName
  readonly #owner: LaneOwner
  #isGone = false

  /** Throws `ERR_UNSUPPORTED`, `ERR_OWNER`, `ERR_SYMLINK`, `ERR_NOT_FILE` or `ERR_IO` where there can be none. */
  constructor({ dir, maxBytes }: LaneOptions, subject: RingSubject, sweep: (folder: LaneFolder) => void) {
    this.#owner = LaneOwner.ofThread(LaneFolder.open(realDisk, dir))
    try {
      // The dead leave as much as the memory has room for, so that has to be before one is made.
      sweep(this.#owner.folder)
      const capacityBytes =
        maxBytes === undefined ? undefined : Math.floor(maxBytes / CAPACITY_STEP_BYTES) * CAPACITY_STEP_BYTES
      const about = { ...subject, options: plainOptions(subject.options) }
      this.ring = this.#owner.createRing(about, capacityBytes)
    } catch (error) {
      this.#owner.close()
      throw error
    }
    this.name = parseRingName(basename(this.ring.path))!
  }

  get id(): LaneId {
    const { owner, number } = this.name
    return { owner, number }
  }

  get folder(): LaneFolder {
    return this.#owner.folder
  }

  /** Whether it was removed or left. */
  get isGone(): boolean {
    return this.#isGone
  }

  /** Whether its file is where others look for it. */
  get isInPlace(): boolean {
    try {
      return this.folder.disk.exists(this.ring.path)
    } catch {
      return false
    }
  }

  /** Removes it from its folder, if nothing is left in it. */
  exit(): void {
    if (!this.#isGone && this.ring.drained === this.ring.written) this.remove()
  }

  remove(): void {
    if (this.#isGone) return
    this.#isGone = true
    this.folder.removeRing(this.name)
    this.#owner.close()
  }

  /**
   * Lets go of the memory. What is left in it is for others; `isFree`: nobody takes records out of it any more, so that
   * any process may.
   */
  close(isFree: boolean): void {
    this.exit()
    this.ring.close()
    if (this.#isGone) return
    this.#isGone = true
    if (isFree) giveRingAway(this.#owner, this.name)
    else leaveRing(this.#owner, this.name.number)
  }
}

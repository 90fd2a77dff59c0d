// The ring of an output in a mapped file: what was logged outlives the process, and whoever opens the log next writes it.
import { basename } from 'node:path'
import { giveRingAway, leaveRing } from '../../core/lane/held-owner.ts'
import { LaneFolder } from '../../core/lane/lane-folder.ts'
import { plainOptions } from '../../core/lane/lane-format.ts'
import type { MappedRing } from '../../core/lane/mapped-ring.ts'
import { LaneOwner } from '../../core/lane/owner.ts'
import type { Dropped } from '../../core/queue/byte-queue.ts'
import type { LaneOptions } from '../../core/sink/common-options.ts'
import { CAPACITY_STEP_BYTES } from '../../formats/lane.ts'
import { parseRingName, type RingName } from '../../formats/lane-names.ts'
import type { LaneId } from '../../formats/lock-file.ts'
import { realDisk } from '../../io/disk.ts'
import type { LogSubject } from './lane-subject.ts'
import { type CountRecords, countUnreleased, type OutputRing } from './output-ring.ts'
import type { RecordUnit, RingHandle } from './protocol.ts'

export class MappedLane implements OutputRing {
  readonly survives = true
  readonly id: LaneId
  readonly #ring: MappedRing
  readonly #name: RingName
  readonly #owner: LaneOwner
  #isRemoved = false

  /** Throws `ERR_UNSUPPORTED`, `ERR_OWNER`, `ERR_SYMLINK`, `ERR_NOT_FILE` or `ERR_IO` where there can be none. */
  constructor({ dir, maxBytes }: LaneOptions, subject: LogSubject, unit: RecordUnit) {
    this.#owner = LaneOwner.ofThread(LaneFolder.open(realDisk, dir))
    try {
      const about = { ...subject, options: plainOptions(subject.options), unit }
      const capacityBytes =
        maxBytes === undefined ? undefined : Math.floor(maxBytes / CAPACITY_STEP_BYTES) * CAPACITY_STEP_BYTES
      this.#ring = this.#owner.createRing(about, capacityBytes)
    } catch (error) {
      this.#owner.close()
      throw error
    }
    this.#name = parseRingName(basename(this.#ring.path))!
    this.id = { owner: this.#name.owner, number: this.#name.number }
  }

  get written(): number {
    return this.#ring.written
  }

  get drained(): number {
    return this.#ring.drained
  }

  get capacityBytes(): number {
    return this.#ring.capacityBytes
  }

  get handle(): RingHandle {
    return { backing: 'mapped', dir: this.#owner.folder.path, name: this.#name }
  }

  append(record: string): boolean {
    return this.#ring.append(record)
  }

  grow(): boolean {
    return false
  }

  unreleased(count: CountRecords): Dropped {
    return countUnreleased(this.#ring, count)
  }

  exit(): void {
    if (this.#ring.drained === this.#ring.written) this.discard()
  }

  discard(): void {
    if (this.#isRemoved) return
    this.#isRemoved = true
    this.#owner.folder.removeRing(this.#name)
    this.#owner.close()
  }

  close(isFree: boolean): void {
    this.exit()
    this.#ring.close()
    if (this.#isRemoved) return
    this.#isRemoved = true
    if (isFree) giveRingAway(this.#owner, this.#name)
    else leaveRing(this.#owner, this.#name.number)
  }
}

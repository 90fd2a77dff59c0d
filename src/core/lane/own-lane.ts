// The ring that a sink fills itself, on its own thread: made when the sink is, removed when it is empty at the end.
import type { LaneId } from '../../formats/lock-file.ts'
import { native } from '../../native/index.ts'
import type { Dropped } from '../queue/byte-queue.ts'
import type { LaneOptions } from '../sink/common-options.ts'
import type { LaneFormat } from './lane-codec.ts'
import { LaneSource } from './lane-source.ts'
import type { NoRoomNews } from './no-room.ts'
import { OwnRing } from './own-ring.ts'
import type { RingSubject } from './owner.ts'
import { addSource, removeSource } from './settle.ts'
import { sweepLanes } from './sweep.ts'

export class OwnLane {
  readonly source: LaneSource
  readonly id: LaneId
  readonly isFilledHere = true
  readonly #ring: OwnRing
  readonly #countsLines: boolean

  /** Throws `ERR_UNSUPPORTED`, `ERR_OWNER`, `ERR_SYMLINK`, `ERR_NOT_FILE` or `ERR_IO` where there can be none. */
  constructor(options: LaneOptions, subject: RingSubject, format: LaneFormat, noRoom: NoRoomNews) {
    this.#ring = new OwnRing(options, { ...subject, unit: format.unit }, sweepLanes)
    this.id = this.#ring.id
    this.source = new LaneSource(this.#ring.ring, format, this.id)
    this.#countsLines = format.unit === 'text' || format.unit === 'line'
    this.#ring.ring.memory.connect({ added: ({ data }, reason) => noRoom.add(data.byteLength, reason) })
    addSource(this.source)
  }

  get capacityBytes(): number {
    return this.#ring.ring.capacityBytes
  }

  /** Whether what is left in it is found by others. */
  get survives(): boolean {
    return !this.#ring.isGone
  }

  get isEmpty(): boolean {
    const { ring } = this.#ring
    return ring.drained === ring.written
  }

  /** What waits in it and ends with the process all the same: large records for which there was no room. */
  get mortal(): Dropped {
    const { ring } = this.#ring
    ring.forgetReleased()
    return ring.memory.count((payload) =>
      this.#countsLines ? native.countLines(payload, 0, payload.length) : 1
    )
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

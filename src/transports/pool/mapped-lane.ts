// The ring of an output in a mapped file: what was logged outlives the process, and whoever opens the log next writes it.
import type { MappedRing } from '../../core/lane/mapped-ring.ts'
import { OwnRing } from '../../core/lane/own-ring.ts'
import { sweepLanesOnce } from '../../core/lane/sweep.ts'
import type { Dropped } from '../../core/queue/byte-queue.ts'
import type { LaneOptions } from '../../core/sink/common-options.ts'
import type { LaneId } from '../../formats/lock-file.ts'
import type { LogSubject } from './lane-subject.ts'
import { type CountRecords, countUnreleased, type OutputRing } from './output-ring.ts'
import type { RecordUnit, RingHandle } from './protocol.ts'

export class MappedLane implements OutputRing {
  readonly id: LaneId
  readonly #own: OwnRing
  readonly #ring: MappedRing

  /** Throws `ERR_UNSUPPORTED`, `ERR_OWNER`, `ERR_SYMLINK`, `ERR_NOT_FILE` or `ERR_IO` where there can be none. */
  constructor(options: LaneOptions, subject: LogSubject, unit: RecordUnit) {
    this.#own = new OwnRing(options, { ...subject, unit }, sweepLanesOnce)
    this.#ring = this.#own.ring
    this.id = this.#own.id
  }

  /** Not if somebody has removed its file. */
  get survives(): boolean {
    return this.#own.isInPlace
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
    return { backing: 'mapped', dir: this.#own.folder.path, name: this.#own.name }
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
    this.#own.exit()
  }

  discard(): void {
    this.#own.remove()
  }

  close(isFree: boolean): void {
    this.#own.close(isFree)
  }
}

// The ring of an output in a mapped file: what was logged outlives the process, and whoever opens the log next writes it.
import type { LargeMemory, MemoryRecord } from '../../core/lane/large-memory.ts'
import type { MappedRing } from '../../core/lane/mapped-ring.ts'
import { OwnRing } from '../../core/lane/own-ring.ts'
import { sweepLanesOnce } from '../../core/lane/sweep.ts'
import type { Dropped } from '../../core/queue/byte-queue.ts'
import type { LaneOptions } from '../../core/sink/common-options.ts'
import type { LaneId } from '../../formats/lock-file.ts'
import type { LogSubject } from './lane-subject.ts'
import { type CountRecords, countUnreleased, type OutputRing } from './output-ring.ts'
import type { RecordUnit, RingHandle } from './protocol.ts'

/** How often it is looked whether large records in memory are written, so that it does not hold them longer than that. */
const LOOK_MS = 1_000

/** Called for each large record for which there is no room in the lane, before it can be seen. */
export type LargeAdded = (record: MemoryRecord, reason: unknown) => void

export class MappedLane implements OutputRing {
  readonly id: LaneId
  readonly #own: OwnRing
  readonly #ring: MappedRing
  #look: NodeJS.Timeout | undefined

  /** Throws `ERR_UNSUPPORTED`, `ERR_OWNER`, `ERR_SYMLINK`, `ERR_NOT_FILE` or `ERR_IO` where there can be none. */
  constructor(options: LaneOptions, subject: LogSubject, unit: RecordUnit, added: LargeAdded) {
    this.#own = new OwnRing(options, { ...subject, unit }, sweepLanesOnce)
    this.#ring = this.#own.ring
    this.id = this.#own.id
    this.#ring.memory.connect({
      added: (record, reason) => {
        added(record, reason)
        this.#look ??= setInterval(() => this.#forgetReleased(), LOOK_MS).unref()
      }
    })
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
    const large = this.#forgetReleased().records
    return { backing: 'mapped', dir: this.#own.folder.path, name: this.#own.name, large }
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

  mortal(count: CountRecords): Dropped {
    return this.#forgetReleased().count((payload) => count(payload, 1))
  }

  exit(): void {
    this.#own.exit()
  }

  discard(): void {
    this.#own.remove()
  }

  close(isFree: boolean): void {
    clearInterval(this.#look)
    this.#own.close(isFree)
  }

  #forgetReleased(): LargeMemory {
    const { memory } = this.#ring
    if (memory.records.length > 0) this.#ring.forgetReleased()
    if (memory.records.length > 0) return memory
    clearInterval(this.#look)
    this.#look = undefined
    return memory
  }
}

// A whole file that a thread of the addon writes and publishes, one at a time for each worker.
import type { Disk } from '../../io/disk.ts'

/** One that has not begun after this time, or twice that, is taken back. */
const PATIENCE_MS = 100

interface UnderWay {
  readonly publication: number
  readonly ended: (isPublished: boolean) => void
}

export class BackgroundPublication {
  readonly #disk: Disk
  #underWay: UnderWay | undefined
  #patience: NodeJS.Timeout | undefined

  constructor(disk: Disk) {
    this.#disk = disk
  }

  get isUnderWay(): boolean {
    return this.#underWay !== undefined
  }

  /** See `Native.publishFile`. `ended` is called once, later or by `settle`. False if there is no such thread. */
  begin(
    from: string,
    to: string,
    mode: number,
    data: Uint8Array,
    length: number,
    ended: (isPublished: boolean) => void
  ): boolean {
    const done = (isPublished: boolean): void => {
      if (this.#underWay === underWay) this.#end(isPublished)
    }
    const publication = this.#disk.publishFile(from, to, mode, data, length, done)
    if (publication === undefined) return false
    const underWay: UnderWay = { publication, ended }
    this.#underWay = underWay
    this.#patience ??= this.#watch()
    return true
  }

  /** Ends it: at once if it has not begun, and if it has, only with `wait`. */
  settle(wait: boolean): void {
    if (this.#underWay === undefined) return
    const isPublished = this.#disk.settlePublication(this.#underWay.publication, wait)
    if (isPublished !== undefined) this.#end(isPublished)
  }

  /** Ends it for good: what is under way is not published later, unless it is too late to stop that. */
  giveUp(): void {
    clearTimeout(this.#patience)
    this.settle(false)
    if (this.#underWay !== undefined) this.#end(!this.#disk.abandonPublication(this.#underWay.publication))
  }

  #end(isPublished: boolean): void {
    const underWay = this.#underWay!
    this.#underWay = undefined
    underWay.ended(isPublished)
  }

  // The thread may be held up by the file of another spool, on a disk that hangs. No timer for each file: that would
  // cost as much as a twentieth of its records.
  #watch(): NodeJS.Timeout {
    const before = this.#underWay
    const timer = setTimeout(() => {
      if (this.#underWay === before) this.settle(false)
      this.#patience = this.#underWay === undefined ? undefined : this.#watch()
    }, PATIENCE_MS)
    return timer.unref()
  }
}

// One worker of a spool: takes records into its buffer and brings them to a published file, in the background, step by
// step, or at once where a process ends.
import { failpoint } from '../../io/failpoint.ts'
import { run, runNow, type Steps } from '../../io/steps.ts'
import { BackgroundPublication } from './background-publication.ts'
import { RecordBuffer, type Savepoint } from './record-buffer.ts'
import { type TempFile, targetPath, tempPath } from './temp-file.ts'
import { WorkerFile } from './worker-file.ts'
import type { WorkerHost } from './worker-host.ts'
import { WorkerLife } from './worker-state.ts'

export class SpoolWorker {
  readonly index: number
  /** Takes records; what it refuses has to come in pieces. */
  readonly buffer: RecordBuffer
  /** Files published so far. */
  publications = 0
  readonly #host: WorkerHost
  readonly #life = new WorkerLife()
  readonly #file: WorkerFile
  readonly #aside: BackgroundPublication
  /** Counts the takeovers by `publishNow`, which end asynchronous runs. */
  #epoch = 0
  #running = 0
  /** Left while a call on them may still be running. */
  #toClose: TempFile[] = []
  #publishedBytes = 0

  constructor(index: number, host: WorkerHost) {
    this.index = index
    this.#host = host
    this.buffer = new RecordBuffer(host.size)
    this.#aside = new BackgroundPublication(host.folders.disk)
    this.#file = new WorkerFile(index, host, this.buffer, this.#life, (temp) => this.#retire(temp))
  }

  /** Bytes of complete records that are not published. */
  get pendingBytes(): number {
    return this.buffer.end
  }

  get pendingRecords(): number {
    return this.buffer.records
  }

  /** Whether it has to be published. */
  get isFull(): boolean {
    return this.buffer.isFull
  }

  /** Whether the manifest speaks for every pending record, so that they outlive the process. */
  get isCovered(): boolean {
    return this.#file.isCovered
  }

  /** Whether pending records are in a file, but not known to be on disk. */
  get isUnsynced(): boolean {
    return this.pendingRecords > 0 && this.isCovered && !this.#file.isDurable
  }

  /** Changes whenever something gets done, and never because the same is tried again. */
  get progress(): number {
    return this.#publishedBytes + this.buffer.fill + this.#file.reached
  }

  get hasTemp(): boolean {
    return this.#life.state !== 'buffered'
  }

  /** Changes whenever `publishNow` or `abandon` ends what was under way. */
  get epoch(): number {
    return this.#epoch
  }

  /** Begins a record that comes in pieces. Nothing of it counts until `endRecord`. */
  beginRecord(): void {
    this.buffer.beginRecord()
  }

  /** Copies what has room of `piece` from `at` on; returns how many bytes. At 0 the buffer must be spilled. */
  append(piece: Uint8Array, at: number): number {
    return this.buffer.append(piece, at)
  }

  /** Writes the full buffer out to make room for the rest of a long record. */
  spill(): Steps<void> {
    return this.#file.spill()
  }

  endRecord(records = 1): void {
    this.buffer.endRecord(records)
  }

  /** Forgets the bytes behind the last complete record. The file is cut when it is published. */
  rollback(): void {
    if (this.buffer.rollback()) this.#file.rolledBack()
  }

  savepoint(): Savepoint {
    return this.buffer.savepoint()
  }

  /** Forgets everything put after `savepoint`. */
  rollbackTo(savepoint: Savepoint): void {
    this.buffer.rollbackTo(savepoint)
    this.#file.rolledBack()
  }

  /** See `WorkerFile.stage`. */
  stage(durable: boolean): Steps<void> {
    return this.#file.stage(durable)
  }

  /**
   * Publishes the pending records in the background, as one piece of work; for what never left the buffer, so that no
   * manifest has to speak for it. False if that is not possible or failed, and it may reject: then `publish` has to, and
   * says why.
   */
  async publishAside(): Promise<boolean> {
    const { folders, isCopying } = this.#host
    const { end, bytes } = this.buffer
    if (this.#life.state !== 'buffered' || end === 0 || folders.durable || isCopying) return false
    const name = this.#file.nextName()
    const from = tempPath(folders, name)
    const to = targetPath(folders, name.base)
    return new Promise((resolve) => {
      const ended = (isPublished: boolean): void => {
        this.#life.become('buffered')
        folders.counters.writes++
        if (isPublished) this.#published(from, to)
        resolve(isPublished)
      }
      this.#life.become('aside')
      let hasBegun = false
      try {
        hasBegun = this.#aside.begin(from, to, folders.permission, bytes, end, ended)
      } finally {
        if (!hasBegun) this.#life.become('buffered')
      }
      if (!hasBegun) resolve(false)
    })
  }

  /** Ends what `publishAside` began: at once if it has not begun, and if it has, only with `wait`. */
  settleAside(wait: boolean): void {
    this.#aside.settle(wait)
  }

  /** Ends it for good, whatever it is doing. */
  giveUpAside(): void {
    this.#aside.giveUp()
  }

  /** Publishes the pending records. To be repeated after a failure; what has its name is never published again. */
  *publish(): Steps<void> {
    const published = yield* this.#file.publish()
    if (published === undefined) {
      this.buffer.reset()
      return
    }
    this.#file.release()
    this.#published(published.from, published.to)
    failpoint('spool-published')
    if (!this.#host.folders.durable) return
    try {
      yield* this.#host.syncPublished()
    } catch (error) {
      // The file has its name, so there is nothing to repeat but the sync; and nobody may be told that it is durable.
      this.#host.unsynced(error)
    }
  }

  /** Runs `steps` of this worker without blocking the thread. */
  async run(steps: Steps<void>): Promise<void> {
    const epoch = this.#epoch
    this.#running++
    try {
      await run(this.#host.folders.disk, steps, () => epoch === this.#epoch)
    } finally {
      if (--this.#running === 0) {
        for (const temp of this.#toClose.splice(0)) temp.close(this.#host.folders.disk)
      }
    }
  }

  /** Publishes the complete records at once, overtaking whatever is under way. */
  publishNow(): void {
    this.#epoch++
    this.settleAside(true)
    // A write may still be under way, of an unfinished record or from a buffer that the next records go to: it must not
    // reach a published file.
    if (this.#running > 0) this.#file.distrust()
    this.rollback()
    runNow(this.#host.folders.disk, this.publish())
  }

  /** Removes a temp file in which nothing is complete. */
  discardNow(): void {
    if (this.pendingRecords > 0 || !this.hasTemp || this.#life.state === 'aside') return
    this.#epoch++
    this.#file.discard()
  }

  /** Gives up: what is not published stays in the temp file as far as it came. */
  abandon(): void {
    this.#epoch++
    this.giveUpAside()
    this.#file.abandon()
    this.#life.become('abandoned')
  }

  #published(from: string, to: string): void {
    const { end, records } = this.buffer
    // Twice, as while it was pending: what was taken and what was reached.
    this.#publishedBytes += 2 * end
    this.buffer.reset()
    this.publications++
    this.#host.published(from, to, { end, records })
  }

  #retire(temp: TempFile): void {
    if (this.#running > 0 && this.#epoch > 0) this.#toClose.push(temp)
    else temp.close(this.#host.folders.disk)
  }
}

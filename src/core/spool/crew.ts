// The workers of a spool at work: who is idle takes the next record, who is full publishes, and what fails is tried
// again.
import type { Readable } from 'node:stream'
import { LogboomError } from '../../base/errors.ts'
import type { Disk } from '../../io/disk.ts'
import { runNow, type Steps, Superseded } from '../../io/steps.ts'
import type { Account } from '../sink/account.ts'
import { afterFailure, Backoff } from '../sink/backoff.ts'
import { NotSyncableError } from '../sink/target.ts'
import { isWhole, piecesOf, type SpoolRecord, sizeOf } from './record.ts'
import type { RetryLoop } from './retry-loop.ts'
import type { SpoolHealth } from './spool-health.ts'
import type { SpoolStore } from './spool-store.ts'
import { SpoolWorker } from './spool-worker.ts'

const TAKEN = Promise.resolve(true)
/** Far more calls of `flushSync` than there can be while one file is published. */
const OVERTAKEN_ATTEMPTS = 1000

export interface CrewHost {
  readonly disk: Disk
  readonly store: SpoolStore
  readonly account: Account
  readonly health: SpoolHealth
  readonly retry: RetryLoop
  /** A worker has become idle. */
  idle(): void
  /** A worker holds something that `flushInterval` is for; asked again only after `publishIdle`. */
  pending(): void
  /** Why what was taken will not be published. */
  gaveUp(): LogboomError
  /** What failed will fail for ever. */
  failForGood(error: LogboomError): void
}

export class Crew {
  readonly workers: readonly SpoolWorker[]
  readonly #host: CrewHost
  /** What each worker is doing; undefined for one that can take a record. */
  readonly #busy: (Promise<void> | undefined)[]
  /** One for each worker: only a publication that succeeds, with its sync, shows that the trouble is over. */
  readonly #backoffs: readonly Backoff[]
  readonly #streams = new Set<Readable>()
  /** `host.pending` was called, and `publishIdle` not since. */
  #isPendingSaid = false
  #current = 0

  constructor(count: number, host: CrewHost) {
    this.#host = host
    this.workers = Array.from({ length: count }, (_, index) => new SpoolWorker(index, host.store))
    this.#busy = this.workers.map(() => undefined)
    this.#backoffs = this.workers.map(() => new Backoff(afterFailure))
  }

  get pendingBytes(): number {
    return this.workers.reduce((sum, worker) => sum + worker.pendingBytes, 0)
  }

  /** Whether records are in temp files that may not be on disk. */
  get isUnsynced(): boolean {
    return this.workers.some((worker) => worker.isUnsynced)
  }

  /** Changes whenever something gets done. */
  get progress(): number {
    return this.workers.reduce((sum, worker) => sum + worker.progress + worker.publications, 0)
  }

  /** A worker that can take a record now, in turn. */
  idle(): SpoolWorker | undefined {
    const { length } = this.workers
    for (let turn = 0; turn < length; turn++) {
      if (this.#busy[this.#current] === undefined) return this.workers[this.#current]
      this.#current = this.#current + 1 === length ? 0 : this.#current + 1
    }
    return undefined
  }

  /** Resolves true when an idle worker has taken the record, false if it was discarded. */
  give(worker: SpoolWorker, record: SpoolRecord): Promise<boolean> {
    // Nearly every record ends here, so what is called for it is little.
    const { buffer } = worker
    if (isWhole(record) && buffer.put(record)) {
      if (buffer.isFull) this.#publish(worker)
      else if (!this.#isPendingSaid) this.#pending()
      return TAKEN
    }
    return new Promise((resolve, reject) => {
      this.#occupy(worker, async () => {
        try {
          await this.#host.retry.keepAlive(this.#takePieces(worker, record))
          resolve(true)
        } catch (error) {
          this.#host.account.drop({ lines: 1, bytes: sizeOf(record) })
          const isSource = error instanceof LogboomError && error.code === 'ERR_SOURCE'
          if (this.#host.retry.hasGivenUp) this.#host.health.givenUp(1, sizeOf(record))
          if (isSource && !this.#host.retry.hasGivenUp) reject(error)
          else resolve(false)
        }
        if (worker.isFull) await this.#publishing(worker)
        else if (worker.pendingBytes > 0) this.#pending()
      })
    })
  }

  /** Takes a record on this thread; false if it is a stream, which would have to be waited for. */
  takeNow(record: SpoolRecord): boolean {
    const [worker] = this.workers
    if (!isWhole(record)) {
      record.destroy()
      this.#host.account.drop({ lines: 1, bytes: 0 })
      return false
    }
    if (worker.buffer.put(record)) return true
    worker.beginRecord()
    try {
      for (const piece of piecesOf(record)) {
        for (let at = 0; at < piece.length; ) {
          const count = worker.append(piece, at)
          at += count
          if (count === 0) runNow(this.#host.disk, worker.spill())
        }
      }
    } catch (error) {
      worker.rollback()
      throw error
    }
    worker.endRecord()
    worker.publishNow()
    return true
  }

  /** Publishes what idle workers hold; true if some are busy that hold something, too. */
  publishIdle(): boolean {
    let isLeft = false
    this.#isPendingSaid = false
    for (const worker of this.workers) {
      if (worker.pendingBytes === 0) continue
      if (this.#busy[worker.index] === undefined) this.#publish(worker)
      else isLeft = true
    }
    return isLeft
  }

  /** Publishes everything complete on this thread. Throws the first error, after all were tried. */
  publishAllNow(): void {
    const failures: unknown[] = []
    for (const worker of this.workers) {
      try {
        worker.publishNow()
        this.#succeeded(worker)
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw failures[0]
  }

  /** Resolves when everything that was taken before is published, or was given up. */
  async drain(): Promise<void> {
    await Promise.all(this.workers.map((worker) => this.#drain(worker)))
  }

  /** Ends what workers wait for; resolves when they have noticed. */
  async release(): Promise<void> {
    for (const stream of this.#streams) stream.destroy()
    for (const worker of this.workers) worker.giveUpAside()
    await Promise.all(this.#busy)
  }

  /** Records that nobody will find any more: neither published nor in a temp file that can be recovered. */
  countLost(): void {
    for (const worker of this.workers) {
      if (worker.pendingRecords === 0 || worker.isCovered) continue
      const { pendingRecords, pendingBytes } = worker
      this.#host.health.lost(pendingRecords, pendingBytes, 'closed while the folder could not be written to')
    }
  }

  /** Repeats file work until it succeeds. Rejects when it was overtaken, or the spool has given up. */
  async attempt(worker: SpoolWorker, steps: () => Steps<void>): Promise<void> {
    const { health, retry, store } = this.#host
    const failed = (error: unknown): void => {
      if (error instanceof Superseded) throw error
      if (error instanceof NotSyncableError) {
        this.#host.failForGood(error)
        throw error
      }
      health.failed(worker.index, error)
    }
    let isFirst = true
    const work = async (): Promise<void> => {
      if (!isFirst) store.reopen()
      isFirst = false
      await worker.run(steps())
    }
    await retry.run(work, this.#backoffs[worker.index], failed)
  }

  async #takePieces(worker: SpoolWorker, record: SpoolRecord): Promise<void> {
    const { epoch } = worker
    if (!isWhole(record)) this.#streams.add(record)
    worker.beginRecord()
    try {
      for await (const piece of piecesOf(record)) {
        for (let at = 0; at < piece.length; ) {
          if (worker.epoch !== epoch) throw new Superseded()
          const count = worker.append(piece, at)
          at += count
          if (count === 0) await this.attempt(worker, () => worker.spill())
        }
      }
      if (worker.epoch !== epoch) throw new Superseded()
      worker.endRecord()
      if (!this.#host.store.folders.durable) this.#succeeded(worker)
    } catch (error) {
      if (worker.epoch === epoch) worker.rollback()
      throw error
    } finally {
      if (!isWhole(record)) this.#streams.delete(record)
    }
  }

  #pending(): void {
    this.#isPendingSaid = true
    this.#host.pending()
  }

  #publish(worker: SpoolWorker): void {
    this.#occupy(worker, () => this.#publishing(worker))
  }

  async #publishing(worker: SpoolWorker): Promise<void> {
    if (this.#host.retry.hasGivenUp) return
    const isPublished = await worker.publishAside().catch(() => false)
    for (let attempt = 0; !isPublished && attempt < OVERTAKEN_ATTEMPTS; attempt++) {
      if (this.#host.retry.hasGivenUp) return
      try {
        await this.attempt(worker, () => worker.publish())
        break
      } catch (error) {
        // Given up by close, which accounts for what is left; or overtaken by flushSync, which may have failed.
        if (!(error instanceof Superseded)) return
      }
    }
    this.#succeeded(worker)
  }

  #succeeded(worker: SpoolWorker): void {
    this.#backoffs[worker.index].reset()
    this.#host.health.works(worker.index)
  }

  /** Lets a worker do `work`, which does not reject; then it takes waiting records. */
  #occupy(worker: SpoolWorker, work: () => Promise<void>): void {
    this.#busy[worker.index] = work().then(() => {
      this.#busy[worker.index] = undefined
      this.#host.idle()
    })
  }

  async #drain(worker: SpoolWorker): Promise<void> {
    const { publications } = worker
    while (worker.pendingBytes > 0 && worker.publications === publications) {
      if (this.#busy[worker.index] === undefined) this.#publish(worker)
      await this.#busy[worker.index]
      if (this.#host.retry.hasGivenUp && worker.publications === publications) throw this.#host.gaveUp()
    }
    await this.#busy[worker.index]
  }
}

// Those who wait for a flush of an output without blocking.
import type { OutputWords } from './output-words.ts'
import type { PoolWorker } from './pool-worker.ts'

interface Waiter {
  /** Undefined until everything that it covers is in the ring. */
  flush: number | undefined
  resolve(): void
  reject(error: Error): void
}

export class Flushes {
  readonly #words: OutputWords
  readonly #worker: PoolWorker
  #waiters: Waiter[] = []
  /** The last flush that has failed. */
  #failure: { flush: number; error: Error } | undefined

  constructor(words: OutputWords, worker: PoolWorker) {
    this.#words = words
    this.#worker = worker
  }

  /** Keeps the process alive until it is done. `isReady`: everything that it covers is in the ring. */
  add(isReady: boolean): Promise<void> {
    this.#worker.hold()
    return new Promise((resolve, reject) => {
      this.#waiters.push({ flush: undefined, resolve, reject })
      if (isReady) this.askNow()
    })
  }

  /** Everything is in the ring. */
  askNow(): void {
    const waiting = this.#waiters.filter(({ flush }) => flush === undefined)
    if (waiting.length === 0) return
    this.#words.want('flushed')
    const flush = this.#words.ask()
    for (const waiter of waiting) waiter.flush = flush
    this.#worker.ringNow()
  }

  /** The thread says that the flushes up to `flush` are done. */
  done(flush: number, error: Error | undefined): void {
    if (error !== undefined) this.#failure = { flush, error }
    this.#settle((number) => isUpTo(number, flush), error)
    if (this.#waiters.length === 0) return
    // The message was for those; the others want one, too.
    this.#words.want('flushed')
    this.#settle((number) => this.#words.isDone(number), undefined)
  }

  /** Why flush number `flush`, which is done, has failed. */
  failureOf(flush: number): Error | undefined {
    return this.#failure !== undefined && isUpTo(flush, this.#failure.flush) ? this.#failure.error : undefined
  }

  rejectAll(error: Error): void {
    for (const waiter of this.#waiters.splice(0)) {
      this.#worker.letGo()
      waiter.reject(error)
    }
  }

  #settle(isDone: (flush: number) => boolean, error: Error | undefined): void {
    const done = this.#waiters.filter(({ flush }) => flush !== undefined && isDone(flush))
    if (done.length === 0) return
    this.#waiters = this.#waiters.filter((waiter) => !done.includes(waiter))
    for (const { resolve, reject } of done) {
      this.#worker.letGo()
      if (error === undefined) resolve()
      else reject(error)
    }
  }
}

/** Whether `a` is not later than `b`; numbers may wrap. */
function isUpTo(a: number, b: number): boolean {
  return ((b - a) | 0) >= 0
}

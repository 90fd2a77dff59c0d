// Those who wait for a flush, and the syncs that cover them: while one sync runs, what is written meanwhile collects
// and is covered by the next (group commit).
import type { RecordQueue } from '../queue/byte-queue.ts'
import type { Durability } from './contract.ts'

export interface FlushHost {
  readonly queue: RecordQueue
  sync(): Promise<void>
  syncNow(): void
  /** A sync failed: what was kept of the queue has been queued again. */
  syncFailed(error: unknown): void
  /** Everything written is durable, and nothing waits to be written. */
  drained(): void
}

interface Waiter {
  to: Durability
  resolve: () => void
  reject: (error: Error) => void
}

export class Flushes {
  readonly #host: FlushHost
  #waiters: Waiter[] = []
  /** Something was written since the last sync began. */
  #dirty = false
  #syncing = false
  /** Counts failed syncs: a sync that began before one of them proves nothing. */
  #epoch = 0

  constructor(host: FlushHost) {
    this.#host = host
  }

  get isAwaited(): boolean {
    return this.#waiters.length > 0
  }

  /** Whether all that was written is known to be durable. */
  get isSynced(): boolean {
    return !this.#dirty && !this.#syncing
  }

  add(to: Durability): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiters.push({ to, resolve, reject })
    })
  }

  /** The kernel has more. */
  wrote(): void {
    this.#dirty = true
  }

  /** Everything queued is written: whoever waited for no more than that is told, the others when a sync is done. */
  written(): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const waiter of waiters) {
      if (waiter.to === 'disk' && !this.isSynced) this.#waiters.push(waiter)
      else waiter.resolve()
    }
    if (this.#waiters.length > 0) this.syncSoon()
  }

  syncSoon(): void {
    if (!this.#syncing) void this.#syncLoop()
  }

  /** Syncs on this thread. False if that failed. */
  syncNow(): boolean {
    if (this.isSynced) return true
    try {
      this.#host.syncNow()
    } catch (error) {
      this.#failed(error)
      return false
    }
    this.#dirty = false
    this.#host.queue.release()
    return true
  }

  rejectAll(error: Error, to?: Durability): void {
    const rejected = this.#waiters.filter((waiter) => to === undefined || waiter.to === to)
    this.#waiters = this.#waiters.filter((waiter) => !rejected.includes(waiter))
    for (const waiter of rejected) waiter.reject(error)
  }

  async #syncLoop(): Promise<void> {
    this.#syncing = true
    while (await this.#syncOnce()) {
      if (this.#host.queue.hasLines || !(this.#dirty || this.isAwaited)) break
    }
    this.#syncing = false
  }

  /** One sync of everything written so far. False if it proved nothing. */
  async #syncOnce(): Promise<boolean> {
    const { queue } = this.#host
    const covered = queue.hasLines ? [] : this.#waiters.splice(0)
    const total = queue.writtenTotal
    const epoch = this.#epoch
    this.#dirty = false
    try {
      await this.#host.sync()
    } catch (error) {
      this.#waiters.unshift(...covered)
      this.#failed(error)
      return false
    }
    if (epoch !== this.#epoch) {
      this.#waiters.unshift(...covered)
      return false
    }
    queue.release(total)
    for (const waiter of covered) waiter.resolve()
    if (!this.#dirty && !queue.hasLines) this.#host.drained()
    return true
  }

  #failed(error: unknown): void {
    this.#epoch++
    this.#dirty = false
    this.#host.queue.rewind()
    this.#host.syncFailed(error)
  }
}

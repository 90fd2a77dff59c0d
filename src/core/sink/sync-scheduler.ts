// Those who wait for a flush, and the syncs that cover them: while one sync runs, what is written meanwhile collects
// and is covered by the next (group commit).
import { exitDeadline } from './at-exit.ts'
import type { Durability } from './contract.ts'
import { DataSyncError, type SyncLevel } from './target.ts'

export interface SyncHost {
  /** Whether whole records still wait in the queue. */
  readonly hasQueued: boolean
  /** A number that grows with every byte written, to tell what a sync covers. */
  readonly writtenTotal: number
  sync(to: SyncLevel): Promise<void>
  syncNow(to: SyncLevel, waitMs: number): void
  /**
   * What was written up to the mark `total` is at `to`, as far as it is known to be of this sink. `isOver`: that shows
   * that syncing works again, if it had failed.
   */
  synced(to: SyncLevel, total: number, isOver: boolean): void
  syncFailed(error: unknown): void
  /** A sync succeeded that another one, failed meanwhile, makes worthless; who waited for it waits again. */
  unproven(): void
  /** Somebody waits for 'drain', which follows a sync of everything. */
  isOwed(): boolean
}

interface Waiter {
  readonly to: SyncLevel
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

export class SyncScheduler {
  readonly #host: SyncHost
  /** The level that writing alone brings records to: a staging target needs a sync even for 'os'. */
  readonly #writingReaches: Durability
  /** The level that a sync of nobody in particular is for. */
  readonly #ownLevel: SyncLevel
  #waiters: Waiter[] = []
  /** Those whom the sync under way covers. */
  #underWay: readonly Waiter[] = []
  /** Written marks up to which everything is at these levels. */
  readonly #synced = { os: 0, disk: 0 }
  #isSyncing = false
  #isOver = false
  /** Counts failed syncs that lost data: a sync that began before one of them proves nothing. */
  #failures = 0
  /** Counts all that failed: success of a sync that began before one of them does not show that it was the last. */
  #setbacks = 0

  constructor(host: SyncHost, writingReaches: Durability, ownLevel: SyncLevel) {
    this.#host = host
    this.#writingReaches = writingReaches
    this.#ownLevel = ownLevel
  }

  get isAwaited(): boolean {
    return this.#waiters.length > 0
  }

  /** How far syncs have come; grows with each that proves something. */
  get syncedTotal(): number {
    return this.#synced.disk
  }

  /** Whether all that was written through the queue is known to be at `to`. */
  isSynced(to: SyncLevel): boolean {
    if (to === 'os' && this.#writingReaches === 'os') return true
    return this.#synced[to] === this.#host.writtenTotal && !this.#isSyncing
  }

  add(to: SyncLevel): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiters.push({ to, resolve, reject })
    })
  }

  /** Everything queued is written: whoever waited for no more than that is told, the others when a sync is done. */
  written(): void {
    if (this.#writingReaches === 'os') this.#take((waiter) => waiter.to === 'os').forEach(resolve)
    if (this.#waiters.length > 0) this.syncSoon()
  }

  /**
   * Syncs in the background what is written, unless a sync is under way, which is then followed by another. While the
   * process exits nobody would learn of its end, and it would hold descriptors.
   */
  syncSoon(): void {
    if (!this.#isSyncing && exitDeadline() === undefined) void this.#syncLoop()
  }

  /** Syncs on this thread what is written. False if that failed. */
  syncNow(to: SyncLevel, waitMs: number): boolean {
    if (this.#writingReaches === 'os' && this.isSynced(to)) return true
    const total = this.#host.writtenTotal
    try {
      this.#host.syncNow(to, waitMs)
    } catch (error) {
      this.#failed(error)
      return false
    }
    this.#covered(to, total, true)
    return true
  }

  /** What was written has to be written again, and synced. */
  forget(total: number): void {
    this.#synced.os = Math.min(this.#synced.os, total)
    this.#synced.disk = Math.min(this.#synced.disk, total)
  }

  rejectAll(error: Error, to?: SyncLevel): void {
    for (const { reject } of this.#take((waiter) => to === undefined || waiter.to === to)) reject(error)
  }

  /** The target is closed: no other sync is begun. */
  end(): void {
    this.#isOver = true
  }

  /** Nobody is answered any more. A sync that came to its end with its target tells so first; one that a disk holds up does not. */
  async close(error: Error): Promise<void> {
    if (this.#underWay.length > 0) await new Promise((resolve) => setImmediate(resolve))
    this.rejectAll(error)
    for (const { reject } of this.#underWay) reject(error)
  }

  #take(isMeant: (waiter: Waiter) => boolean): Waiter[] {
    const taken = this.#waiters.filter(isMeant)
    this.#waiters = this.#waiters.filter((waiter) => !isMeant(waiter))
    return taken
  }

  async #syncLoop(): Promise<void> {
    this.#isSyncing = true
    try {
      while (await this.#syncOnce()) {
        if (this.#isOver) break
        if (this.#host.hasQueued || !(this.isAwaited || this.#isBehind() || this.#host.isOwed())) break
      }
    } finally {
      this.#isSyncing = false
    }
  }

  /** Whether more was written since the last sync of the sink's own began. */
  #isBehind(): boolean {
    return this.#ownLevel === 'disk' && this.#synced.disk < this.#host.writtenTotal
  }

  /** One sync of everything written so far. False if it proved nothing. */
  async #syncOnce(): Promise<boolean> {
    const covered = this.#host.hasQueued ? [] : this.#take(() => true)
    this.#underWay = covered
    const to = covered.some((waiter) => waiter.to === 'disk') ? 'disk' : this.#ownLevel
    const total = this.#host.writtenTotal
    const failures = this.#failures
    const setbacks = this.#setbacks
    try {
      await this.#host.sync(to)
    } catch (error) {
      this.#waiters.unshift(...covered)
      this.#failed(error)
      return false
    } finally {
      this.#underWay = []
    }
    if (failures !== this.#failures) {
      this.#waiters.unshift(...covered)
      this.#host.unproven()
      return false
    }
    // The host looks at `isSynced` when it is told.
    this.#isSyncing = false
    this.#covered(to, total, setbacks === this.#setbacks || total === this.#host.writtenTotal)
    this.#isSyncing = true
    covered.forEach(resolve)
    return true
  }

  #covered(to: SyncLevel, total: number, isOver: boolean): void {
    this.#synced.os = Math.max(this.#synced.os, total)
    if (to === 'disk') this.#synced.disk = Math.max(this.#synced.disk, total)
    this.#host.synced(to, total, isOver)
  }

  #failed(error: unknown): void {
    // Only lost data makes another sync, under way meanwhile, prove nothing.
    if (error instanceof DataSyncError) this.#failures++
    this.#setbacks++
    this.#host.syncFailed(error)
  }
}

function resolve(waiter: Waiter): void {
  waiter.resolve()
}

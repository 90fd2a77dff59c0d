// What keeps the writers of a log apart that several share, and the state they leave each other under it.
import type { LockState } from '../../formats/lock-file.ts'

export interface Lock {
  /** The lock file. */
  readonly path: string
  /** Why `acquire` gave nothing, where more is known than that somebody else has the lock. */
  readonly obstacle: string | undefined
  /** Whether another machine had the log before the last `acquire`: then what is open may be something else by now. */
  readonly tookOver: boolean
  /** Takes the writers' lock within `waitMs`, and reads the state; undefined if somebody else holds it. */
  acquire(waitMs: number): LockState | undefined
  /** Writes the state; only under the lock. */
  save(state: LockState): void
  /** Lets others have their turn, where it can. Throws what the system says; it is done all the same. */
  release(): void
  /** Takes another slot of the same file without waiting, apart from `release`. */
  tryOther(slot: number): { release(): void } | undefined
  /** Closes everything, which frees the lock. Does not throw. */
  close(): void
}

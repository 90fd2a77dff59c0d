// What a pump writes to. The pump holds the queue, the life cycle, retries, flush levels and the account; a target
// knows one kind of file and nothing of all that. An optional member is absent where there is nothing to do.
import { LogboomError } from '../../base/errors.ts'
import { whyNoSync } from '../../io/open-file.ts'
import type { Dropped } from '../queue/byte-queue.ts'

/** A level that a target can be asked for; `'none'` is the pump's own memory. */
export type SyncLevel = 'os' | 'disk'

/**
 * Errors. `open`, `write` and `sync` may throw whatever the system says: that may pass, and the pump tries again.
 * What will not pass is thrown as a `PermanentError`: the pump is `failed` at once, and every wait ends. A data sync
 * that failed is a `DataSyncError`: what was written since the last one may be gone, although a second sync would say
 * that all is well; a `NotSyncableError` says that it can never be done here. Anything else out of `sync` means only
 * that it has to be asked again.
 *
 * Memory. `records` given to `write` belongs to the pump and is valid during the call; the pump keeps what is not yet
 * on disk for writing it again after a `DataSyncError`, unless the target says by `isStaging` that it does.
 */
export interface Target {
  /** How long another holder of a lock is nothing unusual, in ms; Infinity where waiting is back-pressure. */
  readonly lockTimeoutMs: number
  /** What is known of who has the lock, to go on behind 'it is'; undefined where nothing is. */
  readonly obstacle?: string | undefined
  /**
   * `write` only moves records to memory of the target, which writes them by itself and answers for them from then
   * on: it retries, and `sync('os')` is needed even for `'os'`. `sync` throws only what ends the
   * flushes to `'disk'` that wait for it: a `DataSyncError` where records cannot be had on disk any more. Records may come to
   * it past the pump, too (`log` of a `DirectFile` and its threads, `logWithEvent`).
   */
  readonly isStaging: boolean
  /** Opens what is needed for writing. A refusal (`ERR_NOT_FILE`, `ERR_OPTION`, …) is a `LogboomError`. */
  open?(): void
  /** Called before records are taken from the queue; false if that has to wait, at most `waitMs` of it here. */
  ready?(waitMs: number): boolean
  /**
   * Writes whole records; waits at most `waitMs` for a lock or for room. Returns how many bytes of whole records
   * were taken, 0 if there is no turn to be had now. Throws only if nothing was taken.
   */
  write(records: Buffer, waitMs: number): number
  /** Resolves when everything taken before the call has reached `to`. */
  sync(to: SyncLevel): Promise<void>
  /** The same on this thread; throws `ERR_LOCK_TIMEOUT` or a system error after `waitMs`. */
  syncNow(to: SyncLevel, waitMs: number): void
  /** After a `DataSyncError`: leaves the file for good, so that the next write goes to another one. */
  quarantine?(): void
  /**
   * Writes and syncs something that is no record. The pump asks before it writes records again after a
   * `DataSyncError`, so that a disk that goes on failing collects no copies of them. Throws while it fails.
   */
  probe?(): void
  /** What a staging target holds, and how far it has come: a number that grows whenever something is written. */
  pending?(): { bytes: number; progress: number }
  /** For a process that exits: gives up what a staging target holds and cannot write, and says how much that is. */
  abandon?(): Dropped
  /**
   * `close` on this thread, while nothing is under way: where records are to be on disk the files are synced, though perhaps
   * not their names. False, with nothing released, if it cannot be done. Also ends a `close` that would be waited for.
   */
  closeNow?(): boolean
  /**
   * Releases every descriptor, lock and thread; nothing is written afterwards. Does not throw. Resolves with the
   * records it still held and could not write.
   */
  close(): Promise<Dropped>
}

/** An error of a target that will not pass: its sink is `failed` from then on. */
export class PermanentError extends LogboomError {}

/** fsync or fdatasync of data failed (`ERR_SYNC`); a second one would prove nothing. */
export class DataSyncError extends LogboomError {
  constructor(path: string, cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    super('ERR_SYNC', `sync of ${path} failed: ${reason}`, { path, cause })
  }
}

/** The file system has no fsync for this file: records can reach `'os'` there and no more (`ERR_UNSUPPORTED`). */
export class NotSyncableError extends LogboomError {
  constructor(path: string, cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    const message = `${path} ${whyNoSync(cause)}, so nothing can be durable there: ${reason}`
    super('ERR_UNSUPPORTED', message, { path, cause })
  }
}

export const nothingDropped: Dropped = { lines: 0, bytes: 0 }

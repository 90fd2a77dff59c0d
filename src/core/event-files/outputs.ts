// What event routing needs of the files it writes to, whatever their kind, and the rules that hold between the two.
import type { FlushMetrics } from '../direct-file/statistics.ts'
import type { Dropped } from '../queue/byte-queue.ts'
import type { FinishedEvent, RemovedEvent, RepairedEvent, RotatedEvent } from '../sink/contract.ts'
import type { PermanentError, SyncLevel } from '../sink/target.ts'

/** One event and its file. */
export interface EventEntry {
  /** As used for the file, without extension. */
  readonly name: string
  readonly path: string
  /** Counts from 0 in the order of first use. */
  readonly tag: number
  /** Something was logged to it, or it was opened, since it was last closed. */
  isActive: boolean
  /** Records taken, without those that were dropped since. */
  accepted: number
  dropped: number
  /** Of those taken: lines of ours that tell of drops. */
  notices: number
  /** What its files have got, as far as known. */
  readonly written: { records: number; bytes: number; rotations: number }
}

/** Totals over all files. */
export interface OutputTotals {
  writes: number
  syncs: number
  rotations: number
  repairs: number
  errors: number
}

/**
 * The files of many events; there are two kinds. Direct files share one memory and one thread (direct-outputs.ts);
 * other files are sinks of their own, fed from one event buffer (file-outputs.ts).
 *
 * Who owns the bytes. `add` copies: the caller has its memory back when it returns. From then on the outputs answer
 * for the record until it is in its file, counted as dropped for its event (`OutputNews.dropped`), or in what `close`
 * resolves with. Nothing is taken out of a list or a buffer before one of the three is certain.
 *
 * What may be thrown. `add`, `open`, `pending` and `totals` do not throw for I/O; the constructor throws refusals
 * (`ERR_LOCKED`, `ERR_OPTION`, …). Trouble with the file of one event is that event's alone: what may pass is tried
 * again while its records wait within the bound, what will not is counted as dropped, and the others go on.
 *
 * When a flush resolves. When every record added before it is in its file, at the level that was asked for, or
 * counted as dropped: for every event. It rejects with a `DataSyncError` where records that were acknowledged at
 * `'os'` cannot be promised at `'disk'` any more.
 *
 * What `close` does. It does not wait: whoever wants everything written flushes first. It stops all work, releases
 * every descriptor, lock and thread, and resolves with the records that were still held, which count as dropped for
 * their events.
 */
export interface Outputs {
  /** How writing goes. */
  readonly metrics: FlushMetrics
  /** To be called once when the sink can hear what is told; absent where there is nothing to start. */
  start?(): void
  /** Takes a record, `end` excluded; false if there is no room at the moment. */
  add(entry: EventEntry, data: Uint8Array, start: number, end: number): boolean
  /** Drops records that have waited longest, so that `bytes` more have room; absent where that is no policy. */
  dropOldest?(bytes: number): void
  /** Blocks this thread until there may be room again. */
  waitForRoom(): void
  /** Opens the file of an event before its first record, if that is possible now. */
  open(entry: EventEntry): void
  /**
   * Writes what waits for an event and closes its file; the next record opens it again. Rejects (`ERR_LOST`) where
   * records could not be written and nothing got done for eight seconds; they are counted as dropped.
   */
  closeFile(entry: EventEntry): Promise<void>
  flush(to: SyncLevel): Promise<void>
  /** The same on this thread; throws `ERR_LOCK_TIMEOUT` or the first error of a file after `waitMs`. */
  flushNow(to: SyncLevel, waitMs: number): void
  /** Bytes held, and a number that grows whenever something is written. */
  pending(): { bytes: number; progress: number }
  /** See `Target.abandon`. */
  abandon?(): Dropped
  close(): Promise<Dropped>
  totals(): OutputTotals
  /** Brings `written` of an entry up to date. */
  update(entry: EventEntry): void
}

/** What outputs tell the sink they belong to. */
export interface OutputNews {
  rotated(event: RotatedEvent): void
  finished(event: FinishedEvent): void
  removed(event: RemovedEvent): void
  repaired(event: RepairedEvent): void
  warning(code: string, message: string, path: string): void
  /** What could not be written when the process ended. */
  notice(message: string): void
  /** Writing fails and is tried again; `recovered` follows when no file is in trouble any more. */
  degraded(code: string, message: string, path: string): void
  recovered(): void
  /** Nothing will be written any more. */
  failed(error: PermanentError): void
  /** Accepted records will not be written; the entry has counted them. */
  dropped(dropped: Dropped): void
}

/** Takes records that were accepted for an event as dropped. */
export function countDropped(entry: EventEntry, records: number): void {
  entry.accepted = Math.max(0, entry.accepted - records)
  entry.dropped += records
}

// What a flusher writes to: a file, or a group of files. And the one rule about who owns what waits to be written.
import type { RotatedEvent } from '../../sink/contract.ts'

/** Entries with room for a frame header before them. */
export interface FrameBlock {
  /**
   * Begins with the 8 bytes of the header, and has room for padding to a multiple of 512. Copied where it does not
   * lie at, or has no room up to, a multiple of the file's alignment.
   */
  readonly bytes: Buffer
  validBytes: number
  /** Undefined: whoever writes the block counts its entries and puts their number here. */
  records: number | undefined
}

/** A record that gets a frame of its own. */
export interface LargeFrame {
  readonly data: Uint8Array
  readonly records: 1
  /** Of the bound for large records; given back by `TargetNews.released`. */
  readonly heldKib: number
}

export type FlushItem = FrameBlock | LargeFrame

/**
 * The list belongs to the flusher. A target takes an item off it only when it answers for all of its records to the
 * end: they are on disk, they are counted as lost, or the target holds them in memory of its own (`holds`) and goes
 * on trying when `writeHeld` is called. The memory of an item may be used again as soon as it is off the list.
 * `write` throws while anything is left in the list; calling it again is always right, also with more at its end.
 *
 * An error of `write`, `rotate`, `open` or `close` is everybody's: nothing is known to be impossible, and it is tried
 * again, except for a `NotSyncableError`, which says that it is. What concerns one file of a group alone is kept from the
 * others by the group, and told by `heldFailure`.
 */
export interface FlushTarget {
  /** Whether records that are off the list are neither on disk nor counted as lost. */
  readonly holds: boolean
  /** Why they are not, and which file it is about. */
  readonly heldFailure: { readonly path: string; readonly error: unknown } | undefined
  /** Whether records were dropped that no seal tells of yet. */
  readonly hasDropped: boolean
  open(): void
  write(items: FlushItem[]): void
  /** Tries what is held again. */
  writeHeld(): void
  /** The next seal tells of so many more dropped records. */
  countDropped(records: number): void
  rotate(): void
  /** Releases every descriptor; the next write opens anew. */
  close(): void
}

/** What a target reports. */
export interface TargetNews {
  /** `isQuarantine`: because a write or sync failed. */
  rotated(event: RotatedEvent, isQuarantine: boolean): void
  warning(code: string, message: string, path: string): void
  /** The file at `path` was removed, moved, replaced or truncated by somebody else. */
  replaced(message: string, path: string): void
  /** A large record is on disk or lost: its memory no longer counts. */
  released(item: LargeFrame): void
  /** Accepted records that will not be written, of the file with this number where there are several. */
  lost(records: number, tag?: number): void
}

export interface FrameFileOptions {
  readonly maxBytes: number
  readonly preallocate: number
  readonly directIO: 'auto' | 'require' | 'off'
  /** Whether a write counts only once it survives a loss of power. Default: true. */
  readonly sync?: boolean
  /** Whether a file system that cannot sync is refused for good, with a `NotSyncableError`. Default: false. */
  readonly mustSync?: boolean
  readonly mode: number
  readonly dirMode: number
  readonly mkdir: boolean
}

export function isLarge(item: FlushItem): item is LargeFrame {
  return 'data' in item
}

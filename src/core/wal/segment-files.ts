// The segments of a log that is open, as files that may be removed: the oldest first, and none that somebody reads or that
// waits for its command.
import { join } from 'node:path'
import { systemCode } from '../../base/errors.ts'
import { listSegments, type SegmentName } from '../../formats/wal.ts'
import type { Disk } from '../../io/disk.ts'
import { failpoint } from '../../io/failpoint.ts'
import type { RemovalReason } from '../sink/contract.ts'
import type { FinishedFiles } from './finished-files.ts'

export class SegmentFiles {
  /** Sequence of the segment that each reader is in: it and later ones stay. */
  readonly readers = new Map<object, bigint>()
  readonly #disk: Disk
  readonly #folder: string
  readonly #finished: FinishedFiles

  constructor(disk: Disk, folder: string, finished: FinishedFiles) {
    this.#disk = disk
    this.#folder = folder
    this.#finished = finished
  }

  /** Oldest first; the one that is appended to is the last. */
  list(): SegmentName[] {
    return listSegments(this.#disk.readdir(this.#folder))
  }

  /** Size in bytes and time of the last change in ms since 1970. Undefined if it is gone. */
  stat({ name }: SegmentName): { size: number; mtimeMs: number } | undefined {
    return this.#disk.lstat(join(this.#folder, name))
  }

  /** Removes the segments that hold nothing behind entry `index`, but for `keep` of them. */
  removeUpTo(index: bigint, keep: number): void {
    const segments = this.list()
    this.remove(segments, freeUpTo(segments, index) - keep, () => 'released')
  }

  /** Whether `removeUpTo` would find any. */
  canRemoveUpTo(index: bigint, keep: number): boolean {
    const segments = this.list()
    return this.unheld(segments, freeUpTo(segments, index) - keep) > 0
  }

  /** How many of the first `count` segments come before one that waits for its command. */
  unheld(segments: readonly SegmentName[], count: number): number {
    const first = segments.slice(0, Math.max(0, count)).findIndex(({ name }) => this.#finished.holds(name))
    return first === -1 ? count : first
  }

  /**
   * Removes the first `count` segments, as far as nobody is reading them and none waits for its command. Returns how many
   * were removed.
   */
  remove(
    segments: readonly SegmentName[],
    count: number,
    reasonOf: (position: number) => RemovalReason
  ): number {
    let removable = this.unheld(segments, Math.min(count, segments.length - 1))
    for (const read of this.readers.values()) {
      removable = Math.min(
        removable,
        segments.findIndex(({ sequence }) => sequence >= read)
      )
    }
    // Oldest first, so that a crash in between leaves a contiguous log.
    for (const [position, { name }] of segments.slice(0, Math.max(0, removable)).entries()) {
      try {
        this.#finished.remove(name, reasonOf(position))
      } catch (error) {
        if (systemCode(error) !== 'ENOENT') throw error
      }
      failpoint('wal-removed')
    }
    return Math.max(0, removable)
  }
}

/** etcd looks for the snapshot's entry in the segment before: that one stays. */
function freeUpTo(segments: readonly SegmentName[], index: bigint): number {
  return Math.max(
    0,
    segments.findLastIndex((segment) => segment.index <= index)
  )
}

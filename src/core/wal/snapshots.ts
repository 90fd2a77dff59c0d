// Snapshots as a cursor of consumption: entries are handed out again and again until they are released, then the
// segments that hold only released entries are removed.
import { constants } from 'node:fs'
import { join } from 'node:path'
import type { LogboomError } from '../../base/errors.ts'
import { encodeSnapshotFile, parseSnapshotName, snapshotName } from '../../formats/snapshot-file.ts'
import { compare, listSegments, TERM } from '../../formats/wal.ts'
import type { Disk } from '../../io/disk.ts'
import { failpoint } from '../../io/failpoint.ts'
import { makeFolders, openFile, syncFolder } from '../../io/open-file.ts'
import { type Entry, streamEntries } from './entries.ts'
import type { LogWriter } from './log-writer.ts'

/** The last one, and the one before it should the last one be damaged. */
const KEPT_SNAPSHOT_FILES = 2
const TEMP_NAME = '0.tmp'

export interface SnapshotsOptions {
  walDir: string
  snapDir: string
  mode: number
  dirMode: number
  keepSegments: number
}

export interface Snapshot {
  /** Index of the last entry of the snapshot before; 0 if there was none. */
  readonly prevIndex: bigint
  /** Index of the last entry of this one. */
  readonly currentIndex: bigint
  /** The entries after `prevIndex` up to `currentIndex`; can be read several times until the release. */
  readonly entries: AsyncIterable<Entry>
  /**
   * Ends the snapshot. `true` (default): its entries were consumed; that is noted durably, and older segments are
   * removed. `false`: the next snapshot begins with the same entries. Rejects if it could not be noted; then, too,
   * the next snapshot begins with the same entries.
   */
  release(ok?: boolean): Promise<void>
}

export class Snapshots {
  /** Index of the last entry that was released. */
  releasedIndex: bigint
  readonly #disk: Disk
  readonly #options: SnapshotsOptions
  readonly #writer: LogWriter
  /** Resolves when the snapshot that is out comes back. */
  #turn: Promise<void> = Promise.resolve()
  #closedError: LogboomError | undefined
  readonly #closed: Promise<never>
  #rejectClosed: (error: LogboomError) => void = () => {}
  /** Sequence of the segment that each reader is in: it and later ones stay. */
  readonly #readers = new Map<object, bigint>()

  constructor(disk: Disk, options: SnapshotsOptions, writer: LogWriter, releasedIndex: bigint) {
    this.#disk = disk
    this.#options = options
    this.#writer = writer
    this.releasedIndex = releasedIndex
    this.#closed = new Promise((_, reject) => {
      this.#rejectClosed = reject
    })
    this.#closed.catch(() => {})
  }

  /** Waits for the snapshot before to be released. Undefined if there are no new entries. */
  async create(): Promise<Snapshot | undefined> {
    const before = this.#turn
    let free = () => {}
    this.#turn = new Promise((resolve) => {
      free = resolve
    })
    try {
      await Promise.race([before, this.#closed])
      await this.#writer.sync()
    } catch (error) {
      free()
      throw error
    }
    const prevIndex = this.releasedIndex
    const currentIndex = this.#writer.durableIndex
    if (currentIndex <= prevIndex) {
      free()
      return undefined
    }
    let released: Promise<void> | undefined
    return {
      prevIndex,
      currentIndex,
      entries: { [Symbol.asyncIterator]: () => this.read(prevIndex + 1n, currentIndex) },
      release: (ok = true) => {
        released ??= this.#release(currentIndex, ok).finally(free)
        return released
      }
    }
  }

  /** Calls that wait reject with `error`, and so does a release from now on. */
  close(error: LogboomError): void {
    this.#closedError = error
    this.#rejectClosed(error)
  }

  /** Index of the first entry that is still there. */
  firstIndex(): bigint {
    const first = listSegments(this.#disk.readdir(this.#options.walDir))[0]
    return first === undefined || first.index === 0n ? 1n : first.index
  }

  /** Entries that are on disk; their segments stay while they are read. */
  async *read(from: bigint, to: bigint): AsyncGenerator<Entry, void, undefined> {
    const reader = {}
    this.#readers.set(reader, 0n)
    try {
      yield* streamEntries(this.#disk, this.#options.walDir, from, to, (sequence) => {
        this.#readers.set(reader, sequence)
      })
    } finally {
      this.#readers.delete(reader)
    }
  }

  async #release(index: bigint, ok: boolean): Promise<void> {
    if (!ok) return
    if (this.#closedError !== undefined) throw this.#closedError
    this.#writeFile(index)
    failpoint('wal-snapshot')
    this.#writer.recordSnapshot(index)
    failpoint('wal-recorded')
    this.releasedIndex = index
    // Only now, when it is durable that nobody needs them.
    this.#removeSegments(index)
    this.#removeSnapshots()
  }

  #writeFile(index: bigint): void {
    const { snapDir, mode, dirMode } = this.#options
    makeFolders(this.#disk, snapDir, dirMode)
    const temporary = join(snapDir, TEMP_NAME)
    if (this.#disk.exists(temporary)) this.#disk.unlink(temporary)
    const file = openFile(this.#disk, temporary, constants.O_RDWR, { mode, dirMode, mkdir: false })
    try {
      const bytes = encodeSnapshotFile({ index, term: TERM })
      for (let at = 0; at < bytes.length; ) {
        at += this.#disk.write(file.fd, bytes, at, bytes.length - at, at)
      }
      this.#disk.fsync(file.fd)
    } finally {
      file.release()
    }
    this.#disk.rename(temporary, join(snapDir, snapshotName({ index, term: TERM })))
    syncFolder(this.#disk, snapDir)
  }

  /** Oldest first, so that a crash in between leaves a contiguous log. */
  #removeSegments(index: bigint): void {
    const { walDir, keepSegments } = this.#options
    const segments = listSegments(this.#disk.readdir(walDir))
    const needed = segments.findLastIndex((segment) => segment.index <= index)
    let kept = segments[Math.max(0, needed)].sequence
    for (const read of this.#readers.values()) if (read < kept) kept = read
    const count = segments.findIndex((segment) => segment.sequence >= kept) - keepSegments
    for (const segment of segments.slice(0, Math.max(0, count))) this.#disk.unlink(join(walDir, segment.name))
  }

  #removeSnapshots(): void {
    const { snapDir } = this.#options
    const own = this.#disk
      .readdir(snapDir)
      .map(parseSnapshotName)
      .filter((snapshot) => snapshot !== undefined)
      .sort((a, b) => compare(b.index, a.index))
    for (const old of own.slice(KEPT_SNAPSHOT_FILES)) this.#disk.unlink(join(snapDir, snapshotName(old)))
  }
}

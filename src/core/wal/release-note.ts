// Notes durably how far a log was released: in a snapshot file of etcd's format, and by a record in the log. The record is
// what counts; where there is no room for the file, it does without.
import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { join } from 'node:path'
import { errorMessage, LogboomError, systemCode } from '../../base/errors.ts'
import { encodeSnapshotFile, parseSnapshotName, snapshotName } from '../../formats/snapshot-file.ts'
import { compare, TERM } from '../../formats/wal.ts'
import type { Disk } from '../../io/disk.ts'
import { failpoint } from '../../io/failpoint.ts'
import { makeFolders, openFile } from '../../io/open-file.ts'
import { writeAll } from '../../io/write-all.ts'
import type { FinishedFiles } from './finished-files.ts'
import type { LogWriter } from './log-writer.ts'
import { Reserve } from './reserve.ts'
import { syncEntries } from './sync-entries.ts'

/** The last one, and the one before it should the last one be damaged. */
const KEPT_SNAPSHOT_FILES = 2

export interface ReleaseNoteOptions {
  walDir: string
  snapDir: string
  /** Whether the folder is this log's alone, so that whatever snapshot is in it may be removed. */
  isOwnFolder: boolean
  mode: number
  dirMode: number
}

export class ReleaseNote {
  readonly #disk: Disk
  readonly #options: ReleaseNoteOptions
  readonly #writer: LogWriter
  readonly #reserve: Reserve
  readonly #warn: (error: LogboomError) => void
  readonly #finished: FinishedFiles
  /** Indices of the snapshot files that are known to be ours. */
  readonly #own = new Set<bigint>()

  constructor(
    disk: Disk,
    options: ReleaseNoteOptions,
    writer: LogWriter,
    releasedIndex: bigint,
    warn: (error: LogboomError) => void,
    finished: FinishedFiles
  ) {
    this.#finished = finished
    this.#disk = disk
    this.#options = options
    this.#writer = writer
    this.#warn = warn
    this.#reserve = new Reserve(disk, options.walDir)
    if (releasedIndex > 0n) this.#own.add(releasedIndex)
    this.#reserve.keep()
  }

  /** Durable when it returns. Throws if it is not. */
  write(index: bigint): void {
    try {
      this.#withRoom(() => this.#writeFile(index))
    } catch (error) {
      const { snapDir } = this.#options
      const message = `no snapshot file in ${snapDir}, the release is noted in the log alone: ${errorMessage(error)}`
      this.#warn(new LogboomError('ERR_IO', message, { path: snapDir, cause: error }))
    }
    failpoint('wal-snapshot')
    this.#withRoom(() => this.#writer.recordSnapshot(index))
    failpoint('wal-recorded')
  }

  /** Removes the snapshot files that newer ones have replaced. */
  removeOld(): void {
    for (const { index, term } of this.#known().slice(KEPT_SNAPSHOT_FILES)) {
      const name = snapshotName({ index, term })
      if (this.#finished.holds(name)) continue
      try {
        this.#finished.remove(name, 'released')
      } catch (error) {
        if (systemCode(error) !== 'ENOENT') throw error
      }
      this.#own.delete(index)
    }
  }

  /** Names of the snapshot files that are this log's, the oldest first. */
  names(): string[] {
    return this.#known().map(snapshotName).reverse()
  }

  keepReserve(): void {
    this.#reserve.keep()
  }

  close(): void {
    this.#reserve.spend()
  }

  /** The newest first. */
  #known(): { index: bigint; term: bigint }[] {
    const { snapDir, isOwnFolder } = this.#options
    if (!this.#disk.exists(snapDir)) return []
    const found = this.#disk
      .readdir(snapDir)
      .map(parseSnapshotName)
      .filter((snapshot) => snapshot !== undefined)
    return found
      .filter(({ index, term }) => isOwnFolder || (term === TERM && this.#own.has(index)))
      .sort((a, b) => compare(b.index, a.index))
  }

  /** Where the disk is full: once more with what was set aside for this. */
  #withRoom(work: () => void): void {
    try {
      work()
    } catch (error) {
      if (!isOutOfRoom(error)) throw error
      this.#writer.supply.drop()
      this.#reserve.spend()
      work()
    }
  }

  #writeFile(index: bigint): void {
    const { snapDir, mode, dirMode } = this.#options
    makeFolders(this.#disk, snapDir, dirMode)
    // Another log may use the folder at the same time.
    const temporary = join(snapDir, `${process.pid}-${randomBytes(6).toString('hex')}.tmp`)
    const bytes = encodeSnapshotFile({ index, term: TERM })
    const name = snapshotName({ index, term: TERM })
    try {
      const file = openFile(this.#disk, temporary, constants.O_RDWR, { mode, dirMode, mkdir: false })
      try {
        writeAll(this.#disk, file.fd, bytes, 0)
        this.#disk.fsync(file.fd)
      } finally {
        file.release()
      }
      this.#disk.rename(temporary, join(snapDir, name))
    } catch (error) {
      this.#removeQuietly(temporary)
      throw error
    }
    this.#own.add(index)
    syncEntries(this.#disk, snapDir)
    this.#finished.finished(name, bytes.length)
  }

  #removeQuietly(path: string): void {
    try {
      this.#disk.unlink(path)
    } catch {
      // It was not made, or stays behind under a name that readers ignore.
    }
  }
}

/** Whether the disk, or what its user may use of it, is full. */
export function isOutOfRoom(error: unknown): boolean {
  const code = systemCode(error instanceof LogboomError ? error.cause : error)
  return code === 'ENOSPC' || code === 'EDQUOT'
}

// Snapshots as a cursor of consumption: entries are handed out again and again until they are released, then the
// segments that hold only released entries are removed.
import { errorMessage, LogboomError } from '../../base/errors.ts'
import type { Disk } from '../../io/disk.ts'
import type { Consumers } from './consumers.ts'
import { type Entry, streamEntries } from './entries.ts'
import type { FinishedFiles } from './finished-files.ts'
import type { LogWriter } from './log-writer.ts'
import type { ReleaseNote } from './release-note.ts'
import { SegmentFiles } from './segment-files.ts'

export interface SnapshotsOptions {
  walDir: string
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
   * removed, which is tried again later where it fails. `false`: the next snapshot begins with the same entries.
   * Rejects if it could not be noted (`ERR_IO`, `ERR_WAL_FAILED`, `ERR_CLOSED`); then, too, the next snapshot begins with
   * the same entries.
   */
  release(ok?: boolean): Promise<void>
  /** `release(false)`, unless it was released: `await using` gives it back when its consumer throws. */
  [Symbol.asyncDispose](): Promise<void>
}

export class Snapshots {
  /** Index of the last entry that was released. */
  releasedIndex: bigint
  /** Whether anybody has asked for a snapshot. */
  hasConsumer = false
  /** Index of the last entry before the snapshot that is out. */
  outAfter: bigint | undefined
  readonly #disk: Disk
  readonly #options: SnapshotsOptions
  readonly #writer: LogWriter
  readonly #note: ReleaseNote
  readonly #files: SegmentFiles
  readonly #warn: (error: LogboomError) => void
  readonly #consumers: Consumers
  /** Resolves when the snapshot that is out comes back. */
  #turn: Promise<void> = Promise.resolve()
  #closedError: LogboomError | undefined
  readonly #closed: Promise<never>
  #rejectClosed: (error: LogboomError) => void = () => {}

  constructor(
    disk: Disk,
    options: SnapshotsOptions,
    writer: LogWriter,
    note: ReleaseNote,
    releasedIndex: bigint,
    warn: (error: LogboomError) => void,
    consumers: Consumers,
    finished: FinishedFiles
  ) {
    this.#disk = disk
    this.#options = options
    this.#writer = writer
    this.#note = note
    this.#files = new SegmentFiles(disk, options.walDir, finished)
    this.#warn = warn
    this.#consumers = consumers
    this.releasedIndex = releasedIndex
    this.#closed = new Promise((_, reject) => {
      this.#rejectClosed = reject
    })
    this.#closed.catch(() => {})
  }

  /** Waits for the snapshot before to be released. Undefined if there are no new entries. */
  async create(): Promise<Snapshot | undefined> {
    this.hasConsumer = true
    this.#consumers.noteSnapshots()
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
    this.outAfter = prevIndex
    let released: Promise<void> | undefined
    const release = (ok = true): Promise<void> => {
      released ??= this.#release(currentIndex, ok).finally(() => {
        this.outAfter = undefined
        free()
      })
      return released
    }
    return {
      prevIndex,
      currentIndex,
      entries: { [Symbol.asyncIterator]: () => this.read(prevIndex + 1n, currentIndex) },
      release,
      [Symbol.asyncDispose]: () => (released === undefined ? release(false) : Promise.resolve())
    }
  }

  /** A named consumer was opened while snapshots are taken. */
  noteConsumer(): void {
    this.#consumers.noteSnapshots()
  }

  /** Calls that wait reject with `error`, and so does a release from now on. */
  close(error: LogboomError): void {
    this.#closedError = error
    this.#rejectClosed(error)
  }

  /** Index of the first entry that is still there. */
  firstIndex(): bigint {
    const first = this.#files.list()[0]
    return first === undefined || first.index === 0n ? 1n : first.index
  }

  /** Entries that are on disk; their segments stay while they are read. */
  async *read(from: bigint, to: bigint): AsyncGenerator<Entry, void, undefined> {
    const reader = {}
    this.#files.readers.set(reader, 0n)
    try {
      yield* streamEntries(this.#disk, this.#options.walDir, from, to, (sequence) => {
        this.#files.readers.set(reader, sequence)
      })
    } finally {
      this.#files.readers.delete(reader)
    }
  }

  /** Segments that nobody is reading. */
  get files(): SegmentFiles {
    return this.#files
  }

  /** Notes durably that entries up to `index` are not needed any more. */
  noteReleased(index: bigint): void {
    if (index <= this.releasedIndex) return
    try {
      this.#note.write(index)
    } catch (error) {
      if (error instanceof LogboomError) throw error
      const { walDir } = this.#options
      const message = `cannot note a release in ${walDir}: ${errorMessage(error)}`
      throw new LogboomError('ERR_IO', message, { path: walDir, cause: error })
    }
    this.releasedIndex = index
  }

  /** What all consumers have acknowledged, and snapshots released if there are any, is noted as released and removed. */
  releaseConsumed(): void {
    const lowest = this.#consumers.lowest()
    if (lowest === undefined) return
    const isShared = this.hasConsumer || this.#consumers.hasSnapshots()
    const index = isShared && this.releasedIndex < lowest ? this.releasedIndex : lowest
    if (!this.#files.canRemoveUpTo(index, this.#options.keepSegments)) return
    this.noteReleased(index)
    this.cleanUp()
  }

  async #release(index: bigint, ok: boolean): Promise<void> {
    if (!ok) return
    if (this.#closedError !== undefined) throw this.#closedError
    this.noteReleased(index)
    this.cleanUp()
  }

  /** Only when it is durable that nobody needs them. What cannot be removed is tried again at the next release. */
  cleanUp(): void {
    try {
      this.#files.removeUpTo(this.#consumers.notBefore(this.releasedIndex), this.#options.keepSegments)
      this.#note.removeOld()
    } catch (error) {
      const { walDir } = this.#options
      const message = `cannot remove what was released from ${walDir}: ${errorMessage(error)}`
      this.#warn(new LogboomError('ERR_IO', message, { path: walDir, cause: error }))
    }
    this.#note.keepReserve()
  }
}

// The open files of events: at most so many, the least recently used one closes for another.
import { monotonicMs } from '../../base/clock.ts'
import type { InternalSink } from '../sink/pumped-sink.ts'
import { EventFile, type EventFileNews } from './event-file.ts'
import type { EventEntry, OutputTotals } from './outputs.ts'

export interface OpenFilesOptions {
  readonly maxFiles: number
  readonly create: (entry: EventEntry) => InternalSink
  /** Closing a file failed; its records were counted. */
  readonly closeFailed: (file: EventFile, error: unknown) => void
  /** A file was closed that got records since somebody asked for them to be on disk. */
  readonly closedUnsynced: (file: EventFile) => void
}

export class OpenFiles {
  readonly #options: OpenFilesOptions
  readonly #news: EventFileNews
  /** Lower than what was asked for where the process has not got the descriptors. */
  #maxFiles: number
  // Arrays, because there are few, and the tables that a Map leaves behind when it is changed all the time hold each
  // other and what was in them until the next full collection.
  readonly #open: EventFile[] = []
  readonly #closing: EventFile[] = []
  /** Of files that were closed on this thread: a sync that was under way ends. */
  readonly #ending = new Set<Promise<void>>()
  /** The open file of each event, and the last one that is being closed, by its tag. */
  readonly #byTag: (EventFile | undefined)[] = []
  readonly #closingByTag: (EventFile | undefined)[] = []
  readonly #closedTotals: OutputTotals = { writes: 0, syncs: 0, rotations: 0, repairs: 0, errors: 0 }
  #closedBytes = 0
  #newest: EventFile | undefined
  /** Called when a file has been closed. */
  #onClosed: (() => void)[] = []

  constructor(options: OpenFilesOptions, news: EventFileNews) {
    this.#options = options
    this.#news = news
    this.#maxFiles = options.maxFiles
  }

  get list(): readonly EventFile[] {
    return this.#open
  }

  get closing(): readonly EventFile[] {
    return this.#closing
  }

  /** Bytes that files were given and have not written. */
  get queuedBytes(): number {
    let bytes = 0
    for (const file of this.#open) bytes += file.queuedBytes
    for (const file of this.#closing) bytes += file.queuedBytes
    return bytes
  }

  get isFull(): boolean {
    return this.#open.length + this.#closing.length >= this.#maxFiles
  }

  /** The open file of an event. */
  get(entry: EventEntry): EventFile | undefined {
    return this.#byTag[entry.tag]
  }

  /** Resolves when the file of an event that is being closed is; undefined if there is none. */
  closingOf(entry: EventEntry): Promise<void> | undefined {
    return this.#closingByTag[entry.tag]?.closed
  }

  /** The file of an event, opened if it is not, whatever the limit. Throws what its sink refuses. */
  open(entry: EventEntry): EventFile {
    let file = this.#byTag[entry.tag]
    if (file === undefined) {
      file = new EventFile(entry, this.#options.create(entry), this.#news)
      this.#byTag[entry.tag] = file
      add(this.#open, file)
    }
    file.usedAtMs = monotonicMs()
    this.#newest = file
    return file
  }

  /** Whether the file of an event, if one is being closed, is released now. */
  isReleased(entry: EventEntry): boolean {
    return this.#closingByTag[entry.tag]?.closeNow() !== false
  }

  /** Begins to close a file for another one, if there is one to be closed. */
  leaveOne(roundStartedMs: number): void {
    // Each one on its way out is a place for one that waits.
    if (this.#closing.length >= this.#maxFiles / 2) return
    const leaving = this.#leastUseful(roundStartedMs)
    if (leaving !== undefined) void this.close(leaving)
  }

  /** Resolves when the next of the files that are being closed is. */
  oneClosed(): Promise<void> {
    return new Promise((resolve) => {
      this.#onClosed.push(resolve)
    })
  }

  /** The same for a caller who holds this thread: where no file can be closed at once, one more is open for a while. */
  leaveNow(): void {
    if (this.#open.length < this.#maxFiles) return
    const leaving = this.#leastUseful(Number.POSITIVE_INFINITY)
    if (leaving !== undefined && !this.#closeNow(leaving)) void this.close(leaving)
  }

  /**
   * No more descriptors are to be had: fewer files from now on. `isHeld`: the caller holds this thread, so that only files
   * that are closed at once give any back.
   */
  shrink(isHeld = false): void {
    if (isHeld) for (const file of this.#closing) file.closeNow()
    const working = this.#open.filter((file) => !file.isLagging)
    // Those on their way out give back as much, but not to somebody who cannot wait for it.
    const leaving = isHeld ? 0 : this.#closing.length
    this.#maxFiles = Math.max(1, Math.min(this.#maxFiles, working.length + leaving - 2))
    const surplus = this.#open.length - this.#maxFiles
    if (surplus <= 0) return
    for (const file of working.sort((a, b) => a.usedAtMs - b.usedAtMs).slice(0, surplus)) {
      if (!isHeld || !this.#closeNow(file)) void this.close(file)
    }
  }

  /** Closes what was not used since `beforeMs`; where the limit had been lowered, tries a few more files again. */
  closeIdle(beforeMs: number): void {
    const { maxFiles } = this.#options
    this.#maxFiles = Math.min(maxFiles, this.#maxFiles + Math.ceil(maxFiles / 8))
    for (const file of [...this.#open]) if (file.usedAtMs < beforeMs && !file.isLagging) void this.close(file)
  }

  /** Does not reject. `hurry`: what is in trouble is not waited for. */
  close(file: EventFile, hurry = false): Promise<void> {
    file.closed ??= this.#close(file, hurry)
    return file.closed
  }

  /** Closes all of them, without waiting for what is in trouble. */
  async closeAll(): Promise<void> {
    await Promise.all([
      ...this.#ending,
      ...this.#closing.map(({ closed }) => closed),
      ...[...this.#open].map((file) => this.close(file, true))
    ])
  }

  /** Brings what is known of an event up to date. */
  count(entry: EventEntry): void {
    this.#byTag[entry.tag]?.count()
    this.#closingByTag[entry.tag]?.count()
  }

  totals(): OutputTotals {
    const totals = { ...this.#closedTotals }
    for (const file of [...this.#open, ...this.#closing]) file.count(totals)
    return totals
  }

  /** A number that grows with every byte written. */
  get progress(): number {
    let bytes = this.#closedBytes
    for (const file of [...this.#open, ...this.#closing]) bytes += file.bytesWritten
    return bytes
  }

  async #close(file: EventFile, hurry: boolean): Promise<void> {
    const { tag } = file.entry
    const earlier = this.#closingByTag[tag]?.closed
    this.#byTag[tag] = undefined
    this.#closingByTag[tag] = file
    remove(this.#open, file)
    add(this.#closing, file)
    await file.close(hurry).catch((error) => {
      file.closeError = error
      this.#options.closeFailed(file, error)
    })
    if (earlier !== undefined) await earlier
    // What it lost is said by event a tick later than its promise is settled.
    await new Promise((resolve) => setImmediate(resolve))
    remove(this.#closing, file)
    if (this.#closingByTag[tag] === file) this.#closingByTag[tag] = undefined
    this.#left(file)
  }

  /** Closes a file on this thread; false if that would have to be waited for. */
  #closeNow(file: EventFile): boolean {
    if (!file.closeNow()) return false
    file.closed = Promise.resolve()
    const ended = file.close(false)
    this.#ending.add(ended)
    void ended.finally(() => this.#ending.delete(ended))
    this.#byTag[file.entry.tag] = undefined
    remove(this.#open, file)
    this.#left(file)
    return true
  }

  #left(file: EventFile): void {
    file.count(this.#closedTotals)
    this.#closedBytes += file.bytesWritten
    if (!file.isSynced) this.#options.closedUnsynced(file)
    if (this.#newest === file) this.#newest = undefined
    for (const resolve of this.#onClosed.splice(0)) resolve()
  }

  /**
   * The file to be closed for another: that used least recently. Where all were used in this round, it is the last
   * one: what comes by in turns would else never be found open, and what lives briefly is cheap to collect. A file
   * that cannot write now keeps its place: closing it would lose what it holds.
   */
  #leastUseful(roundStartedMs: number): EventFile | undefined {
    let oldest: EventFile | undefined
    for (const file of this.#open) {
      if (!file.isLagging && (oldest === undefined || file.usedAtMs < oldest.usedAtMs)) oldest = file
    }
    if (oldest === undefined || oldest.usedAtMs < roundStartedMs) return oldest
    if (this.#newest !== undefined && this.#newest.closed === undefined && !this.#newest.isLagging) {
      return this.#newest
    }
    return this.#closing.length > 0 ? undefined : oldest
  }
}

function add(list: EventFile[], file: EventFile): void {
  file.at = list.length
  list.push(file)
}

function remove(list: EventFile[], file: EventFile): void {
  const last = list.pop() as EventFile
  if (last === file) return
  list[file.at] = last
  last.at = file.at
}

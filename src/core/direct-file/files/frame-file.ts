// One file of frames: which descriptor is open at the path, where the next flush goes, when the file is set aside.
// O_DIRECT where the file system allows it; never O_APPEND, which loses data together with O_DIRECT.
import { LogboomError } from '../../../base/errors.ts'
import { ENTRY_HEADER_BYTES, frameBytes, roundUp, SEAL_BYTES } from '../../../formats/direct-file.ts'
import type { Disk, FileStat } from '../../../io/disk.ts'
import type { OpenFile } from '../../../io/open-file.ts'
import { NotSyncableError } from '../../sink/target.ts'
import { BackupNames } from './backup-names.ts'
import { DirectOpener, fillUp, inspect } from './direct-open.ts'
import { salvage, skipRecords, splitBlock } from './entry-blocks.ts'
import { takeOver } from './file-tail.ts'
import type { FlushAccount } from './flush-account.ts'
import type { EndedFlush, FileJournal } from './flush-journal.ts'
import { type FlushItem, type FrameFileOptions, isLarge, type TargetNews } from './flush-target.ts'
import { BrokenBlock, type FlushWriter } from './flush-writer.ts'
import { FlushFailure, type Reach } from './piece-writer.ts'
import { Reserve } from './reserve.ts'
import { SyncDuty } from './sync-duty.ts'

/** Turns of `write` without an item written: after a rotation, a split, another alignment, another file. */
const MAX_IDLE_TURNS = 10

/**
 * `closed`: no descriptor. `open`: everything up to `#size` is sealed, nothing is behind it. `unclean`: the same, but
 * what a failed write left behind `#size` could not be cut off yet. `doubtful`: a write or sync failed in a way that
 * says nothing about what is on disk, and nothing more may be promised of this file.
 */
type State = 'closed' | 'open' | 'unclean' | 'doubtful'

export class FrameFile {
  readonly #disk: Disk
  readonly #path: string
  /** Shared by all files of a group. */
  readonly #options: FrameFileOptions
  readonly #news: TargetNews
  readonly #account: FlushAccount
  readonly #writer: FlushWriter
  readonly #opener: DirectOpener
  readonly #backupNames: BackupNames
  readonly #reserve: Reserve
  readonly #duty: SyncDuty
  readonly #reach: Reach = { written: 0, synced: 0 }
  #state: State = 'closed'
  #file: OpenFile | undefined
  readonly #journal: FileJournal
  /** An earlier flusher wrote the file, and ended nobody knows where. */
  #isUnknown: boolean
  #dropped = 0
  #size = 0
  /** What was closed last, sound as it is: the next `open` need not look into it again. */
  #left: Pick<FileStat, 'dev' | 'ino' | 'size'> | undefined

  constructor(
    disk: Disk,
    path: string,
    options: FrameFileOptions,
    news: TargetNews,
    account: FlushAccount,
    writer: FlushWriter,
    journal: FileJournal,
    isRestart = false
  ) {
    this.#disk = disk
    this.#path = path
    this.#options = options
    this.#news = news
    this.#account = account
    this.#writer = writer
    this.#journal = journal
    this.#isUnknown = isRestart
    this.#duty = new SyncDuty(disk, path, options, (message) =>
      news.warning('ERR_UNSUPPORTED', message, path)
    )
    this.#opener = new DirectOpener(disk, path, options, (code, message) => news.warning(code, message, path))
    this.#backupNames = new BackupNames(disk, path)
    this.#reserve = new Reserve(disk, path, options.preallocate, (message) =>
      news.warning('ERR_IO', message, path)
    )
  }

  /** Nothing: what was taken off the list is on disk. */
  get holds(): boolean {
    return false
  }

  get heldFailure(): undefined {
    return undefined
  }

  writeHeld(): void {}

  get hasDropped(): boolean {
    return this.#dropped > 0
  }

  countDropped(records: number): void {
    this.#dropped += records
  }

  /** Opens the file for appending. A file that does not end with a whole flush is set aside as a backup. */
  open(): void {
    if (this.#file !== undefined) return
    const path = this.#path
    if (this.#isUnknown) {
      takeOver(this.#disk, path, this.#options, this.#journal, this.#writer.writerId, this.#account)
      this.#isUnknown = false
    }
    this.#prepare()
    const left = this.#left
    const file = this.#opener.open((opened) => left !== undefined && opened.is(left))
    try {
      this.#size = fillUp(this.#disk, file, path, this.#opener.alignment, this.#options)
    } catch (error) {
      file.release()
      throw error
    }
    this.#file = file
    // Whoever made it may not have synced its folder: died before that, or promised less.
    if (this.#size === 0 || left === undefined || !file.is(left)) this.#duty.namesChanged()
    this.#journal.size = this.#size
    this.#enter('open')
    this.#reserve.cut(this.#size)
    this.#reserve.extend(file.fd, this.#size)
  }

  /**
   * Writes `items` as one flush, or several where a rotation comes between. See `FlushTarget`. `isRound` is false for
   * records that an earlier round left.
   */
  write(items: FlushItem[], isRound = true): void {
    let idleTurns = 0
    if (isRound && items.length > 0) {
      if (this.#isUnknown) this.open()
      skipRecords(items, this.#journal.takeSkip(), (item) => this.#news.released(item))
      if (items.length === 0) return
    }
    do {
      if (idleTurns++ === MAX_IDLE_TURNS) throw new Error(`${this.#path} changes all the time`)
      this.#becomeOpen()
      const count = this.#fitting(items)
      if (count === 0 && items.length > 0) {
        if (this.#size > 0) this.#turnOver()
        else items.splice(0, 1, ...splitBlock(items[0], this.#roomOf(0)))
      } else if (this.#writeFlush(items, count, isRound)) {
        const written = items.splice(0, count)
        for (const item of written) if (isLarge(item)) this.#news.released(item)
        idleTurns = 0
      }
    } while (items.length > 0)
  }

  /** Renames the file to a backup name and opens a new one. Nothing happens if it is empty. */
  rotate(): void {
    this.#becomeOpen()
    if (this.#size > 0) this.#turnOver()
  }

  /** Closes the file; the next write opens the path anew. */
  close(): void {
    if (this.#state === 'doubtful') this.#quarantine()
    if (this.#file === undefined) return
    if (this.#isInPlace()) this.#release()
    else this.#forget()
  }

  #enter(state: State): void {
    if ((state === 'closed') !== (this.#file === undefined)) throw new Error(`${state}, and a file`)
    this.#state = state
  }

  /** Whatever the state: afterwards the file at the path is open, sound, and ends where the next flush begins. */
  #becomeOpen(): void {
    if (this.#state === 'doubtful') this.#quarantine()
    if (this.#state === 'unclean') this.#cutTail()
    if (this.#state === 'open') this.#checkPlace()
    this.open()
    this.#duty.syncNames(this.#file!.fd)
  }

  // An open descriptor says nothing about the path: whoever removes the file and goes on writing fills a file that
  // nobody will find. Nor about the size: behind the end of a file that was truncated, zeros would come first.
  #checkPlace(): void {
    const found = this.#disk.lstat(this.#path)
    let reason: string
    if (found === undefined) reason = 'was removed or moved away'
    else if (!this.#file!.is(found)) reason = 'was replaced'
    else if (found.size < this.#size) reason = 'was truncated'
    else if (found.size > this.#size) reason = 'was written to by somebody else'
    else return
    this.#forget()
    this.#news.replaced(`${this.#path} ${reason} while it was open; going on with what is there`, this.#path)
  }

  #isInPlace(): boolean {
    try {
      const found = this.#disk.lstat(this.#path)
      return found !== undefined && this.#file!.is(found) && found.size === this.#size
    } catch {
      return false
    }
  }

  /** Lets go of a file that is not ours alone any more, as it is; the next `open` looks at what is at the path. */
  #forget(): void {
    const file = this.#file!
    this.#left = undefined
    this.#drop()
    file.release()
  }

  /** Closes a sound file and gives back what was reserved behind its end. */
  #release(): void {
    const file = this.#file!
    const size = this.#size
    const isLarger = this.#reserve.end > size
    this.#left = { dev: file.dev, ino: file.ino, size }
    this.#drop()
    try {
      if (isLarger) this.#disk.truncate(file.fd, size)
    } finally {
      file.release()
    }
  }

  #drop(): void {
    this.#file = undefined
    this.#size = 0
    this.#reserve.cut(0)
    this.#enter('closed')
  }

  /** Looks at what is at the path. Throws `ERR_FORMAT` if it is no direct file. */
  #prepare(): void {
    const path = this.#path
    const found = this.#disk.lstat(path)
    if (found === undefined) return
    const left = this.#left
    const isAsLeft =
      left !== undefined && left.ino === found.ino && left.dev === found.dev && left.size === found.size
    if (!found.isFile || found.size === 0 || isAsLeft) return
    const verdict = inspect(this.#disk, path, found.size)
    if (verdict === 'whole') return
    if (verdict === 'other') {
      throw new LogboomError('ERR_FORMAT', `${path} exists and is not a direct file`, { path })
    }
    const to = this.#setAside()
    const message = `${path} did not end with a whole flush of this format; it is kept as ${to}`
    this.#news.warning('ERR_CORRUPT', message, path)
  }

  #setAside(): string {
    const to = this.#backupNames.setAside()
    this.#duty.namesChanged()
    return to
  }

  /** Bytes of entries that one frame can hold in a file that has `size` bytes, its seal included. */
  #roomOf(size: number): number {
    const { maxBytes } = this.#options
    const { alignment } = this.#opener
    const rest = Math.floor(maxBytes / alignment) * alignment - size - roundUp(SEAL_BYTES, alignment)
    return rest - frameBytes(0, 1)
  }

  /** How many items fit in the file, its seal included; a single record always does in an empty file. */
  #fitting(items: readonly FlushItem[]): number {
    const { maxBytes } = this.#options
    if (maxBytes === 0) return items.length
    const { alignment } = this.#opener
    let bytes = this.#size
    let count = 0
    for (; count < items.length; count++) {
      bytes += frameBytes(entryBytes(items[count]), alignment)
      if (roundUp(bytes + SEAL_BYTES, alignment) > maxBytes) break
    }
    const [first] = items
    const isAlone =
      count === 0 && this.#size === 0 && first !== undefined && (isLarge(first) || first.records === 1)
    return isAlone ? 1 : count
  }

  /** False if it has to be tried in another way, at once. */
  #writeFlush(items: readonly FlushItem[], count: number, isRound: boolean): boolean {
    const { isDirect, alignment } = this.#opener
    const place = {
      fd: this.#file!.fd,
      path: this.#path,
      start: this.#size,
      alignment,
      isDirect,
      syncs: this.#duty.syncs,
      reach: this.#reach
    }
    this.#journal.beginFlush(isRound)
    let flush: EndedFlush
    try {
      const sequence = BigInt(this.#journal.sequence + 1)
      flush = this.#writer.write(items.slice(0, count), place, sequence, this.#dropped)
    } catch (error) {
      this.#failed(error)
      if (error instanceof BrokenBlock) {
        this.#giveUp(error)
        return false
      }
      if (!(error instanceof FlushFailure)) throw error
      if (error.isRefused && this.#state === 'open' && this.#opener.refused()) {
        // The next descriptor is opened in another way.
        this.#release()
        return false
      }
      if (error.error instanceof NotSyncableError) {
        this.#duty.cannotSync(error.error)
        return false
      }
      throw error.error
    }
    this.#journal.endFlush(flush)
    this.#account.progress()
    this.#size = flush.end
    this.#dropped = 0
    this.#reserve.extend(this.#file!.fd, this.#size)
    return true
  }

  /** Whatever a failed flush left is taken back at once: readers must not find what may yet be counted as lost. */
  #failed(error: unknown): void {
    this.#enter(error instanceof FlushFailure && error.isDoubtful ? 'doubtful' : 'unclean')
    try {
      this.#disk.truncate(this.#file!.fd, this.#size)
      this.#reserve.cut(this.#size)
      if (this.#state === 'unclean') this.#enter('open')
    } catch {
      // Tried again before the next flush.
    }
  }

  #cutTail(): void {
    this.#disk.truncate(this.#file!.fd, this.#size)
    this.#reserve.cut(this.#size)
    this.#enter('open')
  }

  /** A block that was overwritten keeps the records before the damage. */
  #giveUp({ block }: BrokenBlock): void {
    salvage(block)
    this.#account.countLost(1)
    const message = `memory of records for ${this.#path} was overwritten: those of a block behind that are lost`
    this.#news.warning('ERR_CORRUPT', message, this.#path)
  }

  // What is not known to be on disk goes to another file. One without any flush needs no other name: cut to nothing it
  // is as good as new, and a disk that goes on failing gathers no files.
  #quarantine(): void {
    const file = this.#file!
    const size = this.#size
    if (size === 0) {
      this.#cutTail()
      return
    }
    try {
      this.#disk.truncate(file.fd, size)
    } catch {
      // Then the last flush may be there twice, without its seal here or complete; it is not lost.
    }
    const found = this.#disk.lstat(this.#path)
    if (found !== undefined && file.is(found)) {
      const to = this.#setAside()
      this.#countRotation()
      this.#news.rotated({ from: this.#path, to, bytes: size }, true)
    }
    this.#forget()
  }

  #turnOver(): void {
    const bytes = this.#size
    this.#release()
    const to = this.#setAside()
    this.#countRotation()
    this.#news.rotated({ from: this.#path, to, bytes }, false)
    this.open()
  }

  #countRotation(): void {
    this.#journal.countRotation()
    this.#account.countRotation()
  }
}

function entryBytes(item: FlushItem): number {
  return isLarge(item) ? ENTRY_HEADER_BYTES + item.data.length : item.validBytes
}

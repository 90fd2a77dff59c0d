// One open segment of a write-ahead log: written at explicit offsets, always all zeros behind what was written.
import { constants } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { LogboomError, systemCode } from '../../base/errors.ts'
import { parseSegmentName, type SegmentName, segmentName } from '../../formats/wal.ts'
import type { Disk, FileStat } from '../../io/disk.ts'
import { OpenFile, openFile } from '../../io/open-file.ts'
import { writeAll } from '../../io/write-all.ts'
import { native } from '../../native/index.ts'
import { freeTempName } from './temp-name.ts'

/** What etcd locks: every byte a file has or will have. */
export const WHOLE_FILE = -1
/** How far ahead of small writes blocks are filled with zeros, so that a sync only has data to write. */
const ZERO_STEP_BYTES = 4 * 1024 * 1024
/**
 * Zeros are written in pieces of this size: the kernel keeps what one call wrote in one folio of its page cache if it can,
 * and looks at every block of a folio each time a few bytes of it are written and synced.
 */
const ZERO_PIECE_BYTES = 16 * 1024
/** Between syncs in the background so many bytes are filled, and between turns of the event loop. */
const FILL_SYNC_BYTES = 1024 * 1024
const FILL_TURN_BYTES = 256 * 1024
/** Larger writes gain nothing from blocks that were written before. */
const SMALL_WRITE_BYTES = 64 * 1024
/** A write of a page is never seen in part. */
const PAGE_BYTES = 4096

const GONE = new Set(['ENOENT', 'ENOTDIR', 'ELOOP'])
const NOT_FOLLOWED = constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY

const zeros = Buffer.alloc(ZERO_PIECE_BYTES)

export interface SegmentCounters {
  writes: number
  syncs: number
}

/** What became of the file of a segment: `moved` if it is not at its path any more, `cut` if somebody shortened it. */
export type SegmentFate = 'sound' | 'moved' | 'cut'

export class Segment {
  name: SegmentName
  /** End of what was written; appending goes on here. */
  used: number
  /** Size of the last write. */
  lastWriteBytes = 0
  readonly #disk: Disk
  #folder: string
  readonly #file: OpenFile
  readonly #counters: SegmentCounters
  /** For syncs in the background: the kernel reports a failed write-back once per open file. */
  #syncFile: OpenFile | undefined
  /** Blocks before this offset have been written, with zeros if nothing else. */
  #zeroedTo: number
  #allocatedTo: number
  /** Nothing but zeros was ever written behind this offset, not even by a write that failed. */
  #writtenTo = 0
  #isClosed = false

  private constructor(
    disk: Disk,
    folder: string,
    name: SegmentName,
    file: OpenFile,
    counters: SegmentCounters
  ) {
    this.#disk = disk
    this.#folder = folder
    this.name = name
    this.#file = file
    this.#counters = counters
    this.used = 0
    this.#zeroedTo = 0
    this.#allocatedTo = 0
  }

  /** A new file under a temporary name, locked, with room for `bytes` where the disk has it. */
  static create(disk: Disk, folder: string, bytes: number, mode: number, counters: SegmentCounters): Segment {
    const tempName = freeTempName(disk, folder)
    const path = join(folder, tempName)
    let segment: Segment | undefined
    try {
      const file = openFile(disk, path, constants.O_RDWR, { mode, dirMode: 0, mkdir: false })
      segment = new Segment(disk, folder, { name: tempName, sequence: 0n, index: 0n }, file, counters)
      segment.#lock()
      segment.#allocate(bytes)
      return segment
    } catch (error) {
      segment?.close()
      removeQuietly(disk, path)
      throw error
    }
  }

  /** Opens the last segment of a log for appending at `end`; what is behind is cut off. */
  static openAt(
    disk: Disk,
    folder: string,
    end: { segment: SegmentName; offset: number },
    options: { segmentBytes: number; foreignOwner: 'refuse' | 'allow' },
    counters: SegmentCounters
  ): Segment {
    const { segment: name, offset: used } = end
    const { segmentBytes: bytes, foreignOwner } = options
    const access = { mode: 0o600, dirMode: 0, mkdir: false, foreignOwner }
    const file = openFile(disk, join(folder, name.name), constants.O_RDWR, access)
    const segment = new Segment(disk, folder, name, file, counters)
    try {
      segment.#lock()
      disk.truncate(file.fd, used)
      segment.used = used
      segment.#zeroedTo = used
      segment.#writtenTo = used
      segment.#allocate(bytes)
      disk.fsync(file.fd)
    } catch (error) {
      segment.close()
      throw error
    }
    return segment
  }

  get path(): string {
    return join(this.#folder, this.name.name)
  }

  /** Where the one behind it belongs, the first entry of which follows entry `index`. */
  nextPath(index: bigint): string {
    return join(this.#folder, segmentName(this.name.sequence + 1n, index + 1n))
  }

  /** Whether there may be something behind `used`, of a write that failed. */
  get hasRest(): boolean {
    return this.#writtenTo > this.used
  }

  /** Looks whether the file is still where readers will look for it, and as long as it was. */
  fate(): SegmentFate {
    let found: FileStat | undefined
    try {
      found = this.#disk.lstat(this.path)
    } catch (error) {
      // Something else is in the place of the folder. Otherwise, that it cannot be seen says nothing about where it is.
      return GONE.has(systemCode(error) ?? '') ? 'moved' : 'sound'
    }
    if (found === undefined || !this.#file.is(found)) return 'moved'
    return found.size < this.#leastBytes ? 'cut' : 'sound'
  }

  /** Whether the open file, wherever it is, was shortened: what it held may be gone, although later writes extend it. */
  get isShortened(): boolean {
    return this.#disk.fstat(this.#file.fd).size < this.#leastBytes
  }

  /** Reads from the open file, wherever it is. Returns the bytes read. */
  read(target: Uint8Array, position: number): number {
    return this.#disk.read(this.#file.fd, target, 0, target.length, position)
  }

  /** Appends all of `bytes`. Throws if it cannot; then what is behind `used` is undefined. */
  write(bytes: Uint8Array): void {
    if (bytes.length < SMALL_WRITE_BYTES) this.#zeroAhead(this.used + bytes.length)
    this.#writeAll(bytes, this.used)
    this.used += bytes.length
    this.lastWriteBytes = bytes.length
    this.#zeroedTo = Math.max(this.#zeroedTo, this.used)
  }

  /**
   * The same, and on disk when it returns, given that everything before is. Writing and syncing in one call saves one;
   * zeros written ahead need a sync of the whole file, or their blocks would be entered one by one.
   */
  writeNow(bytes: Uint8Array): void {
    if (bytes.length >= SMALL_WRITE_BYTES || this.used + bytes.length > this.#zeroedTo) {
      this.write(bytes)
      this.syncNow()
      return
    }
    this.#counters.syncs++
    this.#writeAll(bytes, this.used, 'writeSynced')
    this.used += bytes.length
    this.lastWriteBytes = bytes.length
  }

  syncNow(): void {
    this.#counters.syncs++
    this.#disk.fdatasync(this.#file.fd)
  }

  async sync(): Promise<void> {
    this.#counters.syncs++
    this.#syncFile ??= this.#openAgain()
    const file = this.#syncFile
    file.retain()
    try {
      await this.#disk.fdatasyncAsync(file.fd)
    } finally {
      file.release()
    }
  }

  /** Makes `length` the exact and durable size of the file. */
  truncate(length: number): void {
    this.cutTo(length)
    this.#counters.syncs++
    this.#disk.fsync(this.#file.fd)
  }

  /** The same, without waiting for the disk. Where the file cannot be shortened it ends in zeros, which says the same. */
  cutTo(length: number): void {
    try {
      this.#disk.truncate(this.#file.fd, length)
    } catch (error) {
      if (!this.#blankFrom(length)) throw error
    }
    this.#writtenTo = length
    this.used = length
    this.#zeroedTo = length
    this.#allocatedTo = length
  }

  /**
   * The same durably, for a segment that failed and is left. On a descriptor of its own: the others would report the
   * failure that led here once more.
   */
  seal(length: number): void {
    const file = this.#openAgain()
    try {
      this.cutTo(length)
      this.#counters.syncs++
      this.#disk.fsync(file.fd)
    } finally {
      file.release()
    }
  }

  /** Gives the file its name, never replacing another. Durable only after a sync of the folder. */
  rename(to: string): void {
    this.#disk.renameNoReplace(this.path, join(this.#folder, to))
    this.name = parseSegmentName(to)!
  }

  /** Gives it a name under which it is no part of the log, in place of what had that. */
  setAside(to: string): void {
    this.#disk.rename(this.path, join(this.#folder, to))
    this.name = { name: to, sequence: 0n, index: 0n }
  }

  /** The folder of the segment was renamed. */
  movedTo(folder: string): void {
    this.#folder = folder
  }

  /** Fills the rest of the segment with zeros in the background, while nobody else writes to it. */
  async fillZeros(isWanted: () => boolean): Promise<void> {
    while (this.#zeroedTo < this.#allocatedTo && isWanted()) {
      const to = Math.min(this.#allocatedTo, this.#zeroedTo + FILL_TURN_BYTES)
      this.#writeZeros(to)
      if (this.#zeroedTo < to) throw new Error(`${this.path} takes no more zeros`)
      if (to % FILL_SYNC_BYTES === 0 || to === this.#allocatedTo)
        await this.#disk.fdatasyncAsync(this.#file.fd)
      else await nextTurn()
    }
  }

  /** Cuts off the unused rest and closes. Does not wait for the disk: nothing is lost if the cut is. */
  finish(isAtOnce = false): void {
    try {
      this.#disk.truncate(this.#file.fd, this.used)
    } catch {
      // The rest stays, as zeros.
    }
    this.close(isAtOnce)
  }

  /** Frees the lock, too. `isAtOnce`: also what a sync under way still uses. */
  close(isAtOnce = false): void {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const file of [this.#syncFile, this.#file]) {
      try {
        if (isAtOnce) file?.end()
        else file?.release()
      } catch {
        // What matters was synced before; the descriptor is gone either way.
      }
    }
    this.#syncFile = undefined
  }

  get #leastBytes(): number {
    return Math.max(this.used, this.#allocatedTo)
  }

  #lock(): void {
    if (!native.canLock || this.#disk.lock(this.#file.fd, WHOLE_FILE, 0)) return
    throw new LogboomError('ERR_LOCKED', `${this.path} is locked by another program`, { path: this.path })
  }

  /** A second descriptor. Whatever else lies at the path by now is neither created, synced nor cut. */
  #openAgain(): OpenFile {
    const fd = this.#disk.open(this.path, constants.O_RDWR | NOT_FOLLOWED, 0)
    let file: OpenFile
    try {
      file = new OpenFile(this.#disk, this.path, fd, this.#disk.fstat(fd))
    } catch (error) {
      this.#disk.close(fd)
      throw error
    }
    if (file.is(this.#file)) return file
    file.release()
    throw Object.assign(new Error(`ENOENT: ${this.path} is another file by now`), { code: 'ENOENT' })
  }

  #writeAll(bytes: Uint8Array, position: number, how: 'write' | 'writeSynced' = 'write'): void {
    this.#writtenTo = Math.max(this.#writtenTo, position + bytes.length)
    writeAll(this.#disk, this.#file.fd, bytes, position, how, () => {
      this.#counters.writes++
    })
  }

  /** From the end backwards, page by page, so that whatever interrupts it leaves no more than a torn tail. */
  #blankFrom(start: number): boolean {
    const { fd } = this.#file
    try {
      let end = Math.min(this.#writtenTo, this.#disk.fstat(fd).size)
      while (end > start) {
        const from = Math.max(start, end - 1 - ((end - 1) % PAGE_BYTES))
        writeAll(this.#disk, fd, zeros.subarray(0, end - from), from)
        end = from
      }
      return true
    } catch {
      return false
    }
  }

  // Both only save time: where they fail, the write itself says what is wrong.
  #zeroAhead(end: number): void {
    if (end <= this.#zeroedTo || this.#zeroedTo >= this.#allocatedTo) return
    const to = Math.min(this.#allocatedTo, Math.max(end, this.#zeroedTo + ZERO_STEP_BYTES))
    try {
      this.#writeZeros(to)
    } catch {
      this.#allocatedTo = this.#zeroedTo
    }
  }

  #writeZeros(to: number): void {
    while (this.#zeroedTo < to) {
      // A piece ends where the next one can lie in a folio of its own.
      const at = this.#zeroedTo
      const length = Math.min(ZERO_PIECE_BYTES - (at % ZERO_PIECE_BYTES), to - at)
      const written = this.#disk.write(this.#file.fd, zeros, 0, length, at)
      if (written === 0) break
      this.#zeroedTo += written
    }
  }

  #giveBack(): void {
    try {
      this.#disk.truncate(this.#file.fd, this.used)
    } catch {
      // It is zeros, which do no harm.
    }
  }

  #allocate(bytes: number): void {
    if (bytes <= this.used) return
    try {
      this.#disk.fallocate(this.#file.fd, this.used, bytes - this.used)
      this.#allocatedTo = bytes
    } catch {
      // A full disk leaves what it could reserve.
      this.#giveBack()
    }
  }
}

function removeQuietly(disk: Disk, path: string): void {
  try {
    disk.unlink(path)
  } catch {
    // It was not made, or stays until the log is opened again.
  }
}

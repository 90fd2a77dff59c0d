// The file a flusher writes: one descriptor, explicit offsets, whole flushes. O_DIRECT where the file system
// allows it; never O_APPEND, which loses data together with O_DIRECT.
import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { errorMessage, LogboomError, systemCode } from '../../base/errors.ts'
import { formatBackupName, groupBackups } from '../../formats/backup-name.ts'
import {
  BLOCK_BYTES,
  ENTRY_HEADER_BYTES,
  encodeFiller,
  encodeFrame,
  encodeSeal,
  encodeU32,
  FRAME_HEADER_BYTES,
  frameBytes,
  isSealIntact,
  roundUp,
  SEAL_BYTES
} from '../../formats/direct-file.ts'
import { detectLayout } from '../../formats/direct-file-layout.ts'
import type { Disk, FileStat } from '../../io/disk.ts'
import { type OpenFile, openFile, syncFolder } from '../../io/open-file.ts'
import { native } from '../../native/index.ts'
import type { RotatedEvent } from '../sink/contract.ts'
import { privatePages } from './page-memory.ts'

/** Entries with room for a frame header before them. */
export interface FrameBlock {
  /**
   * Begins with the 8 bytes of the header, and has room for padding to a multiple of 512. Copied where it does not
   * lie at, or has no room up to, a multiple of the file's alignment.
   */
  readonly bytes: Buffer
  readonly validBytes: number
  /** Undefined: whoever writes the block counts its entries and puts their number here. */
  records: number | undefined
}

/** A record that gets a frame of its own. */
export interface LargeFrame {
  readonly data: Uint8Array
  readonly records: 1
}

export type FlushItem = FrameBlock | LargeFrame

/** What a write can find out on its way: the checksum continued, and the numbers of entries of frames. */
interface Unknown {
  readonly checksum: Uint32Array
  readonly counts: Uint32Array | undefined
}

export interface FrameFileOptions {
  readonly maxBytes: number
  readonly preallocate: number
  readonly directIO: 'auto' | 'require' | 'off'
  /** Whether a write counts only once it survives a loss of power. Default: true. */
  readonly sync?: boolean
  readonly mode: number
  readonly dirMode: number
  readonly mkdir: boolean
}

export interface FrameFileHooks {
  rotated(event: RotatedEvent): void
  warning(code: string, message: string, path: string): void
}

const PAGE_BYTES = 4096
const LARGE_CHUNK_BYTES = 4 << 20
/** From this size on the checksum is computed beside the write, which costs a thread and a second write. */
const HASHED_WRITE_BYTES = 1 << 20
/** pwritev(2) takes at most this many pieces. */
const MAX_PIECES = 1024

export class FrameFile {
  readonly counters = {
    writes: 0,
    syncs: 0,
    rotations: 0,
    records: 0,
    bytes: 0,
    writeMs: 0,
    longestWriteMs: 0
  }
  readonly #disk: Disk
  readonly #path: string
  /** Shared by all files of a group. */
  readonly #options: FrameFileOptions
  readonly #hooks: FrameFileHooks
  readonly #writerId = randomBytes(8).readBigUInt64LE()
  readonly #scratch: Scratch
  #sequence = 0n
  #dropped = 0
  #file: OpenFile | undefined
  #size = 0
  #allocated = 0
  readonly #syncs: boolean
  #direct: boolean
  #alignment = BLOCK_BYTES
  /** What refused writes have taught about the alignment. */
  #leastAlignment = BLOCK_BYTES
  #warnedOfDirect = false
  #warnedOfAllocation = false
  /** A write or sync failed in a way that says nothing about what is on disk. */
  #doubtful = false
  /** What was closed last, sound as it is: the next `open` need not look into it again. */
  #left: Pick<FileStat, 'dev' | 'ino' | 'size'> | undefined
  #newest: { stamp: number; number: number } | undefined

  constructor(
    disk: Disk,
    path: string,
    options: FrameFileOptions,
    hooks: FrameFileHooks,
    scratch = new Scratch()
  ) {
    this.#disk = disk
    this.#path = path
    this.#options = options
    this.#hooks = hooks
    this.#direct = options.directIO !== 'off'
    this.#syncs = options.sync ?? true
    this.#scratch = scratch
  }

  /** Whether the file is written past the page cache. */
  get isDirect(): boolean {
    return this.#direct
  }

  get alignment(): number {
    return this.#alignment
  }

  /** Opens the file for appending. A file that does not end with a whole flush is set aside as a backup. */
  open(): void {
    if (this.#file !== undefined) return
    const path = this.#path
    const isNew = this.#prepare()
    let file = this.#openForWriting()
    const isKnown = this.#left !== undefined && file.is(this.#left)
    if (this.#direct && !isKnown) {
      const alignment = this.#disk.directAlignment(file.fd)
      if (alignment === -1) {
        file.release()
        this.#fallBack('the file system refuses O_DIRECT')
        file = this.#openForWriting()
      } else {
        // The page size serves where the kernel does not tell.
        this.#alignment = Math.max(alignment === 0 ? PAGE_BYTES : alignment, this.#leastAlignment)
      }
    }
    if (!this.#direct) this.#alignment = BLOCK_BYTES
    this.#file = file
    try {
      if (isNew && this.#syncs) syncFolder(this.#disk, dirname(path))
      this.#size = this.#align(file)
    } catch (error) {
      this.close()
      throw error
    }
    this.#allocated = this.#size
    this.#preallocate(path)
  }

  /**
   * Writes `items` as one flush, or several where a rotation comes between, and takes them off the list as they
   * reach the disk. Throws with the rest still in the list; trying again is always right.
   */
  write(items: FlushItem[]): void {
    do {
      if (this.#doubtful) this.#abandon()
      this.open()
      const count = this.#fitting(items)
      if (count === 0 && items.length > 0) {
        this.rotate()
        continue
      }
      const { isDirect, alignment } = this
      try {
        this.#writeGroup(items.slice(0, count))
      } catch (error) {
        if (isDirect !== this.isDirect || alignment !== this.alignment) continue
        throw error
      }
      items.splice(0, count)
    } while (items.length > 0)
  }

  /** The next seal tells of so many more dropped records. */
  countDropped(records: number): void {
    this.#dropped += records
  }

  /** Whether records were dropped that no seal tells of yet. */
  get hasDropped(): boolean {
    return this.#dropped > 0
  }

  /** Renames the file to a backup name and opens a new one. Nothing happens if it is empty. */
  rotate(): void {
    this.open()
    if (this.#size === 0) return
    const bytes = this.#size
    this.#release()
    const to = this.#setAside()
    this.counters.rotations++
    this.#hooks.rotated({ from: this.#path, to, bytes })
    this.open()
  }

  /** Closes the file; the next write opens the path anew. */
  close(): void {
    if (this.#file !== undefined) this.#release()
  }

  #isAsLeft({ dev, ino, size }: FileStat): boolean {
    const left = this.#left
    return left !== undefined && left.ino === ino && left.dev === dev && left.size === size
  }

  #release(): void {
    const file = this.#file!
    this.#file = undefined
    this.#left = { dev: file.dev, ino: file.ino, size: this.#size }
    const size = this.#size
    const isLarger = this.#allocated > size
    this.#size = this.#allocated = 0
    try {
      if (isLarger) this.#disk.truncate(file.fd, size)
    } finally {
      file.release()
    }
  }

  #openForWriting(): OpenFile {
    const sync = this.#direct ? constants.O_DIRECT | (this.#syncs ? constants.O_DSYNC : 0) : 0
    const path = this.#path
    try {
      return openFile(this.#disk, path, constants.O_RDWR | sync, this.#options)
    } catch (error) {
      if (!this.#direct || systemCode(error) !== 'EINVAL') throw error
      this.#fallBack('the file system refuses O_DIRECT')
      return openFile(this.#disk, path, constants.O_RDWR, this.#options)
    }
  }

  #fallBack(reason: string): void {
    const path = this.#path
    const { directIO } = this.#options
    if (directIO === 'require') {
      const message = `directIO: 'require', but for ${path} ${reason}`
      throw new LogboomError('ERR_UNSUPPORTED', message, { path })
    }
    this.#direct = false
    this.#alignment = BLOCK_BYTES
    if (this.#warnedOfDirect) return
    this.#warnedOfDirect = true
    this.#hooks.warning(
      'ERR_UNSUPPORTED',
      `${path}: ${reason}; writing through the page cache with fdatasync`,
      path
    )
  }

  /** Looks at what is at the path; true if that is nothing. Throws `ERR_FORMAT` if it is no direct file. */
  #prepare(): boolean {
    const path = this.#path
    const found = this.#disk.lstat(path)
    if (found === undefined) return true
    if (!found.isFile || found.size === 0 || this.#isAsLeft(found)) return false
    const verdict = inspect(this.#disk, path, found.size)
    if (verdict === 'whole') return false
    if (verdict === 'other') {
      throw new LogboomError('ERR_FORMAT', `${path} exists and is not a direct file`, { path })
    }
    const to = this.#setAside()
    this.#hooks.warning(
      'ERR_CORRUPT',
      `${path} did not end with a whole flush of this format; it is kept as ${to}`,
      path
    )
    return true
  }

  /** Where the next flush begins. A file written with a smaller alignment is filled up. */
  #align(file: OpenFile): number {
    const { size } = this.#disk.fstat(file.fd)
    const start = roundUp(size, this.#alignment)
    if (start === size) return size
    const filler = Buffer.alloc(start - size)
    encodeFiller(filler, 0, filler.length)
    // This one write is not aligned, so it cannot go through the O_DIRECT descriptor.
    const plain = openFile(this.#disk, this.#path, constants.O_WRONLY, this.#options)
    try {
      for (let at = 0; at < filler.length; ) {
        at += this.#disk.write(plain.fd, filler, at, filler.length - at, size + at)
      }
      this.#disk.fdatasync(plain.fd)
    } finally {
      plain.release()
    }
    return start
  }

  #preallocate(path: string): void {
    const { preallocate } = this.#options
    if (preallocate === 0 || this.#size < this.#allocated) return
    try {
      if (this.#disk.preallocate(this.#file!.fd, this.#size, preallocate)) {
        this.#allocated = this.#size + preallocate
        return
      }
      this.#warnOfAllocation(`${path}: space cannot be reserved on this file system`)
    } catch (error) {
      this.#warnOfAllocation(`${path}: cannot reserve ${preallocate} bytes: ${errorMessage(error)}`)
    }
    this.#allocated = this.#size
  }

  #warnOfAllocation(message: string): void {
    if (this.#warnedOfAllocation) return
    this.#warnedOfAllocation = true
    this.#hooks.warning('ERR_IO', message, this.#path)
  }

  /** How many items fit in the file, its seal included; one always does in an empty file. */
  #fitting(items: readonly FlushItem[]): number {
    const { maxBytes } = this.#options
    if (maxBytes === 0) return items.length
    let bytes = this.#size
    let count = 0
    for (; count < items.length; count++) {
      bytes += this.#frameBytesOf(items[count])
      if (roundUp(bytes + SEAL_BYTES, this.#alignment) > maxBytes) break
    }
    return count === 0 && this.#size === 0 ? 1 : count
  }

  #frameBytesOf(item: FlushItem): number {
    return frameBytes(
      'data' in item ? ENTRY_HEADER_BYTES + item.data.length : item.validBytes,
      this.#alignment
    )
  }

  #writeGroup(items: readonly FlushItem[]): void {
    const started = performance.now()
    const start = this.#size
    const checksum = new Uint32Array(1)
    let at = start
    let records = 0
    let pieces: Buffer[] = []
    let pendingBytes = 0
    // The blocks whose frames the pending pieces are.
    let blocks: FrameBlock[] = []
    const push = (piece: Buffer) => {
      pieces.push(piece)
      pendingBytes += piece.length
    }
    const hash = () => {
      for (const piece of pieces) checksum[0] = native.crc32c(piece, checksum[0], 0, piece.length)
      for (const block of blocks) records += countOf(block)
    }
    // The disk need not wait for the checksum of much; of little, a thread would cost more.
    const send = () => {
      if (pendingBytes >= HASHED_WRITE_BYTES) {
        const counts = blocks.length > 0 ? new Uint32Array(blocks.length) : undefined
        this.#writePieces(pieces, at, { checksum, counts })
        blocks.forEach((block, index) => {
          block.records = counts![index]
          records += block.records
        })
      } else {
        hash()
        this.#writePieces(pieces, at)
      }
      at += pendingBytes
      pieces = []
      blocks = []
      pendingBytes = 0
    }
    for (const item of items) {
      if (!('data' in item) && this.#liesWell(item)) {
        push(item.bytes.subarray(0, encodeFrame(item.bytes, 0, item.validBytes, this.#alignment)))
        blocks.push(item)
        if (pieces.length === MAX_PIECES - 2) send()
        continue
      }
      if (pendingBytes > 0) send()
      records += countOf(item)
      for (const chunk of 'data' in item ? this.#largeChunks(item.data) : this.#copiedChunks(item)) {
        push(chunk)
        send()
      }
    }
    // Little goes with the seal in one write.
    if (pendingBytes >= HASHED_WRITE_BYTES) send()
    hash()
    const frames = at - start + pendingBytes
    const gapBytes = roundUp(frames + SEAL_BYTES, this.#alignment) - frames - SEAL_BYTES
    encodeFiller(this.#scratch.tail, 0, gapBytes)
    encodeSeal(this.#scratch.tail, gapBytes, {
      writerId: this.#writerId,
      sequence: this.#sequence + 1n,
      flushOffset: BigInt(start),
      records: BigInt(records),
      dropped: BigInt(this.#dropped),
      unixNs: BigInt(Date.now()) * 1_000_000n,
      checksum: native.crc32c(this.#scratch.tail, checksum[0], 0, gapBytes)
    })
    pieces.push(this.#scratch.tail.subarray(0, gapBytes + SEAL_BYTES))
    this.#writePieces(pieces, at)
    this.#sync()
    this.#size = start + frames + gapBytes + SEAL_BYTES
    this.#sequence++
    this.#dropped = 0
    this.counters.records += records
    this.counters.bytes += this.#size - start
    const ms = performance.now() - started
    this.counters.writeMs += ms
    this.counters.longestWriteMs = Math.max(this.counters.longestWriteMs, ms)
    this.#preallocate(this.#path)
  }

  #liesWell({ bytes, validBytes }: FrameBlock): boolean {
    if (bytes.length < frameBytes(validBytes, this.#alignment)) return false
    return !this.#direct || bytes.byteOffset % this.#alignment === 0
  }

  /** The frame of a block in aligned pieces; each is valid until the next is asked for. */
  *#copiedChunks({ bytes, validBytes }: FrameBlock): Generator<Buffer> {
    const chunk = this.#scratch.chunk()
    const capacity = frameBytes(validBytes, this.#alignment)
    encodeU32(bytes, 0, capacity)
    encodeU32(bytes, 4, validBytes)
    const used = FRAME_HEADER_BYTES + validBytes
    for (let at = 0; at < capacity; at += chunk.length) {
      const copied = bytes.copy(chunk, 0, at, Math.min(used, at + chunk.length))
      const length = Math.min(chunk.length, capacity - at)
      chunk.fill(0, copied, length)
      yield chunk.subarray(0, length)
    }
  }

  /** The frame of one record, in aligned pieces; each is valid until the next is asked for. */
  *#largeChunks(data: Uint8Array): Generator<Buffer> {
    const chunk = this.#scratch.chunk()
    const capacity = frameBytes(ENTRY_HEADER_BYTES + data.length, this.#alignment)
    encodeU32(chunk, 0, capacity)
    encodeU32(chunk, 4, ENTRY_HEADER_BYTES + data.length)
    encodeU32(chunk, FRAME_HEADER_BYTES, data.length)
    let used = FRAME_HEADER_BYTES + ENTRY_HEADER_BYTES
    for (let at = 0; at < data.length; used = 0) {
      const part = data.subarray(at, at + chunk.length - used)
      chunk.set(part, used)
      at += part.length
      const end = at === data.length ? roundUp(used + part.length, this.#alignment) : chunk.length
      chunk.fill(0, used + part.length, end)
      yield chunk.subarray(0, end)
    }
  }

  /** Writes `pieces` at `position`, and finds out about them what `unknown` asks. */
  #writePieces(pieces: Buffer[], position: number, unknown?: Unknown): void {
    const { fd } = this.#file!
    let at = position
    let rest = pieces
    let missing = unknown
    while (rest.length > 0) {
      this.counters.writes++
      let written: number
      try {
        written =
          missing === undefined
            ? this.#disk.writev(fd, rest, at)
            : this.#disk.writevHashed(fd, rest, at, missing.checksum, missing.counts)
        missing = undefined
      } catch (error) {
        if (systemCode(error) === 'EINTR') continue
        this.#writeFailed(error)
        throw error
      }
      if (written === 0 || (this.#direct && written % this.#alignment !== 0)) {
        // The rest could not be written with O_DIRECT; the whole flush is tried again.
        throw Object.assign(new Error(`EIO: ${written} bytes were written`), { code: 'EIO' })
      }
      at += written
      rest = behind(rest, written)
    }
  }

  #writeFailed(error: unknown): void {
    const code = systemCode(error)
    if (code === 'EIO') this.#doubtful = true
    if (code !== 'EINVAL' || !this.#direct) return
    // Refused although the file could be opened with O_DIRECT: a larger alignment or the page cache will do.
    this.close()
    if (this.#alignment >= PAGE_BYTES) this.#fallBack('O_DIRECT writes are refused')
    else this.#alignment = this.#leastAlignment = PAGE_BYTES
  }

  // After a failed sync the kernel may have dropped the data, and a second sync would succeed and lie.
  #sync(): void {
    if (!this.#syncs) return
    if (this.#direct) {
      this.counters.syncs++
      return
    }
    try {
      this.counters.syncs++
      this.#disk.fdatasync(this.#file!.fd)
    } catch (error) {
      this.#doubtful = true
      const path = this.#path
      const message = `sync of ${path} failed: ${errorMessage(error)}`
      throw new LogboomError('ERR_SYNC', message, { path, cause: error })
    }
  }

  /** Leaves the file for good; what is not known to be on disk goes to the next one. */
  #abandon(): void {
    const file = this.#file
    const size = this.#size
    this.#size = this.#allocated = 0
    if (file !== undefined) {
      try {
        this.#disk.truncate(file.fd, size)
      } catch {
        // Then the last flush may be there twice, without its seal here or complete; it is not lost.
      }
      this.#file = undefined
      file.release()
    }
    if (this.#disk.lstat(this.#path) !== undefined) {
      const to = this.#setAside()
      this.#hooks.rotated({ from: this.#path, to, bytes: size })
      this.counters.rotations++
    }
    this.#doubtful = false
  }

  /** Renames the file to a new backup name, behind all others in order whatever the clock does. */
  #setAside(): string {
    const path = this.#path
    const folder = dirname(path)
    const base = basename(path)
    this.#newest ??= groupBackups(base, this.#disk.readdir(folder)).at(-1) ?? { stamp: 0, number: -1 }
    const stamp = Math.max(Math.floor(Date.now() / 1000), this.#newest.stamp)
    let number = stamp === this.#newest.stamp ? this.#newest.number + 1 : 0
    for (; ; number++) {
      const to = join(folder, formatBackupName(base, stamp, number))
      try {
        this.#disk.renameNoReplace(path, to)
      } catch (error) {
        if (systemCode(error) === 'EEXIST') continue
        throw error
      }
      this.#newest = { stamp, number }
      if (this.#syncs) syncFolder(this.#disk, folder)
      return to
    }
  }
}

/** Aligned memory that the files of one flusher use in turn. */
export class Scratch {
  readonly tail = privatePages(2 * PAGE_BYTES)
  #chunk: Buffer | undefined

  chunk(): Buffer {
    this.#chunk ??= privatePages(LARGE_CHUNK_BYTES)
    return this.#chunk
  }
}

/** `whole`: ends with a seal; `torn`: a direct file of any layout; `other`: something else. */
export function inspect(disk: Disk, path: string, size: number): 'whole' | 'torn' | 'other' {
  const file = openFile(disk, path, constants.O_RDONLY, { mode: 0, dirMode: 0, mkdir: false })
  try {
    const source = {
      size,
      read: (offset: number, length: number) => {
        const bytes = Buffer.allocUnsafe(Math.max(0, Math.min(length, size - offset)))
        let at = 0
        while (at < bytes.length) {
          const count = disk.read(file.fd, bytes, at, bytes.length - at, offset + at)
          if (count === 0) break
          at += count
        }
        return bytes.subarray(0, at)
      }
    }
    if (size % BLOCK_BYTES === 0 && isSealIntact(source.read(size - SEAL_BYTES, SEAL_BYTES))) return 'whole'
    return detectLayout(source) === undefined ? 'other' : 'torn'
  } finally {
    file.release()
  }
}

function countOf(item: FlushItem): number {
  if ('data' in item) return item.records
  item.records ??= native.countEntries(item.bytes, FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + item.validBytes)
  return item.records
}

function behind(pieces: readonly Buffer[], bytes: number): Buffer[] {
  const rest: Buffer[] = []
  let skip = bytes
  for (const piece of pieces) {
    if (skip >= piece.length) skip -= piece.length
    else {
      rest.push(skip === 0 ? piece : piece.subarray(skip))
      skip = 0
    }
  }
  return rest
}

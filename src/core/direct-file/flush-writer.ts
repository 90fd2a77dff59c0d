// Writes one flush: frames of the items, a filler where the alignment wants it, and the seal that closes it.
import { monotonicMs } from '../../base/clock.ts'
import { errorMessage, LogboomError, systemCode } from '../../base/errors.ts'
import {
  ENTRY_HEADER_BYTES,
  encodeFiller,
  encodeFrame,
  encodeSeal,
  encodeU32,
  FRAME_HEADER_BYTES,
  frameBytes,
  roundUp,
  SEAL_BYTES
} from '../../formats/direct-file.ts'
import type { Disk } from '../../io/disk.ts'
import { native } from '../../native/index.ts'
import type { FlushAccount } from './flush-account.ts'
import { type FlushItem, type FrameBlock, isLarge } from './flush-target.ts'
import { privatePages } from './page-memory.ts'
import { Stride } from './stride.ts'

const PAGE_BYTES = 4096
const LARGE_CHUNK_BYTES = 4 << 20
/** From this size on the checksum is computed beside the write, which costs a thread and a second write. */
const HASHED_WRITE_BYTES = 1 << 20
/** pwritev(2) takes at most this many pieces. */
const MAX_PIECES = 1024

/** Where and how a flush is to be written. */
export interface Place {
  readonly fd: number
  readonly path: string
  /** Where it begins: a multiple of the alignment. */
  readonly start: number
  readonly alignment: number
  /** Past the page cache, so that memory has to be aligned. */
  readonly isDirect: boolean
  /** Whether the flush is to survive a loss of power. */
  readonly syncs: boolean
  /** How far attempts to write this flush have come, in bytes: what does not get further is no progress. */
  readonly reach: Reach
}

export interface Reach {
  written: number
  synced: number
}

/** Why a flush could not be written. */
export class FlushFailure extends Error {
  readonly error: unknown
  /** Whether what is on disk now is not known: another sync, or write to the same place, would prove nothing. */
  readonly isDoubtful: boolean
  /** O_DIRECT is refused, or wants another alignment. */
  readonly isRefused: boolean

  constructor(error: unknown, isDoubtful: boolean, isRefused = false) {
    super(errorMessage(error))
    this.error = error
    this.isDoubtful = isDoubtful
    this.isRefused = isRefused
  }
}

/** What can be found out during a write: the checksum continued, and the numbers of entries of frames. */
interface Unknown {
  readonly checksum: Uint32Array
  readonly counts: Uint32Array | undefined
}

/** Writes the flushes of one flusher, of whatever file; there is one at a time. */
export class FlushWriter {
  readonly #disk: Disk
  readonly #account: FlushAccount
  /** In every seal. */
  readonly writerId: bigint
  readonly #tail = privatePages(2 * PAGE_BYTES)
  #chunk: Buffer | undefined
  readonly #callBytes = new Stride()
  readonly #syncBytes = new Stride()
  #place!: Place
  #at = 0
  #unsyncedBytes = 0

  constructor(disk: Disk, account: FlushAccount, writerId: bigint) {
    this.writerId = writerId
    this.#disk = disk
    this.#account = account
  }

  /**
   * Writes `items` and their seal, with `sequence` and `dropped` in it. Returns where the next flush begins. Throws
   * `FlushFailure`; what is behind `place.start` then has to be taken back.
   */
  write(items: readonly FlushItem[], place: Place, sequence: bigint, dropped: number): number {
    const startedMs = monotonicMs()
    this.#begin(place)
    const { start, alignment } = place
    const checksum = new Uint32Array(1)
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
      for (const block of blocks) records += this.#countOf(block)
    }
    // The disk need not wait for the checksum of much; of little, a thread would cost more.
    const send = () => {
      if (pendingBytes >= HASHED_WRITE_BYTES && pendingBytes <= this.#callBytes.bytes) {
        const counts = blocks.length > 0 ? new Uint32Array(blocks.length) : undefined
        this.#writePieces(pieces, { checksum, counts })
        blocks.forEach((block, index) => {
          block.records = counts![index]
          records += this.#countOf(block)
        })
      } else {
        hash()
        this.#writePieces(pieces)
      }
      pieces = []
      blocks = []
      pendingBytes = 0
    }
    for (const item of items) {
      if (!isLarge(item) && this.#liesWell(item)) {
        const frame = item.bytes.subarray(0, encodeFrame(item.bytes, 0, item.validBytes, alignment))
        if (pendingBytes > 0 && pendingBytes + frame.length > this.#callBytes.bytes) send()
        push(frame)
        blocks.push(item)
        if (pieces.length === MAX_PIECES - 2) send()
        continue
      }
      if (pendingBytes > 0) send()
      records += this.#countOf(item)
      for (const chunk of isLarge(item) ? this.#largeChunks(item.data) : this.#copiedChunks(item)) {
        push(chunk)
        send()
      }
    }
    // Little goes with the seal in one write.
    if (pendingBytes >= HASHED_WRITE_BYTES) send()
    hash()
    const frames = this.#at - start + pendingBytes
    const gapBytes = roundUp(frames + SEAL_BYTES, alignment) - frames - SEAL_BYTES
    encodeFiller(this.#tail, 0, gapBytes)
    // What is asserted here is what readers check: a seal that is wrong makes a sound flush a damaged one.
    if (!Number.isSafeInteger(records) || records < 0) throw new Error(`a flush of ${records} records`)
    if (!Number.isSafeInteger(dropped) || dropped < 0) throw new Error(`${dropped} records dropped`)
    encodeSeal(this.#tail, gapBytes, {
      writerId: this.writerId,
      sequence,
      flushOffset: BigInt(start),
      records: BigInt(records),
      dropped: BigInt(dropped),
      unixNs: BigInt(Date.now()) * 1_000_000n,
      checksum: native.crc32c(this.#tail, checksum[0], 0, gapBytes)
    })
    pieces.push(this.#tail.subarray(0, gapBytes + SEAL_BYTES))
    this.#writePieces(pieces)
    this.#sync()
    const end = start + frames + gapBytes + SEAL_BYTES
    if (end !== this.#at) throw new Error(`a flush ends at ${this.#at}, not at ${end}`)
    place.reach.written = place.reach.synced = 0
    this.#account.countFlush(records, end - start, monotonicMs() - startedMs, dropped)
    return end
  }

  #begin(place: Place): void {
    this.#place = place
    this.#at = place.start
    this.#unsyncedBytes = 0
  }

  /** Counts the entries of an item that nobody counted; what does not add up cannot be written. */
  #countOf(item: FlushItem): number {
    if (isLarge(item)) return item.records
    const end = FRAME_HEADER_BYTES + item.validBytes
    item.records ??= native.countEntries(item.bytes, FRAME_HEADER_BYTES, end)
    if (item.records !== -1 && item.records !== 0xffff_ffff) return item.records
    item.records = undefined
    throw new BrokenBlock(item)
  }

  #liesWell({ bytes, validBytes }: FrameBlock): boolean {
    const { alignment, isDirect } = this.#place
    if (bytes.length < frameBytes(validBytes, alignment)) return false
    return !isDirect || bytes.byteOffset % alignment === 0
  }

  #chunkMemory(): Buffer {
    this.#chunk ??= privatePages(LARGE_CHUNK_BYTES)
    return this.#chunk
  }

  /** The frame of a block in aligned pieces; each is valid until the next is asked for. */
  *#copiedChunks({ bytes, validBytes }: FrameBlock): Generator<Buffer> {
    const chunk = this.#chunkMemory()
    const capacity = frameBytes(validBytes, this.#place.alignment)
    encodeU32(bytes, 0, capacity)
    encodeU32(bytes, 4, validBytes)
    const used = FRAME_HEADER_BYTES + validBytes
    for (let at = 0; at < capacity; at += chunk.length) {
      const copied = at < used ? bytes.copy(chunk, 0, at, Math.min(used, at + chunk.length)) : 0
      const length = Math.min(chunk.length, capacity - at)
      chunk.fill(0, copied, length)
      yield chunk.subarray(0, length)
    }
  }

  /** The frame of one record, in aligned pieces; each is valid until the next is asked for. */
  *#largeChunks(data: Uint8Array): Generator<Buffer> {
    const chunk = this.#chunkMemory()
    const { alignment } = this.#place
    encodeU32(chunk, 0, frameBytes(ENTRY_HEADER_BYTES + data.length, alignment))
    encodeU32(chunk, 4, ENTRY_HEADER_BYTES + data.length)
    encodeU32(chunk, FRAME_HEADER_BYTES, data.length)
    let used = FRAME_HEADER_BYTES + ENTRY_HEADER_BYTES
    for (let at = 0; at < data.length; used = 0) {
      const part = data.subarray(at, at + chunk.length - used)
      chunk.set(part, used)
      at += part.length
      const end = at === data.length ? roundUp(used + part.length, alignment) : chunk.length
      chunk.fill(0, used + part.length, end)
      yield chunk.subarray(0, end)
    }
  }

  /** Writes `pieces`, and finds out about them what `unknown` asks. */
  #writePieces(pieces: readonly Buffer[], unknown?: Unknown): void {
    const { fd, isDirect, alignment } = this.#place
    let rest = pieces
    let missing = unknown
    while (rest.length > 0) {
      const call = missing === undefined ? head(rest, this.#callBytes.bytes) : rest
      const startedMs = monotonicMs()
      let written: number
      this.#account.countWrite()
      try {
        written =
          missing === undefined
            ? this.#disk.writev(fd, call, this.#at)
            : this.#disk.writevHashed(fd, call, this.#at, missing.checksum, missing.counts)
        missing = undefined
      } catch (error) {
        const code = systemCode(error)
        if (code === 'EINTR') continue
        throw new FlushFailure(error, code === 'EIO', code === 'EINVAL' && isDirect)
      }
      if (written === 0 || (isDirect && written % alignment !== 0)) {
        // The rest could not be written with O_DIRECT; the whole flush is tried again.
        const error = Object.assign(new Error(`EIO: ${written} bytes were written`), { code: 'EIO' })
        throw new FlushFailure(error, false)
      }
      this.#callBytes.took(written, monotonicMs() - startedMs)
      this.#at += written
      this.#unsyncedBytes += written
      this.#reached('written')
      rest = behind(rest, written)
      if (!isDirect && this.#unsyncedBytes >= this.#syncBytes.bytes) this.#sync()
    }
  }

  // One sync of hundreds of megabytes would be a long time without a sign that the disk goes on. After a failed sync
  // the kernel may have dropped the data, and a second sync would succeed and lie.
  #sync(): void {
    const { fd, path, syncs, isDirect } = this.#place
    if (!syncs) return
    if (isDirect) {
      // O_DSYNC: each write was one.
      this.#account.countSync()
      return
    }
    const startedMs = monotonicMs()
    this.#account.countSync()
    try {
      this.#disk.fdatasync(fd)
    } catch (error) {
      const message = `sync of ${path} failed: ${errorMessage(error)}`
      throw new FlushFailure(new LogboomError('ERR_SYNC', message, { path, cause: error }), true)
    }
    this.#syncBytes.took(this.#unsyncedBytes, monotonicMs() - startedMs)
    this.#unsyncedBytes = 0
    this.#reached('synced')
  }

  #reached(what: keyof Reach): void {
    const { reach, start } = this.#place
    const bytes = this.#at - start
    if (bytes <= reach[what]) return
    reach[what] = bytes
    this.#account.progress()
  }
}

/** The entries of a block do not add up: memory was overwritten. Says which block. */
export class BrokenBlock extends Error {
  readonly block: FrameBlock

  constructor(block: FrameBlock) {
    super('the entries of a block do not add up')
    this.block = block
  }
}

/** The first of `pieces`, of together at most `bytes` bytes; a longer one is cut at a multiple of the page size. */
function head(pieces: readonly Buffer[], bytes: number): readonly Buffer[] {
  let total = 0
  for (const [index, piece] of pieces.entries()) {
    if (index === MAX_PIECES) return pieces.slice(0, index)
    if (total + piece.length > bytes) {
      return index > 0 ? pieces.slice(0, index) : [piece.subarray(0, roundUp(bytes, PAGE_BYTES))]
    }
    total += piece.length
  }
  return pieces
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

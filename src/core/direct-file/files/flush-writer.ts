// Writes one flush: frames of the items, a filler where the alignment wants it, and the seal that closes it.
import { monotonicMs } from '../../../base/clock.ts'
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
} from '../../../formats/direct-file.ts'
import type { Disk } from '../../../io/disk.ts'
import { native } from '../../../native/index.ts'
import { privatePages } from '../memory/page-memory.ts'
import type { FlushAccount } from './flush-account.ts'
import type { EndedFlush } from './flush-journal.ts'
import { type FlushItem, type FrameBlock, isLarge } from './flush-target.ts'
import { MAX_PIECES, PieceWriter, type Place } from './piece-writer.ts'

const PAGE_BYTES = 4096
const LARGE_CHUNK_BYTES = 4 << 20
/** From this size on the checksum is computed beside the write, which costs a thread and a second write. */
const HASHED_WRITE_BYTES = 1 << 20

/** Writes the flushes of one flusher, of whatever file; there is one at a time. */
export class FlushWriter {
  readonly #pieces: PieceWriter
  /** In every seal. */
  readonly writerId: bigint
  readonly #tail = privatePages(2 * PAGE_BYTES)
  #chunk: Buffer | undefined
  #place!: Place

  constructor(disk: Disk, account: FlushAccount, writerId: bigint) {
    this.writerId = writerId
    this.#pieces = new PieceWriter(disk, account)
  }

  /**
   * Writes `items` and their seal, with `sequence` and `dropped` in it. Throws `FlushFailure`; what is behind `place.start`
   * then has to be taken back.
   */
  write(items: readonly FlushItem[], place: Place, sequence: bigint, dropped: number): EndedFlush {
    const startedMs = monotonicMs()
    this.#place = place
    this.#pieces.begin(place)
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
      if (pendingBytes >= HASHED_WRITE_BYTES && pendingBytes <= this.#pieces.callBytes) {
        const counts = blocks.length > 0 ? new Uint32Array(blocks.length) : undefined
        this.#pieces.write(pieces, { checksum, counts })
        blocks.forEach((block, index) => {
          block.records = counts![index]
          records += this.#countOf(block)
        })
      } else {
        hash()
        this.#pieces.write(pieces)
      }
      pieces = []
      blocks = []
      pendingBytes = 0
    }
    for (const item of items) {
      if (!isLarge(item) && this.#liesWell(item)) {
        const frame = item.bytes.subarray(0, encodeFrame(item.bytes, 0, item.validBytes, alignment))
        if (pendingBytes > 0 && pendingBytes + frame.length > this.#pieces.callBytes) send()
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
    const frames = this.#pieces.at - start + pendingBytes
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
    this.#pieces.write(pieces)
    this.#pieces.sync()
    const end = start + frames + gapBytes + SEAL_BYTES
    if (end !== this.#pieces.at) throw new Error(`a flush ends at ${this.#pieces.at}, not at ${end}`)
    this.#pieces.end()
    return { start, end, records, dropped, ms: monotonicMs() - startedMs }
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
}

/** The entries of a block do not add up: memory was overwritten. Says which block. */
export class BrokenBlock extends Error {
  readonly block: FrameBlock

  constructor(block: FrameBlock) {
    super('the entries of a block do not add up')
    this.block = block
  }
}

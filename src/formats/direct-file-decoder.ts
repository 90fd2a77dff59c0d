// Decodes direct files of every layout in bounded memory. Pure: bytes come from a `RandomSource`. A flush that
// its seal covers is returned only if its checksum is right.
import { native } from '../native/index.ts'
import {
  BLOCK_BYTES,
  decodeSeal,
  decodeU32,
  ENTRY_HEADER_BYTES,
  FRAME_HEADER_BYTES,
  isSealIntact,
  looksLikeSeal,
  roundUp,
  SEAL_BYTES,
  SEAL_USED_BYTES,
  type Seal
} from './direct-file.ts'
import {
  type DirectLayout,
  detectLayout,
  findSeal,
  headerOf,
  isEnd,
  nextFrame,
  type RandomSource
} from './direct-file-layout.ts'

/** Whole entries of one frame that lie next to each other in the file. */
export interface EntryBatch {
  readonly type: 'entries'
  /** May be overwritten when the next item is asked for. */
  readonly bytes: Uint8Array
  /** File offset of byte 0 of `bytes`. */
  readonly position: number
  /** Start and end of each record in `bytes`, in turn. A record's length prefix stands before its start. */
  readonly bounds: Int32Array
}

/** A stretch that holds no intact record. */
export interface DirectDamage {
  readonly type: 'damage'
  /** `torn`: a write that was cut short at the end of the file or of a writer's life; `damaged`: anything else. */
  readonly kind: 'torn' | 'damaged'
  readonly offset: number
  readonly bytes: number
  readonly reason: string
  /** Number of records lost, where a seal tells. */
  readonly records?: bigint
}

/** A flush that was complete and intact, after its entries. */
export interface SealedFlush {
  readonly type: 'seal'
  readonly seal: Seal
  /** Where the next flush begins. */
  readonly end: number
}

export type DirectItem = EntryBatch | DirectDamage | SealedFlush

export interface DecodeOptions {
  /** Offset of a flush (sealed layout) or frame to begin at. */
  readonly from?: number
  readonly layout?: DirectLayout
  /**
   * Stop before what no seal covers at the end of a sealed file, silently: a writer may be about to complete it.
   */
  readonly sealedOnly?: boolean
}

/** Most bytes read at once; a longer record is read in one piece of its own length. */
const CHUNK_BYTES = 1 << 20
/** A filler is smaller than the largest block of a device. */
const MAX_ALIGNMENT = 65_536

/** The entries, seals and damages of a direct file, in file order. */
export function* decodeDirectFile(
  source: RandomSource,
  options: DecodeOptions = {}
): Generator<DirectItem, void, undefined> {
  const layout = options.layout ?? detectLayout(source)
  const from = options.from ?? 0
  if (layout === undefined) {
    const head = source.read(from, FRAME_HEADER_BYTES)
    if (head.length === FRAME_HEADER_BYTES && !isEnd(head)) {
      yield damage('damaged', from, source.size - from, 'no frame of a direct file')
    } else if (head.length < FRAME_HEADER_BYTES && head.length > 0) {
      yield damage('torn', from, head.length, 'file ends within a header')
    }
    return
  }
  if (layout === 'compact') yield* decodeFrames(source, from, source.size, layout)
  else yield* decodeFlushes(source, from, layout === 'sealed', options.sealedOnly === true)
}

/** What lies at an offset where a flush should begin. */
interface Flush {
  readonly kind: 'sealed' | 'damaged' | 'unsealed'
  /** Where the seal is, or the end of what no seal covers. */
  readonly end: number
  readonly seal?: Seal
  readonly reason?: string
}

function* decodeFlushes(
  source: RandomSource,
  from: number,
  hasSeals: boolean,
  sealedOnly: boolean
): Generator<DirectItem, void, undefined> {
  let at = from
  let previous: Seal | undefined
  while (source.size - at >= FRAME_HEADER_BYTES) {
    const gapBytes = fillerBytes(source, at)
    if (gapBytes > 0) {
      at += gapBytes
      continue
    }
    const flush = findFlush(source, at, hasSeals)
    if (flush.kind === 'unsealed') {
      const atEnd = flush.end >= source.size
      if (atEnd && sealedOnly) return
      const sealedFile = previous !== undefined || !atEnd
      yield* decodeUnsealed(source, at, flush.end, sealedFile)
      at = flush.end
      continue
    }
    const seal = flush.seal!
    const sealIntact = isSealIntact(source.read(flush.end, SEAL_BYTES))
    if (sealIntact) yield* missingFlushes(previous, seal, at)
    if (flush.kind === 'sealed' && checksum(source, at, flush.end) === seal.checksum) {
      yield* decodeFrames(source, at, flush.end, 'sealed')
    } else {
      const lost = damage('damaged', at, flush.end - at, flush.reason ?? 'checksum of the flush is wrong')
      yield sealIntact ? { ...lost, records: seal.records } : lost
    }
    at = flush.end + SEAL_BYTES
    if (sealIntact) {
      previous = seal
      if (!allZero(source, flush.end + SEAL_USED_BYTES, at)) {
        yield damage(
          'damaged',
          flush.end + SEAL_USED_BYTES,
          SEAL_BYTES - SEAL_USED_BYTES,
          'padding of a seal'
        )
      }
      yield { type: 'seal', seal, end: at }
    } else {
      yield damage('damaged', flush.end, SEAL_BYTES, 'seal is damaged')
    }
  }
  if (source.size > at && !sealedOnly) yield damage('torn', at, source.size - at, 'file ends within a header')
}

/** Size of the filler frame at `at`, which a writer put there because it needs a larger alignment; else 0. */
function fillerBytes(source: RandomSource, at: number): number {
  const block = source.read(at, SEAL_BYTES)
  const header = headerOf(block)
  if (header === undefined || header.capacity >= MAX_ALIGNMENT || decodeU32(block, 8) !== 0) return 0
  if (header.capacity !== FRAME_HEADER_BYTES + header.validBytes) return 0
  const end = at + header.capacity
  return end <= source.size && allZero(source, at + FRAME_HEADER_BYTES, end) ? header.capacity : 0
}

/** Follows the frames from `at` to the seal that closes them, or finds the next seal if they lead nowhere. */
function findFlush(source: RandomSource, at: number, hasSeals: boolean): Flush {
  let frame = at
  while (source.size - frame >= FRAME_HEADER_BYTES) {
    const block = source.read(frame, SEAL_BYTES)
    if (looksLikeSeal(block)) {
      if (block.length < SEAL_BYTES) break
      const seal = decodeSeal(block)
      if (!isSealIntact(block)) return { kind: 'sealed', end: frame, seal }
      if (seal.flushOffset === BigInt(at)) return { kind: 'sealed', end: frame, seal }
      break
    }
    const header = headerOf(block)
    if (header === undefined || header.capacity > source.size - frame) break
    frame += header.capacity
  }
  // Frames that lead exactly to the end are a whole file of a writer without seals.
  return frame === source.size && !hasSeals ? { kind: 'unsealed', end: frame } : resynchronise(source, at)
}

function resynchronise(source: RandomSource, at: number): Flush {
  const sealAt = findSeal(source, at)
  if (sealAt === -1) return { kind: 'unsealed', end: source.size }
  const seal = decodeSeal(source.read(sealAt, SEAL_BYTES))
  // An earlier writer died before it could seal what it wrote here.
  if (seal.flushOffset > BigInt(at)) return { kind: 'unsealed', end: Number(seal.flushOffset) }
  return { kind: 'damaged', end: sealAt, seal, reason: 'frames of the flush are damaged' }
}

function* decodeUnsealed(
  source: RandomSource,
  at: number,
  end: number,
  sealedFile: boolean
): Generator<DirectItem, void, undefined> {
  let torn = false
  let read = at
  for (const item of decodeFrames(source, at, end, 'full-capacity')) {
    if (item.type === 'damage') torn = true
    else if (item.type === 'entries') read = item.position + item.bytes.length
    yield item
  }
  // Nothing is wrong with the frames themselves, but the writer meant to close them.
  if (sealedFile && !torn && !allZero(source, read, end)) {
    yield damage('torn', read, end - read, 'flush was not completed')
  } else if (sealedFile && !torn && read > at) {
    yield damage('torn', end, 0, 'flush was not completed')
  }
}

function* missingFlushes(
  previous: Seal | undefined,
  seal: Seal,
  at: number
): Generator<DirectItem, void, undefined> {
  if (previous === undefined || previous.writerId !== seal.writerId) return
  const missing = seal.sequence - previous.sequence - 1n
  if (missing !== 0n) yield damage('damaged', at, 0, `${missing} flushes are missing before this one`)
}

/** The entries of the frames in `[from, end)`. */
function* decodeFrames(
  source: RandomSource,
  from: number,
  end: number,
  layout: DirectLayout
): Generator<EntryBatch | DirectDamage, void, undefined> {
  let at = from
  while (end - at >= FRAME_HEADER_BYTES) {
    const block = source.read(at, SEAL_USED_BYTES)
    const header = headerOf(block)
    if (header === undefined) {
      if (isEnd(block)) return
      // The first entry of a frame may be damaged while its header still leads to the next one.
      const loose = looseHeader(block)
      if (loose === undefined) {
        yield damage('damaged', at, end - at, 'frame header is damaged')
        return
      }
      yield damage(
        'damaged',
        at,
        Math.min(nextFrame(at, loose, layout), end) - at,
        'entry is longer than its frame'
      )
      at = nextFrame(at, loose, layout)
      continue
    }
    const next = nextFrame(at, header, layout)
    if (!looksLikeSeal(block)) {
      const validEnd = at + FRAME_HEADER_BYTES + header.validBytes
      yield* decodeEntries(source, at + FRAME_HEADER_BYTES, Math.min(validEnd, end), validEnd > end)
      if (layout !== 'compact' && validEnd <= end && next > end) {
        yield damage('torn', end, 0, 'file ends within the padding of a frame')
      }
    }
    at = next
  }
  if (at < end && end === source.size) yield damage('torn', at, end - at, 'file ends within a header')
}

function looseHeader(block: Uint8Array) {
  const withoutEntry = block.subarray(0, FRAME_HEADER_BYTES)
  return headerOf(withoutEntry)
}

/** The entries in `[from, end)`; `torn` if the frame should have gone on after `end`. */
function* decodeEntries(
  source: RandomSource,
  from: number,
  end: number,
  torn: boolean
): Generator<EntryBatch | DirectDamage, void, undefined> {
  let at = from
  while (end - at >= ENTRY_HEADER_BYTES) {
    const { batch, next, stop } = readBatch(source, at, end)
    if (batch !== undefined) yield batch
    if (stop === 'empty') {
      // Padding is zero; anything else is what a damaged length hides.
      if (!allZero(source, next, end)) {
        yield damage('damaged', next, end - next, 'bytes after an entry of length 0')
      } else if (torn) yield damage('torn', end, 0, 'file ends within a frame')
      return
    }
    if (stop === 'long') {
      yield damage(
        'damaged',
        at,
        next - at,
        `a record longer than the limit of ${source.maxRecordBytes} bytes`
      )
    }
    if (stop === 'overrun') {
      yield torn
        ? damage('torn', next, end - next, 'file ends within a record')
        : damage('damaged', next, end - next, 'entry runs past the end of its frame')
      return
    }
    at = next
  }
  if (at < end || torn) {
    yield torn
      ? damage('torn', at, end - at, 'file ends within a frame')
      : damage('damaged', at, end - at, 'frame ends within an entry')
  }
}

interface BatchResult {
  readonly batch: EntryBatch | undefined
  readonly next: number
  /** What stands in the way: an entry of length 0, one longer than what is left, or than the limit. */
  readonly stop: 'empty' | 'overrun' | 'long' | undefined
}

function readBatch(source: RandomSource, from: number, end: number): BatchResult {
  let bytes = source.read(from, Math.min(CHUNK_BYTES, end - from))
  const first = decodeU32(bytes, 0)
  if (first === 0) return { batch: undefined, next: from, stop: 'empty' }
  if (first > end - from - ENTRY_HEADER_BYTES) return { batch: undefined, next: from, stop: 'overrun' }
  if (first > (source.maxRecordBytes ?? Number.POSITIVE_INFINITY)) {
    return { batch: undefined, next: from + ENTRY_HEADER_BYTES + first, stop: 'long' }
  }
  if (first > bytes.length - ENTRY_HEADER_BYTES) bytes = source.read(from, ENTRY_HEADER_BYTES + first)
  const count = native.entryBounds(bytes, 0, bytes.length, scratch)
  const bounds = scratch.slice(0, 2 * count)
  if (count === 0) return { batch: undefined, next: from, stop: 'overrun' }
  const at = bounds[2 * count - 1]
  const batch: EntryBatch = { type: 'entries', bytes: bytes.subarray(0, at), position: from, bounds }
  return { batch, next: from + at, stop: undefined }
}

const scratch = new Int32Array(1 << 16)

function checksum(source: RandomSource, from: number, end: number): number {
  let crc = 0
  for (let at = from; at < end; at += CHUNK_BYTES) {
    const bytes = source.read(at, Math.min(CHUNK_BYTES, end - at))
    crc = native.crc32c(bytes, crc, 0, bytes.length)
  }
  return crc
}

function allZero(source: RandomSource, from: number, end: number): boolean {
  for (let at = from; at < end; at += CHUNK_BYTES) {
    const bytes = source.read(at, Math.min(CHUNK_BYTES, end - at))
    for (let i = 0; i < bytes.length; i++) if (bytes[i] !== 0) return false
  }
  return true
}

function damage(kind: DirectDamage['kind'], offset: number, bytes: number, reason: string): DirectDamage {
  return { type: 'damage', kind, offset, bytes, reason }
}

/** Where the last intact seal ends; 0 if there is none. Looks at the end first, so a clean file costs one read. */
export function sealedEnd(source: RandomSource): number {
  const last = Math.floor(source.size / BLOCK_BYTES) * BLOCK_BYTES
  for (let end = last; end > 0; end -= CHUNK_BYTES) {
    const start = Math.max(0, end - CHUNK_BYTES)
    const bytes = source.read(start, end - start)
    for (let at = roundUp(bytes.length, BLOCK_BYTES) - BLOCK_BYTES; at >= 0; at -= BLOCK_BYTES) {
      if (isSealIntact(bytes, at)) return start + at + SEAL_BYTES
    }
  }
  return 0
}

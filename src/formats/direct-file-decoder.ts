// Decodes direct files of every layout in bounded memory. Pure: bytes come from a `RandomSource`. A flush that a seal
// covers, or that seals follow, is returned only if the checksum in its seal is right.
import {
  decodeSeal,
  decodeU32,
  FRAME_HEADER_BYTES,
  isSealIntact,
  looksLikeSeal,
  SEAL_BYTES,
  SEAL_USED_BYTES,
  type Seal
} from './direct-file.ts'
import {
  type DirectDamage,
  damage,
  decodeFrames,
  type EntryBatch,
  type FrameItem
} from './direct-file-frames.ts'
import {
  type DirectLayout,
  type FoundSeal,
  findSeal,
  headerOf,
  isEnd,
  layoutOf
} from './direct-file-layout.ts'
import {
  allZero,
  type BytesWanted,
  bytesAt,
  checksum,
  type RandomSource,
  type Steps
} from './direct-file-source.ts'

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
  readonly layout?: DirectLayout | undefined
  /**
   * Stop before what no seal covers at the end of a sealed file, silently: a writer may be about to complete it, or
   * to write the first frame.
   */
  readonly sealedOnly?: boolean
  /** The bytes may not be what was written, so what no seal covers is reported and not returned. */
  readonly isDoubtful?: boolean
}

/** A filler is smaller than the largest block of a device. */
const MAX_ALIGNMENT = 65_536

/** The entries, seals and damages of a direct file, in file order. The source must have its bytes at hand. */
export function* decodeDirectFile(
  source: RandomSource,
  options: DecodeOptions = {}
): Generator<DirectItem, void, undefined> {
  for (const item of decodeSteps(source, options)) {
    if (item.type === 'wanted') throw new Error('this source has to be waited for')
    yield item
  }
}

/** The same for a source that may have to be waited for: `wanted` items are to be fetched before the next step. */
export function* decodeSteps(
  source: RandomSource,
  options: DecodeOptions = {}
): Generator<DirectItem | BytesWanted, void, undefined> {
  const layout = options.layout ?? (yield* layoutOf(source))
  const from = options.from ?? 0
  if (layout === undefined) yield* describeUnknown(source, from, options.sealedOnly === true)
  else if (layout === 'compact') yield* decodeFrames(source, from, source.size, layout)
  else yield* decodeFlushes(source, from, layout === 'sealed', options)
}

function* describeUnknown(
  source: RandomSource,
  from: number,
  isGrowing: boolean
): Generator<FrameItem, void, undefined> {
  const head = yield* bytesAt(source, from, FRAME_HEADER_BYTES)
  if (head.length === 0 || (isGrowing && isEnd(head))) return
  if (head.length < FRAME_HEADER_BYTES) yield damage('torn', from, head.length, 'file ends within a header')
  else if (!isEnd(head) || !(yield* allZero(source, from, source.size)))
    yield damage('damaged', from, source.size - from, 'no frame of a direct file')
}

/** The seal of the next flush. */
interface NextSeal {
  readonly at: number
  readonly seal: Seal
  /** Its own checksum is right. */
  readonly isIntact: boolean
  /** Where its flush begins; undefined if no place has the right checksum. */
  readonly start: number | undefined
}

interface Place {
  /** How far the bytes of the last flush that was read are from where they were written. */
  shift: number
  /** Frames led nowhere up to here once, and are not followed again and again. */
  deadEnd: number
}

function* decodeFlushes(
  source: RandomSource,
  from: number,
  hasSeals: boolean,
  { sealedOnly = false, isDoubtful = false }: DecodeOptions
): Generator<DirectItem | BytesWanted, void, undefined> {
  let at = from
  let previous: Seal | undefined
  const place: Place = { shift: 0, deadEnd: 0 }
  while (source.size - at >= FRAME_HEADER_BYTES) {
    const gapBytes = yield* fillerBytes(source, at)
    if (gapBytes > 0 && !(yield* isFlush(source, at, at + gapBytes))) {
      at += gapBytes
      continue
    }
    const next = yield* findNextSeal(source, at, hasSeals, place)
    if (next === undefined) {
      if (sealedOnly) yield* describeRest(source, at)
      else if (isDoubtful) yield damage('damaged', at, source.size - at, 'no seal covers these bytes')
      else yield* decodeUnsealed(source, at, hasSeals || previous !== undefined)
      return
    }
    const { seal, start, isIntact } = next
    if (sealedOnly && next.at + SEAL_BYTES > source.size) return
    if (isIntact) yield* missingFlushes(previous, seal, start ?? at)
    if (start === undefined) {
      const lost = damage('damaged', at, next.at - at, 'checksum of the flush is wrong')
      yield isIntact ? { ...lost, records: seal.records } : lost
    } else {
      if (start > at)
        yield damage('damaged', at, start - at, 'no seal covers these bytes, and flushes follow')
      yield* decodeFrames(source, start, next.at, 'sealed')
      if (isIntact) place.shift = start - Number(seal.flushOffset)
    }
    at = next.at + SEAL_BYTES
    if (!isIntact) {
      yield damage('damaged', next.at, Math.min(SEAL_BYTES, source.size - next.at), 'seal is damaged')
      continue
    }
    previous = seal
    if (at > source.size) {
      yield damage('torn', next.at, source.size - next.at, 'file ends within the padding of a seal')
      return
    }
    if (!(yield* allZero(source, next.at + SEAL_USED_BYTES, at))) {
      yield damage('damaged', next.at + SEAL_USED_BYTES, SEAL_BYTES - SEAL_USED_BYTES, 'padding of a seal')
    }
    yield { type: 'seal', seal, end: at }
  }
  if (source.size > at && !sealedOnly) yield damage('torn', at, source.size - at, 'file ends within a header')
}

/** Nothing is wrong with a flush that is being written, but bytes behind zeros are none. */
function* describeRest(source: RandomSource, at: number): Generator<FrameItem, void, undefined> {
  const bytes = source.size - at
  if (!isEnd(yield* bytesAt(source, at, FRAME_HEADER_BYTES)) || (yield* allZero(source, at, source.size)))
    return
  const reason = 'bytes that are not zero behind the last flush'
  yield { ...damage('damaged', at, bytes, reason), mayBeCompleted: true }
}

/** Size of the filler frame at `at`, which a writer put there because it needs a larger alignment; else 0. */
function* fillerBytes(source: RandomSource, at: number): Steps<number> {
  const block = yield* bytesAt(source, at, SEAL_BYTES)
  const header = headerOf(block)
  if (header === undefined || header.capacity >= MAX_ALIGNMENT || decodeU32(block, 8) !== 0) return 0
  if (header.capacity !== FRAME_HEADER_BYTES + header.validBytes) return 0
  const end = at + header.capacity
  const isFiller = end <= source.size && (yield* allZero(source, at + FRAME_HEADER_BYTES, end))
  return isFiller ? header.capacity : 0
}

/** Whether the seal at `end` closes a flush of `[at, end)`: one without records, which only tells of drops. */
function* isFlush(source: RandomSource, at: number, end: number): Steps<boolean> {
  const block = yield* bytesAt(source, end, SEAL_BYTES)
  if (block.length < SEAL_BYTES || !looksLikeSeal(block)) return false
  return (yield* checksum(source, at, end)) === decodeSeal(block).checksum
}

/**
 * The seal that the frames from `at` on lead to if it is theirs, else the next one at whatever offset. Only checksums
 * know which flush a seal closes.
 */
function* findNextSeal(
  source: RandomSource,
  at: number,
  hasSeals: boolean,
  place: Place
): Steps<NextSeal | undefined> {
  let frame = at
  while (at >= place.deadEnd && source.size - frame >= FRAME_HEADER_BYTES) {
    const block = yield* bytesAt(source, frame, SEAL_BYTES)
    if (looksLikeSeal(block)) {
      const seal = decodeSeal(block)
      const isIntact = isSealIntact(block)
      if ((yield* checksum(source, at, frame)) === seal.checksum)
        return { at: frame, seal, isIntact, start: at }
      break
    }
    const header = headerOf(block)
    if (header === undefined || header.capacity > source.size - frame) break
    frame += header.capacity
  }
  // Frames that lead exactly to the end are a whole file of a writer without seals.
  if (frame === source.size && !hasSeals) return undefined
  place.deadEnd = Math.max(place.deadEnd, frame)
  const found = yield* findSeal(source, at)
  if (found === undefined) return undefined
  const start = yield* startOfFlush(source, at, found, place.shift)
  return { ...found, isIntact: true, start }
}

/** Where the flush begins that an intact seal closes: at `at` unless something else stands before it. */
function* startOfFlush(
  source: RandomSource,
  at: number,
  { at: sealAt, seal }: FoundSeal,
  shift: number
): Steps<number | undefined> {
  const noted = Number(seal.flushOffset)
  for (const start of new Set([at, noted + shift, noted])) {
    if (start < at || start > sealAt) continue
    if ((yield* checksum(source, start, sealAt)) === seal.checksum) return start
  }
  return undefined
}

/** What no seal follows: the end that a crash leaves, or a file of a writer without seals. */
function* decodeUnsealed(
  source: RandomSource,
  at: number,
  isSealedFile: boolean
): Generator<FrameItem, void, undefined> {
  const end = source.size
  let isReported = false
  let read = at
  for (const item of decodeFrames(source, at, end, 'full-capacity')) {
    if (item.type === 'damage') isReported = true
    else if (item.type === 'entries') read = item.position + item.bytes.length
    yield item
  }
  if (!isSealedFile || isReported) return
  // Nothing is wrong with the frames themselves, but the writer meant to close them.
  const isRestZero = yield* allZero(source, read, end)
  if (!isRestZero) yield damage('torn', read, end - read, 'flush was not completed')
  else if (read > at) yield damage('torn', end, 0, 'flush was not completed')
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

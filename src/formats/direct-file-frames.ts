// Decodes the frames of direct files of every layout: their entries, and what is wrong with them.
import { native } from '../native/index.ts'
import {
  decodeU32,
  ENTRY_HEADER_BYTES,
  FRAME_HEADER_BYTES,
  looksLikeSeal,
  SEAL_USED_BYTES
} from './direct-file.ts'
import { type DirectLayout, headerOf, isEnd, nextFrame } from './direct-file-layout.ts'
import {
  allZero,
  type BytesWanted,
  bytesAt,
  CHUNK_BYTES,
  type RandomSource,
  type Steps
} from './direct-file-source.ts'

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
  /** At the end of a file that grows: what a writer may be about to complete. */
  readonly mayBeCompleted?: boolean
}

export type FrameItem = EntryBatch | DirectDamage | BytesWanted

/** The entries of the frames in `[from, end)`. */
export function* decodeFrames(
  source: RandomSource,
  from: number,
  end: number,
  layout: DirectLayout
): Generator<FrameItem, void, undefined> {
  let at = from
  while (end - at >= FRAME_HEADER_BYTES) {
    const block = yield* bytesAt(source, at, SEAL_USED_BYTES)
    const header = headerOf(block)
    if (header === undefined) {
      if (isEnd(block)) {
        if (!(yield* allZero(source, at, end))) {
          yield damage('damaged', at, end - at, 'bytes that are not zero behind the last frame')
        }
        return
      }
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
): Generator<FrameItem, void, undefined> {
  let at = from
  while (end - at >= ENTRY_HEADER_BYTES) {
    const { batch, next, stop } = yield* readBatch(source, at, end)
    if (batch !== undefined) yield batch
    if (stop === 'empty') {
      // Padding is zero; anything else is what a damaged length hides.
      if (!(yield* allZero(source, next, end))) {
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

function* readBatch(source: RandomSource, from: number, end: number): Steps<BatchResult> {
  let bytes = yield* bytesAt(source, from, Math.min(CHUNK_BYTES, end - from))
  const first = decodeU32(bytes, 0)
  if (first === 0) return { batch: undefined, next: from, stop: 'empty' }
  if (first > end - from - ENTRY_HEADER_BYTES) return { batch: undefined, next: from, stop: 'overrun' }
  if (first > (source.maxRecordBytes ?? Number.POSITIVE_INFINITY)) {
    return { batch: undefined, next: from + ENTRY_HEADER_BYTES + first, stop: 'long' }
  }
  if (first > bytes.length - ENTRY_HEADER_BYTES)
    bytes = yield* bytesAt(source, from, ENTRY_HEADER_BYTES + first)
  const count = native.entryBounds(bytes, 0, bytes.length, scratch)
  const bounds = scratch.slice(0, 2 * count)
  if (count === 0) return { batch: undefined, next: from, stop: 'overrun' }
  const at = bounds[2 * count - 1]
  const batch: EntryBatch = { type: 'entries', bytes: bytes.subarray(0, at), position: from, bounds }
  return { batch, next: from + at, stop: undefined }
}

const scratch = new Int32Array(1 << 16)

export function damage(
  kind: DirectDamage['kind'],
  offset: number,
  bytes: number,
  reason: string
): DirectDamage {
  return { type: 'damage', kind, offset, bytes, reason }
}

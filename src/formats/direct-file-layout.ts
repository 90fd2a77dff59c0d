// Which of the layouts of direct-file frames a file has. They share the header and differ in where the next
// frame begins, which only the file as a whole tells.
import {
  BLOCK_BYTES,
  decodeSeal,
  decodeU32,
  FRAME_HEADER_BYTES,
  isSealIntact,
  looksLikeSeal,
  roundUp,
  SEAL_BYTES,
  SEAL_START,
  SEAL_USED_BYTES,
  type Seal
} from './direct-file.ts'
import { bytesAt, CHUNK_BYTES, type RandomSource, type Steps, withoutWaiting } from './direct-file-source.ts'

/**
 * `sealed`: ours. `full-capacity`: every frame takes `capacity` bytes, what follows its entries may be stale.
 * `compact`: `capacity` is the size of a memory buffer; the next frame is at the next multiple of 512.
 */
export type DirectLayout = 'sealed' | 'full-capacity' | 'compact'

/** First 8 bytes of a frame. */
export interface FrameHeader {
  readonly capacity: number
  readonly validBytes: number
}

/** How many frames are followed before a layout is believed. */
const FRAMES_TO_TRY = 1024

/** The layout of the file; undefined if its first bytes are no frame of any (an empty file, another format). */
export function detectLayout(source: RandomSource): DirectLayout | undefined {
  return withoutWaiting(layoutOf(source))
}

/** The same for a source that may have to be waited for. */
export function* layoutOf(source: RandomSource): Steps<DirectLayout | undefined> {
  if (source.size < FRAME_HEADER_BYTES) return undefined
  const last = Math.floor(source.size / BLOCK_BYTES - 1) * BLOCK_BYTES
  if (last >= 0 && looksLikeSeal(yield* bytesAt(source, last, SEAL_USED_BYTES))) return 'sealed'
  const byCapacity = yield* followFrames(source, 'full-capacity')
  const compact = yield* followFrames(source, 'compact')
  if (byCapacity.sealed || compact.sealed) return 'sealed'
  const isWhole = byCapacity.reachedEnd || compact.reachedEnd
  if (!isWhole && (yield* findSeal(source, 0)) !== undefined) return 'sealed'
  if (byCapacity.frames === 0) return undefined
  // Either rule can meet a plausible header by chance, but not often in a row.
  if (byCapacity.frames !== compact.frames) {
    return byCapacity.frames > compact.frames ? 'full-capacity' : 'compact'
  }
  return byCapacity.whole ? 'full-capacity' : 'compact'
}

interface Walk {
  /** Plausible frames seen. */
  frames: number
  /** Whether every step led to another frame, to zeros, or exactly to the end. */
  whole: boolean
  /** The same without zeros, which may as well be the padding of another frame. */
  reachedEnd: boolean
  sealed: boolean
}

function* followFrames(source: RandomSource, layout: DirectLayout): Steps<Walk> {
  const walk: Walk = { frames: 0, whole: false, reachedEnd: false, sealed: false }
  let at = 0
  while (walk.frames < FRAMES_TO_TRY) {
    if (source.size - at < FRAME_HEADER_BYTES) {
      walk.whole = walk.reachedEnd = at <= source.size
      return walk
    }
    const block = yield* bytesAt(source, at, SEAL_BYTES)
    if (isSealIntact(block)) {
      walk.sealed = true
      return walk
    }
    const header = headerOf(block)
    if (header === undefined) {
      walk.whole = walk.frames > 0 && isEnd(block)
      return walk
    }
    walk.frames++
    at = nextFrame(at, header, layout)
  }
  walk.whole = walk.reachedEnd = true
  return walk
}

/** The header of a block if it can begin a frame. */
export function headerOf(block: Uint8Array): FrameHeader | undefined {
  if (block.length < FRAME_HEADER_BYTES) return undefined
  const capacity = decodeU32(block, 0)
  const validBytes = decodeU32(block, 4)
  if (capacity === 0 || validBytes === 0 || capacity % BLOCK_BYTES !== 0) return undefined
  if (validBytes > capacity - FRAME_HEADER_BYTES) return undefined
  if (block.length >= 12 && decodeU32(block, 8) > validBytes - 4) return undefined
  return { capacity, validBytes }
}

/** Whether a header says that nothing follows. */
export function isEnd(block: Uint8Array): boolean {
  return block.length < FRAME_HEADER_BYTES || (decodeU32(block, 0) === 0 && decodeU32(block, 4) === 0)
}

export function nextFrame(at: number, header: FrameHeader, layout: DirectLayout): number {
  return layout === 'compact'
    ? at + roundUp(FRAME_HEADER_BYTES + header.validBytes, BLOCK_BYTES)
    : at + header.capacity
}

/** A seal and where it is. */
export interface FoundSeal {
  readonly at: number
  readonly seal: Seal
}

/**
 * The first seal at or after `from` whose own checksum is right, at whatever offset: bytes that were inserted or are
 * missing move it off its block. Its padding may be cut short.
 */
export function* findSeal(source: RandomSource, from: number): Steps<FoundSeal | undefined> {
  for (let at = from; source.size - at >= SEAL_USED_BYTES; ) {
    const chunk = yield* bytesAt(source, at, CHUNK_BYTES)
    if (chunk.length < SEAL_USED_BYTES) return undefined
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)
    for (let i = bytes.indexOf(SEAL_START); i !== -1; i = bytes.indexOf(SEAL_START, i + 1)) {
      if (isSealIntact(bytes, i)) return { at: at + i, seal: decodeSeal(bytes, i) }
    }
    // A seal may lie across two chunks.
    at += chunk.length - SEAL_USED_BYTES + 1
  }
  return undefined
}

// Sorts tagged records by their numbers, in memory that is used again for every round.
import {
  BLOCK_BYTES,
  decodeU32,
  ENTRY_HEADER_BYTES,
  FRAME_HEADER_BYTES,
  roundUp
} from '../../../formats/direct-file.ts'
import { native } from '../../../native/index.ts'
import { privatePages } from '../memory/page-memory.ts'
import { TAG_BYTES } from '../memory/writer.ts'
import { type FlushItem, type FrameBlock, isLarge, type LargeFrame } from './flush-target.ts'

const LEAST_ARENA_BYTES = 16 << 20
const LEAST_TAGGED_BYTES = ENTRY_HEADER_BYTES + TAG_BYTES + 1

/** The records of one number, in order. */
export interface TaggedPart {
  readonly tag: number
  readonly items: FlushItem[]
}

export class TagSorter {
  #arena: Buffer | undefined
  #usedBytes = 0

  /**
   * Collects the records of each number below `tags` in one block; a large one stays alone, in its place. What an
   * earlier call returned is overwritten.
   */
  sort(items: readonly FlushItem[], tags: number): TaggedPart[] {
    const parts = new Map<number, FlushItem[]>()
    let run: FrameBlock[] = []
    const flush = () => {
      this.#sortBlocks(run, parts, tags)
      run = []
    }
    this.#reserve(items, tags)
    for (const item of items) {
      if (isLarge(item)) {
        flush()
        append(parts, decodeU32(item.data, 0), withoutTag(item))
      } else run.push(item)
    }
    flush()
    return [...parts].map(([tag, list]) => ({ tag, items: list }))
  }

  /** Room for all blocks, each number's part beginning at a multiple of 512. */
  #reserve(items: readonly FlushItem[], tags: number): void {
    let bytes = 0
    let runs = 1
    for (const item of items) {
      if (isLarge(item)) runs++
      else bytes += item.validBytes
    }
    const parts = Math.min(Math.ceil(bytes / LEAST_TAGGED_BYTES), runs * tags)
    const wanted = bytes + parts * (FRAME_HEADER_BYTES + BLOCK_BYTES)
    this.#usedBytes = 0
    if (this.#arena !== undefined && this.#arena.length >= wanted) return
    // Pages that are not touched cost nothing; an arena that is replaced costs until it is collected as garbage.
    this.#arena = privatePages(2 ** Math.ceil(Math.log2(Math.max(wanted, LEAST_ARENA_BYTES))))
  }

  #sortBlocks(blocks: readonly FrameBlock[], parts: Map<number, FlushItem[]>, tags: number): void {
    if (blocks.length === 0) return
    const sizes = new Uint32Array(tags)
    const counts = new Uint32Array(tags)
    for (const { bytes, validBytes } of blocks) {
      native.tallyTags(bytes, FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + validBytes, sizes, counts)
    }
    const arena = this.#arena!
    const places = new Float64Array(tags)
    for (let tag = 0; tag < tags; tag++) {
      if (counts[tag] === 0) continue
      const start = this.#usedBytes
      const end = roundUp(start + FRAME_HEADER_BYTES + sizes[tag], BLOCK_BYTES)
      if (end > arena.length) throw new Error(`${end} bytes of records in an arena of ${arena.length}`)
      this.#usedBytes = end
      places[tag] = start + FRAME_HEADER_BYTES
      append(parts, tag, {
        bytes: arena.subarray(start, end),
        validBytes: sizes[tag],
        records: counts[tag]
      })
    }
    for (const { bytes, validBytes } of blocks) {
      native.scatterTags(bytes, FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + validBytes, arena, places)
    }
  }
}

function append(parts: Map<number, FlushItem[]>, tag: number, item: FlushItem): void {
  const list = parts.get(tag)
  if (list === undefined) parts.set(tag, [item])
  else list.push(item)
}

function withoutTag(item: LargeFrame): LargeFrame {
  return { ...item, data: item.data.subarray(TAG_BYTES) }
}

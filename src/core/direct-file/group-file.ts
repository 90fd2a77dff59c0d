// Many direct files behind one flusher: each record begins with the number of its file. A flush sorts the records
// by file in memory; at most so many files are open at a time.
import {
  BLOCK_BYTES,
  decodeU32,
  ENTRY_HEADER_BYTES,
  FRAME_HEADER_BYTES,
  roundUp
} from '../../formats/direct-file.ts'
import type { Disk } from '../../io/disk.ts'
import { native } from '../../native/index.ts'
import {
  type FlushItem,
  type FrameBlock,
  FrameFile,
  type FrameFileHooks,
  type FrameFileOptions,
  type LargeFrame,
  Scratch
} from './frame-file.ts'
import { privatePages } from './page-memory.ts'
import { TAG_BYTES } from './writer.ts'

/** Numbers per file in `takeChanges`: its number, records, bytes, rotations. */
export const CHANGE_FIELDS = 4

const LEAST_ARENA_BYTES = 16 << 20
const LEAST_TAGGED_BYTES = ENTRY_HEADER_BYTES + TAG_BYTES + 1

interface Pending {
  readonly tag: number
  readonly items: FlushItem[]
}

interface Member {
  readonly file: FrameFile
  usedAt: number
}

export class GroupFile {
  readonly #disk: Disk
  readonly #options: FrameFileOptions
  readonly #maxOpenFiles: number
  readonly #idleCloseMs: number
  readonly #hooks: FrameFileHooks
  readonly #scratch = new Scratch()
  readonly #paths = new Map<number, string>()
  /** Numbers are below this. */
  #tags = 0
  readonly #members = new Map<number, Member>()
  /** Those that are open, in the order of their last use. */
  readonly #open = new Map<number, Member>()
  /** Sorted and not yet written. */
  #pending: Pending[] = []
  #arena: Buffer | undefined
  readonly #changed = new Set<number>()

  constructor(
    disk: Disk,
    options: FrameFileOptions & { maxOpenFiles: number; idleCloseMs: number },
    hooks: FrameFileHooks
  ) {
    this.#disk = disk
    this.#options = options
    this.#maxOpenFiles = options.maxOpenFiles
    this.#idleCloseMs = options.idleCloseMs
    this.#hooks = hooks
  }

  get counters(): FrameFile['counters'] {
    const sum = { writes: 0, syncs: 0, rotations: 0, records: 0, bytes: 0, writeMs: 0, longestWriteMs: 0 }
    for (const { file } of this.#members.values()) {
      for (const name of ['writes', 'syncs', 'rotations', 'records', 'bytes', 'writeMs'] as const) {
        sum[name] += file.counters[name]
      }
      sum.longestWriteMs = Math.max(sum.longestWriteMs, file.counters.longestWriteMs)
    }
    return sum
  }

  /** Drops are counted for each file, by `countDroppedOf`. */
  countDropped(): void {}

  get hasDropped(): boolean {
    for (const { file } of this.#members.values()) if (file.hasDropped) return true
    return false
  }

  /** Files are opened by their first record. */
  open(): void {}

  /** Makes `path` the file of number `tag`. */
  add(tag: number, path: string): void {
    this.#paths.set(tag, path)
    this.#tags = Math.max(this.#tags, tag + 1)
  }

  countDroppedOf(tag: number, records: number): void {
    this.#member(tag)?.file.countDropped(records)
  }

  /** Opens a file before its first record. */
  openOf(tag: number): void {
    this.#use(tag)?.open()
  }

  closeOf(tag: number): void {
    const member = this.#open.get(tag)
    if (member !== undefined) this.#close(tag, member)
  }

  /** What has changed since the last call; numbers only, as there may be thousands of files. */
  takeChanges(): Float64Array {
    const changes = new Float64Array(CHANGE_FIELDS * this.#changed.size)
    let at = 0
    for (const tag of this.#changed) {
      const { records, bytes, rotations } = this.#members.get(tag)!.file.counters
      changes.set([tag, records, bytes, rotations], at)
      at += CHANGE_FIELDS
    }
    this.#changed.clear()
    return changes
  }

  /** Writes `items`, which are then owned by the group. Throws while anything is unwritten; then call it again. */
  write(items: FlushItem[]): void {
    if (this.#pending.length === 0) this.#sort(items.splice(0))
    const failed: Pending[] = []
    let failure: unknown
    for (const entry of this.#pending) {
      try {
        this.#use(entry.tag)?.write(entry.items)
        this.#changed.add(entry.tag)
      } catch (error) {
        failure = error
        failed.push(entry)
      }
    }
    this.#pending = failed
    if (failed.length > 0) throw failure
    if (items.length > 0) this.write(items)
  }

  /** Closes files that nothing was written to for a while. */
  closeIdle(): void {
    const before = performance.now() - this.#idleCloseMs
    for (const [tag, member] of this.#open) {
      if (member.usedAt >= before) return
      this.#close(tag, member)
    }
  }

  rotate(): void {
    for (const tag of [...this.#members.keys()]) this.#use(tag)?.rotate()
  }

  close(): void {
    for (const [tag, member] of this.#members) {
      // Seals what was dropped since the last record.
      if (member.file.hasDropped) this.#use(tag)?.write([])
      if (this.#open.has(tag)) this.#close(tag, member)
    }
  }

  #member(tag: number): Member | undefined {
    const found = this.#members.get(tag)
    const path = this.#paths.get(tag)
    if (found !== undefined || path === undefined) return found
    const file = new FrameFile(this.#disk, path, this.#options, this.#hooks, this.#scratch)
    const member = { file, usedAt: 0 }
    this.#members.set(tag, member)
    return member
  }

  /** The file, to be used at once; closes others so that it may be open. */
  #use(tag: number): FrameFile | undefined {
    const member = this.#member(tag)
    if (member === undefined) return undefined
    member.usedAt = performance.now()
    if (!this.#open.delete(tag)) {
      if (this.#open.size >= this.#maxOpenFiles) this.#closeOldest()
      this.#changed.add(tag)
    }
    this.#open.set(tag, member)
    return member.file
  }

  #closeOldest(): void {
    for (const [tag, member] of this.#open) {
      this.#close(tag, member)
      return
    }
  }

  #close(tag: number, member: Member): void {
    this.#open.delete(tag)
    this.#changed.add(tag)
    member.file.close()
  }

  /** Collects the records of each file in one block; a large one stays alone, in its place. */
  #sort(items: readonly FlushItem[]): void {
    const parts = new Map<number, FlushItem[]>()
    let run: FrameBlock[] = []
    const flush = () => {
      this.#sortBlocks(run, parts)
      run = []
    }
    this.#arenaUsed = 0
    this.#reserve(items)
    for (const item of items) {
      if ('data' in item) {
        flush()
        append(parts, decodeU32(item.data, 0), withoutTag(item))
      } else run.push(item)
    }
    flush()
    this.#pending = [...parts].map(([tag, list]) => ({ tag, items: list }))
  }

  #arenaUsed = 0

  /** Room for all blocks, each file's part beginning at a multiple of 512. */
  #reserve(items: readonly FlushItem[]): void {
    let bytes = 0
    let runs = 1
    for (const item of items) {
      if ('data' in item) runs++
      else bytes += item.validBytes
    }
    const parts = Math.min(Math.ceil(bytes / LEAST_TAGGED_BYTES), runs * this.#tags)
    const wanted = bytes + parts * (FRAME_HEADER_BYTES + BLOCK_BYTES)
    if (this.#arena !== undefined && this.#arena.length >= wanted) return
    // Pages that are not touched cost nothing; an arena that is replaced costs until it is collected as garbage.
    this.#arena = privatePages(2 ** Math.ceil(Math.log2(Math.max(wanted, LEAST_ARENA_BYTES))))
  }

  #sortBlocks(blocks: readonly FrameBlock[], parts: Map<number, FlushItem[]>): void {
    if (blocks.length === 0) return
    const tags = this.#tags
    const sizes = new Uint32Array(tags)
    const counts = new Uint32Array(tags)
    for (const { bytes, validBytes } of blocks) {
      native.tallyTags(bytes, FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + validBytes, sizes, counts)
    }
    const arena = this.#arena!
    const places = new Float64Array(tags)
    for (let tag = 0; tag < tags; tag++) {
      if (counts[tag] === 0) continue
      const start = this.#arenaUsed
      const end = roundUp(start + FRAME_HEADER_BYTES + sizes[tag], BLOCK_BYTES)
      this.#arenaUsed = end
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
  return { data: item.data.subarray(TAG_BYTES), records: 1 }
}

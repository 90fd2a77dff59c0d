// Takes one set of shards out of use and turns it into items to be written: whole shards as they lie, or, where
// a writer died or is late in the middle of a record, what is complete.

import { monotonicMs } from '../../../base/clock.ts'
import { sleep } from '../../../base/sleep.ts'
import { decodeU32, ENTRY_HEADER_BYTES, FRAME_HEADER_BYTES } from '../../../formats/direct-file.ts'
import { native } from '../../../native/index.ts'
import type { FlushItem } from '../files/flush-target.ts'
import { findLate, forgetLate, type LateCopy, lookAt, noteLate, noteListed } from '../memory/late-copies.ts'
import { CopyArena } from '../memory/page-memory.ts'
import {
  control,
  deadWriter,
  EPOCH_MASK,
  LARGE_FLAG,
  MAX_WRITERS,
  OFFSET_BITS,
  OFFSET_MASK,
  openWord,
  SEALED,
  type SharedMemory,
  SKIP_FLAG,
  slot,
  statistic
} from '../memory/shared-memory.ts'
import { noteDeadWriters } from '../memory/thread-life.ts'

/**
 * A thread that makes no progress for so long while this one runs is taken for dead even if the system did not
 * say so, and the memory it was copying to is used again.
 */
const PRESUMED_DEAD_MS = 30_000
const POLL_MS = 0.1
/** What takes longer than a copy does may have ended. */
const LOOK_FOR_DEAD_MS = 5

/** Finds the record too large for a shard that has number `id`, and counts `kib`. */
export type TakeLarge = (id: number, kib: number) => Uint8Array | undefined

/** What of one set is to be written. */
export interface Collected {
  readonly items: FlushItem[]
  /** Records of writers that died. */
  lost: number
  /** Accepted records that cannot be found any more. */
  missing: number
}

export class ShardCollector {
  readonly #memory: SharedMemory
  readonly #timeoutMs: number
  readonly #takeLarge: TakeLarge
  /** Copies that were late for their flush; their shards stay out of use until they are complete. */
  #holes: LateCopy[] = []
  /** Late copies that are collected and not yet written, in the order of the list; their shards are out of use, too. */
  readonly #settling: LateCopy[] = []
  /** Those that an earlier flusher had in the list that it began to write: the first list has the same, in their order. */
  #listed: LateCopy[] | undefined
  /** For what cannot be written from where it lies. */
  readonly #arena: CopyArena
  /** What was collected from which shard. */
  readonly #collected: { readonly shard: number; readonly items: readonly FlushItem[] }[] = []

  /** The next set may have been taken out of use by a flusher that ended before it was written. */
  #isRestart: boolean

  /** `isResuming`: the first list has to be the one that an earlier flusher began to write. */
  constructor(
    memory: SharedMemory,
    timeoutMs: number,
    takeLarge: TakeLarge,
    isRestart = false,
    isResuming = false
  ) {
    this.#memory = memory
    this.#timeoutMs = timeoutMs
    this.#takeLarge = takeLarge
    this.#arena = new CopyArena(memory.handle.shape.shardBytes)
    this.#isRestart = isRestart
    if (!isRestart) return
    const found = findLate(memory, monotonicMs())
    const isListed = ({ order }: { readonly order: number }): boolean => isResuming && order > 0
    this.#holes = found.filter((each) => !isListed(each)).map(({ copy }) => copy)
    if (!isResuming) return
    const listed = found.filter(isListed).toSorted((a, b) => a.order - b.order)
    this.#listed = listed.map(({ copy }) => copy)
  }

  /** Whether copies were late that are to be written when they are complete. */
  get hasLate(): boolean {
    return this.#holes.length > 0 || (this.#listed?.length ?? 0) > 0
  }

  /** Closes the shards of `epoch` to writers and collects their records, after those that were late before. */
  collect(epoch: number): Collected {
    const set = epoch & 1
    const used = this.#seal(set)
    this.#isRestart = false
    const late = this.#await(set)
    // Of the same set before an earlier flusher ended. What is late for this list cannot be in it.
    const known = this.#holes.filter((copy) => this.#isOf(epoch, copy))
    this.#holes = this.#holes.filter((copy) => !known.includes(copy))
    const collected = this.collectLate()
    this.#holes.push(...known)
    for (const [shard, bytes] of used.entries()) {
      if (bytes > FRAME_HEADER_BYTES) this.#collectShard(set, shard, bytes, [...known, ...late], collected)
    }
    this.#holes.push(...late)
    for (const copy of late) noteLate(this.#memory, copy)
    return collected
  }

  /** Records that were late for an earlier flush and are complete now. */
  collectLate(): Collected {
    const collected: Collected = { items: [], lost: 0, missing: 0 }
    const listed = this.#listed
    if (listed !== undefined) {
      this.#listed = undefined
      for (const copy of listed) this.#collectCopy(copy, collected)
      return collected
    }
    const waiting: LateCopy[] = []
    const nowMs = monotonicMs()
    if (this.#holes.length > 0) noteDeadWriters(this.#memory)
    const gone: LateCopy[] = []
    for (const copy of this.#holes) {
      const verdict = this.#look(copy)
      if (verdict === 'complete') this.#collectCopy(copy, collected)
      else if (verdict === 'copying' && nowMs - copy.sinceMs < PRESUMED_DEAD_MS) waiting.push(copy)
      else gone.push(copy)
    }
    this.#holes = waiting
    for (const copy of gone) {
      // First: what is given up would pass for a complete record.
      forgetLate(this.#memory, copy)
      this.#giveUp(copy.writer)
      collected.lost++
      this.#reopenLate(copy.shardId)
    }
    return collected
  }

  #collectCopy(copy: LateCopy, collected: Collected): void {
    this.#settling.push(copy)
    noteListed(this.#memory, copy, this.#settling.length)
    this.#collectPieces(copy.shardId, copy.offset, copy.offset + copy.bytes, [], collected)
  }

  /** Whether the shard of `copy` has not been written since it was filled in `epoch`. */
  #isOf(epoch: number, { shardId }: LateCopy): boolean {
    const { words, handle } = this.#memory
    const set = Math.floor(shardId / handle.shape.shards)
    const word = Atomics.load(words, this.#memory.shardWord(set, shardId % handle.shape.shards))
    return (epoch & 1) === set && ((word >>> OFFSET_BITS) & EPOCH_MASK) === (epoch & EPOCH_MASK)
  }

  /** What was collected has been written. */
  forget(): void {
    for (const { shard, items } of this.#collected.splice(0)) {
      for (const { records } of items) {
        this.#memory.statistics[statistic.shardRecords + shard] += records ?? 0
      }
    }
    const written = this.#settling.splice(0)
    for (const copy of written) forgetLate(this.#memory, copy)
    // Not before: until it is written it is in the shard for a flusher that has to go on.
    for (const { shardId } of written) this.#reopenLate(shardId)
    this.#arena.reset()
  }

  /** The shards of `epoch` were written: opens them for the epoch after the next. */
  reset(epoch: number): void {
    const { words } = this.#memory
    const set = epoch & 1
    Atomics.store(words, control.claims + set, 0)
    for (let shard = 0; shard < this.#memory.handle.shape.shards; shard++) {
      if (!this.#isHeld(set, shard)) this.#open(set, shard, (epoch + 2) | 0)
      else Atomics.store(words, this.#memory.shardWord(set, shard) + 2, 1)
    }
  }

  /** The shards of `epoch` were written, and are not to be used again. */
  retire(epoch: number): void {
    const { words, handle } = this.#memory
    for (let shard = 0; shard < handle.shape.shards; shard++) {
      Atomics.store(words, this.#memory.shardWord(epoch & 1, shard) + 2, 1)
    }
  }

  /** Gives the lines of writers that closed or died to new ones, keeping their counts. */
  freeWriters(): void {
    const { words, floats, statistics } = this.#memory
    noteDeadWriters(this.#memory)
    for (let writer = 0; writer < MAX_WRITERS; writer++) {
      const line = this.#memory.writerLine(writer)
      if (Atomics.load(words, line + slot.owner) !== deadWriter) continue
      // One that died while copying is needed until its shard was collected: else what it left passes for a record.
      const isCopying = (Atomics.load(words, line + slot.sequence) & 1) === 1
      if (isCopying && Atomics.load(words, line + slot.offset) !== -1) continue
      this.#giveUp(writer)
      statistics[statistic.goneRecords] += floats[line / 2 + slot.records]
      statistics[statistic.goneDropped] += floats[line / 2 + slot.dropped]
      floats[line / 2 + slot.records] = 0
      floats[line / 2 + slot.dropped] = 0
      Atomics.store(words, line + slot.systemThread, 0)
      Atomics.store(words, line + slot.owner, 0)
    }
  }

  /** The record that a writer was copying will never be complete. */
  #giveUp(writer: number): void {
    const index = this.#memory.writerLine(writer) + slot.sequence
    const sequence = Atomics.load(this.#memory.words, index)
    Atomics.store(this.#memory.words, index, (sequence + (sequence & 1)) | 0)
  }

  /** Bytes used of each shard of `set`, which takes no more records. */
  #seal(set: number): number[] {
    const { words, handle } = this.#memory
    return Array.from({ length: handle.shape.shards }, (_, shard) => {
      const index = this.#memory.shardWord(set, shard)
      const before = Atomics.or(words, index, SEALED)
      const isTaken = before < 0 && !(this.#isRestart && Atomics.load(words, index + 2) === 0)
      return isTaken ? 0 : before & OFFSET_MASK
    })
  }

  /** Waits for the copies in progress in `set`; returns those that are not complete in time. */
  #await(set: number): LateCopy[] {
    const started = monotonicMs()
    let lookAtMs = started + LOOK_FOR_DEAD_MS
    for (;;) {
      const copying = this.#copying(set, started)
      const passedMs = monotonicMs() - started
      // A writer between its announcement and its reservation runs through a dozen instructions; which bytes
      // it has cannot be told until then.
      const undecided = copying.some((hole) => hole.offset === -1)
      if (copying.length === 0 || copying.every((hole) => this.#look(hole) === 'dead')) return copying
      if (undecided ? passedMs > PRESUMED_DEAD_MS : passedMs > this.#timeoutMs) {
        return copying.filter((hole) => hole.offset !== -1)
      }
      sleep(POLL_MS)
      if (monotonicMs() < lookAtMs) continue
      noteDeadWriters(this.#memory)
      lookAtMs = monotonicMs() + LOOK_FOR_DEAD_MS
    }
  }

  #copying(set: number, sinceMs: number): LateCopy[] {
    const { words, handle } = this.#memory
    const { shards } = handle.shape
    const found: LateCopy[] = []
    for (let writer = 0; writer < MAX_WRITERS; writer++) {
      const line = this.#memory.writerLine(writer)
      const sequence = Atomics.load(words, line + slot.sequence)
      if ((sequence & 1) === 0) continue
      const shardId = Atomics.load(words, line + slot.shard)
      const offset = Atomics.load(words, line + slot.offset)
      const bytes = Atomics.load(words, line + slot.bytes)
      if (Math.floor(shardId / shards) !== set) continue
      if (Atomics.load(words, line + slot.sequence) !== sequence) continue
      if (this.#holes.some((hole) => hole.writer === writer && hole.sequence === sequence)) continue
      if (offset === -1 && Atomics.load(words, line + slot.owner) === deadWriter) continue
      found.push({ writer, sequence, shardId, offset, bytes, sinceMs })
    }
    return found
  }

  #look({ writer, sequence }: LateCopy): 'complete' | 'copying' | 'dead' {
    return lookAt(this.#memory, this.#memory.writerLine(writer), sequence)
  }

  #isHeld(set: number, shard: number): boolean {
    const shardId = set * this.#memory.handle.shape.shards + shard
    const isThere = (copy: LateCopy): boolean => copy.shardId === shardId
    return this.#holes.some(isThere) || this.#settling.some(isThere)
  }

  #reopenLate(shardId: number): void {
    const { words, handle } = this.#memory
    const set = Math.floor(shardId / handle.shape.shards)
    const shard = shardId % handle.shape.shards
    if (this.#isHeld(set, shard)) return
    // The set of the epoch that is being flushed is reset as a whole afterwards.
    const flushed = Atomics.load(words, control.flushed)
    const epoch = Atomics.load(words, control.epoch)
    const next = (flushed & 1) === set ? flushed : (flushed + 1) | 0
    if (epoch !== flushed && (flushed & 1) === set) return
    this.#open(set, shard, next)
  }

  #open(set: number, shard: number, epoch: number): void {
    const index = this.#memory.shardWord(set, shard)
    Atomics.store(this.#memory.words, index + 1, 0)
    Atomics.store(this.#memory.words, index + 2, 0)
    Atomics.store(this.#memory.words, index, openWord(epoch))
  }

  /** Adds the records of one shard. */
  #collectShard(
    set: number,
    shard: number,
    used: number,
    late: readonly LateCopy[],
    collected: Collected
  ): void {
    const { bytes, handle } = this.#memory
    const { items } = collected
    const address = this.#memory.shardAddress(set, shard)
    const shardId = set * handle.shape.shards + shard
    const holes = late.filter((copy) => copy.shardId === shardId)
    const before = items.length
    const special = Atomics.load(this.#memory.words, this.#memory.shardWord(set, shard) + 1)
    if (holes.length === 0 && special === 0) {
      items.push({
        bytes: bytes.subarray(address, address + handle.shape.shardBytes),
        validBytes: used - FRAME_HEADER_BYTES,
        records: undefined
      })
    } else this.#collectPieces(shardId, FRAME_HEADER_BYTES, used, holes, collected)
    this.#collected.push({ shard, items: items.slice(before) })
  }

  // The slow way: the entries of `[start, end)` are looked at one by one.
  #collectPieces(
    shardId: number,
    start: number,
    end: number,
    holes: readonly LateCopy[],
    collected: Collected
  ): void {
    const { bytes } = this.#memory
    const { items } = collected
    const address = this.#addressOf(shardId)
    const jumps = new Map(holes.map((hole) => [hole.offset, hole.bytes]))
    let stretches: [number, number][] = []
    let from = start
    const stretch = (to: number) => {
      if (to > from) stretches.push([from, to])
    }
    let at = start
    while (at < end) {
      const jump = jumps.get(at)
      const length = decodeU32(bytes, address + at)
      if (jump === undefined && length < SKIP_FLAG) {
        at += ENTRY_HEADER_BYTES + length
        continue
      }
      stretch(at)
      if (jump === undefined && length >= LARGE_FLAG) {
        this.#copyOut(stretches, address, items)
        stretches = []
        const id = decodeU32(bytes, address + at + ENTRY_HEADER_BYTES)
        const heldKib = decodeU32(bytes, address + at + ENTRY_HEADER_BYTES + 4)
        const data = this.#takeLarge(id, heldKib)
        if (data === undefined) collected.missing++
        else items.push({ data, records: 1, heldKib })
      }
      at += jump ?? ENTRY_HEADER_BYTES + (length & ~LARGE_FLAG)
      from = at
    }
    stretch(end)
    this.#copyOut(stretches, address, items)
  }

  #addressOf(shardId: number): number {
    const { shards } = this.#memory.handle.shape
    return this.#memory.shardAddress(Math.floor(shardId / shards), shardId % shards)
  }

  /** Copies stretches of whole entries to memory of their own, as one frame. */
  #copyOut(stretches: readonly [number, number][], address: number, items: FlushItem[]): void {
    const validBytes = stretches.reduce((sum, [from, to]) => sum + to - from, 0)
    if (validBytes === 0) return
    const { bytes } = this.#memory
    const target = this.#arena.take(FRAME_HEADER_BYTES + validBytes)
    let at = FRAME_HEADER_BYTES
    for (const [from, to] of stretches) at += bytes.copy(target, at, address + from, address + to)
    const records = native.countEntries(target, FRAME_HEADER_BYTES, at)
    items.push({ bytes: target, validBytes, records })
  }
}

/** Whether a shard's word has records in it. */
export function isUsed(word: number): boolean {
  return word >= 0 && (word & OFFSET_MASK) > FRAME_HEADER_BYTES
}

// The memory that writers and the flusher of a direct file share: a control block, one slot per writer, and two
// sets of shards. It is the memory of a shared WebAssembly.Memory because that is page-aligned, so O_DIRECT can
// write from it; a plain SharedArrayBuffer is not.
//
//   0     control words (Int32)          4096  statistics (Float64)
//   8192  one line of 64 bytes per shard of set 0, then of set 1
//   …     one line of 64 bytes per writer
//   …     (next page) the shards of set 0, then of set 1
//
// Epochs: records of epoch e go to the shards of set e & 1. A swap moves `epoch` from e to e + 1, which is
// allowed only when everything before epoch e is on disk (`flushed` = e), so the other set is empty.
//
// A shard's word holds, from the top: 1 bit "sealed", 5 bits of the epoch it is open for, 26 bits of bytes used.
// The epoch bits make a compare-and-swap fail that was prepared some epochs ago.
import { isSharedArrayBuffer } from 'node:util/types'
import { argumentError, readArgument } from '../../../base/bytes.ts'
import { FRAME_HEADER_BYTES } from '../../../formats/direct-file.ts'
import { native } from '../../../native/index.ts'
import { sharedPages } from './page-memory.ts'

/** Control words. */
export const control = {
  /** The epoch that accepts records. */
  epoch: 0,
  /** Everything before this epoch is on disk. Blocked writers wait for it to change. */
  flushed: 1,
  /** Changes when the flusher has something to do; it waits for that. */
  wake: 2,
  /** Number of the last flush asked for, and of the last one carried out. */
  flushAsked: 3,
  flushDone: 4,
  /** One of `runState`. */
  state: 5,
  /** Shards claimed by writers in the present epoch of set 0 and set 1. */
  claims: 6,
  /** Memory held by records too large for a shard, in KiB. */
  largeKib: 8,
  /** Numbers the records too large for a shard. */
  largeId: 9,
  swaps: 10,
  blockedSwaps: 11,
  /** Numbers of the last rotation and of the last reopening that the owner asked for. */
  rotateAsked: 12,
  reopenAsked: 13,
  /** Changes when something has reached the disk that had not before. */
  progress: 14,
  /** What the flusher is doing: one of `activity`. */
  activity: 15,
  /** Not 0: whoever closes the file has given up, and nothing more may be written. */
  giveUp: 16,
  /** KiB held for files of a group that cannot be written. */
  heldKib: 17,
  /** One of `threadState`. */
  thread: 18,
  /** Number of the thread that is to work on this memory; negative when it has begun to. */
  start: 19,
  /** The system's number of that thread, where its end has to be looked for; else 0. See thread-life.ts. */
  systemThread: 20,
  /** The shape of the memory: whoever attaches to it has been told the same. */
  shards: 21,
  shardBytes: 22,
  limitBytes: 23,
  /** Not 0: the file system cannot sync, records have to be on disk, and no thread will write any more. */
  unsyncable: 24,
  /** KiB of records too large for a shard that are kept in case the flusher's thread ends. */
  keptKib: 25,
  /** KiB of such records that were let go of in the present round: a flusher that resumes it gets them again. */
  releasedKib: 26,
  /** Not 0: less is free than has to be, and the owner of the file has found no backup that could be removed for it. */
  noBackupsLeft: 27
} as const

/** `failed`: no flusher's thread can do its work, and nothing is accepted any more. */
export const runState = { opening: 0, open: 1, degraded: 2, closing: 3, closed: 4, failed: 5 } as const

/** The flusher's thread; one that has ended is started again. */
export const threadState = { starting: 0, running: 1, ended: 2 } as const

/** `working`: it has, or needs, a processor; in the others it waits for the disk, or before it tries again. */
export const activity = { working: 0, inCall: 1, pausing: 2 } as const

/** Statistics, written by the flusher alone unless noted. */
export const statistic = {
  records: 0,
  bytesWritten: 1,
  flushes: 2,
  flushErrors: 3,
  flushMs: 4,
  longestFlushMs: 5,
  writeMs: 6,
  longestWriteMs: 7,
  writes: 8,
  syncs: 9,
  rotations: 10,
  /** Drops of writers that are gone, records they died in included; and what they logged. */
  goneDropped: 11,
  goneRecords: 12,
  /** Accepted records that were given up. */
  lost: 13,
  /** Records held in the flusher's own memory for files that cannot be written. */
  held: 14,
  /** Dropped records that seals tell of. */
  sealedDropped: 15,
  /** From here on: records written from each shard. */
  shardRecords: 16
} as const

/** Words of a writer's line. */
export const slot = {
  /** 0: free; `deadWriter`: its thread ended; else the writer. */
  owner: 0,
  /** Odd while a record is being placed; counts two per record that is complete. */
  sequence: 1,
  /** Shard number (set 1 counts on after set 0), offset (-1: not reserved yet) and bytes of that record. */
  shard: 2,
  offset: 3,
  bytes: 4,
  /** The system's number of the writer's thread, where its end has to be looked for; else 0. */
  systemThread: 5,
  /** Which of the late copies it is that are in the list of the flusher; 0: it is not in it. */
  lateOrder: 6,
  /** Float64 indexes within the line: accepted records, dropped records. */
  records: 4,
  dropped: 5,
  /** A record whose copy was late for its flush and is not written yet: its sequence (0: none), and where it is. */
  lateSequence: 12,
  lateShard: 13,
  lateOffset: 14,
  lateBytes: 15
} as const

export const deadWriter = -1

export const WORDS_PER_LINE = 16
const LINE_BYTES = WORDS_PER_LINE * 4
const PAGE_BYTES = 4096
const STATISTICS_AT = 4096
const LINES_AT = 8192
export const MAX_WRITERS = 256
export const MAX_SHARDS = 256

/** Sealed bit, epoch bits and offset bits of a shard's word. */
export const SEALED = 1 << 31
export const OFFSET_BITS = 26
export const OFFSET_MASK = (1 << OFFSET_BITS) - 1
export const EPOCH_MASK = 31
/** A swap is due when a shard is fuller than this. */
export const SWAP_AT = 0.9
export const MIN_SHARD_BYTES = 64 * 1024
export const MAX_SHARD_BYTES = (1 << OFFSET_BITS) - 4096

/** An entry length with the top bit set is for the flusher alone: so many bytes to be skipped, … */
export const SKIP_FLAG = 0x8000_0000
/** … or, with this one, the place of a record that was too large for a shard. */
export const LARGE_FLAG = 0xc000_0000
/** Bytes of such an entry after its length: the number of the record, and the KiB it counts. */
export const LARGE_ENTRY_BYTES = 8

export interface MemoryShape {
  readonly shards: number
  /** A multiple of the page size. */
  readonly shardBytes: number
  /** Bytes of a shard that may be used, so that a frame fits in a file of `maxBytes`. */
  readonly limitBytes: number
}

/** What `DirectFile.share()` returns: can be posted to any thread of this process. */
export interface DirectFileHandle {
  readonly buffer: SharedArrayBuffer
  readonly shape: MemoryShape
  /** Name of the channel for records too large for a shard. */
  readonly channel: string
  readonly path: string
  readonly overflow: 'block' | 'drop-newest'
  /** Bound of the memory for records too large for a shard. */
  readonly maxLargeBytes: number
}

/** Throws `ERR_ARGUMENT` unless `handle` came from `share()`, unharmed. */
export function requireHandle(handle: unknown): asserts handle is DirectFileHandle {
  if (readArgument('DirectFile.attach', () => isHandle(handle))) return
  const wanted =
    'what share() of a DirectFile returned, passed to a thread of the same process by workerData or postMessage ' +
    "(it is shared memory, which no other process can have: each opens a file of its own, see instance: 'per-process')"
  throw argumentError('DirectFile.attach', wanted, handle)
}

function isHandle(handle: unknown): boolean {
  const { buffer, shape, channel, path, overflow, maxLargeBytes } = Object(
    handle
  ) as Partial<DirectFileHandle>
  const { shards, shardBytes, limitBytes } = Object(shape) as Partial<MemoryShape>
  if (
    isSharedArrayBuffer(buffer) &&
    buffer.byteLength > STATISTICS_AT &&
    typeof channel === 'string' &&
    typeof path === 'string' &&
    (overflow === 'block' || overflow === 'drop-newest') &&
    Number.isSafeInteger(maxLargeBytes)
  ) {
    // Another shape would have this thread write where others do.
    const words = new Int32Array(buffer)
    return (
      shards !== undefined &&
      shards > 0 &&
      words[control.shards] === shards &&
      words[control.shardBytes] === shardBytes &&
      words[control.limitBytes] === limitBytes
    )
  }
  return false
}

/** One thread's view of the memory. */
export class SharedMemory {
  readonly handle: DirectFileHandle
  readonly words: Int32Array
  readonly statistics: Float64Array
  /** The same bytes as 64-bit floats, for the counters in the writers' lines. */
  readonly floats: Float64Array
  readonly bytes: Buffer
  readonly #shardLines: number
  readonly #writerLines: number
  readonly #shardsAt: number

  constructor(handle: DirectFileHandle) {
    const { buffer } = handle
    const { shards } = handle.shape
    this.handle = handle
    this.words = new Int32Array(buffer)
    this.floats = new Float64Array(buffer)
    this.statistics = new Float64Array(buffer, STATISTICS_AT, (LINES_AT - STATISTICS_AT) / 8)
    this.bytes = Buffer.from(buffer)
    this.#shardLines = LINES_AT / 4
    this.#writerLines = this.#shardLines + 2 * shards * WORDS_PER_LINE
    this.#shardsAt = shardsAt(shards)
  }

  /**
   * Index of the word of shard `shard` of set `set`. The word after it is not 0 if the shard has entries that are
   * for the flusher alone; the one after that if all but late copies of a sealed shard is written.
   */
  shardWord(set: number, shard: number): number {
    return this.#shardLines + (set * this.handle.shape.shards + shard) * WORDS_PER_LINE
  }

  /** Address of the first byte of a shard. */
  shardAddress(set: number, shard: number): number {
    const { shards, shardBytes } = this.handle.shape
    return this.#shardsAt + (set * shards + shard) * shardBytes
  }

  /** Index of the first word of a writer's line. */
  writerLine(writer: number): number {
    return this.#writerLines + writer * WORDS_PER_LINE
  }

  /** Sum of a counter over all writers' lines. */
  sumOfWriters(counter: number): number {
    let sum = 0
    for (let writer = 0; writer < MAX_WRITERS; writer++) {
      sum += this.floats[this.writerLine(writer) / 2 + counter]
    }
    return sum
  }

  /** Wakes the flusher. */
  wake(): void {
    Atomics.add(this.words, control.wake, 1)
    Atomics.notify(this.words, control.wake)
  }

  /** Swaps the sets if everything before `epoch` is on disk and nobody else did. False if it is not. */
  swap(epoch: number): boolean {
    const { words } = this
    if (Atomics.load(words, control.flushed) !== epoch) {
      if (Atomics.load(words, control.epoch) !== epoch) return true
      Atomics.add(words, control.blockedSwaps, 1)
      return false
    }
    if (Atomics.compareExchange(words, control.epoch, epoch, (epoch + 1) | 0) === epoch) {
      Atomics.add(words, control.swaps, 1)
      this.wake()
    }
    return true
  }
}

/** The word of an empty shard that is open for `epoch`. */
export function openWord(epoch: number): number {
  return ((epoch & EPOCH_MASK) << OFFSET_BITS) | FRAME_HEADER_BYTES
}

/** Makes the memory for a new file. Throws RangeError if the system has not enough. */
export function createMemory(shape: MemoryShape): SharedArrayBuffer {
  const buffer = sharedPages(memoryBytes(shape))
  // Fewer page faults for writers, and fewer and larger requests to the disk.
  native.hugePages(new Uint8Array(buffer, shardsAt(shape.shards)))
  const words = new Int32Array(buffer)
  words[control.shards] = shape.shards
  words[control.shardBytes] = shape.shardBytes
  words[control.limitBytes] = shape.limitBytes
  for (let line = 0; line < 2 * shape.shards; line++) {
    words[LINES_AT / 4 + line * WORDS_PER_LINE] = openWord(line < shape.shards ? 0 : 1)
  }
  return buffer
}

function memoryBytes({ shards, shardBytes }: MemoryShape): number {
  return shardsAt(shards) + 2 * shards * shardBytes
}

function shardsAt(shards: number): number {
  const bytes = LINES_AT + (2 * shards + MAX_WRITERS) * LINE_BYTES
  return Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES
}

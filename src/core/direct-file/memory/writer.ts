// The writing end of a direct file, for any thread: reserve by compare-and-swap, copy, count. No messages, no
// allocation and no system call per record.

import { argumentError, requireBytes } from '../../../base/bytes.ts'
import { monotonicMs } from '../../../base/clock.ts'
import { LogboomError } from '../../../base/errors.ts'
import {
  ENTRY_HEADER_BYTES,
  encodeU32,
  FRAME_HEADER_BYTES,
  MAX_RECORD_BYTES
} from '../../../formats/direct-file.ts'
import { native } from '../../../native/index.ts'
import { LargeSender } from './large-records.ts'
import {
  control,
  type DirectFileHandle,
  deadWriter,
  EPOCH_MASK,
  LARGE_ENTRY_BYTES,
  LARGE_FLAG,
  MAX_WRITERS,
  OFFSET_BITS,
  OFFSET_MASK,
  requireHandle,
  runState,
  SharedMemory,
  SKIP_FLAG,
  SWAP_AT,
  slot,
  threadState
} from './shared-memory.ts'
import { systemThread } from './thread-life.ts'

/** Bytes of a number before a record: which of several files it is for. */
export const TAG_BYTES = 4
/** A blocked writer looks this often whether the flusher still lives. */
const WAIT_MS = 100
/** A large record waits for so many of these until it can be kept for another flusher as well. */
const MAX_KEEP_TURNS = 10
/** Without the thread that opened the file nobody starts the flusher's again. */
const RESTART_LIMIT_MS = 10_000
const NO_ROOM = -1
const NO_TAG = -1
const NEWLINE = 10

let owners = 0

export class DirectWriter {
  readonly #memory: SharedMemory
  readonly #words: Int32Array
  readonly #bytes: Buffer
  readonly #counters: Float64Array
  readonly #writer: number
  readonly #line: number
  readonly #recordsAt: number
  readonly #droppedAt: number
  readonly #limitBytes: number
  readonly #swapAtBytes: number
  readonly #blocks: boolean
  readonly #exitHandle: unknown
  readonly #large: LargeSender
  readonly #look: (() => void) | undefined
  #closed = false
  /** When the flusher's thread was first seen to have ended, since it last ran. */
  #endedAtMs: number | undefined
  #sequence: number
  #epoch = -1
  #tag = NO_TAG
  /** The tag of the shard in use, `NO_TAG` if none of the present epoch is. */
  #shardTag = NO_TAG
  #shard = 0
  #shardId = 0
  #shardWord = 0
  #address = 0
  #swapAsked = false

  /**
   * `look` is called by a writer that waits, in the thread that opened the file: its thread for writing may have ended.
   * Throws `ERR_CLOSED` if the file is closed, `ERR_LIMIT` if 256 threads already write to it.
   */
  constructor(memory: SharedMemory, look: (() => void) | undefined = undefined) {
    const { handle, words } = memory
    this.#memory = memory
    this.#look = look
    this.#words = words
    this.#bytes = memory.bytes
    this.#counters = memory.floats
    this.#limitBytes = handle.shape.limitBytes
    this.#swapAtBytes = Math.floor(handle.shape.limitBytes * SWAP_AT)
    this.#blocks = handle.overflow === 'block'
    this.#checkOpen()
    owners = (owners % 0x3fff_ffff) + 1
    this.#writer = takeLine(memory, owners)
    this.#line = memory.writerLine(this.#writer)
    this.#recordsAt = this.#line / 2 + slot.records
    this.#droppedAt = this.#line / 2 + slot.dropped
    this.#sequence = words[this.#line + slot.sequence]
    Atomics.store(words, this.#line + slot.systemThread, systemThread())
    this.#large = new LargeSender(memory)
    this.#exitHandle = native.replaceAtExit(words, this.#line + slot.owner, owners, deadWriter)
  }

  /**
   * Logs `message` as one record of UTF-8; an empty one is ignored. False if it was dropped. Never throws for
   * I/O; `ERR_ARGUMENT` for what is no text, `ERR_CLOSED` if the file is closed, `ERR_TOO_LARGE` beyond 4 GiB.
   */
  log(message: string): boolean {
    if (typeof message !== 'string') throw argumentError('log', 'a text', message)
    if (message.length === 0) return true
    const length = Buffer.byteLength(message)
    if (length > this.#limitBytes - FRAME_HEADER_BYTES - ENTRY_HEADER_BYTES) {
      return this.#logLarge(Buffer.from(message))
    }
    const at = this.#reserve(length + ENTRY_HEADER_BYTES)
    if (at === NO_ROOM) return false
    encodeU32(this.#bytes, at, length)
    this.#bytes.write(message, at + ENTRY_HEADER_BYTES, length, 'utf8')
    this.#complete(1)
    return true
  }

  /** Logs `data` as one record; an empty one is ignored. The same errors as `log`. */
  logBytes(data: Uint8Array): boolean {
    const bytes = requireBytes('logBytes', data)
    const { length } = bytes
    if (length === 0) return true
    if (length > this.#limitBytes - FRAME_HEADER_BYTES - ENTRY_HEADER_BYTES) return this.#logLarge(bytes)
    const at = this.#reserve(length + ENTRY_HEADER_BYTES)
    if (at === NO_ROOM) return false
    encodeU32(this.#bytes, at, length)
    this.#bytes.set(bytes, at + ENTRY_HEADER_BYTES)
    this.#complete(1)
    return true
  }

  /** Logs `data[start, end)` after a number; false if there is no room, whatever the overflow policy. */
  tryLogTagged(tag: number, data: Uint8Array, start: number, end: number): boolean {
    const length = end - start + TAG_BYTES
    if (length > this.#limitBytes - FRAME_HEADER_BYTES - ENTRY_HEADER_BYTES) {
      return this.#tryLarge(tagged(tag, data.subarray(start, end)))
    }
    const at = this.#tryReserve(length + ENTRY_HEADER_BYTES)
    if (at === NO_ROOM) return false
    encodeU32(this.#bytes, at, length)
    encodeU32(this.#bytes, at + ENTRY_HEADER_BYTES, tag)
    native.copy(data, start, end, this.#bytes, at + ENTRY_HEADER_BYTES + TAG_BYTES)
    this.#complete(1)
    return true
  }

  /** Waits until the flusher has made room, for a while at most. Throws `ERR_CLOSED`. */
  waitForFlush(waitMs = WAIT_MS): void {
    const flushed = Atomics.load(this.#words, control.flushed)
    this.#memory.swap(Atomics.load(this.#words, control.epoch))
    this.#checkOpen()
    this.#await(control.flushed, flushed, Math.min(waitMs, WAIT_MS))
  }

  /**
   * Logs the lines of `data[start, end)`, which ends with a line end, each as a record without its line end.
   * Returns how many bytes of whole lines were taken: fewer if there is no more room, whatever the overflow
   * policy, as the caller has its own.
   */
  tryLogLines(data: Uint8Array, start: number, end: number): number {
    const pieceBytes = Math.min(this.#limitBytes >> 2, 1 << 20)
    let at = start
    while (at < end) {
      let stop = end
      if (end - at > pieceBytes) {
        stop = data.lastIndexOf(NEWLINE, at + pieceBytes - 1) + 1
        if (stop <= at) stop = data.indexOf(NEWLINE, at + pieceBytes) + 1
      }
      if (!this.#tryLogPiece(data, at, stop)) break
      at = stop
    }
    return at - start
  }

  /** Logs `data[start, end)` as one record, whatever line ends are in it, if there is room for it now. */
  tryLogRecord(data: Uint8Array, start: number, end: number): boolean {
    const length = end - start
    if (length === 0) return true
    if (length > this.#limitBytes - FRAME_HEADER_BYTES - ENTRY_HEADER_BYTES) {
      return this.#tryLarge(data.subarray(start, end))
    }
    const at = this.#tryReserve(length + ENTRY_HEADER_BYTES)
    if (at === NO_ROOM) return false
    encodeU32(this.#bytes, at, length)
    native.copy(data, start, end, this.#bytes, at + ENTRY_HEADER_BYTES)
    this.#complete(1)
    return true
  }

  /** Gives the writer's place back. Nothing may be logged afterwards. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    if (this.#exitHandle !== undefined) native.cancelReplace(this.#exitHandle)
    // The flusher takes the counters over.
    Atomics.store(this.#words, this.#line + slot.owner, deadWriter)
  }

  /** Counts records that were dropped before they came here. */
  countDropped(records: number): void {
    this.#counters[this.#droppedAt] += records
  }

  #tryLogPiece(data: Uint8Array, start: number, end: number): boolean {
    const lines = native.countLines(data, start, end)
    const bytes = end - start + lines * (ENTRY_HEADER_BYTES - 1)
    if (bytes > this.#limitBytes - FRAME_HEADER_BYTES) return this.#tryLarge(data.subarray(start, end - 1))
    const at = this.#tryReserve(bytes)
    if (at === NO_ROOM) return false
    const written = native.frameLines(data, start, end, this.#bytes, at)
    const unused = bytes - written
    // Each empty line, which makes no record, left room for an entry without content.
    if (unused > 0) this.#putSpecial(at + written, SKIP_FLAG | (unused - ENTRY_HEADER_BYTES))
    this.#complete(lines - unused / ENTRY_HEADER_BYTES)
    return true
  }

  /** Reserves `bytes` and returns their address, or drops the record and returns `NO_ROOM`. */
  #reserve(bytes: number): number {
    const at = this.#tryReserve(bytes)
    return at === NO_ROOM ? this.#waitForRoom(bytes) : at
  }

  // Until `#complete`, the writer's line tells the flusher which bytes are not to be trusted. The line is filled
  // in before the compare-and-swap, except for the offset, which is the first thing stored after it. There is no
  // call and no loop between the two, where V8 could end the thread (worker.terminate()).
  #tryReserve(bytes: number): number {
    const words = this.#words
    const line = this.#line
    for (;;) {
      const word = Atomics.load(words, this.#shardWord)
      const offset = word & OFFSET_MASK
      const isCurrent = Atomics.load(words, control.epoch) === this.#epoch
      if (!isCurrent || word >>> OFFSET_BITS !== this.#shardTag || offset + bytes > this.#limitBytes) {
        if (this.#moveOn(bytes)) continue
        return NO_ROOM
      }
      words[line + slot.shard] = this.#shardId
      words[line + slot.bytes] = bytes
      words[line + slot.offset] = -1
      words[line + slot.sequence] = this.#sequence | 1
      if (Atomics.compareExchange(words, this.#shardWord, word, word + bytes) === word) {
        words[line + slot.offset] = offset
        if (offset + bytes > this.#swapAtBytes && offset <= this.#swapAtBytes) this.#swapAsked = true
        return this.#address + offset
      }
      Atomics.store(words, line + slot.sequence, this.#sequence)
    }
  }

  /** The length of an entry that is for the flusher alone, which has to look at every entry of the shard now. */
  #putSpecial(at: number, length: number): void {
    encodeU32(this.#bytes, at, length)
    Atomics.store(this.#words, this.#shardWord + 1, 1)
  }

  #complete(records: number): void {
    this.#sequence = (this.#sequence + 2) | 0
    Atomics.store(this.#words, this.#line + slot.sequence, this.#sequence)
    this.#counters[this.#recordsAt] += records
    if (this.#swapAsked) {
      this.#swapAsked = false
      this.#memory.swap(this.#epoch)
    }
  }

  /** Finds a shard with room for `bytes`; false if there is none until the flusher has written the other set. */
  #moveOn(bytes: number): boolean {
    this.#checkOpen()
    if (Atomics.load(this.#words, control.state) === runState.failed) return false
    for (;;) {
      const epoch = Atomics.load(this.#words, control.epoch)
      if (epoch !== this.#epoch) {
        this.#epoch = epoch
        this.#tag = epoch & EPOCH_MASK
        // The shard of an earlier epoch may be open for this one: to go on there would not be to go to a later one.
        this.#shardTag = NO_TAG
        this.#shard = -1
        if (this.#claimFirst(bytes)) return true
      } else if (this.#claimNext(bytes)) return true
      if (!this.#memory.swap(epoch)) return false
    }
  }

  // Shards are written to the file in their order, so a writer that leaves one may only go to a later one: its
  // own records stay in order.
  #claimFirst(bytes: number): boolean {
    const { shards } = this.#memory.handle.shape
    const claim = Atomics.add(this.#words, control.claims + (this.#epoch & 1), 1)
    const first = (claim & 0xffff) % shards
    if (this.#use(first, bytes)) return true
    for (let shard = 0; shard < shards; shard++) if (this.#use(shard, bytes)) return true
    return false
  }

  #claimNext(bytes: number): boolean {
    const { shards } = this.#memory.handle.shape
    const claim = Atomics.add(this.#words, control.claims + (this.#epoch & 1), 1)
    if (claim > this.#shard && claim < shards && this.#use(claim, bytes)) return true
    for (let shard = this.#shard + 1; shard < shards; shard++) if (this.#use(shard, bytes)) return true
    return false
  }

  #use(shard: number, bytes: number): boolean {
    const set = this.#epoch & 1
    const index = this.#memory.shardWord(set, shard)
    const word = Atomics.load(this.#words, index)
    if (word >>> OFFSET_BITS !== this.#tag || (word & OFFSET_MASK) + bytes > this.#limitBytes) return false
    this.#shard = shard
    this.#shardTag = this.#tag
    this.#shardId = set * this.#memory.handle.shape.shards + shard
    this.#shardWord = index
    this.#address = this.#memory.shardAddress(set, shard)
    return true
  }

  #waitForRoom(bytes: number): number {
    for (;;) {
      if (!this.#mayWait()) {
        this.#counters[this.#droppedAt]++
        return NO_ROOM
      }
      const flushed = Atomics.load(this.#words, control.flushed)
      const at = this.#tryReserve(bytes)
      if (at !== NO_ROOM) return at
      this.#await(control.flushed, flushed)
    }
  }

  /** Whether room will come: false too where nobody starts the flusher's thread again. */
  #mayWait(): boolean {
    if (!this.#blocks || Atomics.load(this.#words, control.state) === runState.failed) return false
    if (Atomics.load(this.#words, control.thread) !== threadState.ended) {
      this.#endedAtMs = undefined
      return true
    }
    this.#endedAtMs ??= monotonicMs()
    return monotonicMs() - this.#endedAtMs < RESTART_LIMIT_MS
  }

  #await(word: number, seen: number, waitMs = WAIT_MS): void {
    this.#look?.()
    Atomics.wait(this.#words, word, seen, waitMs)
  }

  #logLarge(data: Uint8Array): boolean {
    if (data.length > MAX_RECORD_BYTES) {
      const message = `a record of ${data.length} bytes is larger than the format allows (${MAX_RECORD_BYTES})`
      throw new LogboomError('ERR_TOO_LARGE', message, { path: this.#memory.handle.path })
    }
    // The thread that keeps records hears of what is settled by looking, so it can wait for that; but what a flusher that
    // died has not settled stays kept, and is not waited for without end.
    let keepTurns = this.#blocks && this.#look !== undefined ? MAX_KEEP_TURNS : 0
    while (!this.#tryLarge(data, keepTurns-- > 0)) {
      this.#checkOpen()
      if (!this.#mayWait()) {
        this.#counters[this.#droppedAt]++
        return false
      }
      const flushed = Atomics.load(this.#words, control.flushed)
      // The memory may be held by records of the epoch that is still filling.
      this.#memory.swap(Atomics.load(this.#words, control.epoch))
      this.#await(control.flushed, flushed)
    }
    return true
  }

  /** Passes the record to the flusher beside the shards, and notes in a shard where in the order it belongs. */
  #tryLarge(data: Uint8Array, mustKeep = false): boolean {
    // The flusher does not get messages from before its thread listens.
    for (;;) {
      const thread = Atomics.load(this.#words, control.thread)
      if (thread === threadState.running) break
      this.#checkOpen()
      if (Atomics.load(this.#words, control.state) === runState.failed) return false
      if (!this.#mayWait() && thread === threadState.ended) return false
      this.#await(control.thread, thread)
    }
    // Lets whoever keeps them for the next flusher hear which need not be kept any more.
    this.#look?.()
    const sent = this.#large.send(data, mustKeep)
    if (sent === undefined) return false
    const { id, kib } = sent
    const at = this.#tryReserve(ENTRY_HEADER_BYTES + LARGE_ENTRY_BYTES)
    if (at === NO_ROOM) {
      this.#large.takeBack(sent)
      return false
    }
    this.#putSpecial(at, LARGE_FLAG | LARGE_ENTRY_BYTES)
    encodeU32(this.#bytes, at + ENTRY_HEADER_BYTES, id)
    encodeU32(this.#bytes, at + ENTRY_HEADER_BYTES + 4, kib)
    this.#complete(1)
    return true
  }

  #checkOpen(): void {
    const state = Atomics.load(this.#words, control.state)
    if (!this.#closed && (state < runState.closing || state === runState.failed)) return
    const { path } = this.#memory.handle
    throw new LogboomError('ERR_CLOSED', `cannot log to ${path}: it is closed`, { path })
  }
}

function takeLine(memory: SharedMemory, owner: number): number {
  for (let writer = 0; writer < MAX_WRITERS; writer++) {
    const index = memory.writerLine(writer) + slot.owner
    if (Atomics.compareExchange(memory.words, index, 0, owner) === 0) return writer
  }
  const { path } = memory.handle
  throw new LogboomError('ERR_LIMIT', `${MAX_WRITERS} threads already write to ${path}`, { path })
}

function tagged(tag: number, data: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(TAG_BYTES + data.length)
  encodeU32(bytes, 0, tag)
  bytes.set(data, TAG_BYTES)
  return bytes
}

/** A writer for a thread that got `handle` from `DirectFile.share()`. */
export function attachWriter(handle: DirectFileHandle): DirectWriter {
  requireHandle(handle)
  return new DirectWriter(new SharedMemory(handle))
}

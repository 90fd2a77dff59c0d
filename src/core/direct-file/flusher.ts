// Writes what writers put into the shared memory to the file. Runs in a thread of its own (flusher-thread.ts).
import { BroadcastChannel, receiveMessageOnPort } from 'node:worker_threads'
import { errorMessage, LogboomError, systemCode } from '../../base/errors.ts'
import type { Disk } from '../../io/disk.ts'
import { type FlushItem, FrameFile, type FrameFileHooks, type FrameFileOptions } from './frame-file.ts'
import { GroupFile } from './group-file.ts'
import { isUsed, ShardCollector } from './shard-collector.ts'
import {
  control,
  OFFSET_MASK,
  runState,
  type SharedMemory,
  SWAP_AT,
  slot,
  statistic
} from './shared-memory.ts'
import type { LargeRecord } from './writer.ts'

const RETRY_MIN_MS = 50
const RETRY_MAX_MS = 500
const REPORT_INTERVAL_MS = 1_000

export interface FlusherOptions extends FrameFileOptions {
  /** The file, or the folder of a group. */
  readonly path: string
  readonly flushIntervalMs: number
  readonly flushTimeoutMs: number
  /** Records begin with the number of their file. */
  readonly group?: { readonly maxOpenFiles: number; readonly idleCloseMs: number }
}

/** What the flusher needs of the file, or the group of files, it writes. */
export type FlushTarget = Pick<
  FrameFile,
  'open' | 'write' | 'rotate' | 'close' | 'countDropped' | 'hasDropped' | 'counters'
>

/** What a group is asked; carried out before anything that is logged later is written. */
export type FlusherRequest =
  | { readonly type: 'add'; readonly tag: number; readonly path: string }
  | { readonly type: 'open' | 'close'; readonly tag: number }
  | { readonly type: 'dropped'; readonly tag: number; readonly count: number }

/** The flusher's ends of its messages. */
export interface FlusherPort {
  send(message: FlusherMessage): void
  /** The next request, if there is one. */
  receive(): FlusherRequest | undefined
}

/** What the flusher tells the thread that opened the file. */
export type FlusherMessage =
  | { readonly type: 'rotated'; readonly from: string; readonly to: string; readonly bytes: number }
  | {
      readonly type: 'warning' | 'degraded'
      readonly code: string
      readonly message: string
      readonly path: string
    }
  | { readonly type: 'recovered' }
  | { readonly type: 'files'; readonly changes: Float64Array }
  | { readonly type: 'flushed'; readonly number: number }
  | { readonly type: 'closed' }

export class Flusher {
  readonly #memory: SharedMemory
  readonly #options: FlusherOptions
  readonly #port: FlusherPort
  readonly #file: FlushTarget
  readonly #group: GroupFile | undefined
  readonly #toClose = new Set<number>()
  readonly #collector: ShardCollector
  readonly #channel: BroadcastChannel
  readonly #large = new Map<number, SharedArrayBuffer>()
  /** Collected and not yet written. */
  #items: FlushItem[] = []
  #itemsEpoch: number | undefined
  #retryMs = 0
  #countedDropped = 0
  #rotations = 0
  #reopens = 0
  #nextFlushAt = 0
  #nextReportAt = 0

  constructor(memory: SharedMemory, options: FlusherOptions, disk: Disk, port: FlusherPort) {
    this.#memory = memory
    this.#options = options
    this.#port = port
    const hooks: FrameFileHooks = {
      rotated: (event) => port.send({ type: 'rotated', ...event }),
      warning: (code, message, path) => port.send({ type: 'warning', code, message, path })
    }
    if (options.group === undefined) this.#file = new FrameFile(disk, options.path, options, hooks)
    else this.#file = this.#group = new GroupFile(disk, { ...options, ...options.group }, hooks)
    this.#collector = new ShardCollector(memory, options.flushTimeoutMs, (id) => this.#takeLarge(id))
    this.#channel = new BroadcastChannel(memory.handle.channel)
    this.#channel.unref()
  }

  /** Works until the file is closed. Blocks the thread. */
  run(): void {
    const { words } = this.#memory
    this.#nextFlushAt = performance.now() + this.#options.flushIntervalMs
    Atomics.compareExchange(words, control.state, runState.opening, runState.open)
    Atomics.notify(words, control.state)
    this.#attempt(() => this.#file.open())
    for (;;) {
      const seen = Atomics.load(words, control.wake)
      this.step()
      const state = Atomics.load(words, control.state)
      if (state === runState.closed) return
      const waitMs = this.#retryMs > 0 ? this.#retryMs : this.#nextFlushAt - performance.now()
      Atomics.wait(words, control.wake, seen, Math.max(0, waitMs))
    }
  }

  /** One round: everything that is due. True if all of it could be done. */
  step(): boolean {
    const { words } = this.#memory
    const asked = Atomics.load(words, control.flushAsked)
    const reopenAsked = Atomics.load(words, control.reopenAsked)
    const rotateAsked = Atomics.load(words, control.rotateAsked)
    const due = performance.now() >= this.#nextFlushAt
    const closing = Atomics.load(words, control.state) === runState.closing
    const wanted =
      due || closing || asked !== Atomics.load(words, control.flushDone) || rotateAsked !== this.#rotations
    this.#receive()
    const wantsClosing = this.#toClose.size > 0
    let done = this.#flushPending()
    if (done && (wanted || wantsClosing)) done = this.#flushActive(closing)
    if (!done) return false
    if (due) {
      this.#nextFlushAt = performance.now() + this.#options.flushIntervalMs
      this.#group?.closeIdle()
    }
    if (reopenAsked !== this.#reopens) {
      if (!this.#attempt(() => this.#file.close())) return false
      this.#reopens = reopenAsked
    }
    if (rotateAsked !== this.#rotations) {
      if (!this.#attempt(() => this.#file.rotate())) return false
      this.#rotations = rotateAsked
    }
    this.#receive()
    for (const tag of this.#toClose) this.#attempt(() => this.#group?.closeOf(tag))
    const isClosing = this.#toClose.size > 0
    this.#toClose.clear()
    const isAsked = asked !== Atomics.load(words, control.flushDone)
    if (isAsked || isClosing || closing || performance.now() >= this.#nextReportAt) this.#reportFiles()
    if (asked !== Atomics.load(words, control.flushDone)) {
      Atomics.store(words, control.flushDone, asked)
      Atomics.notify(words, control.flushDone)
      this.#port.send({ type: 'flushed', number: asked })
    }
    if (closing) this.#close()
    return true
  }

  #close(): void {
    const { words } = this.#memory
    this.#attempt(() => this.#file.close())
    this.#channel.close()
    Atomics.store(words, control.state, runState.closed)
    Atomics.notify(words, control.state)
    Atomics.notify(words, control.flushed)
    this.#port.send({ type: 'closed' })
  }

  /** Writes the set that a swap left to us; true if nothing of it remains. */
  #flushPending(): boolean {
    const { words } = this.#memory
    while (Atomics.load(words, control.flushed) !== Atomics.load(words, control.epoch)) {
      if (!this.#flushEpoch(Atomics.load(words, control.flushed))) return false
    }
    return true
  }

  /** Swaps the sets unless nothing was logged, and writes the other one. */
  #flushActive(closing: boolean): boolean {
    const { words } = this.#memory
    const epoch = Atomics.load(words, control.epoch)
    if (this.#isActiveUsed(epoch)) {
      this.#memory.swap(epoch)
      if (!this.#flushPending()) return false
    }
    if (this.#collector.hasLate) {
      const { items, lost } = this.#collector.collectLate()
      this.#memory.statistics[statistic.goneDropped] += lost
      this.#items.push(...items)
    }
    this.#countDropped()
    if (this.#items.length > 0 || (closing && this.#file.hasDropped)) {
      if (!this.#write()) return false
      this.#collector.forget()
    }
    return true
  }

  #isActiveUsed(epoch: number, beyondBytes = 0): boolean {
    const { words, handle } = this.#memory
    for (let shard = 0; shard < handle.shape.shards; shard++) {
      const word = Atomics.load(words, this.#memory.shardWord(epoch & 1, shard))
      if (isUsed(word) && (word & OFFSET_MASK) > beyondBytes) return true
    }
    return false
  }

  #flushEpoch(epoch: number): boolean {
    const { words, statistics } = this.#memory
    const started = performance.now()
    // Requests were posted before the records they belong to were logged.
    this.#receive()
    if (this.#itemsEpoch !== epoch) {
      this.#receiveLarge()
      const { items, lost } = this.#collector.collect(epoch)
      statistics[statistic.goneDropped] += lost
      this.#items.push(...items)
      this.#itemsEpoch = epoch
    }
    this.#countDropped()
    if (this.#items.length > 0 && !this.#write()) return false
    this.#collector.forget()
    this.#collector.reset(epoch)
    this.#collector.freeWriters()
    this.#itemsEpoch = undefined
    Atomics.store(words, control.flushed, (epoch + 1) | 0)
    Atomics.notify(words, control.flushed)
    // A writer that passed the mark while we were busy could not swap.
    if (this.#isActiveUsed(epoch + 1, this.#memory.handle.shape.limitBytes * SWAP_AT)) {
      this.#memory.swap((epoch + 1) | 0)
    }
    const ms = performance.now() - started
    statistics[statistic.flushes]++
    statistics[statistic.flushMs] += ms
    statistics[statistic.longestFlushMs] = Math.max(statistics[statistic.longestFlushMs], ms)
    return true
  }

  #write(): boolean {
    const large = this.#items.filter((item) => 'data' in item)
    const done = this.#attempt(() => this.#file.write(this.#items))
    // With thousands of files a report is large; nobody needs it more often.
    if (performance.now() >= this.#nextReportAt) this.#reportFiles()
    for (const item of large) {
      if (this.#items.includes(item)) continue
      Atomics.sub(this.#memory.words, control.largeKib, Math.ceil(item.data.length / 1024))
    }
    return done
  }

  /** Drops since the last look, for the next seal. */
  #countDropped(): void {
    const { statistics } = this.#memory
    const dropped = statistics[statistic.goneDropped] + this.#memory.sumOfWriters(slot.dropped)
    this.#file.countDropped(dropped - this.#countedDropped)
    this.#countedDropped = dropped
  }

  /** Carries out I/O; after a failure everything is as before, and it is tried again with growing pauses. */
  #attempt(work: () => void): boolean {
    const { words, statistics } = this.#memory
    try {
      work()
    } catch (error) {
      statistics[statistic.flushErrors]++
      this.#publish()
      this.#retryMs = Math.min(Math.max(this.#retryMs * 2, RETRY_MIN_MS), RETRY_MAX_MS)
      if (Atomics.compareExchange(words, control.state, runState.open, runState.degraded) === runState.open) {
        this.#port.send({ type: 'degraded', ...describe(this.#options.path, error) })
      }
      return false
    }
    this.#publish()
    this.#retryMs = 0
    if (
      Atomics.compareExchange(words, control.state, runState.degraded, runState.open) === runState.degraded
    ) {
      this.#port.send({ type: 'recovered' })
    }
    return true
  }

  #publish(): void {
    const { statistics } = this.#memory
    const { counters } = this.#file
    statistics[statistic.records] = counters.records
    statistics[statistic.bytesWritten] = counters.bytes
    statistics[statistic.writes] = counters.writes
    statistics[statistic.syncs] = counters.syncs
    statistics[statistic.rotations] = counters.rotations
    statistics[statistic.writeMs] = counters.writeMs
    statistics[statistic.longestWriteMs] = counters.longestWriteMs
  }

  #receive(): void {
    const group = this.#group
    if (group === undefined) return
    for (let request = this.#port.receive(); request !== undefined; request = this.#port.receive()) {
      const { type, tag } = request
      if (type === 'add') group.add(tag, request.path)
      else if (type === 'dropped') group.countDroppedOf(tag, request.count)
      else if (type === 'open') this.#attempt(() => group.openOf(tag))
      // What was logged before is written first.
      else this.#toClose.add(tag)
    }
  }

  #reportFiles(): void {
    this.#nextReportAt = performance.now() + REPORT_INTERVAL_MS
    const changes = this.#group?.takeChanges()
    if (changes !== undefined && changes.length > 0) this.#port.send({ type: 'files', changes })
  }

  #takeLarge(id: number): Uint8Array | undefined {
    this.#receiveLarge()
    const data = this.#large.get(id)
    this.#large.delete(id)
    return data === undefined ? undefined : new Uint8Array(data)
  }

  #receiveLarge(): void {
    for (;;) {
      const received = receiveMessageOnPort(this.#channel as never)
      if (received === undefined) return
      const { id, data } = received.message as LargeRecord
      if (data === undefined) this.#large.delete(id)
      else this.#large.set(id, data)
    }
  }
}

function describe(path: string, error: unknown): { code: string; message: string; path: string } {
  const code = error instanceof LogboomError ? (systemCode(error.cause) ?? error.code) : systemCode(error)
  return { code: code ?? 'ERR_IO', message: `${path}: ${errorMessage(error)}`, path }
}

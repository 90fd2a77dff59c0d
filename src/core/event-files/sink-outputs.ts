// Files of many events, each a sink of its own. Lines are collected in one buffer for all events and handed over
// event by event, so that memory does not grow with their number and files need not be opened for every line.
import { setTimeout as setTimeoutAsync } from 'node:timers/promises'
import { checkedFor } from '../../base/options.ts'
import { fileKinds } from '../file-kinds.ts'
import type { BaseSink } from '../sink/base-sink.ts'
import { type Durability, forwardedEvents, type SinkEvents } from '../sink/contract.ts'
import type { ParsedEventFilesOptions } from './options.ts'
import { type OutputKind, placeOf } from './output-kind.ts'
import type { EventEntry, Outputs, OutputTotals } from './outputs.ts'
import { Stage } from './stage.ts'

/** The manager has waited for a flush before; a file that fails must not keep the others from being closed. */
const END_WAIT_MS = 500
/** So much is handed over without waiting for `flushInterval`. */
const HAND_OVER_BYTES = 4 * 1024 * 1024

/** The open file of an event. */
interface Child {
  readonly entry: EventEntry
  readonly sink: BaseSink
  /** Where it is in the list of the open ones, or of those that are being closed. */
  at: number
  usedAt: number
  /** Resolves when it is closed; undefined while it is open. */
  closed: Promise<void> | undefined
}

/** What earlier sinks of an event wrote: records, bytes, rotations. */
const PAST_FIELDS = 3

/** What the manager is told of its files. */
export interface OutputNews {
  event<E extends keyof SinkEvents>(name: E, ...args: SinkEvents[E]): void
  failed(entry: EventEntry, error: unknown): void
  /** A record of so many bytes, its end included, found no file. */
  dropped(entry: EventEntry, bytes: number): void
}

export class SinkOutputs implements Outputs {
  readonly metrics = {
    totalFlushes: 0,
    avgFlushDuration: 0,
    maxFlushDuration: 0,
    avgWriteDuration: 0,
    maxWriteDuration: 0,
    writePercent: 0,
    flushQueueDepth: 0,
    blockedSwaps: 0
  }
  readonly #kind: OutputKind
  readonly #options: ParsedEventFilesOptions
  readonly #news: OutputNews
  /** The same for all files. */
  readonly #listeners: [(typeof forwardedEvents)[number], (...args: never[]) => void][]
  readonly #maxChildren: number
  // Arrays, because there are few, and the tables that a Map leaves behind when it is changed all the time hold each
  // other and what was in them until the next full collection.
  readonly #children: Child[] = []
  readonly #closing: Child[] = []
  /** The open file of each event, and the last one that is being closed, by its tag. */
  readonly #byTag: (Child | undefined)[] = []
  readonly #closingByTag: (Child | undefined)[] = []
  /** Called when a file has been closed. */
  #closedOne: (() => void) | undefined
  readonly #stage: Stage
  readonly #totals = { dropped: 0, writes: 0, syncs: 0, rotations: 0, repairs: 0, errors: 0 }
  readonly #idleTimer: NodeJS.Timeout
  #timer: NodeJS.Timeout | undefined
  #handingOver: Promise<void> | undefined
  /** The file used last, and when the present round began. */
  #newest: Child | undefined
  #roundAt = 0
  #past = new Float64Array(PAST_FIELDS * 256)
  #flushMs = 0
  #writeMs = 0

  constructor(options: ParsedEventFilesOptions, news: OutputNews) {
    this.#listeners = forwardedEvents.map((name) => [
      name,
      (...args: never[]) => news.event(name, ...(args as unknown as SinkEvents[typeof name]))
    ])
    this.#kind = options.output
    this.#options = options
    this.#news = news
    // A file that is shared holds a lock file, too; a write-ahead log its folder's lock, a segment and the one prepared
    // behind it. One descriptor is for the folder, which is synced now and then.
    const descriptors = options.output === 'wal' ? 3 : options.checked.lock === false ? 1 : 2
    this.#maxChildren = Math.max(1, Math.floor((options.own.maxOpenFiles - 1) / descriptors))
    this.#stage = new Stage(Math.max(64 * 1024, Math.floor(options.maxBufferBytes / 4)))
    const { idleClose } = options.own
    this.#idleTimer = setInterval(() => this.#closeIdle(), Math.max(100, idleClose / 4)).unref()
  }

  get isCrowded(): boolean {
    return this.#stage.bytes > this.#stage.capacity / 2
  }

  add(entry: EventEntry, data: Uint8Array, start: number, end: number): boolean {
    if (!this.#stage.add(entry, data, start, end)) {
      this.metrics.blockedSwaps++
      this.#startHandingOver()
      return false
    }
    if (this.#stage.bytes >= Math.min(HAND_OVER_BYTES, this.#stage.capacity / 2)) this.#startHandingOver()
    else this.#schedule()
    return true
  }

  // The caller does not let this thread get to closing files, so more than `maxOpenFiles` may be open for a while.
  waitForRoom(): void {
    this.flushNow('os')
    const surplus = this.#children.length - this.#maxChildren
    if (surplus <= 0) return
    const byAge = [...this.#children].sort((a, b) => a.usedAt - b.usedAt)
    for (const child of byAge.slice(0, surplus)) void this.#closeChild(child)
  }

  open(entry: EventEntry): void {
    if (this.#children.length + this.#closing.length < this.#maxChildren) this.#child(entry)
  }

  async close(entry: EventEntry): Promise<void> {
    await this.#handOver()
    const child = this.#byTag[entry.tag]
    await (child === undefined ? this.#closingByTag[entry.tag]?.closed : this.#closeChild(child))
  }

  async flush(to: Durability): Promise<void> {
    await this.#handOver()
    await Promise.all([
      ...this.#closing.map(({ closed }) => closed),
      ...this.#children.map(({ sink }) => sink.flushLines(to))
    ])
  }

  flushNow(to: Durability): void {
    for (const entry of this.#stage.entries()) this.#write(entry)
    for (const { sink } of this.#children) sink.flushSync(to)
  }

  async end(): Promise<void> {
    clearInterval(this.#idleTimer)
    clearTimeout(this.#timer)
    await Promise.race([this.#handOver(), setTimeoutAsync(END_WAIT_MS, undefined, { ref: false })])
    await Promise.all([...this.#children].map((child) => this.#closeChild(child)))
    await Promise.all(this.#closing.map(({ closed }) => closed))
  }

  totals(): OutputTotals {
    const totals: OutputTotals = { ...this.#totals, queuedBytes: this.#stage.bytes, state: 'open' }
    for (const { sink } of this.#children) {
      const stats = sink.stats()
      for (const name of [
        'dropped',
        'writes',
        'syncs',
        'rotations',
        'repairs',
        'errors',
        'queuedBytes'
      ] as const) {
        totals[name] += stats[name]
      }
      if (stats.state === 'degraded') totals.state = 'degraded'
    }
    return totals
  }

  /** Brings what is known of the entry's file up to date. */
  update(entry: EventEntry): void {
    const child = this.#byTag[entry.tag]
    if (child === undefined) return
    const { records, bytes, rotations } = child.sink.stats()
    const at = PAST_FIELDS * entry.tag
    entry.written.records = this.#past[at] + records
    entry.written.bytes = this.#past[at + 1] + bytes
    entry.written.rotations = this.#past[at + 2] + rotations
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#handingOver !== undefined) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#startHandingOver()
    }, this.#options.checked.flushInterval).unref()
  }

  #startHandingOver(): void {
    void this.#handOver()
  }

  /** Hands over what was added so far; what comes meanwhile is handed over by the next round. */
  #handOver(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const before = this.#handingOver
    if (before !== undefined) return before.then(() => (this.#stage.bytes > 0 ? this.#handOver() : undefined))
    if (this.#stage.bytes === 0) return Promise.resolve()
    this.#handingOver = this.#round().finally(() => {
      this.#handingOver = undefined
      if (this.#stage.bytes > 0) this.#schedule()
    })
    return this.#handingOver
  }

  async #round(): Promise<void> {
    const started = performance.now()
    this.#roundAt = started
    this.metrics.flushQueueDepth = 1
    // Open files first: those that must be closed for others have then nothing left to be opened for.
    const entries = this.#stage.entries()
    const isOpen = ({ tag }: EventEntry): boolean => this.#byTag[tag] !== undefined
    const ordered = [...entries.filter(isOpen), ...entries.filter((entry) => !isOpen(entry))]
    let longestMs = 0
    for (const entry of ordered) {
      const writing = performance.now()
      await this.#writeWhenPossible(entry)
      // A file that cannot keep up holds up the others rather than fill the memory.
      const sink = this.#byTag[entry.tag]?.sink
      if (sink !== undefined && sink.queuedBytes > 0) {
        await sink.flushLines('os').catch((error) => this.#news.failed(entry, error))
      }
      const ms = performance.now() - writing
      this.#writeMs += ms
      longestMs = Math.max(longestMs, ms)
    }
    this.#stage.compact()
    this.#count(performance.now() - started, longestMs)
  }

  #count(flushMs: number, longestMs: number): void {
    const { metrics } = this
    this.#flushMs += flushMs
    metrics.flushQueueDepth = 0
    metrics.totalFlushes++
    metrics.avgFlushDuration = this.#flushMs / metrics.totalFlushes
    metrics.maxFlushDuration = Math.max(metrics.maxFlushDuration, flushMs)
    metrics.avgWriteDuration = this.#writeMs / metrics.totalFlushes
    metrics.maxWriteDuration = Math.max(metrics.maxWriteDuration, longestMs)
    metrics.writePercent = Math.min(100, (this.#writeMs / this.#flushMs) * 100)
  }

  /** Hands over what waits for an event; its file is opened if it is not. */
  #write(entry: EventEntry): void {
    let child: Child
    try {
      child = this.#child(entry)
    } catch (error) {
      // A link or a folder in its place, say: the other events must not wait for this one.
      this.#news.failed(entry, error)
      for (const line of this.#stage.takeEach(entry)) this.#news.dropped(entry, line.length)
      return
    }
    if (this.#kind === 'rotating-file') child.sink.write(this.#stage.take(entry))
    else child.sink.writeRecords(this.#stage.takeEach(entry))
  }

  /** The same after as many other files were closed as necessary. */
  async #writeWhenPossible(entry: EventEntry): Promise<void> {
    await this.#closingByTag[entry.tag]?.closed
    while (this.#byTag[entry.tag] === undefined && this.#isFull) {
      const leaving = this.#leastUseful()
      if (leaving === undefined || this.#closing.length >= this.#maxChildren / 2) await this.#oneClosed()
      else void this.#closeChild(leaving)
    }
    // Somebody who could not wait may have written it meanwhile.
    if (this.#stage.has(entry)) this.#write(entry)
  }

  get #isFull(): boolean {
    return this.#children.length + this.#closing.length >= this.#maxChildren
  }

  /** Resolves when the next of the files that are being closed is. */
  #oneClosed(): Promise<void> {
    return new Promise((resolve) => {
      this.#closedOne = resolve
    })
  }

  /**
   * The file to be closed for another: that used least recently. Where all were used in this round, it is the last
   * one: what comes by in turns would else never be found open, and what lives briefly is cheap to collect.
   */
  #leastUseful(): Child | undefined {
    if (this.#children.length === 0) return undefined
    const oldest = this.#oldest()
    if (oldest.usedAt < this.#roundAt) return oldest
    if (this.#newest !== undefined && this.#newest.closed === undefined) return this.#newest
    return this.#closing.length > 0 ? undefined : oldest
  }

  #oldest(): Child {
    return this.#children.reduce((oldest, child) => (child.usedAt < oldest.usedAt ? child : oldest))
  }

  #child(entry: EventEntry): Child {
    let child = this.#byTag[entry.tag]
    if (child === undefined) {
      child = { entry, sink: this.#create(entry), at: 0, usedAt: 0, closed: undefined }
      this.#byTag[entry.tag] = child
      add(this.#children, child)
      this.#makeRoom(entry.tag)
    }
    child.usedAt = performance.now()
    this.#newest = child
    return child
  }

  #create(entry: EventEntry): BaseSink {
    const options = checkedFor(this.#options.checked, placeOf(this.#kind, this.#options.folder, entry.name))
    const sink = fileKinds[this.#kind].create(options as never) as unknown as BaseSink
    for (const [name, listener] of this.#listeners) sink.on(name, listener)
    return sink
  }

  #closeChild(child: Child): Promise<void> {
    child.closed ??= this.#closed(child)
    return child.closed
  }

  async #closed(child: Child): Promise<void> {
    const { entry, sink } = child
    const earlier = this.#closingByTag[entry.tag]?.closed
    this.#byTag[entry.tag] = undefined
    this.#closingByTag[entry.tag] = child
    remove(this.#children, child)
    add(this.#closing, child)
    if (earlier !== undefined) await earlier
    await sink.close().catch((error) => this.#news.failed(entry, error))
    remove(this.#closing, child)
    if (this.#closingByTag[entry.tag] === child) this.#closingByTag[entry.tag] = undefined
    if (this.#newest === child) this.#newest = undefined
    this.#remember(entry, sink)
    this.#closedOne?.()
    this.#closedOne = undefined
  }

  #remember(entry: EventEntry, sink: BaseSink): void {
    const stats = sink.stats()
    for (const name of ['dropped', 'writes', 'syncs', 'rotations', 'repairs', 'errors'] as const) {
      this.#totals[name] += stats[name]
    }
    const at = PAST_FIELDS * entry.tag
    entry.written.records = this.#past[at] += stats.records
    entry.written.bytes = this.#past[at + 1] += stats.bytes
    entry.written.rotations = this.#past[at + 2] += stats.rotations
  }

  #makeRoom(tag: number): void {
    if (PAST_FIELDS * tag < this.#past.length) return
    const larger = new Float64Array(2 * PAST_FIELDS * (tag + 1))
    larger.set(this.#past)
    this.#past = larger
  }

  #closeIdle(): void {
    const before = performance.now() - this.#options.own.idleClose
    for (const child of [...this.#children]) {
      if (child.usedAt < before) void this.#closeChild(child)
    }
  }
}

function add(list: Child[], child: Child): void {
  child.at = list.length
  list.push(child)
}

function remove(list: Child[], child: Child): void {
  const last = list.pop() as Child
  if (last === child) return
  list[child.at] = last
  last.at = child.at
}

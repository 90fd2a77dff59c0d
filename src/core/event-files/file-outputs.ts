// Files of many events, each a sink of its own. Records are collected in one buffer for all events and handed over
// event by event, so that memory does not grow with their number and files need not be opened for every record.
import { setTimeout as setTimeoutAsync } from 'node:timers/promises'
import { monotonicMs } from '../../base/clock.ts'
import { isOutOfDescriptors, LogboomError, systemCode } from '../../base/errors.ts'
import { sleep } from '../../base/sleep.ts'
import { native } from '../../native/index.ts'
import type { Dropped } from '../queue/byte-queue.ts'
import { notShared } from '../shared-file/shared-file-target.ts'
import { type Internals, internals } from '../sink/internals.ts'
import { warnOfOtherMachines } from '../sink/other-machines.ts'
import { settledWhileProgress } from '../sink/progress.ts'
import type { SyncLevel } from '../sink/target.ts'
import { Delivery } from './delivery.ts'
import type { EventBuffer } from './event-buffer.ts'
import { FlushMeter } from './flush-meter.ts'
import type { OpenFiles } from './open-files.ts'
import type { ParsedEventFilesOptions } from './options.ts'
import type { EventEntry, OutputNews, Outputs, OutputTotals } from './outputs.ts'

/** So much is handed over without waiting for `flushInterval`. */
const HAND_OVER_BYTES = 4 * 1024 * 1024
/** A place among the open files is waited for so long; then other events come first. */
const PLACE_WAIT_MS = 20
/** The thread is given back to others after so much work at once. */
const SLICE_MS = 20
/** What could not be handed over is tried again after this. */
const TRY_AGAIN_MS = 50
/** A caller who allows less is served at once only where that takes a few system calls; else in the background. */
const PATIENT_MS = 1_000
const FEW_EVENTS = 8

export class FileOutputs implements Outputs {
  readonly metrics = new FlushMeter()
  readonly #options: ParsedEventFilesOptions
  readonly #internals: Internals = internals()
  readonly #delivery: Delivery
  readonly #files: OpenFiles
  readonly #buffer: EventBuffer
  readonly #idleTimer: NodeJS.Timeout
  /** For each flush under way: the events it waits for, until their records are handed over. */
  readonly #awaited = new Set<Set<EventEntry>>()
  #timer: NodeJS.Timeout | undefined
  #round: Promise<void> | undefined
  #roundStartedMs = 0
  #isClosed = false

  constructor(options: ParsedEventFilesOptions, news: OutputNews) {
    this.#options = options
    // Said once for all files.
    if (options.checked.lock === true && !native.canLock) {
      news.warning('ERR_UNSUPPORTED', notShared(options.folder), options.folder)
    }
    if (options.output === 'wal') {
      const warn = (code: string, message: string): void => news.warning(code, message, options.folder)
      warnOfOtherMachines({ warn }, options.folder)
    }
    this.#delivery = new Delivery(options, { ...this.#internals, saysNoSharing: false }, news, {
      passed: (entry) => this.#passed(entry),
      mayGoOn: () => this.#startRound()
    })
    this.#files = this.#delivery.files
    this.#buffer = this.#delivery.buffer
    const { idleClose } = options.own
    const everyMs = Math.max(100, idleClose / 4)
    this.#idleTimer = setInterval(() => this.#files.closeIdle(monotonicMs() - idleClose), everyMs).unref()
  }

  add(entry: EventEntry, data: Uint8Array, start: number, end: number): boolean {
    if (!this.#buffer.add(entry, data, start, end)) {
      this.metrics.blockedSwaps++
      this.#makeRoom()
      if (!this.#buffer.add(entry, data, start, end)) return false
    }
    if (this.#buffer.bytes >= Math.min(HAND_OVER_BYTES, this.#buffer.capacity / 2)) this.#startRound()
    else this.#schedule(this.#options.checked.flushInterval)
    return true
  }

  dropOldest(bytes: number): void {
    // More at once than is needed: what stays is moved together, which must not be done for every record.
    const wanted = Math.max(bytes + 1, this.#buffer.capacity / 8)
    for (const [entry, dropped] of this.#buffer.dropOldest(wanted)) {
      this.#delivery.drop(entry, dropped)
      if (!this.#buffer.has(entry)) this.#passed(entry)
    }
    this.#buffer.compact(true)
  }

  // The caller does not let this thread get to closing files, so more than `maxOpenFiles` may be open for a while.
  waitForRoom(): void {
    const before = this.#buffer.bytes
    // Their own timers do not get to run.
    for (const file of [...this.#files.list]) if (file.isLagging) file.tryNow()
    this.#handOverNow(TRY_AGAIN_MS)
    this.#buffer.compact(true)
    if (this.#buffer.bytes === before) sleep(TRY_AGAIN_MS)
  }

  open(entry: EventEntry): void {
    if (!this.#files.isFull || this.#files.get(entry) !== undefined) this.#delivery.open(entry)
  }

  async closeFile(entry: EventEntry): Promise<void> {
    const { stallMs } = this.#internals
    const progress = (): number => this.#progressOf(entry)
    const isHandedOver = await settledWhileProgress(this.#handedOver([entry]), progress, stallMs)
    const before = entry.dropped
    if (!isHandedOver) this.#delivery.dropWaiting(entry)
    const file = this.#files.get(entry)
    if (file === undefined) await this.#files.closingOf(entry)
    else await this.#files.close(file, !isHandedOver)
    const lost = entry.dropped - before
    if (!isHandedOver && lost > 0) {
      const { path } = entry
      throw new LogboomError('ERR_LOST', `closed with ${lost} records not written to ${path}`, { path })
    }
    if (file?.closeError !== undefined) throw file.closeError
  }

  /** Grows with what is done for the records of an event. */
  #progressOf(entry: EventEntry): number {
    this.#files.count(entry)
    return entry.written.records + entry.dropped
  }

  async flush(to: SyncLevel): Promise<void> {
    await this.#handedOver(this.#buffer.entries())
    const closing = this.#files.closing.map(({ closed }) => closed)
    const flushes = this.#files.list.map((file) => this.#delivery.flushFile(file, to))
    const results = await Promise.allSettled([...closing, ...flushes])
    if (this.#delivery.failure !== undefined) throw this.#delivery.failure
    for (const result of results) if (result.status === 'rejected') throw result.reason
    if (to === 'disk') await this.#delivery.unsynced.sync()
    // That a file is out of trouble is said by event a tick later; nobody listens any more behind a close.
    if (this.#delivery.isInTrouble) await new Promise((resolve) => setImmediate(resolve))
  }

  flushNow(to: SyncLevel, waitMs: number): void {
    const isIdle = to === 'os' && this.#buffer.bytes === 0 && this.#files.queuedBytes === 0
    if (isIdle) return
    if (waitMs < PATIENT_MS && !this.#isQuick()) throw this.#notNow()
    const untilMs = monotonicMs() + waitMs
    this.#handOverNow(waitMs)
    let failure: unknown
    for (const file of [...this.#files.list]) {
      // Closed for another one meanwhile.
      if (file.closed !== undefined) continue
      if (file.queuedBytes === 0 && (to === 'os' || file.isSynced)) continue
      // Files that are in trouble may each block for the time of a lock.
      if (file.isLagging && monotonicMs() > untilMs) {
        failure ??= this.#notNow()
        continue
      }
      try {
        this.#withDescriptors(() => {
          // It may be the one that was closed for descriptors.
          if (file.closed === undefined) file.flushSync(to)
        })
      } catch (error) {
        if (file.closed === undefined) this.#delivery.leftIfDead(file)
        failure ??= error
      }
    }
    failure = this.#delivery.failure ?? failure
    if (failure !== undefined) throw failure
    if (to === 'disk') this.#withDescriptors(() => this.#delivery.unsynced.syncNow())
    if (this.#buffer.bytes > 0) throw this.#notNow()
  }

  pending(): { bytes: number; progress: number } {
    const bytes = this.#buffer.bytes + this.#files.queuedBytes
    return { bytes, progress: this.#files.progress }
  }

  abandon(): Dropped {
    this.#isClosed = true
    this.#delivery.end()
    this.#delivery.unsynced.end()
    for (const entry of this.#buffer.entries()) this.#delivery.dropWaiting(entry)
    for (const file of [...this.#files.list, ...this.#files.closing]) file.abandon()
    return this.#delivery.lost
  }

  async close(): Promise<Dropped> {
    this.#isClosed = true
    this.#delivery.end()
    this.#delivery.unsynced.end()
    clearInterval(this.#idleTimer)
    clearTimeout(this.#timer)
    await this.#round
    for (const entry of this.#buffer.entries()) this.#delivery.dropWaiting(entry)
    await this.#files.closeAll()
    return this.#delivery.lost
  }

  totals(): OutputTotals {
    return this.#files.totals()
  }

  update(entry: EventEntry): void {
    this.#files.count(entry)
  }

  #schedule(delayMs: number): void {
    if (this.#timer !== undefined || this.#round !== undefined || this.#isClosed) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#startRound()
    }, delayMs).unref()
  }

  #startRound(): void {
    void this.#runRound()
  }

  /** Hands over what can be without closing another file; the rest has to wait for the round that this begins. */
  #makeRoom(): void {
    for (const entry of this.#buffer.entries()) this.#delivery.handOver(entry)
    this.#buffer.compact(true)
    if (this.#buffer.bytes > 0) this.#startRound()
  }

  /** Hands over what was added so far; what comes meanwhile is handed over by the next round. */
  #runRound(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#isClosed || (this.#round === undefined && this.#buffer.bytes === 0)) return Promise.resolve()
    this.#round ??= this.#handOverAll().finally(() => {
      this.#round = undefined
      if (this.#buffer.bytes > 0) this.#schedule(Math.max(TRY_AGAIN_MS, this.#options.checked.flushInterval))
    })
    return this.#round
  }

  /** Resolves when what these events have waiting is with their files or dropped. */
  async #handedOver(entries: EventEntry[]): Promise<void> {
    const awaited = new Set(entries.filter((entry) => this.#buffer.has(entry)))
    if (awaited.size === 0) return
    this.#awaited.add(awaited)
    try {
      // A round under way may have passed an event before its last record came.
      await this.#round
      await this.#runRound()
      while (awaited.size > 0 && !this.#isClosed) {
        await setTimeoutAsync(TRY_AGAIN_MS)
        await this.#runRound()
      }
    } finally {
      this.#awaited.delete(awaited)
    }
  }

  async #handOverAll(): Promise<void> {
    const startedMs = this.metrics.begin()
    this.#roundStartedMs = startedMs
    // Open files first: those that must be closed for others have then nothing left to be opened for.
    const entries = this.#buffer.entries()
    const isOpen = (entry: EventEntry): boolean => this.#files.get(entry) !== undefined
    const ordered = [...entries.filter(isOpen), ...entries.filter((entry) => !isOpen(entry))]
    let sliceEndsMs = startedMs + SLICE_MS
    for (const entry of ordered) {
      if (this.#isClosed) break
      const writingMs = monotonicMs()
      if (writingMs > sliceEndsMs) {
        await new Promise((resolve) => setImmediate(resolve))
        sliceEndsMs = monotonicMs() + SLICE_MS
      }
      if (!isOpen(entry)) await this.#place(entry)
      // Somebody who could not wait may have handed it over meanwhile.
      if (this.#buffer.has(entry)) this.#delivery.handOver(entry)
      this.metrics.wrote(writingMs)
    }
    this.#buffer.compact()
    this.metrics.end(startedMs)
  }

  /** Makes sure, if that does not take long, that the file of an event can be opened. */
  async #place(entry: EventEntry): Promise<void> {
    const untilMs = monotonicMs() + PLACE_WAIT_MS
    for (;;) {
      const closing = this.#files.closingOf(entry)
      if (closing === undefined && !this.#files.isFull) return
      if (closing === undefined) this.#files.leaveOne(this.#roundStartedMs)
      const leftMs = untilMs - monotonicMs()
      if (leftMs <= 0) return
      await within(closing ?? this.#files.oneClosed(), leftMs)
    }
  }

  /** Whether everything can probably be written right now. */
  #isQuick(): boolean {
    const entries = this.#buffer.entries()
    const isReady = (entry: EventEntry): boolean => {
      if (this.#files.get(entry) !== undefined) return true
      return !this.#files.isFull && this.#files.closingOf(entry) === undefined
    }
    return (
      entries.length <= FEW_EVENTS &&
      entries.every(isReady) &&
      !this.#files.list.some((file) => file.isLagging)
    )
  }

  /** Without waiting for places: for callers who hold this thread. */
  #handOverNow(waitMs: number): void {
    const untilMs = monotonicMs() + waitMs
    for (const entry of this.#buffer.entries()) {
      if (monotonicMs() > untilMs) break
      if (this.#files.get(entry) === undefined) {
        // One process has a write-ahead log, and that may be this one still.
        if (this.#options.output === 'wal' && !this.#files.isReleased(entry)) continue
        this.#files.leaveNow()
      }
      this.#delivery.handOverAnyway(entry, true)
    }
  }

  /** Does what may need a descriptor; if none is left, once more when files were closed for it. */
  #withDescriptors(work: () => void): void {
    try {
      work()
    } catch (error) {
      const code = error instanceof LogboomError ? (systemCode(error.cause) ?? error.code) : systemCode(error)
      if (!isOutOfDescriptors(code)) throw error
      this.#files.shrink(true)
      work()
    }
  }

  /** The records of an event are not in the buffer any more. */
  #passed(entry: EventEntry): void {
    for (const awaited of this.#awaited) awaited.delete(entry)
  }

  #notNow(): LogboomError {
    const { folder } = this.#options
    const { bytes } = this.pending()
    return new LogboomError('ERR_LOCK_TIMEOUT', `${bytes} bytes for files in ${folder} are not written yet`, {
      path: folder
    })
  }
}

/** Resolves with `promise`, but after `ms` at the latest. */
async function within(promise: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  await Promise.race([promise, late])
  clearTimeout(timer)
}

// Files of many events, each a sink of its own. Records are collected in one buffer for all events and handed over
// event by event, so that memory does not grow with their number and files need not be opened for every record.
import { setTimeout as setTimeoutAsync } from 'node:timers/promises'
import { monotonicMs } from '../../base/clock.ts'
import { errorMessage, LogboomError, systemCode } from '../../base/errors.ts'
import { checkedFor } from '../../base/options.ts'
import { sleep } from '../../base/sleep.ts'
import { fileKinds } from '../file-kinds.ts'
import type { Dropped } from '../queue/byte-queue.ts'
import type { Overflow, WarningEvent } from '../sink/contract.ts'
import { type Internals, internals, withInternals } from '../sink/internals.ts'
import type { InternalSink } from '../sink/pumped-sink.ts'
import { nothingDropped, type SyncLevel } from '../sink/target.ts'
import { EventBuffer } from './event-buffer.ts'
import type { EventFile } from './event-file.ts'
import { FlushMeter } from './flush-meter.ts'
import { OpenFiles } from './open-files.ts'
import type { ParsedEventFilesOptions } from './options.ts'
import { placeOf } from './output-kind.ts'
import { countDropped, type EventEntry, type OutputNews, type Outputs, type OutputTotals } from './outputs.ts'
import { isObstacle, isWholeDisk, Refusals } from './refusals.ts'
import { syncClosed, syncClosedNow } from './sync-closed.ts'

/** So much is handed over without waiting for `flushInterval`. */
const HAND_OVER_BYTES = 4 * 1024 * 1024
/** Of the memory for records half is the sink's queue, a quarter this buffer; the files share the last one. */
const SHARE = 1 / 4
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
  readonly #news: OutputNews
  readonly #files: OpenFiles
  readonly #buffer: EventBuffer
  readonly #refusals = new Refusals()
  /** The policy where memory is full. */
  readonly #overflow: Overflow
  /** What all files together may hold. */
  readonly #filesBytes: number
  readonly #idleTimer: NodeJS.Timeout
  /** Files that said they are in trouble, and events whose files cannot be made for now. */
  readonly #troubled = new Set<EventFile | EventEntry>()
  /** Events whose files were closed before they were known to be on disk. */
  readonly #unsynced = new Set<EventEntry>()
  /** For each flush under way: the events it waits for, until their records are handed over. */
  readonly #awaited = new Set<Set<EventEntry>>()
  #timer: NodeJS.Timeout | undefined
  #round: Promise<void> | undefined
  #roundStartedMs = 0
  /** When a file last took everything it was given. */
  #tookAllAtMs = 0
  #saidDescriptors = false
  #isClosed = false
  /** What was lost since `close` was called. */
  #lost: Dropped = nothingDropped

  constructor(options: ParsedEventFilesOptions, news: OutputNews) {
    this.#options = options
    this.#news = news
    // A file that is shared holds a lock file, too; a write-ahead log its folder's lock, a segment and the one prepared
    // behind it. One descriptor is for the folder, which is synced now and then.
    const descriptors = options.output === 'wal' ? 3 : options.checked.lock === false ? 1 : 2
    this.#files = new OpenFiles(
      {
        maxFiles: Math.max(1, Math.floor((options.own.maxOpenFiles - 1) / descriptors)),
        create: (entry) => this.#create(entry),
        closeFailed: ({ entry }, error) => {
          if (!this.#isClosed) this.#warn(entry, error)
        },
        closedUnsynced: ({ entry }) => this.#unsynced.add(entry)
      },
      {
        rotated: (event) => news.rotated(event),
        repaired: (event) => news.repaired(event),
        warning: ({ code, message, path }) => news.warning(code, message, path),
        degraded: (file, event) => this.#degraded(file, event),
        recovered: (file) => this.#recovered(file),
        dropped: (file, dropped) => this.#drop(file.entry, dropped)
      }
    )
    this.#overflow = options.checked.overflow
    this.#filesBytes = Math.max(1, Math.floor(options.maxBufferBytes * SHARE))
    this.#buffer = new EventBuffer(this.#filesBytes)
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
      this.#drop(entry, dropped)
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
    if (!this.#files.isFull || this.#files.get(entry) !== undefined) this.#open(entry)
  }

  async closeFile(entry: EventEntry): Promise<void> {
    await this.#handedOver([entry])
    const file = this.#files.get(entry)
    await (file === undefined ? this.#files.closingOf(entry) : this.#files.close(file))
  }

  async flush(to: SyncLevel): Promise<void> {
    await this.#handedOver(this.#buffer.entries())
    const closing = this.#files.closing.map(({ closed }) => closed)
    const flushes = this.#files.list.map((file) => this.#flushFile(file, to))
    const results = await Promise.allSettled([...closing, ...flushes])
    for (const result of results) if (result.status === 'rejected') throw result.reason
    if (to === 'disk') await syncClosed(this.#internals.disk, this.#options.folder, this.#unsynced)
    // That a file is out of trouble is said by event a tick later; nobody listens any more behind a close.
    if (this.#troubled.size > 0) await new Promise((resolve) => setImmediate(resolve))
  }

  flushNow(to: SyncLevel, waitMs: number): void {
    const isIdle = to === 'os' && this.#buffer.bytes === 0 && this.#files.queuedBytes === 0
    if (isIdle) return
    if (waitMs < PATIENT_MS && !this.#isQuick()) throw this.#notNow()
    const untilMs = monotonicMs() + waitMs
    this.#handOverNow(waitMs)
    let failure: unknown
    for (const file of this.#files.list) {
      if (file.queuedBytes === 0 && (to === 'os' || file.isSynced)) continue
      // Files that are in trouble may each block for the time of a lock.
      if (file.isLagging && monotonicMs() > untilMs) {
        failure ??= this.#notNow()
        continue
      }
      try {
        file.flushSync(to)
      } catch (error) {
        failure ??= error
      }
    }
    if (failure !== undefined) throw failure
    if (to === 'disk') syncClosedNow(this.#internals.disk, this.#options.folder, this.#unsynced)
    if (this.#buffer.bytes > 0) throw this.#notNow()
  }

  pending(): { bytes: number; progress: number } {
    const bytes = this.#buffer.bytes + this.#files.queuedBytes
    return { bytes, progress: this.#files.progress }
  }

  abandon(): Dropped {
    this.#isClosed = true
    for (const entry of this.#buffer.entries()) this.#dropWaiting(entry)
    for (const file of [...this.#files.list, ...this.#files.closing]) file.abandon()
    return this.#lost
  }

  async close(): Promise<Dropped> {
    this.#isClosed = true
    clearInterval(this.#idleTimer)
    clearTimeout(this.#timer)
    await this.#round
    for (const entry of this.#buffer.entries()) this.#dropWaiting(entry)
    await this.#files.closeAll()
    return this.#lost
  }

  totals(): OutputTotals {
    return this.#files.totals()
  }

  update(entry: EventEntry): void {
    this.#files.count(entry)
  }

  #create(entry: EventEntry): InternalSink {
    const { checked, output, folder } = this.#options
    // The folder of an event is ours to make, whatever is said of the folder of all of them.
    const isBelow = output === 'wal' && !checked.mkdir
    if (isBelow && !this.#internals.disk.exists(folder)) {
      throw Object.assign(new Error(`ENOENT: ${folder} does not exist, and 'mkdir' is false`), {
        code: 'ENOENT'
      })
    }
    // Files say what is wrong to us, and the sink of all of them to the world.
    const place = {
      ...placeOf(output, folder, entry.name),
      fallback: false,
      mkdir: checked.mkdir || isBelow,
      // The bound is kept here, and no file must block or drop for one of its own.
      maxBufferBytes: this.#options.maxBufferBytes
    }
    return withInternals(this.#internals, () => fileKinds[output].create(checkedFor(checked, place) as never))
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
    for (const entry of this.#buffer.entries()) this.#handOver(entry)
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
      if (this.#buffer.has(entry)) this.#handOver(entry)
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

  /** Gives the records of an event to its file, or drops them; leaves them where they are if neither is right now. */
  #handOver(entry: EventEntry): void {
    const isOpen = this.#files.get(entry) !== undefined
    if (!isOpen && (this.#files.isFull || this.#files.closingOf(entry) !== undefined)) return
    this.#handOverAnyway(entry)
  }

  #handOverAnyway(entry: EventEntry): void {
    const file = this.#open(entry)
    if (file === undefined) {
      if (this.#refusals.isFinal(entry)) this.#dropWaiting(entry)
      return
    }
    if (file.isLagging) {
      file.writeNow()
      if (file.isLagging && file.isDead) {
        this.#replace(file, file.trouble?.message ?? `the file of ${entry.path} has failed`)
        return
      }
      if (file.isLagging && !this.#hasRoomFor(file)) return
    }
    file.give(
      this.#options.output === 'rotating-file' ? this.#buffer.take(entry) : this.#buffer.takeEach(entry)
    )
    this.#unsynced.delete(entry)
    this.#passed(entry)
    file.writeNow()
    if (file.isLagging) {
      file.count()
      // Said by event only after the next ones have been opened in vain.
      if (isOutOfDescriptors(file.failureCode)) this.#files.shrink()
      return
    }
    this.#tookAllAtMs = file.usedAtMs
    this.#refusals.delete(entry)
    this.#endTrouble(entry)
  }

  /** Whether a file that cannot write now may take the records that wait for it. If not, they may be dropped. */
  #hasRoomFor(file: EventFile): boolean {
    const { entry } = file
    if (this.#files.queuedBytes + this.#buffer.bytesOf(entry) <= this.#filesBytes) return true
    // One event must not hold up the others: where they can be written, it alone pays. Where none can, or the cause
    // is the disk, all of them wait, and the policy is applied to what comes.
    const isDisk = this.#overflow === 'block' && isWholeDisk(file.failureCode)
    const othersWork = this.#tookAllAtMs > (file.laggingSinceMs ?? 0) && !isDisk
    if (!othersWork) return false
    // The cause may be gone, and only its next attempt not be due yet.
    if (file.failureCode !== undefined) file.tryNow()
    if (!file.isLagging) return true
    const reason = file.trouble?.message ?? 'its lock is held by somebody else'
    this.#news.warning(
      'ERR_OVERFLOW',
      `${entry.path}: records are dropped, as they cannot be written: ${reason}`,
      entry.path
    )
    if (this.#overflow === 'drop-oldest') {
      this.#replaceOldest(file)
      return true
    }
    this.#dropWaiting(entry)
    return false
  }

  /** Makes room for what waits for a file: its own oldest records go first, then those that wait for files that hold most. */
  #replaceOldest(file: EventFile): void {
    const waitingBytes = this.#buffer.bytesOf(file.entry)
    file.dropOldest(waitingBytes)
    let surplus = this.#files.queuedBytes + waitingBytes - this.#filesBytes
    for (const other of [...this.#files.list].sort((a, b) => b.queuedBytes - a.queuedBytes)) {
      if (surplus <= 0) break
      const before = other.queuedBytes
      other.dropOldest(surplus)
      surplus -= before - other.queuedBytes
    }
  }

  /** The file of an event; undefined if it cannot be had at the moment. */
  #open(entry: EventEntry): EventFile | undefined {
    const open = this.#files.get(entry)
    if (open === undefined && this.#refusals.mustWait(entry)) return undefined
    try {
      return this.#files.open(entry)
    } catch (error) {
      this.#refuse(entry, error)
      return undefined
    }
  }

  /** The file of an event cannot be opened. */
  #refuse(entry: EventEntry, error: unknown): void {
    const code = error instanceof LogboomError ? (systemCode(error.cause) ?? error.code) : systemCode(error)
    const isFinal = error instanceof LogboomError || isObstacle(code)
    const isFirst = this.#refusals.add(entry, isFinal)
    if (isFirst && (isFinal || isOutOfDescriptors(code))) this.#warn(entry, error)
    else if (isFirst) {
      this.#troubled.add(entry)
      this.#news.degraded(code ?? 'ERR_IO', `${entry.path}: ${errorMessage(error)}`, entry.path)
    }
    if (isFinal) this.#dropWaiting(entry)
    if (isOutOfDescriptors(code)) this.#files.shrink()
  }

  /** Gives up a file that will not write any more; its records count as dropped, and later ones get a new one. */
  #replace(file: EventFile, message: string): void {
    const { entry } = file
    if (this.#refusals.add(entry, true)) this.#news.warning('ERR_LOST', message, entry.path)
    this.#dropWaiting(entry)
    void this.#files.close(file, true)
  }

  #degraded(file: EventFile, { code, message, path }: WarningEvent): void {
    if (this.#isClosed) return
    if (isOutOfDescriptors(code)) {
      if (!this.#saidDescriptors)
        this.#news.warning('ERR_LIMIT', `fewer event files are kept open: ${message}`, path)
      this.#saidDescriptors = true
      return
    }
    // Something else is in its place and was there before, so waiting would not help.
    if (isObstacle(code) && file.bytesWritten === 0 && this.#files.get(file.entry) === file) {
      this.#replace(file, message)
      return
    }
    this.#troubled.add(file)
    this.#news.degraded(code, message, path)
  }

  #recovered(file: EventFile): void {
    this.#refusals.delete(file.entry)
    this.#endTrouble(file)
    if (this.#buffer.has(file.entry)) this.#startRound()
  }

  #endTrouble(of: EventFile | EventEntry): void {
    if (this.#troubled.delete(of) && this.#troubled.size === 0) this.#news.recovered()
  }

  async #flushFile(file: EventFile, to: SyncLevel): Promise<void> {
    try {
      await file.flush(to)
    } catch (error) {
      if (file.closed === undefined && !file.isDead) throw error
      // Its records are written or counted as dropped when it is closed.
      await this.#files.close(file, true)
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
        if (this.#options.output === 'wal' && this.#files.closingOf(entry) !== undefined) continue
        this.#files.leaveNow()
      }
      this.#handOverAnyway(entry)
    }
  }

  #dropWaiting(entry: EventEntry): void {
    let bytes = 0
    const lines = this.#buffer.takeEach(entry)
    for (const line of lines) bytes += line.length
    this.#drop(entry, { lines: lines.length, bytes })
    this.#passed(entry)
  }

  #drop(entry: EventEntry, dropped: Dropped): void {
    if (dropped.lines === 0 && dropped.bytes === 0) return
    countDropped(entry, dropped.lines)
    if (!this.#isClosed) this.#news.dropped(dropped)
    else this.#lost = { lines: this.#lost.lines + dropped.lines, bytes: this.#lost.bytes + dropped.bytes }
  }

  /** The records of an event are not in the buffer any more. */
  #passed(entry: EventEntry): void {
    for (const awaited of this.#awaited) awaited.delete(entry)
  }

  #warn({ path }: EventEntry, error: unknown): void {
    const code = error instanceof LogboomError ? error.code : (systemCode(error) ?? 'ERR_IO')
    this.#news.warning(code, `${path}: ${errorMessage(error)}`, path)
  }

  #notNow(): LogboomError {
    const { folder } = this.#options
    const { bytes } = this.pending()
    return new LogboomError('ERR_LOCK_TIMEOUT', `${bytes} bytes for files in ${folder} are not written yet`, {
      path: folder
    })
  }
}

function isOutOfDescriptors(code: string | undefined): boolean {
  return code === 'EMFILE' || code === 'ENFILE'
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

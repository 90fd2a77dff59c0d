// The engine of a sink: bounded queue, life cycle, overflow policy, retry after failure, flush levels, close. It moves
// whole records from its queue to a target, and is the only one that says how far they have come (docs/design.md).
import { argumentError, requireData } from '../../base/bytes.ts'
import { monotonicMs } from '../../base/clock.ts'
import { errorMessage, LogboomError } from '../../base/errors.ts'
import type { Dropped, RecordQueue } from '../queue/byte-queue.ts'
import type { Account } from './account.ts'
import { addExitHandler, type ExitDeadline, exitDeadline, removeExitHandler, writeAtExit } from './at-exit.ts'
import type { Durability, FlushCallback, Overflow, SinkStats } from './contract.ts'
import { Intake, sum } from './intake.ts'
import { internals } from './internals.ts'
import { STALL_TIMEOUT_MS, settledWhileProgress } from './progress.ts'
import { Retry } from './retry.ts'
import { SinkLife } from './sink-state.ts'
import { SuspectFile } from './suspect-file.ts'
import { SyncScheduler } from './sync-scheduler.ts'
import {
  DataSyncError,
  NotSyncableError,
  nothingDropped,
  PermanentError,
  type SyncLevel,
  type Target
} from './target.ts'
import { Trouble } from './trouble.ts'

/** One turn of the target writes at most this much, so that writers sharing a file take turns. */
const MAX_BATCH_BYTES = 4 * 1024 * 1024
/** So many queued bytes are written at once, without waiting for `flushInterval`. */
const WRITE_NOW_BYTES = 256 * 1024
/** So many of what another thread puts into the queue, which is bounded by the queue as well. */
const PULL_BYTES = 512 * 1024
/** So many, and the caller is asked to wait: the high-water mark of `write`. */
const HIGH_WATER_BYTES = 4 * 1024 * 1024
/** A busy lock is tried again after so many more. */
const TRY_AGAIN_BYTES = 64 * 1024
/** A busy lock is nothing unusual: the thread is blocked for it just so long, and then a timer waits. */
const BUSY_WAIT_MS = 2
/** The same for a caller who has to be blocked anyway. */
const BLOCKED_WAIT_MS = 50
/** How long one flush of a staging target may take of a caller who has to be blocked anyway. */
const FLUSH_WAIT_MS = 2_000
/** How often it is looked whether a staging target has written what it has taken. */
const HOLD_MS = 250
const NEWLINE = Buffer.from('\n')

export interface PumpOptions {
  readonly durability: Durability
  /** Longest time a record waits in the queue, in ms. */
  readonly flushInterval: number
  readonly maxBufferBytes: number
  readonly overflow: Overflow
}

/** What the caller of `write` or `commit` was told to wait for: room in the queue, or the sink's durability. */
type Owed = 'nothing' | 'room' | 'acknowledgement'

export class Pump {
  readonly #account: Account
  readonly #options: PumpOptions
  readonly #queue: RecordQueue
  readonly #target: Target
  /** The level at which records count as written by this sink. */
  readonly #level: SyncLevel
  /** Whether records are kept until they are on disk, so that they can be written again after a failed sync. */
  readonly #keeps: boolean
  /** Whether the queue keeps what a staging target has taken until that has reached the sink's level. */
  readonly #holds: boolean
  /** Both below the bound, so that a caller who waits for 'drain' is not blocked there. */
  readonly #writeNowBytes: number
  readonly #highWaterBytes: number
  readonly #life = new SinkLife()
  readonly #trouble: Trouble
  readonly #intake: Intake
  readonly #suspect: SuspectFile
  readonly #syncs: SyncScheduler
  readonly #retry = new Retry(
    () => this.#tryAgain(),
    () => this.#owed !== 'nothing' || this.#syncs.isAwaited
  )
  #owed: Owed = 'nothing'
  #flushTimer: NodeJS.Timeout | undefined
  #tryAgainBytes = 0
  #holdTimer: NodeJS.Timeout | undefined
  /** Why the last sync failed. */
  #syncFailure: LogboomError | undefined
  /** The most that was ever written; what has to be written again does not count twice. */
  #mostWritten = 0
  #stallMs = internals().stallMs
  /** A flush to disk whose records are written waits no longer for a sync that fails. */
  readonly #patienceMs = internals().stallMs
  #syncFailingSinceMs: number | undefined
  #closed: Promise<void> | undefined
  /** By `closeNow`. */
  #isClosedNow = false
  #isAbandoned = false

  constructor(account: Account, options: PumpOptions, queue: RecordQueue, target: Target) {
    this.#account = account
    this.#options = options
    this.#queue = queue
    this.#target = target
    this.#level = options.durability === 'disk' ? 'disk' : 'os'
    this.#keeps = options.durability === 'disk' && !target.isStaging
    this.#holds = target.isStaging && queue.mostHeldBytes !== undefined
    this.#writeNowBytes = Math.min(WRITE_NOW_BYTES, options.maxBufferBytes / 2)
    this.#highWaterBytes = Math.min(HIGH_WATER_BYTES, options.maxBufferBytes / 2)
    this.#trouble = new Trouble(account, this.#life)
    this.#suspect = new SuspectFile(target)
    const makeRoom = (isBlocking: boolean): boolean => this.#makeRoom(isBlocking)
    this.#intake = new Intake(account, queue, this.#life, options, makeRoom)
    this.#syncs = new SyncScheduler(
      {
        get hasQueued() {
          return queue.hasLines
        },
        get writtenTotal() {
          return queue.writtenTotal
        },
        sync: (to) => target.sync(to),
        syncNow: (to, waitMs) => target.syncNow(to, waitMs),
        synced: (to, total, isOver) => this.#synced(to, total, isOver),
        syncFailed: (error) => this.#syncFailed(error),
        unproven: () => this.#syncUnproven(),
        isOwed: () => this.#owed === 'acknowledgement'
      },
      target.isStaging ? 'none' : 'os',
      this.#level
    )
  }

  /** The file or folder that is written to. */
  get path(): string {
    return this.#account.path
  }

  /** `close` was called. */
  get isClosing(): boolean {
    return this.#closed !== undefined
  }

  /** Everything is released. */
  get isClosed(): boolean {
    return this.#life.state === 'closed'
  }

  /** A sync has failed, and none has succeeded since: what is new may not be on disk. */
  get isSyncFailing(): boolean {
    return this.#suspect.isPresent || this.#trouble.has('sync')
  }

  /** Why writing fails at the moment. */
  get failure(): LogboomError | undefined {
    return this.#trouble.failure
  }

  /** Bytes accepted but not yet written by the target. */
  get queuedBytes(): number {
    return this.#queue.queuedBytes + (this.#target.pending?.().bytes ?? 0)
  }

  /**
   * Called once, last in a sink's constructor. A refusal (`ERR_NOT_FILE`, …) is thrown, unless it is one that `waits`; failing
   * I/O is retried.
   */
  open(waits = false): void {
    try {
      this.#target.open?.()
      this.#life.become('open')
    } catch (error) {
      if (error instanceof LogboomError && !waits) {
        // What was opened on the way is not left open with nobody to close it.
        void this.#target.close()
        this.#queue.close?.()
        throw error
      }
      this.#life.become('open')
      this.#fail('write', error)
    }
    addExitHandler(this)
  }

  /**
   * Another thread has put records into the queue: writes them, at the latest after `flushInterval`. `isAwaited`: that
   * thread waits for room, so they are written now, and what is kept only to be written again goes as soon as it may.
   */
  pull(isAwaited = false): void {
    if (this.#life.isOver) return
    if (isAwaited && !this.#retry.isSet) {
      if (this.#queue.hasLines) this.#pumpAndSettle(BUSY_WAIT_MS)
      if (this.#queue.hasKept && !this.#retry.isSet) this.#syncs.syncSoon()
      return
    }
    const enoughBytes = Math.min(PULL_BYTES, this.#queue.mostHeldBytes ?? this.#writeNowBytes)
    if (this.#queue.hasLines && this.#queue.queuedBytes < enoughBytes) this.#schedule()
    else if (!this.#retry.isSet) this.#pumpAndSettle(BUSY_WAIT_MS)
  }

  /** Accepts any piece of the stream of records. False means: above the high-water mark, 'drain' follows. */
  write(chunk: string | Uint8Array): boolean {
    return this.accept(requireData('write', chunk))
  }

  /** The same for a caller who knows that it is data. */
  accept(data: string | Uint8Array): boolean {
    this.#refuseClosed()
    this.#intake.accept(data)
    if (this.#queue.queuedBytes < this.#writeNowBytes) {
      if (this.#flushTimer === undefined) this.#schedule()
      // Below the high-water mark, so there is nothing to wait for but what was owed before.
      return this.#owed === 'nothing'
    }
    if (!this.#retry.isSet) this.#pumpAndSettle(BUSY_WAIT_MS)
    // While the lock is busy it is tried again now and then: a caller that never yields would starve the timer.
    else if (this.#retry.isBusy && this.#queue.queuedBytes >= this.#tryAgainBytes) this.#pumpAndSettle(0)
    return this.#isWelcome()
  }

  /**
   * Accepts `chunk` and writes at once, on this thread. True when everything accepted has reached the sink's
   * durability; false when it has not yet: 'drain' follows when it has. This is what transports use, because their
   * host takes the answer for the acknowledgement.
   */
  commit(chunk: string | Uint8Array): boolean {
    const data = requireData('commit', chunk)
    this.#refuseClosed()
    this.#intake.accept(data)
    if (this.#options.durability === 'none') {
      this.#schedule()
      return this.#isWelcome()
    }
    if (!this.#retry.isSet && this.#pump(BUSY_WAIT_MS)) {
      if (!this.#target.isStaging || this.#mayWait()) {
        if (this.#reachNow(BLOCKED_WAIT_MS)) return true
      } else return this.#isWelcome()
    }
    if (!this.#mayWait()) return true
    this.#owe('acknowledgement')
    if (!this.#retry.isSet && !this.#queue.hasLines) this.#syncs.syncSoon()
    return false
  }

  /** Accepts one whole line, given without its end, past an unfinished one, and writes at once. */
  writeWhole(line: string | Uint8Array): boolean {
    const data = requireData('writeLine', line)
    this.#refuseClosed()
    this.#intake.insert(Buffer.concat([Buffer.from(data as string), NEWLINE]))
    if (!this.#retry.isSet) this.#pumpAndSettle(BUSY_WAIT_MS)
    writeAtExit(this)
    return this.#isWelcome()
  }

  /** Accepts lines with their ends. Where records are not lines, each is one, whatever line ends it holds inside. */
  writeRecords(lines: readonly Uint8Array[]): boolean {
    this.#refuseClosed()
    for (const line of lines) this.#intake.insert(line)
    if (this.#queue.queuedBytes < this.#writeNowBytes) this.#schedule()
    else if (!this.#retry.isSet) this.#pumpAndSettle(BUSY_WAIT_MS)
    return this.#isWelcome()
  }

  /** See `Sink.flush`. */
  flush(to?: Durability | FlushCallback): Promise<void> {
    if (typeof to === 'function') return this.flush().then(() => to(), to)
    if (this.#closed !== undefined) return Promise.reject(this.#closedError())
    if (to !== undefined) requireLevel(to)
    this.#intake.finishLine()
    return this.flushLines(to)
  }

  /** Like `flush`, but an unfinished last line stays queued: its rest is still to come. */
  flushLines(to: Durability = this.#level): Promise<void> {
    if (this.#life.state === 'failed') return Promise.reject(this.#trouble.failure)
    if (this.#life.isOver) return Promise.reject(this.#closedError())
    if (to === 'none' || this.#hasReached(to)) return Promise.resolve()
    if (to === 'disk' && this.#isDoubtful) return Promise.reject(this.#leaveDoubtful())
    const flushed = this.#syncs.add(to)
    this.#retry.keepAlive()
    if (!this.#retry.isSet) this.#pumpAndSettle(BUSY_WAIT_MS)
    return flushed
  }

  /** See `Sink.flushSync`. */
  flushSync(to: Durability = this.#level): void {
    requireLevel(to)
    this.#flushNow(to, STALL_TIMEOUT_MS)
  }

  #flushNow(to: Durability, mostMs: number): void {
    this.#refuseOver()
    this.#intake.finishLine()
    if (to === 'none') return
    this.#retry.clear()
    const waitMs = Math.min(this.#target.lockTimeoutMs, mostMs)
    if (!this.#pump(waitMs)) throw this.#trouble.failure ?? this.#lockTimeout()
    if (to === 'disk' && this.#isDoubtful) throw this.#leaveDoubtful()
    if (!this.#syncs.syncNow(to, waitMs)) throw this.#syncFailure ?? this.#lockTimeout()
    this.#settled()
  }

  /** Idempotent; see `Sink.close`. */
  close(): Promise<void> {
    this.#closed ??= this.#shutDown()
    return this.#closed
  }

  /** See `Target.closeNow`; whoever has the sink sees to the names of its files. */
  closeNow(): boolean {
    if (this.isClosed) return true
    if (this.#life.state === 'closing') return this.#target.closeNow?.() === true
    if (this.#life.isOver || !this.#isIdle()) return false
    if (this.#target.closeNow?.() !== true) return false
    this.#life.become('closing')
    this.#clearFlush()
    clearTimeout(this.#holdTimer)
    this.#retry.clear()
    this.#queue.release()
    this.#queue.close?.()
    this.#syncs.end()
    this.#isClosedNow = true
    this.#life.become('closed')
    removeExitHandler(this)
    // A sync under way may still hold its file.
    this.#closed ??= this.#target.close().then(() => this.#syncs.close(this.#closedError()))
    return true
  }

  /** `close` does not wait for what makes no progress: somebody else has waited before. */
  hurry(): void {
    this.#stallMs = 0
  }

  stats(): SinkStats {
    const { queuedBytes } = this
    const { state } = this.#life
    const lane = this.#queue.survives === true ? 'mapped' : 'none'
    return { ...this.#account.counters, queuedBytes, state, lane }
  }

  /**
   * Writes every whole line at once; false if that is not possible now. `isHeld`: the caller holds this thread and asks for a
   * sync himself, so that none is begun in the background.
   */
  writeNow(isHeld = false): boolean {
    if (this.#retry.isSet || !this.#pump(BUSY_WAIT_MS)) return false
    if (!isHeld) this.#settled()
    return true
  }

  /**
   * For a record that goes past the queue: what was accepted before comes before it. What cannot be written now waits, and the
   * record does not.
   */
  writeBefore(): void {
    if (this.#queue.hasLines) this.writeNow()
  }

  /** A staging target cannot write what it holds at the moment. */
  targetFailed(error: LogboomError): void {
    if (!this.#life.isOver) this.#trouble.begin('target', error)
  }

  /** A staging target writes again. */
  targetRecovered(): void {
    if (!this.#life.isOver) this.#trouble.end('target')
  }

  /** What the target cannot write will never be written: ends every wait, and drops and counts what comes. */
  failForGood(error: LogboomError): void {
    if (this.#life.isOver) return
    this.#trouble.fail(error)
    this.#clearFlush()
    this.#retry.clear()
    this.#intake.giveUp(this.#queue.clear())
    this.#syncs.rejectAll(error)
    this.#drainIfDue()
  }

  /** For records that do not come through the queue: counts them as lost, if nothing is written any more. */
  giveUp(dropped: Dropped): boolean {
    if (this.#life.state !== 'failed') return false
    this.#intake.giveUp(dropped)
    return true
  }

  /** For the exit hook: writes what can be written and says what could not. */
  exitNow(deadline: ExitDeadline): void {
    if (!this.#life.isOver) this.#finishNow(deadline)
    // Also of one that is closing, which does not come to its end any more.
    this.#queue.exit?.()
  }

  #finishNow(deadline: ExitDeadline): void {
    try {
      if (this.#queue.bytes > 0 || (this.#target.pending?.().bytes ?? 0) > 0) {
        this.#flushNow(this.#level, Math.min(STALL_TIMEOUT_MS, deadline.patience.totalMs))
      }
    } catch (error) {
      const lost = this.abandon()
      if (lost.lines > 0 || lost.bytes > 0) this.#reportLost(lost, error)
      else if (this.#queue.survives !== true) this.#reportUnsynced(error)
    }
  }

  /** Drops records that wait to be written, the oldest ones, until `bytes` are free or none is left. */
  dropOldest(bytes: number): void {
    this.#account.drop(this.#queue.dropOldest(bytes))
  }

  /** For a process that exits: gives up what is not written, and counts it. */
  abandon(): Dropped {
    this.#isAbandoned = true
    const safe = this.#queue.heldSafely ?? nothingDropped
    const queued = this.#queue.clear()
    const lost = sum(queued, without(this.#target.abandon?.() ?? nothingDropped, safe))
    this.#account.drop(lost)
    return lost
  }

  /** Writes every whole record; true if all were. */
  #pump(waitMs: number): boolean {
    this.#clearFlush()
    if (this.#life.isOver) return false
    try {
      if (this.#suspect.isPresent && this.#keeps) this.#suspect.leave()
    } catch (error) {
      this.#fail('sync', error)
      return false
    }
    try {
      if (this.#target.ready?.(waitMs) === false) return this.#busy()
      do {
        while (this.#queue.hasLines) {
          const records = this.#queue.head(MAX_BATCH_BYTES)
          // What could not be read is passed over.
          if (records.length === 0) continue
          const bytes = this.#target.write(records, waitMs)
          if (bytes === 0) return this.#busy()
          this.#queue.consume(bytes, this.#keeps || this.#holds)
          this.#mostWritten = Math.max(this.#mostWritten, this.#queue.writtenTotal)
        }
      } while (this.#queueDropNotice())
    } catch (error) {
      this.#fail('write', error)
      return false
    }
    // Only a sync that succeeds shows that a failed one is over, so the back-off stays until then.
    if (this.#trouble.has('sync')) this.#retry.turned()
    else this.#retry.reset()
    this.#trouble.end('write')
    if (this.#life.state === 'opening') this.#life.become('open')
    return true
  }

  #queueDropNotice(): boolean {
    // Among records of any bytes a text of ours would be taken for one of theirs.
    const notice = this.#queue.takesLines ? this.#account.takeDropNotice() : undefined
    if (notice !== undefined) this.#queue.insertLine(Buffer.from(notice))
    return notice !== undefined
  }

  #pumpAndSettle(waitMs: number): void {
    if (this.#pump(waitMs)) this.#settled()
  }

  /** Everything queued is written. */
  #settled(): void {
    this.#drainIfDue()
    this.#syncs.written()
    // Who waits for an acknowledgement waits for a sync that nobody else may ask for, where writing is staging.
    const isWanted = this.#owed === 'acknowledgement' || (this.#level === 'disk' && !this.#target.isStaging)
    if (isWanted && !this.#syncs.isSynced(this.#level)) this.#syncs.syncSoon()
    if (this.#holds) this.#releaseHeld()
  }

  /** Lets the queue forget what a staging target has written meanwhile; asks for that where it takes too much room. */
  #releaseHeld(): void {
    clearTimeout(this.#holdTimer)
    this.#holdTimer = undefined
    const queue = this.#queue
    if (!queue.hasKept || this.#life.isOver) return
    if (this.#level === 'os' && (this.#target.pending?.().bytes ?? 0) === 0) queue.release()
    else {
      if (queue.bytes - queue.queuedBytes > (queue.mostHeldBytes ?? 0)) this.#syncs.syncSoon()
      this.#holdTimer = setTimeout(() => this.#releaseHeld(), HOLD_MS).unref()
    }
  }

  #synced(to: SyncLevel, total: number, isOver: boolean): void {
    if (this.#isClosedNow) return
    if (this.#holds && this.#level === 'os') this.#queue.release(total)
    if (to === 'disk') {
      this.#queue.release(total)
      this.#syncFailingSinceMs = undefined
      if (isOver && this.#trouble.has('sync')) {
        this.#retry.worked()
        this.#trouble.end('sync')
      }
    }
    this.#drainIfDue()
  }

  #drainIfDue(): void {
    if (this.#owed === 'nothing') return
    if (!this.#life.isOver) {
      if (this.#queue.hasLines) return
      const needsSync = this.#keeps || this.#owed === 'acknowledgement'
      if (needsSync && !this.#syncs.isSynced(this.#level)) return
    }
    this.#owed = 'nothing'
    this.#account.announce('drain')
  }

  #reachNow(waitMs: number): boolean {
    if (this.#syncs.isSynced(this.#level)) return true
    return this.#syncs.syncNow(this.#level, waitMs)
  }

  #makeRoom(isBlocking: boolean): boolean {
    if (isBlocking) this.#retry.clear()
    if (this.#retry.isSet) return false
    return this.#pump(isBlocking ? BLOCKED_WAIT_MS : BUSY_WAIT_MS) && this.#releaseKept(isBlocking)
  }

  /** What is kept for writing again takes room until it is on disk, or a staging target has written it. */
  #releaseKept(isBlocking: boolean): boolean {
    if (this.#holds) {
      // Nothing becomes free while this thread is blocked, so that may take as long as a flush of many files does.
      return !this.#queue.hasKept || this.#reachNow(isBlocking ? FLUSH_WAIT_MS : BLOCKED_WAIT_MS)
    }
    return !this.#keeps || this.#reachNow(BLOCKED_WAIT_MS)
  }

  // What was not acknowledged in a file whose data sync failed is written again to the next one.
  #syncFailed(error: unknown): void {
    if (this.#life.state === 'closing' || this.isClosed) {
      // One that was under way when everything was synced and closed at once: it may have been told what the other was not.
      if (this.#isClosedNow) this.#account.warnOf(error)
      this.#syncs.rejectAll(this.#asFailure(error))
      return
    }
    if (error instanceof PermanentError) {
      this.failForGood(error)
      // The sink may have failed before, while those whom this sync covers were not among those who wait.
      this.#syncs.rejectAll(error)
      return
    }
    const failure = this.#asFailure(error)
    this.#syncFailure = failure
    if (error instanceof NotSyncableError) {
      if (this.#keeps) this.failForGood(failure)
      else this.#syncs.rejectAll(failure, 'disk')
      return
    }
    if (this.#target.isStaging) {
      // What it has written itself it can write no more, or not bring to the disk: a promise of that cannot be held.
      this.#syncs.rejectAll(failure, 'disk')
      if (this.#syncs.isAwaited) setImmediate(() => this.#syncs.syncSoon())
      return
    }
    const isDataLost = error instanceof DataSyncError
    if (isDataLost) {
      this.#queue.rewind()
      this.#syncs.forget(this.#queue.writtenTotal)
      this.#suspect.begin(failure)
    }
    if (this.#keeps || (!isDataLost && this.#syncs.isAwaited)) {
      this.#fail('sync', failure)
      // It is tried again, and nobody waits for it for ever.
      this.#syncFailingSinceMs ??= monotonicMs()
      const isStalled = monotonicMs() - this.#syncFailingSinceMs >= this.#patienceMs
      if (isStalled && !isDataLost) this.#syncs.rejectAll(failure, 'disk')
      return
    }
    // What was acknowledged at 'os' is not kept for writing again, so a promise of 'disk' cannot be held; writing
    // goes on.
    this.#account.warnOf(failure)
    this.#syncs.rejectAll(failure, 'disk')
  }

  #syncUnproven(): void {
    if (!this.#keeps && this.#syncFailure !== undefined) this.#syncs.rejectAll(this.#syncFailure, 'disk')
    // The failure may have been made good on this thread already, so that no retry is due.
    setImmediate(() => {
      if (this.#syncs.isAwaited && !this.#retry.isSet) this.#tryAgain()
    })
  }

  /** Whether the file may have lost records that nobody has kept. */
  get #isDoubtful(): boolean {
    return this.#suspect.isPresent && !this.#keeps
  }

  /** Leaves such a file if that is possible by now. What is in it is not known to be on disk, whatever a sync says. */
  #leaveDoubtful(): LogboomError {
    const failure = this.#suspect.failure!
    try {
      this.#suspect.leave()
    } catch (error) {
      this.#account.warnOf(error)
    }
    return failure
  }

  #busy(): false {
    this.#tryAgainBytes = this.#queue.queuedBytes + TRY_AGAIN_BYTES
    if (!this.#retry.busy(this.#target.lockTimeoutMs)) this.#fail('write', this.#lockTimeout())
    return false
  }

  #lockTimeout(): LogboomError {
    const { path } = this.#account
    const { lockTimeoutMs, obstacle } = this.#target
    const message =
      obstacle === undefined
        ? `the lock of ${path} is held by somebody else for more than ${lockTimeoutMs} ms`
        : `${path} cannot be written for more than ${lockTimeoutMs} ms: it is ${obstacle}`
    return new LogboomError('ERR_LOCK_TIMEOUT', message, { path })
  }

  #fail(cause: 'write' | 'sync', error: unknown): void {
    if (error instanceof PermanentError) {
      this.failForGood(error)
      return
    }
    this.#account.counters.errors++
    this.#trouble.begin(cause, this.#asFailure(error))
    this.#retry.failed()
  }

  #asFailure(error: unknown): LogboomError {
    if (error instanceof LogboomError) return error
    const { path } = this.#account
    return new LogboomError('ERR_IO', `${path}: ${errorMessage(error)}`, { path, cause: error })
  }

  /** The answer of `write`: false asks the caller to wait for 'drain'. */
  #isWelcome(): boolean {
    if (this.#queue.queuedBytes >= this.#highWaterBytes && this.#mayWait()) this.#owe('room')
    return this.#owed === 'nothing'
  }

  // Back-pressure is the policy 'block'. Records that may be dropped are accepted at once: holding back the answer
  // would only move the queue to the caller, where nothing bounds it.
  #mayWait(): boolean {
    return this.#options.overflow === 'block' && !this.#life.isOver
  }

  /** The caller is to wait for 'drain', and may have nothing else that keeps the process alive. */
  #owe(what: 'room' | 'acknowledgement'): void {
    if (this.#owed !== 'acknowledgement') this.#owed = what
    this.#retry.keepAlive()
  }

  #tryAgain(): void {
    if (this.#life.isOver) return
    if (!this.#queue.hasLines && !this.#trouble.has('sync')) {
      try {
        this.#target.open?.()
      } catch (error) {
        this.#fail('write', error)
        return
      }
    }
    this.#pumpAndSettle(BUSY_WAIT_MS)
  }

  #schedule(): void {
    if (this.#flushTimer !== undefined || this.#retry.isSet || !this.#queue.hasLines) return
    this.#flushTimer = setTimeout(() => {
      this.#flushTimer = undefined
      if (!this.#retry.isSet) this.#pumpAndSettle(BUSY_WAIT_MS)
    }, this.#options.flushInterval)
    this.#flushTimer.unref()
  }

  #clearFlush(): void {
    clearTimeout(this.#flushTimer)
    this.#flushTimer = undefined
  }

  /** Whether nothing is left to do for a flush to `to`, also while writing fails. */
  #hasReached(to: SyncLevel): boolean {
    return !this.#target.isStaging && this.#retry.isSet && !this.#queue.hasLines && this.#syncs.isSynced(to)
  }

  #refuseClosed(): void {
    if (this.#closed !== undefined) throw this.#closedError()
  }

  #refuseOver(): void {
    if (this.#life.state === 'failed') throw this.#trouble.failure ?? this.#closedError()
    if (this.#life.isOver) throw this.#closedError()
  }

  #closedError(): LogboomError {
    const { path } = this.#account
    return new LogboomError('ERR_CLOSED', `the sink of ${path} is closed`, { path })
  }

  async #shutDown(): Promise<void> {
    this.#intake.finishLine()
    if (this.#life.state === 'opening') this.#life.become('open')
    if (!this.#isAtRest() && this.#life.state !== 'failed') {
      await settledWhileProgress(this.flushLines(), () => this.#progress(), this.#stallMs)
    }
    const { failure } = this.#trouble
    // Unless somebody who held this thread has closed it meanwhile.
    const unwritten = this.isClosed ? await this.#target.close() : await this.#release()
    await this.#syncs.close(this.#closedError())
    this.#account.drop(unwritten)
    this.#account.reportDrops()
    const lost = sum(this.#intake.givenUp, unwritten)
    if (lost.lines === 0) return
    // Those who listen hear of it before those who wait.
    await new Promise((resolve) => process.nextTick(resolve))
    throw this.#reportLost(lost, failure)
  }

  async #release(): Promise<Dropped> {
    this.#life.become('closing')
    this.#clearFlush()
    clearTimeout(this.#holdTimer)
    this.#retry.clear()
    const safe = this.#queue.heldSafely ?? nothingDropped
    const queued = this.#queue.clear()
    const left = await this.#target.close()
    const unwritten = sum(queued, without(left, safe))
    // What was given up before is in no file, so it stays where it is held.
    if (this.#holds && this.#level === 'os' && left.lines === 0 && !this.#isAbandoned) this.#queue.release()
    this.#queue.close?.()
    this.#life.become('closed')
    removeExitHandler(this)
    return unwritten
  }

  /** Whether everything accepted has reached the sink's durability. */
  #isAtRest(): boolean {
    if (
      this.#queue.bytes > 0 ||
      this.#queue.hasLines ||
      this.#retry.isSet ||
      this.#syncs.isAwaited ||
      this.#target.isStaging
    )
      return false
    return this.#options.durability !== 'disk' || this.#syncs.isSynced('disk')
  }

  /**
   * Whether everything is written, and nothing that failed is to be tried again. While the process exits nothing that is under
   * way comes to its end.
   */
  #isIdle(): boolean {
    if (this.#queue.hasLines || this.#queue.queuedBytes > 0 || this.#suspect.isPresent) return false
    return exitDeadline() !== undefined || !this.#retry.isSet
  }

  /** Grows with whatever gets done. */
  #progress(): number {
    return this.#mostWritten + this.#syncs.syncedTotal + (this.#target.pending?.().progress ?? 0)
  }

  #reportLost(lost: Dropped, cause: unknown): LogboomError {
    const { path } = this.#account
    const reason = cause === undefined ? '' : `: ${errorMessage(cause)}`
    const what = lost.lines === 0 ? 'records' : `${lost.lines} records (${lost.bytes} bytes)`
    const message = `closed with ${what} not written to ${path}${reason}`
    const error = new LogboomError('ERR_LOST', message, { path, cause })
    this.#account.notice(error.message, true)
    return error
  }

  /** All records are in their file, and not known to be on disk. */
  #reportUnsynced(cause: unknown): void {
    const { path } = this.#account
    const message = `what was written to ${path} last may not be on disk: ${errorMessage(cause)}`
    this.#account.notice(new LogboomError('ERR_SYNC', message, { path, cause }).message, true)
  }
}

function requireLevel(to: unknown): void {
  if (to === 'none' || to === 'os' || to === 'disk') return
  throw argumentError('flush', "'none', 'os' or 'disk'", to)
}

/** Of what a staging target could not write, what is not `safe` in a lane. It may have written some of that. */
function without(unwritten: Dropped, safe: Dropped): Dropped {
  const lines = Math.max(0, unwritten.lines - safe.lines)
  return { lines, bytes: lines === 0 ? 0 : Math.max(0, unwritten.bytes - safe.bytes) }
}

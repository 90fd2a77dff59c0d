// The main-thread side of a sink that runs in a thread of the pool: puts records into a ring in shared memory, keeps what
// finds no room there within a bound, and leaves nothing behind when the process exits.
import { EventEmitter } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { monotonicMs } from '../base/clock.ts'
import { LogboomError } from '../base/errors.ts'
import { cloneableOptions } from '../base/options.ts'
import type { Dropped } from '../core/queue/byte-queue.ts'
import type { Kind } from '../core/registry.ts'
import { ExitDeadline, type ExitPatience, exitDeadline } from '../core/sink/at-exit.ts'
import { publish } from '../core/sink/channels.ts'
import type { LaneOptions } from '../core/sink/common-options.ts'
import type { DroppedEvent, Overflow, SinkStats } from '../core/sink/contract.ts'
import { Drops } from '../core/sink/drops.ts'
import { sum } from '../core/sink/intake.ts'
import { Notice } from '../core/sink/notice.ts'
import { nothingDropped } from '../core/sink/target.ts'
import { MAX_CAPACITY_BYTES, maxPayloadBytes } from '../formats/lane.ts'
import type { LaneId } from '../formats/lock-file.ts'
import { native } from '../native/index.ts'
import { Backlog } from './backlog.ts'
import { createRing } from './pool/create-ring.ts'
import { addOutput, type ExitingOutput, exitAll, removeOutput } from './pool/exit.ts'
import { Flushes } from './pool/flushes.ts'
import type { OutputRing } from './pool/output-ring.ts'
import { OutputWords, type Patience } from './pool/output-words.ts'
import { workerFor } from './pool/pool.ts'
import type { PoolOutput, PoolWorker } from './pool/pool-worker.ts'
import type { OpenMessage, OutputEnd, PlainError, Question, RecordUnit, ToMain } from './pool/protocol.ts'
import { fromPlain, Questions } from './pool/questions.ts'

/** How long `flushSync` blocks. */
const FLUSH_PATIENCE: Patience = { totalMs: 10_000, stallMs: 5_000, degradedMs: 500 }
/** How long a record that finds no room in the ring blocks, before it waits in memory. */
const ROOM_PATIENCE: Patience = { totalMs: 60_000, stallMs: 5_000, degradedMs: 0 }
/** How long a record blocks that finds no room in memory either, with the policy 'block'. */
const FULL_PATIENCE: Patience = { totalMs: Number.POSITIVE_INFINITY, stallMs: 10_000, degradedMs: 5_000 }
/** `end` gives up after that without progress. */
const END_STALL_MS = 10_000
const END_DEGRADED_MS = 5_000
/** And waits so long for the count of what is lost. */
const END_COUNT_MS = 2_000
const END_LOOK_MS = 20
/** No ring has room for a longer record. */
const LARGEST_BYTES = maxPayloadBytes(MAX_CAPACITY_BYTES)

export interface WorkerLinkOptions {
  kind: Kind
  /** Options of the sink, already checked. */
  sinkOptions: object
  path: string
  maxBufferBytes: number
  overflow: Overflow
  fallback: false | 'stderr'
  /** See the option of the sinks; by default there is one where it can be had. */
  lane?: false | LaneOptions | undefined
  /** What is sent at once, for sinks of records that are no lines: by default one record, whatever is in it. */
  unit?: RecordUnit
}

type LinkState = 'open' | 'ending' | 'ended' | 'failed'

let lastId = 0

export class WorkerLink extends EventEmitter implements PoolOutput, ExitingOutput {
  readonly id = ++lastId
  readonly #options: WorkerLinkOptions
  readonly #worker: PoolWorker
  readonly #words = new OutputWords()
  readonly #ring: OutputRing
  readonly #lane: LaneId
  readonly #backlog = new Backlog()
  readonly #flushes: Flushes
  readonly #questions: Questions
  readonly #notice: Notice
  readonly #drops = new Drops((event: DroppedEvent) => {
    publish('dropped', this.#options.path, event)
    this.emit('dropped', event)
  })
  /** Records dropped on this side, of which the sink knows nothing. */
  #dropped = 0
  #state: LinkState = 'open'
  /** Whether a record may go to the ring without a further look. */
  #isQuick: boolean
  readonly #mayBeQuick: boolean
  /** The sink was open: what is refused from now on is no mistake of the application. */
  #wasOpened = false
  #ended: Promise<void> | undefined
  #exitFlush: number | undefined
  /** What the thread could not write and has counted, and why; not yet reported. */
  #lost = nothingDropped
  #reason: string | undefined
  /** The thread has closed the sink. */
  #isFree = false
  /** What stays in the lane was told. */
  #hasTold = false
  #lastStats: SinkStats | undefined
  #stats: Promise<SinkStats> | undefined
  /** Nothing has been done since a record has found no room in the ring in time, … */
  #slowSignal: number | undefined
  /** … and since a blocked caller has given up waiting for room in memory. */
  #stuckSignal: number | undefined

  constructor(options: WorkerLinkOptions) {
    super()
    this.#options = options
    this.#notice = new Notice(options.fallback)
    this.#worker = workerFor(options.path)
    const { ring, id, failure } = createRing({
      ...options,
      lane: options.lane,
      unit: options.unit ?? 'record',
      added: (added, rings) => {
        this.#worker.post({ type: 'ring', id: this.id, ring: added })
        this.#words.countRings(rings)
      }
    })
    this.#ring = ring
    this.#lane = id
    this.#words.countRings(1)
    if (failure !== undefined) this.#warnOfLane(failure)
    this.#mayBeQuick = options.maxBufferBytes >= ring.capacityBytes
    this.#isQuick = this.#mayBeQuick && exitDeadline() === undefined
    this.#flushes = new Flushes(this.#words, this.#worker)
    this.#questions = new Questions(this.#worker, this.id)
    this.#worker.add(this)
    // Until it is known whether the path is refused.
    this.#worker.hold()
    addOutput(this)
  }

  /** Whether writing fails at the moment. */
  get isDegraded(): boolean {
    return this.#words.isDegraded
  }

  /**
   * Takes one record, or several lines for a sink of text, with their ends. False: more than `maxBufferBytes` wait and
   * nothing may be dropped; 'sent' follows.
   */
  send(text: string, lines?: number): boolean {
    if (!this.#isQuick || !this.#ring.append(text)) return this.#sendSlowly(text, lines)
    this.#worker.ringSoon(text.length)
    return true
  }

  /** Blocks this thread until no more than `maxBufferBytes` wait, or until there is no use in waiting longer. */
  waitForRoom(): void {
    const hasRoom = (): boolean => this.#moveBacklog() || this.#pendingBytes < this.#options.maxBufferBytes
    if (this.#state !== 'open' || this.#words.block(hasRoom, FULL_PATIENCE)) return
    this.#stuckSignal = this.#words.signal
  }

  /** Has the sink do something; resolves when it is done. What was sent before goes before. */
  request(what: Exclude<Question, 'stats'>): Promise<unknown> {
    const answer = this.#isOver ? Promise.reject(this.#gone()) : this.#questions.ask(what)
    // Most do not wait for it.
    answer.catch(() => {})
    return answer
  }

  stats(): Promise<SinkStats> {
    if (this.#lastStats !== undefined) return Promise.resolve(this.#withOwn(this.#lastStats))
    if (this.#state === 'failed') return Promise.reject(this.#gone())
    this.#stats ??= this.#questions
      .ask('stats')
      .then((stats) => this.#withOwn(stats as SinkStats))
      .finally(() => {
        this.#stats = undefined
      })
    return this.#stats
  }

  /** Resolves when all records sent before have reached the sink's durability. */
  flush(): Promise<void> {
    return this.#isOver ? Promise.reject(this.#gone()) : this.#flushes.add(this.#moveBacklog(true))
  }

  /** The same, blocking this thread for at most ten seconds, and for a moment where writing fails anyway. */
  flushSync(): void {
    if (this.#isOver) throw this.#gone()
    if (!this.#words.block(() => this.#moveBacklog(true), FLUSH_PATIENCE)) throw this.#unwritten()
    const flush = this.#words.ask()
    this.#worker.bell?.ringNow()
    if (!this.#words.block(() => this.#words.isDone(flush), FLUSH_PATIENCE)) throw this.#unwritten()
    this.#worker.receiveNow()
    const failure = this.#flushes.failureOf(flush)
    if (failure !== undefined) throw failure
  }

  /** Writes everything and closes the sink, blocking this thread, as at the end of the process. */
  exitNow(): void {
    this.beginExit()
    exitAll([this], exitDeadline() ?? new ExitDeadline())
  }

  /** Writes everything and closes the sink. Idempotent. Does not reject: what was lost is reported on stderr. */
  end(): Promise<void> {
    this.#ended ??= this.#end()
    return this.#ended
  }

  /** For the pool: what a thread needs to take the output over. */
  handover(): OpenMessage {
    const { kind, sinkOptions, overflow } = this.#options
    this.#words.restart()
    // What is newest is on this side, so it is here that it is dropped.
    const own = overflow === 'drop-newest' ? { overflow: 'block' } : {}
    const options = { ...cloneableOptions(sinkOptions), ...own }
    const { id } = this
    const { handle } = this.#ring
    const unit = this.#options.unit ?? 'record'
    return {
      type: 'open',
      id,
      kind,
      options,
      words: this.#words.buffer,
      ring: handle,
      lane: this.#lane,
      unit
    }
  }

  /** For the pool: another thread has got it. */
  handedOver(): void {
    this.#questions.askAgain()
  }

  /** For the pool: what the thread says. */
  receive(message: ToMain): void {
    if (message.type === 'event') this.#announce(message.name, message.args)
    else if (message.type === 'flushed') this.#flushes.done(message.flush, asError(message.error))
    else if (message.type === 'answer') this.#questions.answered(message)
    else if (message.type === 'room') this.#moveBacklog()
    else if (message.type === 'closed') this.#closed(message.end)
    else this.#openedOrRefused(message)
  }

  /** For the pool: thread after thread has died. */
  threadsFailed(cause: Error): void {
    this.#fail(
      new LogboomError(
        'ERR_IO',
        `the threads that write ${this.#options.path} end again and again: ${cause.message}`,
        { path: this.#options.path, cause }
      ),
      true
    )
  }

  beginExit(): void {
    if (this.#isOver && this.#state !== 'ending') return
    this.#isQuick = false
    this.emit('exiting')
    this.#words.setMode('finish')
    this.#exitFlush = this.#moveBacklog(true) ? this.#words.ask() : undefined
    this.#worker.bell?.ringNow()
  }

  awaitExit(patience: ExitPatience): boolean {
    if (this.#isOver && this.#state !== 'ending') return true
    const done = this.#awaitExit(patience)
    if (done) this.#ring.exit()
    return done
  }

  #awaitExit(patience: ExitPatience): boolean {
    const isDone = (): boolean => {
      // What found no room when the exit began is asked for when it has.
      if (this.#exitFlush === undefined && this.#moveBacklog(true)) this.#exitFlush = this.#words.ask()
      this.#worker.bell?.ringNow()
      return this.#exitFlush !== undefined && this.#words.isDone(this.#exitFlush)
    }
    const done = this.#words.block(isDone, patience)
    if (done) this.#worker.receiveNow()
    return done
  }

  giveUp(): void {
    this.#words.setMode('giveUp')
    this.#exitFlush = this.#words.ask()
    this.#worker.bell?.ringNow()
  }

  reportLost(waitMs: number): void {
    const flush = this.#exitFlush!
    const isCounted = this.#words.block(() => this.#words.isDone(flush), {
      totalMs: waitMs,
      stallMs: waitMs,
      degradedMs: waitMs
    })
    this.#worker.receiveNow()
    // A thread that does not answer stands still in a system call; all that is in the ring is as good as lost.
    const unwritten =
      isCounted || this.#ring.survives ? nothingDropped : this.#ring.unreleased(this.#countLines)
    const own = sum(unwritten, this.#backlog.clear())
    this.#drop(own)
    this.#lost = sum(this.#lost, own)
    this.#reportLost()
  }

  get #isOver(): boolean {
    return this.#state !== 'open'
  }

  /** What waits to be written. */
  get #pendingBytes(): number {
    return this.#ring.written - this.#ring.drained + this.#backlog.bytes
  }

  #sendSlowly(text: string, lines: number | undefined): boolean {
    if (this.#isOver) {
      this.#drop({ lines: lines ?? this.#linesOf(text), bytes: Buffer.byteLength(text) })
      this.#notice.write(`${this.#gone().message}, and what is logged to it is dropped`)
      return true
    }
    const isWelcome = (this.#moveBacklog() && this.#append(text)) || this.#keep(text, lines)
    if (exitDeadline() === undefined) return isWelcome
    this.exitNow()
    return true
  }

  /** Puts a record into the ring, if there is room. */
  #append(text: string): boolean {
    if (!this.#mayBeQuick) {
      const waiting = this.#ring.written - this.#ring.drained
      if (waiting > 0 && waiting + text.length > this.#options.maxBufferBytes) return false
    }
    if (!this.#ring.append(text) && !(this.#ring.grow(text) && this.#ring.append(text))) return false
    this.#worker.ringSoon(text.length)
    return true
  }

  /** Takes a record for which the ring has no room. False: the caller should wait. */
  #keep(text: string, given: number | undefined): boolean {
    const { overflow, maxBufferBytes } = this.#options
    if (overflow !== 'drop-newest' && this.#blockForRoom(text)) return true
    const lines = given ?? this.#linesOf(text)
    const bytes = Buffer.byteLength(text)
    const overBytes = this.#pendingBytes === 0 ? 0 : this.#pendingBytes + bytes - maxBufferBytes
    const isStuck = this.#stuckSignal === this.#words.signal
    if (bytes > LARGEST_BYTES || (overBytes > 0 && (overflow === 'drop-newest' || isStuck))) {
      this.#drop({ lines, bytes })
      return true
    }
    if (overBytes > 0 && overflow === 'drop-oldest') this.#drop(this.#backlog.dropOldest(overBytes))
    this.#push(text, lines)
    return overflow !== 'block' || this.#pendingBytes < maxBufferBytes
  }

  // The thread catches up in milliseconds, unless it cannot write. With 'drop-oldest' it makes room even then.
  #blockForRoom(text: string): boolean {
    const { signal } = this.#words
    const dropsOldest = this.#options.overflow === 'drop-oldest'
    if (
      (this.#words.isDegraded && !dropsOldest) ||
      this.#slowSignal === signal ||
      this.#stuckSignal === signal
    )
      return false
    const append = (): boolean => {
      if (dropsOldest && this.isDegraded)
        this.#words.discard(Math.max(text.length, this.#ring.capacityBytes / 8))
      this.#worker.bell?.ringNow()
      return this.#moveBacklog() && this.#append(text)
    }
    if (
      this.#words.block(
        append,
        dropsOldest ? { ...ROOM_PATIENCE, degradedMs: ROOM_PATIENCE.stallMs } : ROOM_PATIENCE
      )
    )
      return true
    this.#slowSignal = this.#words.signal
    return false
  }

  #push(text: string, lines: number): void {
    this.#isQuick = false
    if (this.#backlog.isEmpty) this.#worker.hold()
    this.#backlog.push(text, lines)
    this.#moveBacklog()
  }

  /** Moves what waits in memory to the ring; true if nothing is left. `isEnd`: the record of drops has to go, too. */
  #moveBacklog(isEnd = false): boolean {
    if (!this.#backlog.isEmpty) {
      const append = (text: string): boolean => this.#append(text)
      this.#backlog.moveTo(append)
      if (!this.#backlog.isEmpty) {
        // Looked at again behind the wish for a message, for there may have been room just before it.
        this.#words.want('room')
        this.#backlog.moveTo(append)
        if (!this.#backlog.isEmpty) return false
      }
      this.#worker.letGo()
      this.emit('sent')
    }
    if (this.#drops.hasUnlogged && (isEnd || this.#pendingBytes <= this.#options.maxBufferBytes / 2)) {
      const notice = this.#drops.takeNotice()!
      if (!this.#append(notice)) {
        this.#push(notice, 0)
        return false
      }
    }
    this.#isQuick =
      this.#mayBeQuick && !this.#isOver && !this.#drops.hasUnlogged && exitDeadline() === undefined
    this.#flushes.askNow()
    return true
  }

  async #end(): Promise<void> {
    if (this.#isOver) return
    this.#state = 'ending'
    this.#isQuick = false
    this.#worker.hold()
    await this.#until(() => this.#moveBacklog(true), END_STALL_MS)
    this.#words.setMode('finish')
    this.#exitFlush = this.#words.ask()
    this.#worker.bell?.ringNow()
    if (!(await this.#until(() => this.#words.isDone(this.#exitFlush!), END_STALL_MS))) {
      this.giveUp()
      await this.#until(() => this.#words.isDone(this.#exitFlush!), END_COUNT_MS)
      this.reportLost(0)
    }
    this.#worker.receiveNow()
    this.#reportLost()
    this.#worker.letGo()
    this.#leave('ended')
  }

  /** Looks now and then whether `condition` holds; false if nothing gets done for too long. */
  async #until(condition: () => boolean, stallMs: number): Promise<boolean> {
    let { signal } = this.#words
    let progressMs = monotonicMs()
    for (let pauseMs = 1; !condition(); pauseMs = Math.min(END_LOOK_MS, pauseMs * 2)) {
      if ((this.#state as LinkState) === 'failed') return true
      const limitMs = this.isDegraded ? Math.min(stallMs, END_DEGRADED_MS) : stallMs
      if (monotonicMs() - progressMs > limitMs) return false
      await delay(pauseMs)
      if (this.#words.signal === signal) continue
      signal = this.#words.signal
      progressMs = monotonicMs()
    }
    return true
  }

  #openedOrRefused(message: Extract<ToMain, { type: 'opened' | 'refused' }>): void {
    const isFirst = !this.#wasOpened
    if (message.type === 'opened') {
      this.#wasOpened = true
      if (isFirst && !this.#isOver) this.#worker.letGo()
    } else this.#fail(fromPlain(message.error), !isFirst)
  }

  #closed({ stats, lost, reason }: OutputEnd): void {
    this.#lastStats = stats
    this.#isFree = true
    this.#lost = sum(this.#lost, lost)
    this.#reason = reason
  }

  /** Nothing can be written any more. `isRunning`: the application could not know, and is not to end by it. */
  #fail(error: LogboomError, isRunning: boolean): void {
    if (this.#state === 'failed' || this.#state === 'ended') return
    if (!this.#wasOpened) this.#worker.letGo()
    const isKept = isRunning && this.#ring.survives
    const inRing = isKept ? nothingDropped : this.#ring.unreleased(this.#countLines)
    this.#lost = sum(this.#lost, sum(this.#backlog.clear(), inRing))
    if (!isKept) this.#ring.discard()
    this.#leave('failed')
    this.#drop(this.#lost)
    this.#drops.report()
    const { code, message } = error
    publish('failed', this.#options.path, { code, message })
    if (isRunning) {
      this.#reason = message
      this.#reportLost()
      this.#announce('warning', [{ code, message, path: this.#options.path }])
    } else process.nextTick(() => this.emit('failed', error))
    this.emit('sent')
  }

  #leave(state: 'ended' | 'failed'): void {
    this.#state = state
    this.#isQuick = false
    const gone = this.#gone()
    this.#flushes.rejectAll(gone)
    this.#questions.rejectAll(gone)
    removeOutput(this)
    this.#worker.remove(this)
    this.#ring.close(this.#isFree || state === 'failed')
  }

  /** Events are never emitted within a call of the application. */
  #announce(name: string, args: readonly unknown[]): void {
    process.nextTick(() => {
      // Channels of the sink's thread are not those of this one, where the application listens.
      publish(name, this.#options.path, args[0] as object | undefined)
      this.emit(name, ...args)
    })
  }

  readonly #countLines = (payloads: Buffer, records: number): number =>
    this.#options.kind === 'rotating-file' ? native.countLines(payloads, 0, payloads.length) : records

  #linesOf(text: string): number {
    return this.#options.kind === 'rotating-file' ? text.split('\n').length - 1 : 1
  }

  #drop(dropped: Dropped): void {
    if (dropped.lines === 0) return
    this.#dropped += dropped.lines
    this.#drops.add(dropped)
  }

  /** Only where it was asked for, or could have been had, this is something that one wants to know. */
  #warnOfLane({ code, message }: LogboomError): void {
    const { path, lane } = this.#options
    if (lane === undefined && code === 'ERR_UNSUPPORTED') return
    const text = `${path} has no lane, so what waits ends with the process: ${message}`
    this.#notice.write(text)
    this.#announce('warning', [{ code, message: text, path }])
  }

  #withOwn(stats: SinkStats): SinkStats {
    const queuedBytes = Math.max(stats.queuedBytes, this.#isOver ? 0 : this.#pendingBytes)
    return { ...stats, queuedBytes, dropped: stats.dropped + this.#dropped }
  }

  #gone(): LogboomError {
    const { path, kind } = this.#options
    return new LogboomError('ERR_CLOSED', `the ${kind} output of ${path} has ended`, { path })
  }

  #unwritten(): LogboomError {
    const { path } = this.#options
    const message = `${path} cannot be written at the moment; what was logged waits`
    return new LogboomError('ERR_IO', message, { path })
  }

  #reportLost(): void {
    this.#reportKept()
    const lost = this.#lost
    this.#lost = nothingDropped
    if (lost.lines > 0) this.#tellUnwritten(lost)
  }

  /** What stays in a ring that outlives the process is not lost. */
  #reportKept(): void {
    if (!this.#ring.survives || this.#hasTold) return
    const { lines, bytes } = this.#ring.unreleased(this.#countLines)
    if (lines === 0) return
    this.#hasTold = true
    this.#tellUnwritten(
      { lines, bytes },
      '; they stay in its lane, and whoever opens the log next writes them'
    )
  }

  #tellUnwritten({ lines, bytes }: Dropped, rest = ''): void {
    const { path } = this.#options
    const reason = this.#reason === undefined ? '' : `: ${this.#reason}`
    const what = `${lines} records (${bytes} bytes) not written to ${path}`
    this.#notice.write(`closed with ${what}${reason}${rest} [ERR_LOST]`, true)
  }
}

function asError(error: PlainError | undefined): LogboomError | undefined {
  return error === undefined ? undefined : fromPlain(error)
}

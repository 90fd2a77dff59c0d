// The main-thread side of a sink that runs in a thread of the pool: its life from the start to the end or the exit of the
// process, what is asked of it, and what it tells.
import { EventEmitter } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { monotonicMs } from '../base/clock.ts'
import { errorMessage, LogboomError } from '../base/errors.ts'
import { cloneableOptions } from '../base/options.ts'
import { isNews, NoRoomNews, noLane } from '../core/lane/no-room.ts'
import type { Kind } from '../core/registry.ts'
import { resumed } from '../core/shared-file/start-options.ts'
import { ExitDeadline, type ExitPatience, exitDeadline } from '../core/sink/at-exit.ts'
import { publish } from '../core/sink/channels.ts'
import type { LaneOptions } from '../core/sink/common-options.ts'
import type { DroppedEvent, Overflow, SinkStats } from '../core/sink/contract.ts'
import { Drops } from '../core/sink/drops.ts'
import { sum } from '../core/sink/intake.ts'
import { nothingDropped } from '../core/sink/target.ts'
import type { LaneId } from '../formats/lock-file.ts'
import { LinkIntake } from './link-intake.ts'
import { LinkReport } from './link-report.ts'
import { createRing } from './pool/create-ring.ts'
import { addOutput, type ExitingOutput, exitAll, removeOutput } from './pool/exit.ts'
import { Flushes } from './pool/flushes.ts'
import type { OutputRing } from './pool/output-ring.ts'
import { OutputWords, type Patience } from './pool/output-words.ts'
import { workerFor } from './pool/pool.ts'
import type { PoolWorker } from './pool/pool-worker.ts'
import type { OpenMessage, OutputEnd, PlainError, Question, RecordUnit, ToMain } from './pool/protocol.ts'
import { fromPlain, Questions } from './pool/questions.ts'
import type { PoolOutput } from './pool/thread-host.ts'

/** How long `flushSync` blocks. */
const FLUSH_PATIENCE: Patience = { totalMs: 10_000, stallMs: 5_000, startMs: 10_000, degradedMs: 500 }
/** `end` gives up after that without progress. */
const END_STALL_MS = 10_000
const END_DEGRADED_MS = 5_000
/** And waits so long for the count of what is lost. */
const END_COUNT_MS = 2_000
const END_LOOK_MS = 20

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
  /** A thread has got it before. */
  #isHandedOver = false
  readonly #ring: OutputRing
  readonly #lane: LaneId
  readonly #intake: LinkIntake
  readonly #report: LinkReport
  readonly #flushes: Flushes
  readonly #questions: Questions
  readonly #drops = new Drops((event: DroppedEvent) => {
    publish('dropped', this.#options.path, event)
    this.emit('dropped', event)
  })
  readonly #noRoom: NoRoomNews
  #state: LinkState = 'open'
  /** The process is kept alive until it is known whether the path is refused. */
  #waitsForOpening = true
  /** The sink was open: what is refused from now on is no mistake of the application. */
  #wasOpened = false
  #ended: Promise<void> | undefined
  #exitFlush: number | undefined
  /** What the thread had done when it was told what could not be written. */
  #givenUpSignal: number | undefined
  /** It could not write then. */
  #wasDegraded = false
  /** The thread has closed the sink. */
  #isFree = false
  #lastStats: SinkStats | undefined
  #stats: Promise<SinkStats> | undefined

  constructor(options: WorkerLinkOptions) {
    super()
    // Any number of rotations may be waited for at the same time.
    this.setMaxListeners(0)
    this.#options = options
    this.#report = new LinkReport({ ...options, isText: options.kind === 'rotating-file' })
    this.#noRoom = new NoRoomNews(options.path, (message) => {
      this.#report.notice(message)
      this.#announce('warning', [{ code: 'ERR_IO', message, path: options.path }])
    })
    this.#worker = threadFor(options)
    const { ring, id, failure } = createRing({
      ...options,
      lane: options.lane,
      unit: options.unit ?? 'record',
      added: (added, rings) => {
        this.#worker.post({ type: 'ring', id: this.id, ring: added })
        this.#words.countRings(rings)
      },
      largeAdded: (record, reason) => {
        this.#worker.post({ type: 'large', id: this.id, record })
        this.#noRoom.add(record.data.byteLength, reason)
      }
    })
    this.#ring = ring
    this.#lane = id
    this.#words.countRings(1)
    if (failure !== undefined) this.#warnOfLane(failure)
    this.#intake = new LinkIntake({
      ...options,
      ring,
      words: this.#words,
      worker: this.#worker,
      drops: this.#drops,
      countRecords: this.#report.countRecords,
      moved: () => this.emit('sent'),
      allInRing: () => this.#flushes.askNow()
    })
    this.#flushes = new Flushes(this.#words, this.#worker)
    this.#questions = new Questions(this.#worker, this.id)
    this.#worker.add(this)
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
    return this.#intake.takeNow(text) || this.#sendSlowly(text, lines)
  }

  /** Blocks this thread until no more than `maxBufferBytes` wait, or until there is no use in waiting longer. */
  waitForRoom(): void {
    if (!this.#isOver) this.#intake.waitForRoom()
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
    return this.#isOver ? Promise.reject(this.#gone()) : this.#flushes.add(this.#intake.move(true))
  }

  /** The same, blocking this thread for at most ten seconds, and for a moment where writing fails anyway. */
  flushSync(): void {
    if (this.#isOver) throw this.#gone()
    if (!this.#words.block(() => this.#intake.move(true), FLUSH_PATIENCE)) throw this.#unwritten()
    const flush = this.#words.ask()
    this.#worker.ringNow()
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
    const given = this.#isHandedOver ? resumed(sinkOptions) : sinkOptions
    this.#isHandedOver = true
    const options = { ...cloneableOptions(given), ...own }
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
    if (message.type === 'event') this.#happened(message.name, message.args)
    else if (message.type === 'flushed') this.#flushes.done(message.flush, asError(message.error))
    else if (message.type === 'answer') this.#questions.answered(message)
    else if (message.type === 'room') this.#intake.move()
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
    this.#intake.slow()
    this.emit('exiting')
    this.#words.setMode('finish')
    this.#exitFlush = this.#intake.move(true) ? this.#words.ask() : undefined
    this.#worker.ringNow()
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
      if (this.#exitFlush === undefined && this.#intake.move(true)) this.#exitFlush = this.#words.ask()
      this.#worker.ringNow()
      return this.#exitFlush !== undefined && this.#words.isDone(this.#exitFlush)
    }
    const done = this.#words.block(isDone, patience)
    if (done) this.#worker.receiveNow()
    return done
  }

  giveUp(): void {
    this.#words.setMode('giveUp')
    this.#exitFlush = this.#words.ask()
    this.#worker.ringNow()
  }

  reportLost(waitMs: number): void {
    const flush = this.#exitFlush!
    const isCounted = this.#words.block(() => this.#words.isDone(flush), {
      totalMs: waitMs,
      stallMs: waitMs,
      startMs: waitMs,
      degradedMs: waitMs
    })
    this.#worker.receiveNow()
    // A thread that does not answer stands still in a system call; all that is in the ring is as good as lost.
    const isToldByThread = isCounted && !this.#ring.survives
    const unwritten = isToldByThread ? nothingDropped : this.#report.mortal(this.#ring)
    const own = sum(unwritten, this.#intake.clear())
    this.#intake.drop(own)
    this.#report.lose(own)
    this.#report.tell(this.#ring)
    this.#givenUpSignal = this.#words.signal
    this.#wasDegraded = this.isDegraded
  }

  /** It was given up, and nothing has been done since. */
  get #isHopeless(): boolean {
    // A thread that could not write may open the log again only to find the same.
    return this.#wasDegraded || this.#givenUpSignal === this.#words.signal
  }

  get #isOver(): boolean {
    return this.#state !== 'open'
  }

  #sendSlowly(text: string, lines: number | undefined): boolean {
    if (this.#isOver) {
      this.#intake.drop({ lines: lines ?? this.#report.countRecords(text), bytes: Buffer.byteLength(text) })
      this.#report.notice(`${this.#gone().message}, and what is logged to it is dropped`)
      return true
    }
    if (this.#isHopeless) {
      this.#keepLate(text, lines)
      return true
    }
    const isWelcome = this.#intake.take(text, lines)
    const deadline = exitDeadline()
    if (deadline === undefined) return isWelcome
    if (!this.#writeLate(deadline)) this.exitNow()
    return true
  }

  /** The process exits, and nothing can be written: nobody is to wait for that once more with each record. */
  #keepLate(text: string, lines: number | undefined): void {
    if (this.#ring.survives && this.#ring.append(text)) {
      this.#report.tell(this.#ring)
      return
    }
    const lost = { lines: lines ?? this.#report.countRecords(text), bytes: Buffer.byteLength(text) }
    this.#intake.drop(lost)
    this.#report.lose(lost)
    this.#report.tell(this.#ring)
  }

  /** While the process exits: the sink is not closed again after each record, for there may be many. */
  #writeLate(deadline: ExitDeadline): boolean {
    if (this.isDegraded) return false
    this.#words.setMode('run')
    if (!this.#intake.move(true)) return false
    const flush = this.#words.ask()
    this.#worker.ringNow()
    if (!this.#words.block(() => this.#words.isDone(flush), deadline.latePatience)) return false
    deadline.progressed()
    this.#worker.receiveNow()
    return this.#flushes.failureOf(flush) === undefined
  }

  async #end(): Promise<void> {
    if (this.#isOver) return
    this.#state = 'ending'
    this.#intake.shut()
    this.#worker.hold()
    await this.#until(() => this.#intake.move(true), END_STALL_MS)
    this.#words.setMode('finish')
    this.#exitFlush = this.#words.ask()
    this.#worker.ringNow()
    if (!(await this.#until(() => this.#words.isDone(this.#exitFlush!), END_STALL_MS))) {
      this.giveUp()
      await this.#until(() => this.#words.isDone(this.#exitFlush!), END_COUNT_MS)
      this.reportLost(0)
    }
    this.#worker.receiveNow()
    this.#report.tell(this.#ring)
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
      this.#knowsOfOpening()
    } else this.#fail(fromPlain(message.error), !isFirst)
  }

  /** The output may have been ended before, or have failed. */
  #knowsOfOpening(): void {
    if (!this.#waitsForOpening) return
    this.#waitsForOpening = false
    this.#worker.letGo()
  }

  #closed(end: OutputEnd): void {
    this.#lastStats = end.stats
    this.#isFree = true
    // Later than somebody waits for it, everything was told already.
    if (this.#state === 'ended') this.#letRingGo()
    else this.#report.ended(end)
  }

  /** Nothing can be written any more. `isRunning`: the application could not know, and is not to end by it. */
  #fail(error: LogboomError, isRunning: boolean): void {
    if (this.#state === 'failed' || this.#state === 'ended') return
    const { code, message } = error
    const isKept = isRunning && this.#ring.survives
    const inRing = isKept ? this.#report.mortal(this.#ring) : this.#report.unwritten(this.#ring)
    const lost = sum(this.#intake.clear(), inRing)
    this.#intake.drop(lost)
    this.#drops.report()
    if (isRunning) {
      this.#report.because(message)
      this.#report.lose(lost)
      this.#report.tell(this.#ring)
    }
    if (!isKept) this.#ring.discard()
    this.#leave('failed')
    publish('failed', this.#options.path, { code, message })
    if (isRunning) this.#announce('warning', [{ code, message, path: this.#options.path }])
    else process.nextTick(() => this.emit('failed', error))
    this.emit('sent')
  }

  #leave(state: 'ended' | 'failed'): void {
    this.#state = state
    this.#knowsOfOpening()
    this.#intake.shut()
    const gone = this.#gone()
    this.#flushes.rejectAll(gone)
    this.#questions.rejectAll(gone)
    removeOutput(this)
    // What is left in the ring is for the next output of the log, which finds it once the thread has let go of it, too.
    if (this.#isFree || state === 'failed' || !this.#ring.survives) this.#letRingGo()
  }

  #letRingGo(): void {
    this.#worker.remove(this)
    this.#ring.close(this.#isFree || this.#state === 'failed')
  }

  #happened(name: string, args: readonly unknown[]): void {
    if (name === 'degraded') this.#intake.degraded()
    if (name === 'recovered') this.#intake.recovered()
    this.#announce(name, args)
  }

  /** Events are never emitted within a call of the application. */
  #announce(name: string, args: readonly unknown[]): void {
    process.nextTick(() => {
      // Channels of the sink's thread are not those of this one, where the application listens.
      publish(name, this.#options.path, args[0] as object | undefined)
      this.emit(name, ...args)
    })
  }

  #warnOfLane(failure: LogboomError): void {
    const { path, lane } = this.#options
    const message = noLane(path, failure)
    if (lane !== undefined || isNews(failure)) this.#report.notice(message)
    this.#announce('warning', [{ code: failure.code, message, path }])
  }

  #withOwn(stats: SinkStats): SinkStats {
    const queuedBytes = Math.max(stats.queuedBytes, this.#isOver ? 0 : this.#intake.pendingBytes)
    return { ...stats, queuedBytes, dropped: stats.dropped + this.#intake.dropped }
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
}

function asError(error: PlainError | undefined): LogboomError | undefined {
  return error === undefined ? undefined : fromPlain(error)
}

/** Throws `ERR_UNSUPPORTED` in a bundle without the file of the thread, `ERR_LIMIT` where the system starts no thread. */
function threadFor({ kind, path }: WorkerLinkOptions): PoolWorker {
  try {
    return workerFor(path)
  } catch (error) {
    if (error instanceof LogboomError) throw error
    const message = `${kind}: ${path} is written by a thread, and none can be started: ${errorMessage(error)}`
    throw new LogboomError('ERR_LIMIT', message, { path, cause: error })
  }
}

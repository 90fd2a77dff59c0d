// One output in a thread of the pool: opens the sink, has records moved into it, and tells the main thread how far it has
// come.
import { errorMessage, LogboomError } from '../../base/errors.ts'
import type { Dropped } from '../../core/queue/byte-queue.ts'
import { LaneFolder } from '../../core/lane/lane-folder.ts'
import type { Ring } from '../../core/lane/ring.ts'
import { sinks } from '../../core/registry.ts'
import { type DroppedEvent, forwardedEvents } from '../../core/sink/contract.ts'
import { sum } from '../../core/sink/intake.ts'
import { type GivenLane, withInternals } from '../../core/sink/internals.ts'
import type { InternalSink } from '../../core/sink/pumped-sink.ts'
import { nothingDropped } from '../../core/sink/target.ts'
import { realDisk } from '../../io/disk.ts'
import { Feed, type FeedBuffers, type Mover } from './feed.ts'
import {
  type OpenMessage,
  outputMode,
  outputState,
  type PlainError,
  type Question,
  type ToMain,
  wanted,
  word
} from './protocol.ts'
import { Pull } from './pull.ts'
import { RingReader } from './ring-reader.ts'
import { WatchedRing } from './watched-ring.ts'

export interface OutputHost {
  readonly buffers: FeedBuffers
  post(message: ToMain): void
  /** Has `turn` of all outputs called soon. */
  schedule(): void
  /** Takes in what has come through the port. */
  receive(): void
}

interface Flush {
  readonly number: number
  /** Position of the ring up to which it goes. */
  readonly target: number
  isStarted: boolean
}

/** The sink of an output while it is open. */
interface Opened {
  readonly sink: InternalSink
  readonly mover: Mover
}

export class Output {
  readonly #open: OpenMessage
  readonly #host: OutputHost
  readonly #words: Int32Array
  readonly #ring: WatchedRing
  /** The chain of rings, where it is one. */
  #chain: RingReader | undefined
  #ringsSeen = 0
  #opened: Opened | undefined
  /** Why the sink refuses to open, which will not pass. */
  #refusal: PlainError | undefined
  #flush: Flush | undefined
  #handled: number
  #isEnding = false
  /** Why writing failed when it was given up. */
  #reason: string | undefined
  /** What was given up, of this sink: in its memory, … */
  #abandoned: Dropped = nothingDropped
  /** … and in the ring, of which it knows nothing. */
  #unread: Dropped = nothingDropped

  constructor(open: OpenMessage, host: OutputHost) {
    this.#open = open
    this.#host = host
    this.#words = new Int32Array(open.words)
    this.#handled = Atomics.load(this.#words, word.done)
    this.#ring = new WatchedRing(this.#openRing(), () => this.#released())
    this.#openSink()
  }

  /** One more ring was made. */
  addRing(ring: SharedArrayBuffer): void {
    this.#ringsSeen++
    this.#chain?.add(ring)
  }

  /** Somebody has asked for a flush that was not begun yet. */
  get isAwaited(): boolean {
    return this.#flush === undefined && Atomics.load(this.#words, word.asked) !== this.#handled
  }

  /** Does what there is to do without waiting; returns how many bytes it has moved. */
  turn(): number {
    if (this.#isEnding) {
      if (this.#mode === outputMode.giveUp) this.#giveUp()
      return 0
    }
    // Closed, because the process ends, and still something was logged.
    if (this.#opened === undefined && this.#refusal === undefined) {
      this.#ring.look()
      if (this.#ring.written > this.#ring.drained) this.#openSink()
    }
    if (this.#opened !== undefined && this.#mode === outputMode.giveUp) {
      void this.#end(this.#opened, Atomics.load(this.#words, word.asked), undefined)
      return 0
    }
    const discardBytes = Atomics.exchange(this.#words, word.discard, 0)
    if (discardBytes > 0) this.#opened?.sink.dropOldest(discardBytes)
    const moved = this.#opened?.mover.some() ?? 0
    return moved + this.#lookForFlush()
  }

  /** Carries out what the application asked for, and answers. */
  async answer(ask: number, what: Question): Promise<void> {
    const { id } = this.#open
    try {
      this.#host.post({ type: 'answer', id, ask, value: await this.#carryOut(what), error: undefined })
    } catch (error) {
      this.#host.post({ type: 'answer', id, ask, value: undefined, error: toPlain(error) })
    }
  }

  /** Lets go of the ring. */
  dispose(): void {
    this.#ring.close()
  }

  /** For the end of the thread. */
  async close(): Promise<void> {
    if (this.#isEnding || this.#opened === undefined) return
    await this.#end(this.#opened, Atomics.load(this.#words, word.asked), undefined)
  }

  get #mode(): number {
    return Atomics.load(this.#words, word.mode)
  }

  async #carryOut(what: Question): Promise<unknown> {
    const opened = this.#opened
    if (opened === undefined) throw new LogboomError('ERR_CLOSED', `the ${this.#open.kind} output is closed`)
    const { sink, mover } = opened
    if (what === 'stats') return { ...sink.stats(), dropped: sink.stats().dropped + this.#unread.lines }
    // What was logged before goes to the file from before.
    this.#ring.look()
    await mover.reach(this.#ring.written)
    const act = (sink as { rotate?: () => unknown; reopen?: () => unknown })[what]
    if (typeof act !== 'function') return void sink.control({ type: what })
    return await act.call(sink)
  }

  #openRing(): Ring {
    const { ring } = this.#open
    if (ring.backing === 'shared') {
      this.#ringsSeen = ring.ringsBefore + ring.rings.length
      this.#chain = new RingReader(ring.rings, () => this.#hasMoreRings())
      return this.#chain
    }
    const mapped = LaneFolder.open(realDisk, ring.dir).openRing(ring.name)
    if (mapped === undefined) throw new LogboomError('ERR_NOT_FOUND', `the lane in ${ring.dir} is gone`)
    return mapped
  }

  #openSink(): void {
    const { id, kind, options, ring, lane, unit } = this.#open
    try {
      const takesRing = 'lane' in sinks[kind].options
      const given: GivenLane = { ring: this.#ring, id: lane, survives: ring.backing === 'mapped', unit }
      const create = (): InternalSink => sinks[kind].create(options as never)
      const sink = takesRing ? withInternals({ lane: given }, create) : create()
      for (const name of forwardedEvents) {
        sink.on(name, (...args: unknown[]) => this.#host.post({ type: 'event', id, name, args }))
      }
      sink.on('degraded', () => this.#become('degraded'))
      sink.on('recovered', () => this.#become('open'))
      const { maxBufferBytes } = sinks[kind].check(options)
      const mover = takesRing
        ? new Pull(sink, this.#ring)
        : new Feed(sink, this.#ring, { maxBufferBytes, buffers: this.#host.buffers })
      this.#opened = { sink, mover }
      this.#become(sink.stats().state === 'degraded' ? 'degraded' : 'open')
      this.#host.post({ type: 'opened', id })
    } catch (error) {
      this.#refusal = toPlain(error)
      this.#host.post({ type: 'refused', id, error: this.#refusal })
      this.#become('failed')
    }
  }

  #become(state: keyof typeof outputState): void {
    Atomics.store(this.#words, word.state, outputState[state])
    this.#signal()
  }

  #signal(): void {
    Atomics.add(this.#words, word.signal, 1)
    Atomics.notify(this.#words, word.signal)
  }

  #hasMoreRings(): boolean {
    const seen = this.#ringsSeen
    if (Atomics.load(this.#words, word.rings) === seen) return false
    this.#host.receive()
    return this.#ringsSeen > seen
  }

  #released(): void {
    if ((Atomics.load(this.#words, word.wants) & wanted.room) !== 0) {
      Atomics.and(this.#words, word.wants, ~wanted.room)
      this.#host.post({ type: 'room', id: this.#open.id })
    }
    this.#signal()
    this.#host.schedule()
  }

  /** Returns how many bytes it has moved. */
  #lookForFlush(): number {
    let moved = 0
    if (this.#flush === undefined) {
      const number = Atomics.load(this.#words, word.asked)
      if (number === this.#handled) return 0
      // Looked at behind the question, so that everything before it is seen.
      moved = (this.#opened?.mover.some() ?? 0) + this.#ring.look()
      this.#flush = { number, target: this.#ring.written, isStarted: false }
    }
    const flush = this.#flush
    const opened = this.#opened
    if (opened === undefined) this.#done(flush.number, this.#refusal)
    else if (!flush.isStarted && opened.mover.fed >= flush.target) {
      flush.isStarted = true
      opened.sink.flushLines().then(
        () => this.#flushed(opened, flush, undefined),
        (error) => this.#flushed(opened, flush, toPlain(error))
      )
    }
    return moved
  }

  #flushed(opened: Opened, flush: Flush, error: PlainError | undefined): void {
    // Who waits for a sink that ends is answered when it has ended.
    if (this.#isEnding || this.#opened !== opened) return
    // One that was asked for before the end does not cover what came after it.
    const isLast = flush.number === Atomics.load(this.#words, word.asked)
    if (this.#mode === outputMode.run || !isLast) this.#done(flush.number, error)
    else void this.#end(opened, flush.number, error)
  }

  #done(number: number, error: PlainError | undefined): void {
    this.#flush = undefined
    this.#handled = number
    const wants = Atomics.and(this.#words, word.wants, ~wanted.flushed)
    // Before the word: a main thread that is blocked finds the error when it sees that the flush is done.
    if ((wants & wanted.flushed) !== 0 || error !== undefined) {
      this.#host.post({ type: 'flushed', id: this.#open.id, flush: number, error })
    }
    Atomics.store(this.#words, word.done, number)
    this.#signal()
    this.#host.schedule()
  }

  /** Closes the sink; then whoever waits for flush number `number` is answered. */
  async #end({ sink }: Opened, number: number, error: PlainError | undefined): Promise<void> {
    this.#isEnding = true
    if (this.#mode === outputMode.giveUp) this.#giveUp()
    let failure = error
    try {
      await sink.close()
    } catch (closeError) {
      // What it has lost itself it has counted and reported itself.
      failure ??= toPlain(closeError)
    }
    const stats = { ...sink.stats(), dropped: sink.stats().dropped + this.#unread.lines }
    const lost = sum(this.#abandoned, this.#unread)
    const reason = this.#reason
    this.#opened = this.#reason = undefined
    this.#abandoned = this.#unread = nothingDropped
    this.#isEnding = false
    this.#host.post({ type: 'closed', id: this.#open.id, end: { stats, lost, reason } })
    this.#done(number, failure)
  }

  #giveUp(): void {
    const { sink, mover } = this.#opened!
    this.#reason ??= sink.failure === undefined ? undefined : errorMessage(sink.failure)
    const unread = mover.discardRest()
    this.#abandoned = sum(this.#abandoned, sink.abandon())
    this.#unread = sum(this.#unread, unread)
    if (unread.lines > 0) {
      const event: DroppedEvent = { count: unread.lines, bytes: unread.bytes }
      this.#host.post({ type: 'event', id: this.#open.id, name: 'dropped', args: [event] })
    }
    sink.hurry()
  }
}

export function toPlain(error: unknown): PlainError {
  if (error instanceof LogboomError) {
    // The code is at the end of the message, and is put there again.
    return { code: error.code, message: error.message.slice(0, -` [${error.code}]`.length), path: error.path }
  }
  return { code: 'ERR_IO', message: errorMessage(error), path: undefined }
}

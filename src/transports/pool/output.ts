// One output in a thread of the pool: opens the sink, has records moved into it, and tells the main thread how far it has
// come.
import { errorMessage, LogboomError } from '../../base/errors.ts'
import { LaneFolder } from '../../core/lane/lane-folder.ts'
import type { LargeMemory, MemoryRecord } from '../../core/lane/large-memory.ts'
import type { Ring } from '../../core/lane/ring.ts'
import type { Dropped } from '../../core/queue/byte-queue.ts'
import { sinks } from '../../core/registry.ts'
import { resumed } from '../../core/shared-file/start-options.ts'
import { forwardedEvents } from '../../core/sink/contract.ts'
import { sum } from '../../core/sink/intake.ts'
import { type GivenLane, withInternals } from '../../core/sink/internals.ts'
import type { InternalSink } from '../../core/sink/pumped-sink.ts'
import { nothingDropped } from '../../core/sink/target.ts'
import { realDisk } from '../../io/disk.ts'
import {
  type OpenMessage,
  type OutputEnd,
  outputMode,
  outputState,
  type PlainError,
  type Question,
  type ToMain,
  wanted,
  word
} from './protocol.ts'
import { RingReader } from './ring-reader.ts'
import { WatchedRing } from './watched-ring.ts'

export interface OutputHost {
  post(message: ToMain): void
  /** Has `turn` of all outputs called soon. */
  schedule(): void
  /** Takes in what was added to rings, and nothing else: an output may be in the middle of something. */
  receiveAdditions(): void
}

export class Output {
  readonly #open: OpenMessage
  readonly #host: OutputHost
  readonly #words: Int32Array
  readonly #ring: WatchedRing
  /** The chain of rings, where it is one. */
  #chain: RingReader | undefined
  #ringsSeen = 0
  /** Of the lane, where it is one. */
  #memory: LargeMemory | undefined
  #sink: InternalSink | undefined
  /** It was open before. */
  #hasOpened = false
  /** Why the sink refuses to open, which will not pass. */
  #refusal: PlainError | undefined
  /** The last flush that was begun, and whether it is under way. */
  #flush: number
  #isFlushing = false
  #isEnding = false
  /** What was given up, of this sink, and why. */
  #lost: Dropped = nothingDropped
  #reason: string | undefined

  constructor(open: OpenMessage, host: OutputHost) {
    this.#open = open
    this.#host = host
    this.#words = new Int32Array(open.words)
    this.#flush = Atomics.load(this.#words, word.done)
    this.#ring = new WatchedRing(this.#openRing(), () => this.#released())
  }

  /** Opens the sink. By now rings that come meanwhile have to reach `addRing`. */
  start(): void {
    this.#ring.look()
    this.#openSink()
  }

  /** One more ring was made. */
  addRing(ring: SharedArrayBuffer): void {
    this.#ringsSeen++
    this.#chain?.add(ring)
  }

  /** There was no room in the lane for a large record. */
  addLarge(record: MemoryRecord): void {
    this.#memory?.add(record)
  }

  get capacityBytes(): number {
    return this.#ring.capacityBytes
  }

  /** Somebody has asked for a flush that was not begun yet. */
  get isAwaited(): boolean {
    return !this.#isFlushing && !this.#isEnding && this.#asked !== this.#flush
  }

  /** Does what there is to do without waiting; returns how many bytes are new. */
  turn(): number {
    if (this.#isEnding) {
      if (this.#mode === outputMode.giveUp) this.#giveUp(this.#sink!)
      return 0
    }
    const asked = this.#asked
    // Looked at behind the question, so that everything before it is seen.
    const bytes = this.#ring.look()
    // It may be closed, because the process ends, and still something was logged. What an end has left in the ring is for others.
    const isWanted = this.#mode === outputMode.run && this.#ring.written > this.#ring.drained
    const isMissing = this.#sink === undefined && isWanted
    if (isMissing && this.#refusal === undefined) this.#openSink()
    const discardBytes = Atomics.exchange(this.#words, word.discard, 0)
    // A sink that has begun to write again makes room by that.
    if (discardBytes > 0 && this.#sink?.stats().state === 'degraded') this.#sink.dropOldest(discardBytes)
    // Without room for the next record nothing new comes, so what would be written in a while is written now.
    const isAwaited = (Atomics.load(this.#words, word.wants) & wanted.room) !== 0
    if (bytes > 0 || isAwaited) this.#sink?.pull(isAwaited)
    if (this.#sink !== undefined && this.#mode === outputMode.giveUp)
      void this.#end(this.#sink, asked, undefined)
    else if (asked !== this.#flush && !this.#isFlushing) this.#begin(asked)
    return bytes
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
    if (!this.#isEnding && this.#sink !== undefined) await this.#end(this.#sink, this.#asked, undefined)
  }

  get #mode(): number {
    return Atomics.load(this.#words, word.mode)
  }

  get #asked(): number {
    return Atomics.load(this.#words, word.asked)
  }

  async #carryOut(what: Question): Promise<unknown> {
    const sink = this.#sink
    if (sink === undefined) throw new LogboomError('ERR_CLOSED', `the ${this.#open.kind} output is closed`)
    if (what === 'stats') return sink.stats()
    // What was logged before goes to the file from before.
    this.#ring.look()
    sink.pull()
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
    this.#memory = mapped.memory
    this.#memory.connect({ more: () => this.#host.receiveAdditions() })
    for (const record of ring.large) this.#memory.add(record)
    return mapped
  }

  #openSink(): void {
    const { id, kind, ring, lane, unit } = this.#open
    const options = this.#hasOpened ? resumed(this.#open.options) : this.#open.options
    this.#hasOpened = true
    try {
      const given: GivenLane = { ring: this.#ring, id: lane, survives: ring.backing === 'mapped', unit }
      const sink: InternalSink = withInternals({ lane: given }, () => sinks[kind].create(options as never))
      for (const name of forwardedEvents) {
        sink.on(name, (...args: unknown[]) => this.#host.post({ type: 'event', id, name, args }))
      }
      sink.on('degraded', () => this.#become('degraded'))
      sink.on('recovered', () => this.#become('open'))
      this.#sink = sink
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
    this.#host.receiveAdditions()
    return this.#ringsSeen > seen
  }

  #released(): void {
    if ((Atomics.load(this.#words, word.wants) & wanted.room) !== 0) {
      Atomics.and(this.#words, word.wants, ~wanted.room)
      this.#host.post({ type: 'room', id: this.#open.id })
    }
    this.#signal()
  }

  /** Begins flush number `number`. */
  #begin(number: number): void {
    this.#flush = number
    const sink = this.#sink
    if (sink === undefined) {
      this.#done(number, this.#refusal)
      return
    }
    this.#isFlushing = true
    sink.flushLines().then(
      () => this.#flushed(sink, undefined),
      (error) => this.#flushed(sink, toPlain(error))
    )
  }

  #flushed(sink: InternalSink, error: PlainError | undefined): void {
    // Who waits for a sink that ends is answered when it has ended.
    if (this.#isEnding || this.#sink !== sink) return
    this.#isFlushing = false
    // One that was asked for before the end does not cover what came after it.
    if (this.#mode === outputMode.run || this.#flush !== this.#asked) this.#done(this.#flush, error)
    else void this.#end(sink, this.#flush, error)
  }

  #done(number: number, error: PlainError | undefined): void {
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
  async #end(sink: InternalSink, number: number, error: PlainError | undefined): Promise<void> {
    this.#isEnding = true
    if (this.#mode === outputMode.giveUp) this.#giveUp(sink)
    let failure = error
    try {
      await sink.close()
    } catch (closeError) {
      // What it has lost itself it has counted and reported itself.
      failure ??= toPlain(closeError)
    }
    const end: OutputEnd = { stats: sink.stats(), lost: this.#lost, reason: this.#reason }
    this.#sink = this.#reason = undefined
    this.#lost = nothingDropped
    this.#isEnding = this.#isFlushing = false
    this.#flush = number
    this.#host.post({ type: 'closed', id: this.#open.id, end })
    this.#done(number, failure)
  }

  #giveUp(sink: InternalSink): void {
    this.#reason ??= sink.failure === undefined ? undefined : errorMessage(sink.failure)
    this.#ring.look()
    this.#lost = sum(this.#lost, sink.abandon())
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

// A thread of the pool, started by thread-stream: hosts the outputs that the main thread gives it and goes round among
// them. No records come through thread-stream; they are in the rings.
import { EventEmitter } from 'node:events'
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import { monotonicMs } from '../../base/clock.ts'
import { DoorbellListener } from './doorbell.ts'
import { Output, type OutputHost, toPlain } from './output.ts'
import type { OpenMessage, ThreadData, ToMain, ToThread } from './protocol.ts'
import { Work } from './work.ts'

/**
 * After work the thread sleeps a little before it looks at anything new, for fewer wake-ups and system calls for the same
 * records, and because whoever logs loses the processor to it: about as long as so many bytes take to come, …
 */
const NAP_BYTES = 512 * 1024
/** … or so much of a ring, … */
const NAP_SHARE = 1 / 8
/** … within these bounds. */
const MIN_NAP_MS = 2
const MAX_NAP_MS = 8
/** After that without anything new it lies down, and has to be woken. */
const LINGER_MS = 20
/** With more in one round, or so much of a ring, there is no nap. */
const BUSY_BYTES = 1024 * 1024
const BUSY_SHARE = 1 / 4
/** Whatever may have gone wrong with the doorbell, it is looked again: at first after that, … */
const FIRST_LOOK_MS = 1_000
/** … then ever more seldom, so that an idle process is not woken. */
const LAST_LOOK_MS = 60_000
const LOOK_GROWTH = 4

class PoolThread extends EventEmitter implements OutputHost {
  readonly #port: MessagePort
  readonly #bell: DoorbellListener
  readonly #work: Work
  readonly #outputs = new Map<number, Output>()
  /** What came while an output was in the middle of something. */
  readonly #waiting: ToThread[] = []
  #isScheduled = false
  #look: NodeJS.Timeout | undefined
  #lookMs = FIRST_LOOK_MS
  /** Nothing was done since the last look. */
  #isIdle = false
  #nap: NodeJS.Timeout | undefined
  #napMs = MIN_NAP_MS
  #lookedAtMs = monotonicMs()
  #movedAtMs = Number.NEGATIVE_INFINITY
  /** In the last round, the largest part of a ring that was new. */
  #share = 0

  constructor({ bell, work, port }: ThreadData) {
    super()
    this.#work = new Work(work)
    this.#port = port
    this.#bell = new DoorbellListener(bell, () => this.#run())
    port.on('message', (message: ToThread) => {
      this.#waiting.push(message)
      this.#receive()
      this.schedule()
    })
    this.schedule()
    this.#lookAgain(FIRST_LOOK_MS)
  }

  /** thread-stream ends its stream. */
  end(): void {
    void this.#quit()
  }

  post(message: ToMain): void {
    this.#port.postMessage(message)
  }

  schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => this.#run())
  }

  receiveAdditions(): void {
    for (;;) {
      const received = receiveMessageOnPort(this.#port)
      if (received === undefined) return
      const message = received.message as ToThread
      const isAddition = message.type === 'ring' || message.type === 'large'
      if (isAddition && !this.#isWaitedFor(message.id)) this.#take(message)
      else {
        this.#waiting.push(message)
        this.schedule()
      }
    }
  }

  /** Whether something that came before has still to be taken in. */
  #isWaitedFor(id: number): boolean {
    return this.#waiting.some((message) => message.type !== 'quit' && message.id === id)
  }

  /** Takes in all that has come through the port. */
  #receive(): void {
    for (;;) {
      // Looked at again each time: taking one in may bring others.
      const waiting = this.#waiting.shift()
      if (waiting !== undefined) {
        this.#take(waiting)
        continue
      }
      const received = receiveMessageOnPort(this.#port)
      if (received === undefined) return
      this.#take(received.message)
    }
  }

  #run(): void {
    this.#isScheduled = false
    clearTimeout(this.#nap)
    this.#nap = undefined
    this.#bell.wakeUp()
    this.#receive()
    const nowMs = monotonicMs()
    const moved = this.#round()
    if (moved > 0) this.#moved(moved, nowMs)
    this.#lookedAtMs = nowMs
    if (moved > BUSY_BYTES || this.#share > BUSY_SHARE) {
      this.schedule()
      return
    }
    const isNap = nowMs - this.#movedAtMs < LINGER_MS
    this.#bell.rest(isNap)
    // What came before the thread lay down rang no bell.
    if (!isNap) {
      const late = this.#round()
      if (late === 0) return
      this.#moved(late, nowMs)
      this.schedule()
    } else if (this.#isAwaited) this.schedule()
    else this.#nap = setTimeout(() => this.#run(), this.#napMs)
  }

  #moved(bytes: number, nowMs: number): void {
    const passedMs = nowMs - this.#lookedAtMs
    const naps = Math.max(bytes / NAP_BYTES, this.#share / NAP_SHARE)
    // What comes after a rest may be the first of much.
    const napMs = passedMs > LINGER_MS ? MIN_NAP_MS : passedMs / naps
    this.#napMs = Math.max(MIN_NAP_MS, Math.min(MAX_NAP_MS, napMs))
    this.#movedAtMs = nowMs
    this.#isIdle = false
    if (this.#lookMs > FIRST_LOOK_MS) this.#lookAgain(FIRST_LOOK_MS)
  }

  #lookAgain(ms: number): void {
    clearTimeout(this.#look)
    this.#lookMs = ms
    this.#look = setTimeout(() => {
      this.schedule()
      this.#lookAgain(this.#isIdle ? Math.min(LAST_LOOK_MS, ms * LOOK_GROWTH) : FIRST_LOOK_MS)
      this.#isIdle = true
    }, ms)
  }

  get #isAwaited(): boolean {
    for (const output of this.#outputs.values()) if (output.isAwaited) return true
    return false
  }

  #round(): number {
    let moved = 0
    this.#share = 0
    for (const [id, output] of this.#outputs) {
      this.#work.on(id)
      const bytes = output.turn()
      moved += bytes
      this.#share = Math.max(this.#share, bytes / output.capacityBytes)
    }
    this.#work.back()
    return moved
  }

  #take(message: ToThread): void {
    if (message.type === 'quit') {
      void this.#quit()
      return
    }
    const { id } = message
    const before = this.#work.on(id)
    const output = this.#outputs.get(id)
    if (message.type === 'open') this.#openOutput(message)
    else if (message.type === 'forget') this.#forget(id)
    else if (message.type === 'ring') output?.addRing(message.ring)
    else if (message.type === 'large') output?.addLarge(message.record)
    else void output?.answer(message.ask, message.what)
    this.#work.back(before)
  }

  #openOutput(message: OpenMessage): void {
    try {
      const output = new Output(message, this)
      this.#outputs.set(message.id, output)
      output.start()
    } catch (error) {
      this.post({ type: 'refused', id: message.id, error: toPlain(error) })
    }
  }

  #forget(id: number): void {
    this.#outputs.get(id)?.dispose()
    this.#outputs.delete(id)
  }

  async #quit(): Promise<void> {
    clearTimeout(this.#look)
    await Promise.all(Array.from(this.#outputs.values(), (output) => output.close()))
    this.#port.close()
    this.emit('close')
  }
}

export default function start(data: ThreadData): EventEmitter {
  return new PoolThread(data)
}

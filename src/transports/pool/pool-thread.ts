// A thread of the pool, started by thread-stream: hosts the outputs that the main thread gives it and goes round among
// them. No records come through thread-stream; they are in the rings.
import { EventEmitter } from 'node:events'
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import { DoorbellListener } from './doorbell.ts'
import { Output, type OutputHost, toPlain } from './output.ts'
import type { OpenMessage, ThreadData, ToMain, ToThread } from './protocol.ts'

/** After work so many ms are slept before anything new is looked at: fewer wake-ups and system calls for the same records. */
const NAP_MS = 2
/** With more in one round there is no nap. */
const BUSY_BYTES = 256 * 1024
/** Whatever may have gone wrong with the doorbell, nothing waits longer. */
const LOOK_AGAIN_MS = 1_000

class PoolThread extends EventEmitter implements OutputHost {
  readonly #port: MessagePort
  readonly #bell: DoorbellListener
  readonly #outputs = new Map<number, Output>()
  readonly #lookAgain = setInterval(() => this.schedule(), LOOK_AGAIN_MS)
  #isScheduled = false
  #nap: NodeJS.Timeout | undefined

  constructor({ bell, port }: ThreadData) {
    super()
    this.#port = port
    this.#bell = new DoorbellListener(bell, () => this.#run())
    port.on('message', (message: ToThread) => {
      this.#take(message)
      this.schedule()
    })
    this.schedule()
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

  receive(): void {
    for (;;) {
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
    this.receive()
    const moved = this.#round()
    if (moved > BUSY_BYTES) {
      this.schedule()
      return
    }
    const isNap = moved > 0
    this.#bell.rest(isNap)
    // What came before the thread lay down rang no bell.
    if (isNap) {
      if (this.#isAwaited) this.schedule()
      else this.#nap = setTimeout(() => this.#run(), NAP_MS)
    } else if (this.#round() > 0) this.schedule()
  }

  get #isAwaited(): boolean {
    for (const output of this.#outputs.values()) if (output.isAwaited) return true
    return false
  }

  #round(): number {
    let moved = 0
    for (const output of this.#outputs.values()) moved += output.turn()
    return moved
  }

  #take(message: ToThread): void {
    if (message.type === 'quit') {
      void this.#quit()
      return
    }
    const output = this.#outputs.get(message.id)
    if (message.type === 'open') this.#openOutput(message)
    else if (message.type === 'forget') this.#forget(message.id)
    else if (message.type === 'ring') output?.addRing(message.ring)
    else void output?.answer(message.ask, message.what)
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
    clearInterval(this.#lookAgain)
    await Promise.all(Array.from(this.#outputs.values(), (output) => output.close()))
    this.#port.close()
    this.emit('close')
  }
}

export default function start(data: ThreadData): EventEmitter {
  return new PoolThread(data)
}

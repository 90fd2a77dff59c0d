// One thread of the pool as the main thread sees it: starts it through thread-stream, hands it outputs, passes on what it
// says, and replaces it when it dies.
import type { EventEmitter } from 'node:events'
import { MessageChannel, type MessagePort, receiveMessageOnPort, type Worker } from 'node:worker_threads'
import ThreadStream from 'thread-stream'
import { monotonicMs } from '../../base/clock.ts'
import { builtFile, preferInstalledWorker } from '../../base/package-root.ts'
import { DOORBELL_BYTES, Doorbell } from './doorbell.ts'
import type { OpenMessage, ThreadData, ToMain, ToThread } from './protocol.ts'

/** A thread that lived so long is not one that dies again and again. */
const LONG_LIFE_MS = 30_000
const MAX_DEATHS = 5
const RING_LENGTH = 64 * 1024
const FIRST_PAUSE_MS = 100
/** Without outputs the thread ends after that, so that the next one need not wait for a new thread. */
const IDLE_MS = 1_000

/** An output, as its thread needs it. */
export interface PoolOutput {
  readonly id: number
  /** What a thread needs to take it over. */
  handover(): OpenMessage
  /** Called when another thread has got it. */
  handedOver(): void
  receive(message: ToMain): void
  /** Thread after thread has died. */
  threadsFailed(cause: Error): void
}

/** What the types of thread-stream leave out. */
interface Stream extends EventEmitter {
  readonly worker: Worker
  readonly destroyed: boolean
}

/** A thread and the ways to it. */
interface Thread {
  readonly stream: Stream
  readonly port: MessagePort
  readonly bell: Doorbell
  readonly startedMs: number
}

export class PoolWorker {
  readonly #outputs = new Map<number, PoolOutput>()
  readonly #retired: () => void
  #thread: Thread | undefined
  #holds = 0
  #deaths = 0
  #lastError: Error | undefined
  #idle: NodeJS.Timeout | undefined
  #isQuitting = false
  /** Of what has come since the bell was rung last, in UTF-16 units. */
  #unrungLength = 0
  #ringsSoon = false
  readonly #ringLater = (): void => {
    this.#ringsSoon = false
    this.#ring()
  }

  /** `retired` is called when the thread ends because it has had no outputs for a while. */
  constructor(retired: () => void) {
    this.#retired = retired
    this.#thread = this.#start()
  }

  get size(): number {
    return this.#outputs.size
  }

  /** Its doorbell; undefined between the death of a thread and the start of the next one. */
  get bell(): Doorbell | undefined {
    return this.#thread?.bell
  }

  /**
   * There is something new, `length` long. Whoever rings may lose the processor to the thread it wakes, so that is done
   * when this turn of the event loop is over, or when much has come together.
   */
  ringSoon(length: number): void {
    this.#unrungLength += length
    if (this.#unrungLength >= RING_LENGTH) this.#ring()
    else if (!this.#ringsSoon) {
      this.#ringsSoon = true
      setImmediate(this.#ringLater)
    }
  }

  #ring(): void {
    this.#unrungLength = 0
    this.#thread?.bell.ring()
  }

  add(output: PoolOutput): void {
    clearTimeout(this.#idle)
    this.#outputs.set(output.id, output)
    this.post(output.handover())
  }

  remove(output: PoolOutput): void {
    if (!this.#outputs.delete(output.id)) return
    this.post({ type: 'forget', id: output.id })
    if (this.#outputs.size > 0) return
    this.#idle = setTimeout(() => this.#quit(), IDLE_MS).unref()
  }

  post(message: ToThread): void {
    this.#thread?.port.postMessage(message)
    this.#thread?.bell.ringNow()
  }

  /** Keeps the process alive while somebody waits for the thread. */
  hold(): void {
    if (this.#holds++ === 0) this.#thread?.stream.worker.ref()
  }

  letGo(): void {
    if (--this.#holds === 0) this.#thread?.stream.worker.unref()
  }

  /** Takes in what the thread has said, without waiting for a turn of the event loop. */
  receiveNow(): void {
    const port = this.#thread?.port
    if (port === undefined) return
    for (let received = receiveMessageOnPort(port); received !== undefined; ) {
      this.#take(received.message)
      received = receiveMessageOnPort(port)
    }
  }

  #start(): Thread {
    const buffer = new SharedArrayBuffer(DOORBELL_BYTES)
    const { port1, port2 } = new MessageChannel()
    const workerData: ThreadData = { bell: buffer, port: port2 }
    preferInstalledWorker()
    const stream = new ThreadStream({
      filename: builtFile('transports/pool/pool-thread.js').href,
      workerData,
      // Its buffer carries nothing.
      bufferSize: 64,
      workerOpts: { name: 'logboom', transferList: [port2] }
    } as never) as unknown as Stream
    const thread = { stream, port: port1, bell: new Doorbell(buffer), startedMs: monotonicMs() }
    port1.on('message', (message: ToMain) => this.#take(message))
    // It is the worker that keeps the process alive, where something does.
    port1.unref()
    // Out of memory is told nowhere else.
    stream.worker.on('error', (error: Error) => {
      this.#lastError = error
    })
    stream.on('error', (error: Error) => {
      this.#lastError ??= error
    })
    stream.once('close', () => this.#ended(thread))
    if (this.#holds === 0) stream.worker.unref()
    return thread
  }

  #take(message: ToMain): void {
    this.#outputs.get(message.id)?.receive(message)
  }

  #ended(thread: Thread): void {
    thread.port.close()
    if (this.#isQuitting || this.#outputs.size === 0) {
      this.#retire()
      return
    }
    this.#deaths = monotonicMs() - thread.startedMs > LONG_LIFE_MS ? 1 : this.#deaths + 1
    this.#thread = undefined
    if (this.#deaths > MAX_DEATHS) {
      const cause = this.#lastError ?? new Error('the thread has ended')
      // An output that is made from now on gets a thread of its own.
      this.#retire()
      for (const output of [...this.#outputs.values()]) output.threadsFailed(cause)
      return
    }
    // At once the first time: whoever is blocked at the next record must not wait for a timer.
    if (this.#deaths === 1) this.#restart()
    else setTimeout(() => this.#restart(), FIRST_PAUSE_MS * 2 ** this.#deaths)
  }

  #restart(): void {
    if (this.#outputs.size === 0) {
      this.#retire()
      return
    }
    this.#lastError = undefined
    this.#thread = this.#start()
    for (const output of this.#outputs.values()) {
      this.post(output.handover())
      output.handedOver()
    }
  }

  #quit(): void {
    if (this.#outputs.size > 0) return
    this.post({ type: 'quit' })
    this.#retire()
  }

  #retire(): void {
    this.#isQuitting = true
    this.#retired()
  }
}

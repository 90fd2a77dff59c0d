// One thread of the pool as the main thread sees it: starts it through thread-stream, hands it outputs, passes on what it
// says, and starts it anew when it dies. Of outputs that die with it again and again some are given to another thread, so
// that in the end the one that brings it down is alone.
import type { EventEmitter } from 'node:events'
import { MessageChannel, type MessagePort, receiveMessageOnPort, type Worker } from 'node:worker_threads'
import ThreadStream from 'thread-stream'
import { monotonicMs } from '../../base/clock.ts'
import { builtFile, preferInstalledWorker } from '../../base/package-root.ts'
import { DOORBELL_BYTES, Doorbell } from './doorbell.ts'
import type { OpenMessage, ThreadData, ToMain, ToThread } from './protocol.ts'
import { outputAtWork, WORK_BYTES } from './work.ts'

/** A thread that lived so long is not one that dies again and again. */
const LONG_LIFE_MS = 30_000
/** So often in a row a thread may die with several outputs in it, before they are parted; … */
const MAX_COMMON_DEATHS = 1
/** … and so often with those that cannot be parted any more, which then fail. */
const MAX_DEATHS = 5
const FIRST_PAUSE_MS = 100

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

/** Who has the thread. */
export interface ThreadTeam {
  /** Whether it is to keep the process alive. */
  readonly isHeld: boolean
  /**
   * Gives `outputs`, with which threads have died so often in a row, to another thread; false if there may be no more
   * threads.
   */
  divide(outputs: readonly PoolOutput[], deaths: number): boolean
  /** It has ended for good. */
  gone(host: ThreadHost): void
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
  readonly work: SharedArrayBuffer
  readonly startedMs: number
}

export class ThreadHost {
  readonly #team: ThreadTeam
  readonly #outputs = new Map<number, PoolOutput>()
  /** Undefined between its death and the start of the next one. */
  #thread: Thread | undefined
  #deaths: number
  #lastError: Error | undefined
  #isOver = false

  constructor(team: ThreadTeam, outputs: readonly PoolOutput[] = [], deaths = 0) {
    this.#team = team
    this.#deaths = deaths
    for (const output of outputs) this.#outputs.set(output.id, output)
  }

  /** To be called when what is asked of the outputs comes here. Throws what says why there can be no thread. */
  start(): void {
    this.#lastError = undefined
    this.#thread = this.#startThread()
    for (const output of this.#outputs.values()) {
      this.post(output.handover())
      output.handedOver()
    }
  }

  /** The same for outputs that exist: a thread that cannot be started is one more that has died. */
  restart(): void {
    if (this.#isOver) return
    if (this.size === 0) {
      this.#end()
      return
    }
    try {
      this.start()
    } catch (error) {
      this.#lastError = error as Error
      this.#deaths++
      this.#tryAgain()
    }
  }

  get size(): number {
    return this.#outputs.size
  }

  has(id: number): boolean {
    return this.#outputs.has(id)
  }

  add(output: PoolOutput): void {
    this.#outputs.set(output.id, output)
    this.post(output.handover())
  }

  remove(id: number): void {
    if (this.#outputs.delete(id)) this.post({ type: 'forget', id })
  }

  post(message: ToThread): void {
    this.#thread?.port.postMessage(message)
    this.#thread?.bell.ringNow()
  }

  /** See `Doorbell`. */
  ring(): void {
    this.#thread?.bell.ring()
  }

  ringNow(): void {
    this.#thread?.bell.ringNow()
  }

  /** Has the thread keep the process alive, or not, as the team wants it. */
  hold(): void {
    if (this.#team.isHeld) this.#thread?.stream.worker.ref()
    else this.#thread?.stream.worker.unref()
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

  /** Nothing is left to do. */
  quit(): void {
    this.post({ type: 'quit' })
    this.#end()
  }

  #startThread(): Thread {
    const bell = new SharedArrayBuffer(DOORBELL_BYTES)
    const work = new SharedArrayBuffer(WORK_BYTES)
    const { port1, port2 } = new MessageChannel()
    const workerData: ThreadData = { bell, work, port: port2 }
    preferInstalledWorker()
    const stream = new ThreadStream({
      filename: builtFile('transports/pool/pool-thread.js').href,
      workerData,
      // Its buffer carries nothing.
      bufferSize: 64,
      workerOpts: { name: 'logboom', transferList: [port2] }
    } as never) as unknown as Stream
    const thread = { stream, port: port1, bell: new Doorbell(bell), work, startedMs: monotonicMs() }
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
    if (!this.#team.isHeld) stream.worker.unref()
    return thread
  }

  #take(message: ToMain): void {
    this.#outputs.get(message.id)?.receive(message)
  }

  #ended(thread: Thread): void {
    thread.port.close()
    this.#thread = undefined
    if (this.#isOver || this.size === 0) {
      this.#end()
      return
    }
    this.#deaths = monotonicMs() - thread.startedMs > LONG_LIFE_MS ? 1 : this.#deaths + 1
    const isCommon = this.size > 1 && this.#deaths > MAX_COMMON_DEATHS
    if (isCommon && this.#divide(outputAtWork(thread.work))) this.restart()
    // At once the first time: whoever is blocked at the next record must not wait for a timer.
    else if (this.#deaths === 1) this.restart()
    else this.#tryAgain()
  }

  #tryAgain(): void {
    if (this.#deaths > MAX_DEATHS) this.#fail()
    else setTimeout(() => this.restart(), FIRST_PAUSE_MS * 2 ** this.#deaths)
  }

  /** Parts from the output that the thread was at work on when it died, or from half of them where nobody knows. */
  #divide(suspect: number): boolean {
    const all = [...this.#outputs.values()]
    const part = this.has(suspect) ? all.filter(({ id }) => id === suspect) : all.slice(all.length >> 1)
    for (const { id } of part) this.#outputs.delete(id)
    if (this.#team.divide(part, this.#deaths)) return true
    for (const output of part) this.#outputs.set(output.id, output)
    return false
  }

  #fail(): void {
    const cause = this.#lastError ?? new Error('the thread has ended')
    // An output that is made from now on gets another thread.
    this.#end()
    for (const output of [...this.#outputs.values()]) output.threadsFailed(cause)
  }

  #end(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#team.gone(this)
  }
}

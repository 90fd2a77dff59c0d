// The opening thread's side of a flusher: starts its thread, asks it to flush, passes its news on, ends it.
import { randomUUID } from 'node:crypto'
import { Worker } from 'node:worker_threads'
import { LogboomError } from '../../base/errors.ts'
import type { FlusherMessage, FlusherOptions, FlusherRequest } from './flusher.ts'
import { control, createMemory, type DirectFileHandle, runState, SharedMemory } from './shared-memory.ts'

/** How often a thread that waits for the flusher looks whether it still lives. */
const WAIT_MS = 100
/** thread-stream gives a closing worker ten seconds, and the sink has waited for a flush before. */
const CLOSE_TIMEOUT_MS = 1_500

export class FlusherLink {
  readonly handle: DirectFileHandle
  readonly memory: SharedMemory
  readonly #worker: Worker
  readonly #ended: Promise<void>
  readonly #waiting = new Map<number, () => void>()
  #refs = 0

  /** `news` is told what the flusher reports; `warning` with code `ERR_IO` if its thread fails. */
  constructor(
    handle: Omit<DirectFileHandle, 'buffer' | 'channel'>,
    options: FlusherOptions,
    news: (message: FlusherMessage) => void
  ) {
    this.handle = { ...handle, buffer: createMemory(handle.shape), channel: `logboom-${randomUUID()}` }
    this.memory = new SharedMemory(this.handle)
    this.#worker = new Worker(new URL('./flusher-thread.js', import.meta.url), {
      workerData: { handle: this.handle, options },
      // The application's loaders and debug options are not for this thread.
      execArgv: [],
      // It makes little garbage; by default V8 lets a thread collect tens of megabytes of it.
      resourceLimits: { maxYoungGenerationSizeMb: 4 }
    })
    this.#worker.unref()
    this.#worker.on('message', (message: FlusherMessage) => {
      if (message.type === 'flushed') this.#flushed(message.number)
      else news(message)
    })
    this.#ended = new Promise((resolve) => {
      this.#worker.on('error', (error) => {
        const message = `the flusher of ${this.handle.path} failed: ${error}`
        news({ type: 'warning', code: 'ERR_IO', message, path: this.handle.path })
      })
      this.#worker.once('exit', () => {
        this.#died()
        resolve()
      })
    })
  }

  /** One of `runState`. */
  get state(): number {
    return Atomics.load(this.memory.words, control.state)
  }

  /** Carried out before anything that is logged after this call is written. */
  request(request: FlusherRequest): void {
    this.#worker.postMessage(request)
  }

  /** Resolves when everything logged before is on disk. */
  flush(): Promise<void> {
    const { words } = this.memory
    if (this.state >= runState.closed) return Promise.reject(this.#gone())
    const number = (Atomics.add(words, control.flushAsked, 1) + 1) | 0
    this.memory.wake()
    this.#hold()
    return new Promise<void>((resolve, reject) => {
      this.#waiting.set(number, () => {
        if (this.#isDone(number)) resolve()
        else reject(this.#gone())
      })
    }).finally(() => this.#letGo())
  }

  /** The same, blocking this thread. Throws `ERR_IO` after `timeoutMs`, `ERR_CLOSED` if the flusher has ended. */
  flushNow(timeoutMs: number): void {
    const { words } = this.memory
    const number = (Atomics.add(words, control.flushAsked, 1) + 1) | 0
    this.memory.wake()
    const deadline = performance.now() + timeoutMs
    while (!this.#isDone(number)) {
      const done = Atomics.load(words, control.flushDone)
      if (this.state >= runState.closed) throw this.#gone()
      const restMs = deadline - performance.now()
      if (restMs <= 0) {
        const { path } = this.handle
        throw new LogboomError('ERR_IO', `${path} could not be written within ${timeoutMs} ms`, { path })
      }
      if (!this.#isDone(number)) Atomics.wait(words, control.flushDone, done, Math.min(restMs, WAIT_MS))
    }
  }

  /** Writes what is left and ends the thread. */
  async close(): Promise<void> {
    const { words } = this.memory
    for (const state of [runState.opening, runState.open, runState.degraded]) {
      if (Atomics.compareExchange(words, control.state, state, runState.closing) === state) break
    }
    this.memory.wake()
    this.#hold()
    // Not once: Node 22 and later may not heed it while the thread still loads its modules.
    const timer = setInterval(() => void this.#worker.terminate(), CLOSE_TIMEOUT_MS)
    await this.#ended
    clearInterval(timer)
  }

  #isDone(number: number): boolean {
    return ((Atomics.load(this.memory.words, control.flushDone) - number) | 0) >= 0
  }

  #flushed(done: number): void {
    for (const [number, settle] of this.#waiting) {
      if (((done - number) | 0) < 0) continue
      this.#waiting.delete(number)
      settle()
    }
  }

  #died(): void {
    const { words } = this.memory
    if (this.state !== runState.closed) {
      Atomics.store(words, control.state, runState.died)
      Atomics.notify(words, control.flushed)
    }
    for (const settle of this.#waiting.values()) settle()
    this.#waiting.clear()
  }

  #gone(): LogboomError {
    const { path } = this.handle
    return new LogboomError('ERR_CLOSED', `the thread that writes ${path} has ended`, { path })
  }

  /** Keeps the process alive while something waits for the flusher; otherwise the exit hook has the last word. */
  #hold(): void {
    if (this.#refs++ === 0) this.#worker.ref()
  }

  #letGo(): void {
    if (--this.#refs === 0) this.#worker.unref()
  }
}

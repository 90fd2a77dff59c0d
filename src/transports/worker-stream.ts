// A sink in a worker thread as a stream on the main thread: for `pino(stream)`, which is cheaper per record than
// pino's own transports, because lines are handed over in batches instead of one by one.
import { EventEmitter } from 'node:events'
import { resolve } from 'node:path'
import { type Kind, type KindOptions, sinks } from '../core/registry.ts'
import { forwardedEvents, type SinkStats } from '../core/sink/contract.ts'
import { WorkerLink } from './worker-link.ts'

export class WorkerStream<K extends Kind> extends EventEmitter {
  /** By this pino tells a stream from options. */
  readonly writable = true
  readonly path: string
  readonly #link: WorkerLink
  readonly #blocks: boolean

  /** Throws `ERR_OPTION`; a path that is refused is reported by 'error', other failures by 'degraded'. */
  constructor(kind: K, options: KindOptions[K]) {
    super()
    const checked = sinks[kind].check(options)
    this.path = resolve(checked.path)
    this.#blocks = checked.overflow === 'block'
    this.#link = new WorkerLink({ kind, sinkOptions: options, ...checked })
    for (const name of forwardedEvents) this.#link.on(name, (...args) => this.emit(name, ...args))
    this.#link.on('sent', () => this.emit('drain'))
    this.#link.on('failed', (error) => this.emit('error', error))
  }

  /** Takes whole lines. pino ignores the answer, so at the bound of `maxBufferBytes` the policy 'block' blocks. */
  write(lines: string): boolean {
    const count = lines.indexOf('\n') >= lines.length - 1 ? 1 : lines.split('\n').length - 1
    if (!this.#link.send(lines, count) && this.#blocks) this.#link.waitForRoom()
    return true
  }

  /** Resolves when all lines written before have reached the sink's durability; for pino also with a callback. */
  flush(callback?: (error?: Error) => void): Promise<void> {
    const flushed = this.#link.flush()
    return callback === undefined ? flushed : flushed.then(() => callback(), callback)
  }

  /** The same, blocking the thread (at most ten seconds); `logger.fatal()` calls it. */
  flushSync(): void {
    this.#link.flushSync()
  }

  rotate(): void {
    this.#link.request('rotate')
  }

  reopen(): void {
    this.#link.request('reopen')
  }

  stats(): Promise<SinkStats> {
    return this.#link.stats()
  }

  /** Ends the worker; 'close' follows. */
  end(): void {
    void this.close()
  }

  /** The same as a promise. */
  async close(): Promise<void> {
    await this.#link.end()
    this.emit('close')
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** Opens a sink of `kind` in a worker thread, as a stream for `pino(stream)`. */
export function workerStream<K extends Kind>(kind: K, options: KindOptions[K]): WorkerStream<K> {
  return new WorkerStream(kind, options)
}

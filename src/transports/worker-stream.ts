// A sink in a thread of the pool as a stream on the main thread: for `pino(stream)`, which is cheaper per record than
// pino's own transports, because a record is put where the thread finds it instead of being handed over.
import { EventEmitter } from 'node:events'
import { resolve } from 'node:path'
import { StringDecoder } from 'node:string_decoder'
import { argumentError, requireData } from '../base/bytes.ts'
import { givenOptions } from '../base/options.ts'
import { requireThreads } from '../base/threads.ts'
import { type Kind, type KindOptions, requireKind, sinks } from '../core/registry.ts'
import { handleSignals, type SignalOptions } from '../core/signals.ts'
import { forwardedEvents, type SinkStats } from '../core/sink/contract.ts'
import { WorkerLink } from './worker-link.ts'

const NEWLINE = 10

export class WorkerStream<K extends Kind> extends EventEmitter {
  /** By this pino tells a stream from options. */
  readonly writable = true
  readonly path: string
  readonly #link: WorkerLink
  readonly #blocks: boolean
  readonly #removeSignals: () => void
  /** A line whose end has not come yet. */
  #rest = ''
  /** Of pieces that came as bytes. */
  #decoder: StringDecoder | undefined

  /** Throws `ERR_OPTION`, and `ERR_LIMIT` where no thread can be started; refused paths are told by 'error', the rest by 'degraded'. */
  constructor(kind: K, options: KindOptions[K]) {
    super()
    requireKind('workerStream', kind)
    const given: SignalOptions = givenOptions(kind, options ?? {})
    const { flushOnSignal, reopenOnSignal, ...sinkOptions } = given
    const checked = sinks[kind].check(sinkOptions)
    this.path = resolve(checked.path)
    requireThreads(kind, this.path)
    this.#blocks = checked.overflow === 'block'
    this.#link = new WorkerLink({ kind, sinkOptions, ...checked, path: this.path, unit: 'line' })
    for (const name of forwardedEvents) this.#link.on(name, (...args) => this.emit(name, ...args))
    this.#link.on('sent', () => this.emit('drain'))
    this.#link.on('failed', (error) => this.emit('error', error))
    this.#link.on('exiting', () => this.#finishLine())
    this.#removeSignals = handleSignals(this, { flushOnSignal, reopenOnSignal })
  }

  /**
   * Takes any piece of a text whose lines are the records. pino ignores the answer, so at the bound of `maxBufferBytes` the
   * policy 'block' blocks.
   */
  write(lines: string | Uint8Array): boolean {
    // What pino writes: whole lines.
    const isWhole = typeof lines === 'string' && this.#rest === '' && this.#decoder === undefined
    if (isWhole && lines.charCodeAt(lines.length - 1) === NEWLINE) this.#send(lines)
    else this.#writePiece(lines)
    return true
  }

  /** Resolves when all lines written before have reached the sink's durability; for pino also with a callback. */
  flush(callback?: (error?: Error) => void): Promise<void> {
    if (callback !== undefined && typeof callback !== 'function') {
      throw argumentError('flush', 'a function', callback)
    }
    this.#finishLine()
    const flushed = this.#link.flush()
    if (callback === undefined) return flushed
    // In a tick of their own, so that what the callback throws is an uncaught exception and no unhandled rejection.
    return flushed.then(
      () => process.nextTick(callback),
      (error) => process.nextTick(callback, error)
    )
  }

  /** The same, blocking the thread (at most ten seconds); `logger.fatal()` calls it. */
  flushSync(): void {
    this.#finishLine()
    this.#link.flushSync()
  }

  /** Resolves when it is done. */
  async rotate(): Promise<void> {
    await this.#link.request('rotate')
  }

  /** Resolves when it is done. */
  async reopen(): Promise<void> {
    await this.#link.request('reopen')
  }

  stats(): Promise<SinkStats> {
    return this.#link.stats()
  }

  /** Ends the output, after a last piece if there is one; 'close' follows. */
  end(last?: string | Uint8Array | null | (() => void), callback?: () => void): void {
    const isCallback = typeof last === 'function'
    const closed = isCallback ? last : callback
    if (closed !== undefined) this.once('close', closed)
    if (!isCallback && last !== undefined && last !== null) this.write(last)
    void this.close()
  }

  /** The same as a promise. */
  async close(): Promise<void> {
    this.#finishLine()
    this.#removeSignals()
    await this.#link.end()
    this.emit('close')
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #send(text: string): void {
    if (!this.#link.send(text) && this.#blocks) this.#link.waitForRoom()
  }

  #writePiece(piece: string | Uint8Array): void {
    const data = requireData('write', piece)
    const text = this.#rest + (typeof data === 'string' ? this.#decoded() + data : this.#decode(data))
    const end = text.lastIndexOf('\n') + 1
    this.#rest = text.slice(end)
    if (end === 0) return
    this.#send(text.slice(0, end))
  }

  /** A character may be cut between two pieces. */
  #decode(bytes: Uint8Array): string {
    this.#decoder ??= new StringDecoder()
    return this.#decoder.write(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
  }

  /** What is left of a character that does not go on. */
  #decoded(): string {
    const text = this.#decoder?.end() ?? ''
    this.#decoder = undefined
    return text
  }

  #finishLine(): void {
    const rest = this.#rest + this.#decoded()
    if (rest === '') return
    this.#rest = ''
    this.#send(`${rest}\n`)
  }
}

/** Opens a sink of `kind` in a thread of the pool, as a stream for `pino(stream)`. */
export function workerStream<K extends Kind>(kind: K, options: KindOptions[K]): WorkerStream<K> {
  return new WorkerStream(kind, options)
}

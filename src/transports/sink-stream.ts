// A sink as the stream that pino's worker, its pipelines and thread-stream want (docs/design.md, "hosts").
import { Writable } from 'node:stream'
import { type MessagePort, parentPort } from 'node:worker_threads'
import { monotonicMs } from '../base/clock.ts'
import { forwardedEvents } from '../core/sink/contract.ts'
import { Notice } from '../core/sink/notice.ts'
import type { InternalSink } from '../core/sink/pumped-sink.ts'
import type { PrettyLines } from './pretty-lines.ts'
import { UnfinishedLine } from './unfinished-line.ts'

/** A chunk of so many UTF-16 units or bytes tells of load. */
const LOADED_LENGTH = 16 * 1024
/** Then chunks are collected about as long as so much takes to come, … */
const COLLECT_LENGTH = 512 * 1024
/** … within these bounds. */
const MIN_COLLECT_MS = 2
const MAX_COLLECT_MS = 8
/** What comes after such a rest may be the first of much, or all. */
const REST_MS = 20

/** Whom to tell of records without line ends. */
export interface Told {
  readonly path: string
  readonly fallback: false | 'stderr'
}

const nobody: Told = { path: 'a log', fallback: false }

type Callback = (error?: Error | null) => void

/**
 * `acknowledge`: the return value of `write` is taken for the acknowledgement of the records (a single pino target), so it
 * is true only once they have reached the sink's durability, and what is cut in two has a rest to come. Otherwise (several
 * targets, pipelines) the host ignores or buffers, records are collected until the end of the turn, and nobody promises
 * that a line ever ends.
 */
export class SinkStream extends Writable {
  readonly #sink: InternalSink
  readonly #acknowledge: boolean
  readonly #unfinished: UnfinishedLine | undefined
  readonly #shape: PrettyLines | undefined
  /** The last chunk under load. */
  #committedAtMs = Number.NEGATIVE_INFINITY

  constructor(
    sink: InternalSink,
    acknowledge: boolean,
    { path, fallback }: Told = nobody,
    shape?: PrettyLines
  ) {
    super({ decodeStrings: false })
    this.#sink = sink
    this.#acknowledge = acknowledge
    this.#shape = shape
    const warn = (): void => {
      const message = `records for ${path} come without line ends; each is written as a line, a cut one after a second`
      new Notice(fallback).write(`${message} [ERR_FORMAT]`, true)
      sink.emit('warning', { code: 'ERR_FORMAT', message, path })
    }
    if (!acknowledge) this.#unfinished = new UnfinishedLine({ warn, finish: () => this.flush(() => {}) })
    sink.on('drain', () => this.emit('drain'))
    if (parentPort !== null) this.#connect(parentPort)
  }

  // Overridden instead of `_write`, because Writable would copy every chunk through its own queue.
  override write(chunk: unknown, encoding?: BufferEncoding | Callback, callback?: Callback): boolean {
    if (this.writableEnded) return super.write(chunk, encoding as BufferEncoding, callback)
    const data = chunk as string | Uint8Array
    const result = this.#acknowledge ? this.#commit(data) : this.#collect(data)
    const done = typeof encoding === 'function' ? encoding : callback
    if (done !== undefined) process.nextTick(done)
    return result
  }

  // Under load the answer, not the write, is delayed a little, so that the host collects more for the next batch:
  // fewer wake-ups, locks and system calls for the same records.
  #commit(data: string | Uint8Array): boolean {
    if (!this.#sink.commit(this.#shape === undefined ? data : this.#shape.shape(data))) return false
    if (data.length < LOADED_LENGTH) return true
    setTimeout(() => this.emit('drain'), this.#collectMs(data.length))
    return false
  }

  /** How long the answer to a chunk of so many units or bytes waits. */
  #collectMs(length: number): number {
    const nowMs = monotonicMs()
    const passedMs = nowMs - this.#committedAtMs
    this.#committedAtMs = nowMs
    if (passedMs > REST_MS) return MIN_COLLECT_MS
    return Math.max(MIN_COLLECT_MS, Math.min(MAX_COLLECT_MS, (passedMs * COLLECT_LENGTH) / length))
  }

  #collect(data: string | Uint8Array): boolean {
    const shape = this.#shape
    if (this.#unfinished!.isMissingBefore(data)) this.#sink.write(shape?.finish() ?? '\n')
    const result = this.#sink.write(shape === undefined ? data : shape.shape(data))
    this.#unfinished!.wrote(data)
    return result
  }

  /** What `transport.flush(callback)` waits for; a line cut in two by the host stays whole. */
  flush(callback: Callback): void {
    const done = (): void => callback()
    this.#unfinished?.clear()
    if (!this.#acknowledge) this.#finishShape()
    const flushed = this.#acknowledge ? this.#sink.flushLines() : this.#sink.flush()
    flushed.then(done, done)
  }

  override _final(callback: Callback): void {
    this.#unfinished?.clear()
    this.#finishShape()
    // What could not be written was reported by event and on stderr. An error here would end the application.
    const done = (): void => callback()
    this.#sink.close().then(done, done)
  }

  #finishShape(): void {
    const rest = this.#shape?.finish() ?? ''
    if (rest !== '') this.#sink.write(rest)
  }

  #connect(port: MessagePort): void {
    const answer = (name: string, ...args: unknown[]): void => port.postMessage({ code: 'EVENT', name, args })
    for (const name of forwardedEvents) {
      this.#sink.on(name, (...args: unknown[]) => answer(name, ...args))
    }
    const onMessage = (message: { type?: unknown } | undefined): void => {
      const type = message?.type
      if (type === 'rotate' || type === 'reopen') this.#sink.control({ type })
      else if (type === 'stats') answer('stats', this.#sink.stats())
      else if (type === 'close') this._final(() => answer('closed'))
    }
    port.on('message', onMessage)
    this.once('close', () => port.off('message', onMessage))
  }
}

// What the winston transports of this package share: the contract of winston-transport on one side, a sink in a
// worker thread on the other.
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import TransportStream from 'winston-transport'
import { type ErrorCode, errorTable, LogboomError } from '../../base/errors.ts'
import { requireThreads } from '../../base/threads.ts'
import type { Kind, KindOptions } from '../../core/registry.ts'
import { handleSignals, type SignalOptions } from '../../core/signals.ts'
import { addExitHandler, removeExitHandler } from '../../core/sink/at-exit.ts'
import {
  forwardedEvents,
  type RotatedEvent,
  type SinkStats,
  type WarningEvent
} from '../../core/sink/contract.ts'
import type { CheckedOptions, SinkKind } from '../../core/sink/sink-kind.ts'
import { LateRecords } from './late-records.ts'
import { logPlace } from './log-path.ts'
import { LogStream, passOnLines } from './log-stream.ts'
import { Outlet } from './outlet.ts'
import { query } from './query.ts'
import { parseQuery, parseStream, type QueryOptions, type StreamOptions } from './query-options.ts'
import { type Source, Sources, type SourceTarget } from './sources.ts'
import { splitOptions, type WinstonOptions } from './transport-options.ts'

/** Where winston's formats leave the finished text. */
const MESSAGE = Symbol.for('message')
const NEWLINES = /[\r\n]/g
/** How long a flush waits for the siblings of this transport, and how often it is looked. */
const SIBLINGS_MS = 5_000
const LOOK_MS = 10

type Results = Record<string, unknown>[]
type QueryCallback = (error: Error | null, results?: Results) => void

export class SinkTransport<K extends Kind> extends TransportStream {
  /** Names the transport in the results of `logger.query`. */
  name: string
  protected readonly path: string
  /** The logger whose level and levels hold, if there is one. */
  declare parent?: Source | null
  declare levels?: Record<string, number>
  readonly #kind: K
  readonly #place: CheckedOptions
  readonly #signals: SignalOptions
  readonly #outlet: Outlet
  readonly #sources: Sources
  readonly #late: LateRecords
  readonly #isNamed: boolean
  readonly #eol: string
  readonly #escapesNewlines: boolean
  #removeSignals = (): void => {}
  #callbacks: (() => void)[] = []
  #closing: Promise<void> | undefined
  /** Ahead of the worker, which writes at exit what it has. */
  readonly #atExit = {
    exitNow: (): void => {
      if (this.#outlet.isOpen) this.#handOver()
    }
  }
  /** How often 'finish' was asked for since the last one. */
  #finishAsked = 0

  /**
   * Throws `ERR_OPTION`, and `ERR_LIMIT` where no thread can be started; a path that is refused is reported by 'error', other
   * failures by 'warn' and 'degraded'.
   */
  constructor(kind: K, check: SinkKind['check'], options: KindOptions[K] & WinstonOptions) {
    const { host, signals, own, sinkOptions, place } = splitOptions(kind, check, options)
    requireThreads(kind, place.path)
    super(host)
    this.name = own.name ?? kind
    this.path = logPlace(kind, place, undefined).path
    this.#kind = kind
    this.#isNamed = own.name !== undefined
    this.#eol = own.eol
    this.#escapesNewlines = own.escapeNewlines
    this.#place = place
    this.#signals = signals
    this.#late = new LateRecords(this.path, place.fallback, (error, dropped) => {
      this.emit('warn', error)
      this.emit('dropped', dropped)
    })
    this.#outlet = new Outlet({ kind, sinkOptions, ...place, lazy: own.lazy })
    this.#connect()
    this.#sources = new Sources(
      this as unknown as SourceTarget,
      (source) => this.#join(source),
      () => this.#leaveAlone()
    )
    this.#open()
  }

  /** Takes one record; false if no more should come before `callback`. Called by winston, which filters by level. */
  override log(info: object, callback?: () => void): boolean {
    if (this.silent === true) {
      callback?.()
      return true
    }
    let text = `${(info as { [MESSAGE]?: unknown })[MESSAGE]}`
    if (this.#escapesNewlines) text = escapeNewlines(text)
    if (!this.#outlet.isOpen) {
      this.#late.add(text)
      callback?.()
      return false
    }
    const sent = this.#outlet.send(text + this.#eol)
    if (this.listenerCount('logged') > 0) setImmediate(() => this.emit('logged', info))
    // Called at once: a transport that waits stalls all others of the logger after sixteen records.
    if (callback !== undefined) {
      if (sent) callback()
      else this.#callbacks.push(callback)
    }
    return sent
  }

  /** Resolves when all records logged before have reached the sink's durability. */
  flush(): Promise<void> {
    return handled(this.#flush())
  }

  /** The same, blocking the thread (at most ten seconds); for exit paths. */
  flushSync(): void {
    this.#handOver()
    this.#outlet.flushSync()
  }

  /**
   * `logger.query`: records of the file and its backups. What was logged before is written first, unless writing
   * fails at the moment. With a callback it is called with the results, else they are resolved. `ERR_ARGUMENT`.
   */
  query(callback: QueryCallback): void
  query(options: QueryOptions | undefined, callback: QueryCallback): void
  query(options?: QueryOptions): Promise<Results>
  query(options?: QueryOptions | QueryCallback, callback?: QueryCallback): Promise<Results> | undefined {
    if (typeof options === 'function') {
      this.query({}, options)
      return undefined
    }
    const results = this.#query(options)
    if (typeof callback !== 'function') return handled(results)
    // In a tick of their own, so that what the callback throws is an uncaught exception and no unhandled rejection.
    results.then(
      (rows) => process.nextTick(callback, null, rows),
      (error) => process.nextTick(callback, error)
    )
    return undefined
  }

  /**
   * `logger.stream`: emits 'data' with each record of the file as text and 'log' with those that are JSON objects,
   * also those other processes write. Throws `ERR_ARGUMENT`.
   */
  stream(options?: StreamOptions): LogStream {
    const { start, event } = parseStream(options)
    return new LogStream(logPlace(this.#kind, this.#place, event), start)
  }

  /**
   * Rotates now. Resolves with what was done, or undefined if there was nothing to rotate. Rejects `ERR_CLOSED`, or
   * `ERR_UNSUPPORTED` for `wal` and `event-files`.
   */
  rotate(): Promise<RotatedEvent | undefined> {
    return handled(this.#outlet.rotate())
  }

  /** Opens the path anew before the next record. Rejects `ERR_CLOSED`. */
  reopen(): Promise<void> {
    return handled(this.#outlet.reopen())
  }

  /** Counters of the sink since the transport was opened. */
  stats(): Promise<SinkStats> {
    return handled(this.#outlet.stats())
  }

  /**
   * Writes everything and lets go of the file; 'finish' and 'close' follow. Idempotent; does not reject. The transport
   * opens again when a logger takes it up.
   */
  override close(callback?: () => void): Promise<void> {
    this.#closing ??= this.#shutDown()
    const closed = this.#closing
    if (typeof callback === 'function') void closed.then(() => process.nextTick(callback))
    return closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /**
   * The same as `close()`, after a last record if there is one. Called by a logger that ends; the transport stays open
   * for the other loggers it is in.
   */
  override end(...args: unknown[]): this {
    const [chunk] = args
    const callback = args.find((each) => typeof each === 'function') as (() => void) | undefined
    if (chunk !== undefined && chunk !== null && chunk !== callback) this.write(chunk)
    if (callback !== undefined) this.once('finish', callback)
    if (this.#sources.someStay) {
      this.#handOver()
      void this.#finishWhenFlushed()
    } else if (!this.#outlet.isClosed) void this.close()
    // The event that the caller waits for has been.
    else if (callback !== undefined || this.#sources.someEnd) process.nextTick(() => this.#finish())
    return this
  }

  override destroy(error?: Error): this {
    if (error !== undefined && error !== null) this.emit('error', error)
    void this.close()
    return this
  }

  /** winston's exception handler sets it, logs, waits for 'finish' and then ends the process, perhaps. */
  get _ending(): boolean {
    return false
  }

  set _ending(value: boolean) {
    // The record may pass through here, or never come: filtered by a level or a format, or the transport is silent.
    if (!value) return
    setImmediate(() => {
      this.#handOver()
      void this.#finishWhenFlushed()
    })
  }

  #connect(): void {
    const outlet = this.#outlet
    for (const name of forwardedEvents) outlet.on(name, (...args) => this.emit(name, ...args))
    for (const name of ['degraded', 'warning']) {
      outlet.on(name, (event: WarningEvent) => this.emit('warn', toError(event)))
    }
    outlet.on('sent', () => this.#callBack())
    outlet.on('exiting', () => this.#atExit.exitNow())
    outlet.on('failed', (error) => {
      this.#callBack()
      this.emit('error', error)
    })
  }

  #open(): void {
    this.#removeSignals()
    this.#removeSignals = handleSignals(this, this.#signals)
    this.#closing = undefined
    this.#late.report()
    addExitHandler(this.#atExit)
    this.#outlet.open()
  }

  #join(source: Source): void {
    passOnLines(source)
    if (!this.#isNamed) this.#findName(source)
    if (!this.#outlet.isOpen) this.#open()
  }

  /** winston keys the results of a query by name. */
  #findName(source: Source): void {
    const others = new Set((source.transports ?? []).filter((each) => each !== this).map(({ name }) => name))
    const base = this.name.replace(/-\d+$/, '')
    for (let number = 2; others.has(this.name); number++) this.name = `${base}-${number}`
  }

  /** The last logger has let go. `logger.configure()` does so and then adds the same transport again. */
  #leaveAlone(): void {
    setImmediate(() => {
      if (this.#sources.count === 0) void this.close()
    })
  }

  async #flush(): Promise<void> {
    this.#callAllBack()
    // A logger waits for the slowest of its transports; winston's File is slow for good if it gets too much at once.
    for (let waitedMs = 0; this.#sources.holdRecords && waitedMs < SIBLINGS_MS; waitedMs += LOOK_MS) {
      await delay(LOOK_MS)
      this.#callAllBack()
    }
    this.#sources.handOver()
    await this.#outlet.flush()
  }

  /** Takes everything that was logged before, whether there is room or not. */
  #handOver(): void {
    this.#sources.handOver()
    this.#callAllBack()
  }

  async #shutDown(): Promise<void> {
    this.#removeSignals()
    this.#handOver()
    await this.#outlet.close()
    if (this.#outlet.isClosed) removeExitHandler(this.#atExit)
    this.#finish()
    for (const name of ['flush', 'closed', 'close']) this.emit(name)
  }

  #finish(): void {
    this.#sources.dismiss()
    this.emit('finish')
  }

  #callBack(): void {
    for (const callback of this.#callbacks.splice(0)) callback()
  }

  /** Has everything that waits in front of this transport come, whether there is room or not. */
  #callAllBack(): void {
    while (this.#callbacks.length > 0) this.#callBack()
  }

  /** One 'finish' for all who wait, when the last of them may go. */
  async #finishWhenFlushed(): Promise<void> {
    this.#finishAsked++
    if (this.#finishAsked > 1) return
    for (let asked = 0; asked < this.#finishAsked; ) {
      asked = this.#finishAsked
      // What cannot be written does not hold up who waits any longer.
      await this.#outlet.flush().catch(() => {})
    }
    this.#finishAsked = 0
    // What closes emits its own.
    if (!this.#outlet.isClosing) this.#finish()
  }

  async #query(input: unknown): Promise<Results> {
    const options = parseQuery(input)
    await this.#written()
    return query(logPlace(this.#kind, this.#place, options.event), options)
  }

  /** Everything logged before is written, or cannot be: then it is not there to be found. */
  async #written(): Promise<void> {
    if (this.#outlet.isDegraded) return
    const stop = new AbortController()
    const degraded = once(this.#outlet, 'degraded', { signal: stop.signal })
    try {
      await Promise.race([this.flush(), degraded])
    } catch {
      // Closed, or failed.
    } finally {
      degraded.catch(() => {})
      stop.abort()
    }
  }
}

function escapeNewlines(text: string): string {
  return text.replace(NEWLINES, (end) => (end === '\n' ? '\\n' : '\\r'))
}

/** What nobody awaits is no unhandled rejection: that would end the application. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {})
  return promise
}

/** What an event that came from the worker tells, as the error winston's 'warn' carries. */
function toError({ code, message, path }: WarningEvent): LogboomError {
  const text = message.replace(/ \[ERR_[A-Z_]+\]$/, '')
  return new LogboomError(code in errorTable ? (code as ErrorCode) : 'ERR_IO', text, { path })
}

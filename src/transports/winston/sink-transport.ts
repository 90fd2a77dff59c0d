// What the winston transports of this package share: the contract of winston-transport on one side, a sink in a
// worker thread on the other.
import { resolve } from 'node:path'
import TransportStream from 'winston-transport'
import { type ErrorCode, errorTable, LogboomError } from '../../base/errors.ts'
import type { Kind, KindOptions } from '../../core/registry.ts'
import { handleSignals, type SignalOptions } from '../../core/signals.ts'
import { forwardedEvents, type SinkStats, type WarningEvent } from '../../core/sink/contract.ts'
import type { SinkKind } from '../../core/sink/sink-kind.ts'
import { WorkerLink } from '../worker-link.ts'
import { type QueryOptions, query, stream } from './query.ts'

/** Options every winston transport of this package has besides those of its sink. */
export type WinstonOptions = SignalOptions &
  Pick<
    TransportStream.TransportStreamOptions,
    'level' | 'format' | 'silent' | 'handleExceptions' | 'handleRejections'
  >

/** Where winston's formats leave the finished text. */
const MESSAGE = Symbol.for('message')

interface Info {
  [MESSAGE]?: unknown
  exception?: unknown
  rejection?: unknown
}

interface Parent {
  exitOnError?: unknown
}

export class SinkTransport<K extends Kind> extends TransportStream {
  /** Names the transport in the results of `logger.query`. */
  readonly name: string
  protected readonly path: string
  readonly #link: WorkerLink
  readonly #removeSignals: () => void
  #callbacks: (() => void)[] = []
  /** Set by winston's exception handler, which then waits for 'finish' before it ends the process. */
  declare _ending?: boolean
  declare parent?: Parent | null

  /** Throws `ERR_OPTION`; a path that is refused is reported by 'error', other failures by 'warn' and 'degraded'. */
  constructor(kind: K, check: SinkKind['check'], options: KindOptions[K] & WinstonOptions) {
    const {
      level,
      format,
      silent,
      handleExceptions,
      handleRejections,
      flushOnSignal,
      reopenOnSignal,
      ...sinkOptions
    } = options
    const checked = check(sinkOptions)
    super({ level, format, silent, handleExceptions, handleRejections })
    this.name = kind
    this.path = resolve(checked.path)
    this.#link = new WorkerLink({ kind, sinkOptions, ...checked })
    for (const name of forwardedEvents) this.#link.on(name, (...args) => this.emit(name, ...args))
    for (const name of ['degraded', 'warning']) {
      this.#link.on(name, (event: WarningEvent) => this.emit('warn', toError(event)))
    }
    this.#link.on('sent', () => {
      for (const callback of this.#callbacks.splice(0)) callback()
    })
    this.#link.on('failed', (error) => this.emit('error', error))
    this.#removeSignals = handleSignals(this, { flushOnSignal, reopenOnSignal })
  }

  override log(info: Info, callback: () => void): void {
    const sent = this.#link.send(`${info[MESSAGE]}\n`)
    if (this.listenerCount('logged') > 0) setImmediate(() => this.emit('logged', info))
    if (this._ending === true && (info.exception === true || info.rejection === true)) this.#finishException()
    // Called at once: a transport that waits stalls all others of the logger after sixteen records.
    if (sent) callback()
    else this.#callbacks.push(callback)
  }

  /** Resolves when all records logged before have reached the sink's durability. */
  flush(): Promise<void> {
    return this.#link.flush()
  }

  /** The same, blocking the thread (at most ten seconds); for exit paths. */
  flushSync(): void {
    this.#link.flushSync()
  }

  /** `logger.query`: records of the file and its backups; written ones only, so it flushes first. */
  query(options: QueryOptions, callback: (error: Error | null, results?: object[]) => void): void {
    this.flush()
      .then(() => query(this.path, options))
      .then(
        (results) => callback(null, results),
        (error) => callback(error)
      )
  }

  /** `logger.stream`: emits 'log' for every record of the file, also of those other processes write. */
  stream(options: { start?: number } = {}): ReturnType<typeof stream> {
    return stream(this.path, options)
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

  /** Called by `logger.close()` and `logger.remove()`, which do not wait. */
  override close(): void {
    void this.#end()
  }

  override _final(callback: (error?: Error | null) => void): void {
    void this.#end().then(() => callback())
  }

  #end(): Promise<void> {
    this.#removeSignals()
    return this.#link.end()
  }

  // 'finish' lets winston end the process; without it that takes three seconds. It also unpipes the transport, so
  // it must not be emitted where the process may go on.
  #finishException(): void {
    if (this.parent?.exitOnError !== true) return
    const finish = (): void => {
      this.emit('finish')
    }
    this.#link.flush().then(finish, finish)
  }
}

/** What an event that came from the worker tells, as the error winston's 'warn' carries. */
function toError({ code, message, path }: WarningEvent): LogboomError {
  const text = message.replace(/ \[ERR_[A-Z_]+\]$/, '')
  return new LogboomError(code in errorTable ? (code as ErrorCode) : 'ERR_IO', text, { path })
}

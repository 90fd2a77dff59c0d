// `logger.stream` of winston: the records of a log as they come, through rotations.
import { Stream } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { LogboomError } from '../../base/errors.ts'
import { readRecords } from '../../readers/read-records.ts'
import type { LogPlace } from './log-path.ts'
import { parseEntry } from './query.ts'

const LOOK_AGAIN_MS = 100

/**
 * Emits 'data' with the text of every record, 'log' with the record if it is a JSON object, 'error', and 'close' at the
 * end. As for winston's own File transport, what a listener throws comes as 'error'.
 */
export class LogStream extends Stream {
  readonly #abort = new AbortController()

  /** `start`: records to pass over first; below 0, all that are there already. */
  constructor(place: LogPlace, start: number) {
    super()
    void this.#follow(place, start)
  }

  /** Nothing is emitted any more but 'close'. Idempotent. */
  destroy(): void {
    this.#abort.abort()
  }

  async #follow(place: LogPlace, start: number): Promise<void> {
    const { signal } = this.#abort
    let from: 'start' | 'end' = start < 0 ? 'end' : 'start'
    try {
      while (!(await this.#read(place, from, start))) {
        // What is not there yet is new from its first record.
        from = 'start'
        await delay(LOOK_AGAIN_MS, undefined, { signal })
      }
    } catch (error) {
      if (!signal.aborted) this.#report(error)
    }
    this.emit('close')
  }

  /** False if there is no log: some readers wait for it, but not those whose log is a folder. */
  async #read({ path, format }: LogPlace, from: 'start' | 'end', start: number): Promise<boolean> {
    const { signal } = this.#abort
    const options = { format, follow: true, from, signal, onCorrupt: 'skip-file' } as const
    let line = 0
    try {
      for await (const { data } of readRecords(path, options)) {
        if (signal.aborted) break
        if (line++ >= start) this.#pass(data.toString())
      }
      return true
    } catch (error) {
      if (line === 0 && error instanceof LogboomError && error.code === 'ERR_NOT_FOUND') return false
      throw error
    }
  }

  #pass(line: string): void {
    try {
      this.emit('data', line)
      const entry = this.#abort.signal.aborted ? undefined : parseEntry(line)
      if (entry !== undefined) this.emit('log', entry)
    } catch (error) {
      this.#report(error)
    }
  }

  /** Without a listener this is an uncaught exception, as for any stream, and no rejection that nobody can handle. */
  #report(error: unknown): void {
    process.nextTick(() => this.emit('error', error))
  }
}

/** What is used of a logger of winston. */
interface StreamingLogger {
  stream(options?: object): Stream & { readonly _streams?: readonly unknown[] }
}

const extended = new WeakSet<object>()

/** Has `logger.stream()` pass on 'data', too; winston passes on 'log' and 'error' alone. */
export function passOnLines(logger: object): void {
  if (extended.has(logger) || !isStreaming(logger)) return
  extended.add(logger)
  const stream = logger.stream
  logger.stream = function (this: StreamingLogger, options) {
    const all = stream.call(this, options)
    for (const each of all._streams ?? []) {
      if (each instanceof LogStream) each.on('data', (line) => all.emit('data', line))
    }
    return all
  }
}

function isStreaming(logger: object): logger is StreamingLogger {
  return 'stream' in logger && typeof logger.stream === 'function'
}

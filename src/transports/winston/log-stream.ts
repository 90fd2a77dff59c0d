// `logger.stream` of winston: the records of a log as they come, through rotations.
import { Stream } from 'node:stream'
import { readRecords } from '../../readers/read-records.ts'
import { parseEntry } from './query.ts'

/**
 * Emits 'data' with the text of every record, 'log' with the record if it is a JSON object, 'error', and 'close' at the
 * end. As for winston's own File transport, what a listener throws comes as 'error'.
 */
export class LogStream extends Stream {
  readonly #abort = new AbortController()

  /** `start`: records to pass over first; below 0, all that are there already. */
  constructor(path: string, start: number) {
    super()
    void this.#follow(path, start)
  }

  /** Nothing is emitted any more but 'close'. Idempotent. */
  destroy(): void {
    this.#abort.abort()
  }

  async #follow(path: string, start: number): Promise<void> {
    const { signal } = this.#abort
    const from = start < 0 ? 'end' : 'start'
    try {
      let line = 0
      for await (const { data } of readRecords(path, {
        follow: true,
        from,
        signal,
        onCorrupt: 'skip-file'
      })) {
        if (signal.aborted) break
        if (line++ >= start) this.#pass(data.toString())
      }
    } catch (error) {
      if (!signal.aborted) this.#report(error)
    }
    this.emit('close')
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

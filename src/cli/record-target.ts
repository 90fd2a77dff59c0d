// A sink of any kind that takes whole records, as `logboom convert` has them: which it can hold, and how each gets in.
import { once } from 'node:events'
import { LogboomError } from '../base/errors.ts'
import { DirectFile } from '../core/direct-file/direct-file.ts'
import { EventFiles } from '../core/event-files/event-files.ts'
import type { Kind } from '../core/registry.ts'
import { sinks } from '../core/registry.ts'
import type { InternalSink } from '../core/sink/pumped-sink.ts'

const NEWLINE = 10
const NEWLINE_BYTES = Buffer.from('\n')
/** How often it is looked whether a sink can write; the timer keeps the process, which the sink's own do not. */
const LOOK_MS = 1_000
/** So long a sink may fail to write, as when it is closed. A program that logs waits for room; who converts wants to know. */
const PATIENCE_MS = 10_000

/** What the files of each kind cannot hold. */
export interface Limits {
  /** A newline within a record would make two of it. */
  readonly isLines: boolean
  readonly refusesEmpty: boolean
}

export function limitsOf(kind: Kind, output: unknown): Limits {
  const files = kind === 'event-files' ? String(output ?? 'rotating-file') : kind
  return {
    isLines: files === 'rotating-file' || files === 'spool',
    refusesEmpty: kind === 'event-files' || files === 'direct-file'
  }
}

export class RecordTarget {
  readonly #sink: InternalSink
  readonly #isLines: boolean

  /** Checks the options and opens the sink; throws what its constructor throws. */
  constructor(kind: Kind, options: Record<string, unknown>, { isLines }: Limits) {
    this.#sink = sinks[kind].create(options as never)
    this.#isLines = isLines
  }

  /** Takes a record; a promise if it has to be waited for. The bytes are copied. */
  put(data: Buffer, event: string): Promise<void> | undefined {
    const sink = this.#sink
    if (sink instanceof EventFiles) sink.log(event, data)
    else if (sink instanceof DirectFile) sink.logBytes(data)
    else if (!sink.writeRecords([Buffer.concat([data, NEWLINE_BYTES])])) return this.#drained()
    return undefined
  }

  /** Takes lines with their ends as they are, if that is what the sink writes. */
  putLines(lines: Buffer): Promise<void> | undefined | false {
    if (!this.#isLines || this.#sink instanceof EventFiles) return false
    const isWelcome = this.#sink.write(lines)
    const rest = lines[lines.length - 1] === NEWLINE || this.#sink.write(NEWLINE_BYTES)
    return isWelcome && rest ? undefined : this.#drained()
  }

  /** Writes everything out and closes. Rejects `ERR_LOST` with what could not be written. */
  async close(): Promise<void> {
    await this.#sink.close()
  }

  /** Records that the sink dropped, as its options say. */
  get dropped(): number {
    return this.#sink.stats().dropped
  }

  async #drained(): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const givenUp = new Promise<never>((_, reject) => {
      let failingMs = 0
      timer = setInterval(() => {
        failingMs = this.#sink.stats().state === 'degraded' ? failingMs + LOOK_MS : 0
        if (failingMs < PATIENCE_MS) return
        const { path } = this.#sink
        reject(
          new LogboomError('ERR_LOST', `${path} cannot be written; the rest of the log is not converted`, {
            path
          })
        )
      }, LOOK_MS)
    })
    try {
      await Promise.race([once(this.#sink, 'drain'), givenUp])
    } finally {
      clearInterval(timer)
    }
  }
}

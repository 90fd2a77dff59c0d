// Readable text in place of pino's JSON lines, through pino-pretty, in the thread that writes them.
import { LogboomError, systemCode } from '../base/errors.ts'

/** Makes text with its line end of a line of JSON; other lines stay as they are. */
type Prettify = (line: string) => string

/** Turns a stream of lines that is cut anywhere into one of readable lines. */
export class PrettyLines {
  readonly #prettify: Prettify
  readonly #decoder = new TextDecoder()
  /** A line whose end has not come yet. */
  #rest = ''

  constructor(prettify: Prettify) {
    this.#prettify = prettify
  }

  /** What has become of the whole lines up to now. */
  shape(chunk: string | Uint8Array): string {
    const text =
      this.#rest + (typeof chunk === 'string' ? chunk : this.#decoder.decode(chunk, { stream: true }))
    const end = text.lastIndexOf('\n') + 1
    this.#rest = text.slice(end)
    if (end === 0) return ''
    return text
      .slice(0, end - 1)
      .split('\n')
      .map(this.#prettify)
      .join('')
  }

  /** Makes the unfinished line a line of its own. */
  finish(): string {
    const rest = this.#rest + this.#decoder.decode()
    this.#rest = ''
    return rest === '' ? '' : this.#prettify(rest)
  }
}

/** Rejects `ERR_UNSUPPORTED` where pino-pretty is not installed. */
export async function createPrettyLines(): Promise<PrettyLines> {
  const prettyFactory = await loadPrettyFactory()
  // One line for each record, but for the stacks of errors; the date is in it, as files are read later.
  const pretty = prettyFactory({
    colorize: false,
    singleLine: true,
    translateTime: 'UTC:yyyy-mm-dd"T"HH:MM:ss.l"Z"'
  })
  return new PrettyLines((line) => {
    const text = line === '' ? '' : pretty(line)
    if (text === undefined || text === '') return `${line}\n`
    return text.endsWith('\n') ? text : `${text}\n`
  })
}

async function loadPrettyFactory() {
  try {
    return (await import('pino-pretty')).prettyFactory
  } catch (error) {
    const code = systemCode(error)
    if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') throw error
    const message =
      "option 'format' is 'pretty', which needs the package pino-pretty; install it beside this one"
    throw new LogboomError('ERR_UNSUPPORTED', message, { cause: error })
  }
}

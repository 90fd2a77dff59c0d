// Writes records to stdout in the form the user chose: fast, in large pieces, and waiting for a slow reader.
import { isUtf8 } from 'node:buffer'
import { isatty } from 'node:tty'
import { native } from '../native/index.ts'
import { type JoinForm, joinForm } from '../native/join.ts'
import { batchLength, type LogRecord, type RecordBatch, recordAt } from '../readers/reader.ts'
import type { CliOption, CliValues } from './command.ts'
import { UsageError } from './command.ts'
import type { Shape } from './find/shape.ts'
import { Stdout } from './stdout.ts'
import { terminalBytes, terminalText } from './terminal-text.ts'

const BUFFER_BYTES = 256 * 1024
const JSON_CHARACTERS = 64 * 1024
const NEWLINE = 10
const NEWLINE_BYTES = Buffer.from('\n')
export type OutputForm = 'lines' | 'raw' | 'framed' | 'json'

export const outputOptions = {
  json: {
    type: 'boolean',
    text: 'One JSON object per record: data, file, offset, and index or event where there is one.'
  },
  raw: {
    type: 'boolean',
    text: 'The bytes as they are in the log: lines with their line ends, binary records back to back. Without it, control characters in records reach a terminal as escapes such as \\u001b.'
  },
  framed: { type: 'boolean', text: 'Before each record its length as 4 bytes, big endian; no line ends.' }
} as const satisfies Record<string, CliOption>

/** The form asked for; at most one. */
export function outputForm(values: CliValues): OutputForm {
  const forms = (['json', 'raw', 'framed'] as const).filter((form) => values[form] === true)
  if (forms.length > 1) throw new UsageError(`--${forms[0]} and --${forms[1]} exclude each other`)
  return forms[0] ?? 'lines'
}

/** Stdout. Await every call before the next one; `ReaderGone` is thrown when nobody reads any more. */
export class Output {
  readonly #stdout = new Stdout()
  readonly #buffer = Buffer.allocUnsafe(BUFFER_BYTES)
  readonly #shape: Shape | undefined
  readonly #isTerminal = isatty(1)
  readonly #joining = new Uint32Array(2)
  #filled = 0

  /** Records are printed in this shape; as they are by default. */
  constructor(shape?: Shape) {
    this.#shape = shape
  }

  /** Writes all records of a batch. */
  async batch(batch: RecordBatch, form: OutputForm): Promise<void> {
    const { lines } = batch
    const isAsIs = this.#shape === undefined && (form !== 'lines' || !this.#isTerminal)
    if (isAsIs && form === 'json') return this.#jsonBatch(batch)
    if (isAsIs && lines !== undefined && (form === 'raw' || form === 'lines')) {
      await this.bytes(lines)
      // The unterminated end of a file must not run into the first line of the next one.
      if (form === 'lines' && lines[lines.length - 1] !== NEWLINE) await this.bytes(NEWLINE_BYTES)
      return
    }
    if (isAsIs && form !== 'json' && isAddressable(batch)) return this.#joinBatch(batch, form)
    const length = batchLength(batch)
    for (let at = 0; at < length; at++) {
      const written = this.record(recordAt(batch, at), form, batch.areLines)
      if (written !== undefined) await written
    }
  }

  /** Many records with one call; what is larger than the buffer goes its own way. */
  async #joinBatch(batch: RecordBatch, form: Exclude<OutputForm, 'json'>): Promise<void> {
    const bounds = batch.bounds instanceof Int32Array ? batch.bounds : Int32Array.from(batch.bounds)
    const around = joinFormOf(form, batch)
    const state = this.#joining
    state[0] = 0
    for (;;) {
      state[1] = this.#filled
      native.joinRecords(batch.bytes, bounds, this.#buffer, around, state)
      this.#filled = state[1]
      const [next] = state
      if (2 * next >= bounds.length) return
      if (this.#filled > 0) await this.flush()
      else {
        await this.record(recordAt(batch, next), form, batch.areLines)
        state[0] = next + 1
      }
    }
  }

  // One long text is encoded much faster than many short ones.
  async #jsonBatch(batch: RecordBatch): Promise<void> {
    const length = batchLength(batch)
    let text = ''
    for (let at = 0; at < length; at++) {
      text += `${this.#toJson(recordAt(batch, at))}\n`
      if (text.length < JSON_CHARACTERS && at < length - 1) continue
      await this.text(text)
      text = ''
    }
  }

  /**
   * Writes one record; `isLine`: in its log a line end follows it. Returns a promise only if there is something to wait
   * for.
   */
  record(record: LogRecord, form: OutputForm, isLine = false): Promise<void> | undefined {
    const data = this.#shape === undefined ? record.data : this.#shape.of(record.data)
    if (form === 'json') return this.#put(Buffer.from(this.#toJson(record, data)), NEWLINE_BYTES)
    if (form === 'raw') return this.#put(data, isLine ? NEWLINE_BYTES : undefined)
    // Programs that log whole lines have the line end in the record.
    if (form === 'lines') {
      const shown = this.#isTerminal && this.#shape?.isForTerminal !== true ? terminalBytes(data) : data
      return this.#put(shown, shown[shown.length - 1] === NEWLINE ? undefined : NEWLINE_BYTES)
    }
    const prefix = Buffer.allocUnsafe(4)
    prefix.writeUInt32BE(data.length)
    return this.#put(prefix, data)
  }

  async bytes(bytes: Uint8Array): Promise<void> {
    await this.#put(bytes)
  }

  text(text: string): Promise<void> {
    return this.bytes(Buffer.from(text))
  }

  /** Hands everything to the kernel. */
  async flush(): Promise<void> {
    const filled = this.#filled
    this.#filled = 0
    await this.#stdout.write(this.#buffer.subarray(0, filled))
  }

  #toJson(record: LogRecord, data?: Buffer): string {
    const text = toJson(record, data)
    // JSON leaves the second block of control characters as it is.
    return this.#isTerminal ? terminalText(text) : text
  }

  #put(first: Uint8Array, second?: Uint8Array): Promise<void> | undefined {
    const length = first.length + (second?.length ?? 0)
    if (length > BUFFER_BYTES - this.#filled) return this.#putLarge(first, second)
    this.#buffer.set(first, this.#filled)
    if (second !== undefined) this.#buffer.set(second, this.#filled + first.length)
    this.#filled += length
    return undefined
  }

  async #putLarge(first: Uint8Array, second?: Uint8Array): Promise<void> {
    await this.flush()
    for (const bytes of second === undefined ? [first] : [first, second]) {
      if (bytes.length > BUFFER_BYTES - this.#filled) {
        await this.flush()
        await this.#stdout.write(bytes)
      } else {
        this.#buffer.set(bytes, this.#filled)
        this.#filled += bytes.length
      }
    }
  }
}

function joinFormOf(form: Exclude<OutputForm, 'json'>, { areLines }: RecordBatch): JoinForm {
  if (form === 'framed') return joinForm.lengths
  if (form === 'lines') return joinForm.unended
  return areLines === true ? joinForm.lines : joinForm.plain
}

/** Whether the places in it can be told in 32 bits. */
function isAddressable({ bytes }: RecordBatch): boolean {
  return bytes.length <= 0x7fff_ffff
}

/** Bytes that are no UTF-8 are shown with replacement characters and given whole as base64. */
function toJson({ data: own, file, offset, index, event }: LogRecord, shaped?: Buffer): string {
  const data = shaped ?? own
  const binary = isUtf8(data) ? '' : `,"base64":"${data.toString('base64')}"`
  const place = `"file":${JSON.stringify(file)},"offset":${offset}`
  const indexText = index === undefined ? '' : `,"index":${index}`
  const eventText = event === undefined ? '' : `,"event":${JSON.stringify(event)}`
  return `{"data":${JSON.stringify(data.toString())}${binary},${place}${indexText}${eventText}}`
}

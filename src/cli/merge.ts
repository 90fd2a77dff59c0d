// logboom merge: several logs as one, by the time of their records.
import { errorMessage } from '../base/errors.ts'
import { createContext, type DamageReport, emptyReport } from '../readers/engine/context.ts'
import { recordTime } from '../readers/engine/record-time.ts'
import { batchLength, type LogRecord, type RecordBatch, recordAt } from '../readers/reader.ts'
import { type Command, complain, countOf, type ExitCode, exitCodes, tell } from './command.ts'
import { filterOptions, RecordFilter, remarkOn } from './find/record-filter.ts'
import { recordShape, shapeOptions } from './find/shape.ts'
import { expandInputs, formatOption, inputFormat } from './inputs.ts'
import { Output, outputForm, outputOptions } from './output.ts'
import { exitCodeOf, forEachLog, readStdin } from './read-inputs.ts'

export const merge: Command = {
  name: 'merge',
  parameters: '<log>…',
  summary: 'print the records of several logs as one, by their time',
  description: `Each log must be in order of time by itself; the logs of a folder are merged, too. The time of a record is
the field time, timestamp, @timestamp, ts or date of a JSON line (a number, or text that is a date), else an
ISO 8601 time at the start of the line. A record without one stays behind the record before it, so stack traces
keep together. Records of the same time come in the order of the arguments.`,
  options: () => ({
    ...filterOptions,
    lines: {
      type: 'string',
      short: 'n',
      value: 'count',
      text: 'Only the first so many records (of those that are wanted).'
    },
    ...shapeOptions,
    ...formatOption,
    ...outputOptions
  }),
  examples: [
    'logboom merge api.log worker.log | pino-pretty',
    'logboom merge host-*/app.log > all.log',
    'logboom merge --since 10m --grep "order 4711" --pretty logs/'
  ],
  async run(positionals, values) {
    const form = outputForm(values)
    const format = inputFormat(values)
    const paths = await expandInputs(positionals, format)
    const filter = RecordFilter.of(values)
    const count = countOf(values, 'lines') ?? Number.POSITIVE_INFINITY
    const shape = await recordShape(values)
    const report: DamageReport = emptyReport()
    const context = createContext({
      onCorrupt: 'skip-file',
      includeUnterminated: true,
      reuseBuffers: true,
      span: filter?.span,
      report
    })
    const inputs: Input[] = []
    let worst: ExitCode = exitCodes.fine
    const fail = (error: unknown): void => {
      complain(errorMessage(error))
      worst = Math.max(worst, exitCodeOf(error)) as ExitCode
    }
    for (const path of paths) {
      if (path === '-') {
        inputs.push(new Input(readStdin(format, context), fail, filter))
        continue
      }
      const code = await forEachLog(path, format, async ({ reader, path: log, event }) => {
        inputs.push(new Input(reader.read(log, context), fail, filter, event))
      })
      worst = Math.max(worst, code) as ExitCode
    }
    const output = new Output(shape)
    await mergeInputs(inputs, count, (record, isLine) => output.record(record, form, isLine))
    await output.flush()
    remarkOn(filter)
    for (const note of report.notes) tell(note)
    for (const { file, offset, reason } of report.damage)
      complain(`${file} is damaged at offset ${offset}: ${reason}`)
    return report.damage.length > 0 ? (Math.max(worst, exitCodes.damaged) as ExitCode) : worst
  }
}

/** One log, with its next record. */
class Input {
  readonly #batches: AsyncGenerator<RecordBatch, void, undefined>
  readonly #fail: (error: unknown) => void
  readonly #filter: RecordFilter | undefined
  readonly #event: string | undefined
  #batch: RecordBatch | undefined
  #length = 0
  #at = 0
  record: LogRecord | undefined
  /** In its log a line end follows the record. */
  isLine = false
  /** Of the next record, or of the last one that had a time. */
  timeMs = Number.NEGATIVE_INFINITY

  /** `fail` is told what ends it before its time. */
  constructor(
    batches: AsyncGenerator<RecordBatch, void, undefined>,
    fail: (error: unknown) => void,
    filter: RecordFilter | undefined,
    event?: string
  ) {
    this.#batches = batches
    this.#fail = fail
    this.#filter = filter
    this.#event = event
  }

  /** Steps to the next record; undefined at once if none must be waited for. */
  advance(): Promise<void> | undefined {
    if (this.#at === this.#length) return this.#load()
    this.#take()
    return undefined
  }

  async #load(): Promise<void> {
    while (this.#at === this.#length) {
      const value = await this.#next()
      if (value === undefined) {
        this.record = undefined
        return
      }
      if (this.#event !== undefined) value.event = this.#event
      const kept = this.#filter === undefined ? value : this.#filter.keep(value)
      if (kept === undefined) continue
      this.#batch = kept
      this.#length = batchLength(kept)
      this.#at = 0
    }
    this.#take()
  }

  /** Nothing more is wanted of it. */
  async close(): Promise<void> {
    await this.#batches.return()
  }

  async #next(): Promise<RecordBatch | undefined> {
    try {
      const { done, value } = await this.#batches.next()
      return done === true ? undefined : value
    } catch (error) {
      this.#fail(error)
      return undefined
    }
  }

  #take(): void {
    const batch = this.#batch as RecordBatch
    this.record = recordAt(batch, this.#at++)
    this.isLine = batch.areLines === true
    this.timeMs = recordTime(this.record.data) ?? this.timeMs
  }
}

async function mergeInputs(
  inputs: readonly Input[],
  count: number,
  use: (record: LogRecord, isLine: boolean) => Promise<void> | undefined
): Promise<void> {
  if (count > 0) await Promise.all(inputs.map((input) => input.advance()))
  let open = inputs.filter(({ record }) => record !== undefined)
  for (let left = count; open.length > 0 && left > 0; left--) {
    const first = open.reduce((best, input) => (input.timeMs < best.timeMs ? input : best))
    const used = use(first.record as LogRecord, first.isLine)
    if (used !== undefined) await used
    const advanced = first.advance()
    if (advanced !== undefined) await advanced
    if (first.record === undefined) open = open.filter((input) => input !== first)
  }
  for (const input of inputs) await input.close()
}

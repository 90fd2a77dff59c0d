// logboom merge: several logs as one, by the time of their records.
import { createContext, type DamageReport, notFound } from '../readers/engine/context.ts'
import { recordTime } from '../readers/engine/record-time.ts'
import { findLogs } from '../readers/find-logs.ts'
import { batchLength, type LogRecord, type RecordBatch, recordAt } from '../readers/reader.ts'
import { type Command, complain, exitCodes } from './command.ts'
import { expandInputs, formatOption, inputFormat } from './inputs.ts'
import { Output, outputForm, outputOptions } from './output.ts'
import { readStdin } from './read-inputs.ts'

export const merge: Command = {
  name: 'merge',
  parameters: '<log>…',
  summary: 'print the records of several logs as one, by their time',
  description: `Each log must be in order of time by itself; the logs of a folder are merged, too. The time of a record is
the field time, timestamp, @timestamp, ts or date of a JSON line (a number, or text that is a date), else an
ISO 8601 time at the start of the line. A record without one stays behind the record before it, so stack traces
keep together. Records of the same time come in the order of the arguments.`,
  options: () => ({ ...formatOption, ...outputOptions }),
  examples: ['logboom merge api.log worker.log | pino-pretty', 'logboom merge host-*/app.log > all.log'],
  async run(positionals, values) {
    const form = outputForm(values)
    const format = inputFormat(values)
    const paths = await expandInputs(positionals)
    const report: DamageReport = { damage: [], skippedBytes: 0 }
    const context = createContext({
      onCorrupt: 'skip-file',
      includeUnterminated: true,
      reuseBuffers: true,
      report
    })
    const inputs: Input[] = []
    for (const path of paths) {
      if (path === '-') {
        inputs.push(new Input(readStdin(format, context)))
        continue
      }
      const { logs } = await findLogs(path, format)
      if (logs.length === 0) throw notFound(path)
      for (const log of logs) inputs.push(new Input(log.reader.read(log.path, context), log.event))
    }
    const output = new Output()
    await mergeInputs(inputs, (record, isLine) => output.record(record, form, isLine))
    await output.flush()
    for (const { file, offset, reason } of report.damage)
      complain(`${file} is damaged at offset ${offset}: ${reason}`)
    return report.damage.length > 0 ? exitCodes.damaged : exitCodes.fine
  }
}

/** One log, with its next record. */
class Input {
  readonly #batches: AsyncGenerator<RecordBatch, void, undefined>
  readonly #event: string | undefined
  #batch: RecordBatch | undefined
  #length = 0
  #at = 0
  record: LogRecord | undefined
  /** In its log a line end follows the record. */
  isLine = false
  /** Of the next record, or of the last one that had a time. */
  timeMs = Number.NEGATIVE_INFINITY

  constructor(batches: AsyncGenerator<RecordBatch, void, undefined>, event?: string) {
    this.#batches = batches
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
      const { done, value } = await this.#batches.next()
      if (done === true) {
        this.record = undefined
        return
      }
      if (this.#event !== undefined) value.event = this.#event
      this.#batch = value
      this.#length = batchLength(value)
      this.#at = 0
    }
    this.#take()
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
  use: (record: LogRecord, isLine: boolean) => Promise<void> | undefined
): Promise<void> {
  await Promise.all(inputs.map((input) => input.advance()))
  let open = inputs.filter(({ record }) => record !== undefined)
  while (open.length > 0) {
    const first = open.reduce((best, input) => (input.timeMs < best.timeMs ? input : best))
    const used = use(first.record as LogRecord, first.isLine)
    if (used !== undefined) await used
    const advanced = first.advance()
    if (advanced !== undefined) await advanced
    if (first.record === undefined) open = open.filter((input) => input !== first)
  }
}

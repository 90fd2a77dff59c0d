// logboom tail: the last records of logs, and with -f what is appended.
import { errorMessage } from '../base/errors.ts'
import { BatchMerger } from '../readers/engine/batch-merger.ts'
import { createContext, type DamageReport, emptyReport } from '../readers/engine/context.ts'
import { readBatches } from '../readers/engine/read-batches.ts'
import { ReadCursors, readFrom } from '../readers/engine/read-cursors.ts'
import { findLogs } from '../readers/find-logs.ts'
import { batchLength, type LogRecord, type ReadFrom, type RecordBatch, recordAt } from '../readers/reader.ts'
import { type Command, complain, type ExitCode, exitCodes, tell, UsageError, wholeNumber } from './command.ts'
import { CursorFile, cursorOptions } from './cursors.ts'
import { filterOptions, RecordFilter, remarkOn } from './find/record-filter.ts'
import { recordShape, shapeOptions } from './find/shape.ts'
import { expandInputs, formatOption, inputFormat } from './inputs.ts'
import { Output, type OutputForm, outputForm, outputOptions } from './output.ts'
import { exitCodeOf, readInputs } from './read-inputs.ts'

export const tail: Command = {
  name: 'tail',
  parameters: '[-f] [-n <count>] <log>…',
  summary: 'print the last records, and with -f those to come',
  description: `With -f it goes on like tail -F, until it is interrupted: through rotation, deletion and truncation, and
waits for a log that is not there yet. Every record is printed once, in order. Several logs, or the logs of a
folder, are mixed as records arrive. Without -f, - is stdin.`,
  options: () => ({
    follow: { type: 'boolean', short: 'f', text: 'Go on with what is appended.' },
    lines: {
      type: 'string',
      short: 'n',
      value: 'count',
      text: 'How many records of each log to begin with (10), or all. With a filter, so many of those that are wanted.'
    },
    ...filterOptions,
    ...shapeOptions,
    ...formatOption,
    ...outputOptions,
    ...cursorOptions
  }),
  examples: [
    'logboom tail -f app.log | pino-pretty',
    'logboom tail -n 100 app.log',
    'logboom tail -f --level ">=error" --pretty logs/',
    'logboom tail -f -n 0 --json logs/ | jq -r "[.event, .data] | @tsv"'
  ],
  async run(positionals, values) {
    const form = outputForm(values)
    const format = inputFormat(values)
    const lines = (values.lines ?? '10') as string
    const count = lines === 'all' ? Number.POSITIVE_INFINITY : wholeNumber('lines', lines)
    const paths = await expandInputs(positionals, format)
    const cursor = CursorFile.of(values, paths)
    const filter = RecordFilter.of(values)
    const output = new Output(await recordShape(values))
    const printer: Printer = { format, count, filter, output, form }
    if (values.follow === true) {
      if (paths.includes('-')) throw new UsageError('stdin cannot be followed; leave out -f')
      if (values.until !== undefined) throw new UsageError('--until is for what was written; leave out -f')
      return follow(paths, printer, cursor)
    }
    if (cursor.from !== undefined || cursor.isKept)
      throw new UsageError('--from and --cursor-file are for tail -f; logboom cat takes them, too')
    let worst: ExitCode = exitCodes.fine
    for (const path of paths) {
      const isSought = path === '-' || filter !== undefined
      const code = isSought ? (await lastSought(path, printer, true)).code : await last(path, printer)
      worst = Math.max(worst, code) as ExitCode
    }
    await output.flush()
    remarkOn(filter)
    return worst
  }
}

/** What is read, and how it is printed. */
interface Printer {
  readonly format: string
  readonly count: number
  readonly filter: RecordFilter | undefined
  readonly output: Output
  readonly form: OutputForm
}

function fromLast(count: number): ReadFrom {
  return count === Number.POSITIVE_INFINITY ? 'start' : { last: count }
}

function last(path: string, { format, count, output, form }: Printer): Promise<ExitCode> {
  const options = { format, onCorrupt: 'skip-file', includeUnterminated: true, writesToStdout: true } as const
  return readInputs([path], { ...options, from: fromLast(count) }, (batch) => output.batch(batch, form))
}

/**
 * Prints the last records that are found only by reading everything: a stream has no end to begin at, and of a filter
 * nobody knows how far back it reaches. Returns a cursor behind all that was read, where there was something.
 */
async function lastSought(
  path: string,
  { format, count, filter, output, form }: Printer,
  includeUnterminated: boolean
): Promise<{ code: ExitCode; cursor: string | undefined }> {
  const kept: LogRecord[] = []
  const cursors = new ReadCursors('start')
  let areLines: boolean | undefined
  const options = { format, onCorrupt: 'skip-file', span: filter?.span, includeUnterminated } as const
  const code = await readInputs([path], { ...options, writesToStdout: false }, async (batch) => {
    const wanted = filter === undefined ? batch : filter.keep(batch)
    if (wanted !== undefined && count === Number.POSITIVE_INFINITY) await output.batch(wanted, form)
    else if (wanted !== undefined) {
      const length = batchLength(wanted)
      areLines = wanted.areLines
      for (let at = Math.max(0, length - count); at < length; at++) {
        const record = recordAt(wanted, at)
        kept.push({ ...record, data: Buffer.from(record.data) })
      }
      if (kept.length > count) kept.splice(0, kept.length - count)
    }
    if (path !== '-') cursors.leave(batch, batchLength(batch))
  })
  for (const record of kept) await output.record(record, form, areLines)
  return { code, cursor: path === '-' ? undefined : cursors.text(undefined, 0) }
}

async function follow(paths: readonly string[], printer: Printer, cursor: CursorFile): Promise<ExitCode> {
  const { format, count, filter, output, form } = printer
  const merger = new BatchMerger(new AbortController().signal)
  const report: DamageReport = emptyReport()
  let worst: ExitCode = exitCodes.fine
  const failed = (error: unknown): void => {
    complain(errorMessage(error))
    worst = Math.max(worst, exitCodeOf(error)) as ExitCode
  }
  for (const path of paths) {
    const from = cursor.from ?? (filter === undefined ? fromLast(count) : await beginSought(path, printer))
    const context = createContext({
      from,
      follow: true,
      onCorrupt: 'skip-file',
      reuseBuffers: true,
      signal: merger.signal,
      report,
      onReport: () => {
        for (const note of report.notes.splice(0)) tell(note)
        for (const { file, offset, reason } of report.damage.splice(0))
          complain(`${file} is damaged at offset ${offset}: ${reason}`)
      }
    })
    const batches = readBatches(path, format, context)
    merger.add(paths.length === 1 ? batches : beside(batches, failed))
  }
  merger.close()
  for await (const batch of merger.read()) {
    const wanted = filter === undefined ? batch : filter.keep(batch)
    if (wanted !== undefined) await output.batch(wanted, form)
    await output.flush()
    cursor.printed(batch)
    cursor.save()
  }
  return worst
}

/** What ends one of several logs is told, and keeps nobody from the others. */
async function* beside(
  batches: AsyncGenerator<RecordBatch, void, undefined>,
  failed: (error: unknown) => void
): AsyncGenerator<RecordBatch, void, undefined> {
  try {
    yield* batches
  } catch (error) {
    failed(error)
  }
}

/** Prints the last records that are wanted; returns where to go on. */
async function beginSought(path: string, printer: Printer): Promise<ReadFrom> {
  if (printer.count === 0) return 'end'
  if ((await findLogs(path, printer.format)).logs.length === 0) return 'start'
  const { cursor } = await lastSought(path, printer, false)
  await printer.output.flush()
  return cursor === undefined ? 'start' : readFrom(cursor)
}

// logboom tail: the last records of logs, and with -f what is appended.
import { BatchMerger } from '../readers/engine/batch-merger.ts'
import { createContext, type DamageReport, emptyReport } from '../readers/engine/context.ts'
import { readBatches } from '../readers/engine/read-batches.ts'
import { batchLength, type LogRecord, type ReadFrom, recordAt } from '../readers/reader.ts'
import { type Command, complain, type ExitCode, exitCodes, tell, UsageError, wholeNumber } from './command.ts'
import { CursorFile, cursorOptions } from './cursors.ts'
import { expandInputs, formatOption, inputFormat } from './inputs.ts'
import { Output, type OutputForm, outputForm, outputOptions } from './output.ts'
import { readInputs } from './read-inputs.ts'

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
      text: 'How many records of each log to begin with (10), or all.'
    },
    ...formatOption,
    ...outputOptions,
    ...cursorOptions
  }),
  examples: [
    'logboom tail -f app.log | pino-pretty',
    'logboom tail -n 100 app.log',
    'logboom tail -f -n 0 --json logs/ | jq -r "[.event, .data] | @tsv"'
  ],
  async run(positionals, values) {
    const form = outputForm(values)
    const format = inputFormat(values)
    const lines = (values.lines ?? '10') as string
    const count = lines === 'all' ? Number.POSITIVE_INFINITY : wholeNumber('lines', lines)
    const paths = await expandInputs(positionals, format)
    const cursor = CursorFile.of(values, paths)
    const output = new Output()
    if (values.follow === true) {
      if (paths.includes('-')) throw new UsageError('stdin cannot be followed; leave out -f')
      return follow(paths, format, fromLast(count), output, form, cursor)
    }
    if (cursor.from !== undefined || cursor.isKept)
      throw new UsageError('--from and --cursor-file are for tail -f; logboom cat takes them, too')
    let worst: ExitCode = exitCodes.fine
    for (const path of paths) {
      const code =
        path === '-'
          ? await lastOfStdin(format, count, output, form)
          : await last(path, format, count, output, form)
      worst = Math.max(worst, code) as ExitCode
    }
    await output.flush()
    return worst
  }
}

function fromLast(count: number): ReadFrom {
  return count === Number.POSITIVE_INFINITY ? 'start' : { last: count }
}

function last(
  path: string,
  format: string,
  count: number,
  output: Output,
  form: OutputForm
): Promise<ExitCode> {
  const options = { format, onCorrupt: 'skip-file', includeUnterminated: true, writesToStdout: true } as const
  return readInputs([path], { ...options, from: fromLast(count) }, (batch) => output.batch(batch, form))
}

/** A stream has no end to begin at, so the last records are kept until it has ended. */
async function lastOfStdin(
  format: string,
  count: number,
  output: Output,
  form: OutputForm
): Promise<ExitCode> {
  const kept: LogRecord[] = []
  let areLines: boolean | undefined
  const options = {
    format,
    onCorrupt: 'skip-file',
    includeUnterminated: true,
    writesToStdout: false
  } as const
  const code = await readInputs(['-'], options, async (batch) => {
    const length = batchLength(batch)
    areLines = batch.areLines
    for (let at = Math.max(0, length - count); at < length; at++) {
      const record = recordAt(batch, at)
      kept.push({ ...record, data: Buffer.from(record.data) })
    }
    if (kept.length > count) kept.splice(0, kept.length - count)
  })
  for (const record of kept) await output.record(record, form, areLines)
  return code
}

async function follow(
  paths: readonly string[],
  format: string,
  from: ReadFrom,
  output: Output,
  form: OutputForm,
  cursor: CursorFile
): Promise<ExitCode> {
  const merger = new BatchMerger(new AbortController().signal)
  const report: DamageReport = emptyReport()
  for (const path of paths) {
    const context = createContext({
      from: cursor.from ?? from,
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
    merger.add(readBatches(path, format, context))
  }
  merger.close()
  for await (const batch of merger.read()) {
    await output.batch(batch, form)
    await output.flush()
    cursor.printed(batch)
    cursor.save()
  }
  return exitCodes.fine
}

// logboom verify: reads every file of a log to its end and reports damage.
import { printable } from '../base/printable.ts'
import { createContext } from '../readers/engine/context.ts'
import { findLogs } from '../readers/find-logs.ts'
import type { FileReport } from '../readers/reader.ts'
import { type Command, type ExitCode, exitCodes } from './command.ts'
import { expandInputs, formatOption, inputFormat } from './inputs.ts'
import { Output } from './output.ts'
import { Progress } from './progress.ts'
import { forEachInput, forEachLog } from './read-inputs.ts'

export const verify: Command = {
  name: 'verify',
  parameters: '<log>…',
  summary: 'check every file of a log for damage',
  description: `Compressed backups are decompressed to their end. Of a text log it reports damaged or incomplete
compression, NUL bytes (holes that a crash or a foreign truncation left), lines longer than 64 MiB, and a missing
line end at the end of a finished file; at the end of the live file that is only remarked, because it may be being
written. Nothing is modified. Exit code 2 if there is damage.`,
  options: () => ({
    json: { type: 'boolean', text: 'One JSON object per file.' },
    quiet: { type: 'boolean', short: 'q', text: 'Only name files that are damaged.' },
    ...formatOption
  }),
  examples: ['logboom verify app.log', 'logboom verify --quiet /var/log/app/*.log || alert'],
  async run(positionals, values) {
    const format = inputFormat(values)
    const paths = await expandInputs(positionals, format)
    const output = new Output()
    let found: ExitCode = exitCodes.fine
    const failed = await forEachInput(paths, async (path) => {
      const progress = await progressOf(path, format)
      const context = createContext({ reuseBuffers: true, progress: (bytes) => progress?.add(bytes) })
      try {
        return await forEachLog(path, format, async ({ reader, path: log }) => {
          for await (const report of reader.verify(log, context)) {
            progress?.end()
            if (report.damage.length > 0) found = exitCodes.damaged
            else if (values.quiet === true) continue
            await output.text(values.json === true ? `${JSON.stringify(report)}\n` : toText(report))
            await output.flush()
          }
        })
      } finally {
        progress?.end()
      }
    })
    return Math.max(found, failed) as ExitCode
  }
}

async function progressOf(path: string, format: string): Promise<Progress | undefined> {
  if (!Progress.isWanted(true)) return undefined
  let total = 0
  for (const log of (await findLogs(path, format)).logs)
    for (const { size } of await log.reader.list(log.path)) total += size
  return new Progress(total)
}

function toText({ file, records, bytes, damage, notes }: FileReport): string {
  const verdict = damage.length > 0 ? 'damaged' : 'ok'
  const lines = [`${verdict.padEnd(7)} ${file}: ${records} records, ${bytes} bytes`]
  for (const each of damage) lines.push(`        offset ${each.offset}: ${each.reason} (${each.bytes} bytes)`)
  for (const note of notes) lines.push(`        ${note}`)
  return `${lines.map(printable).join('\n')}\n`
}

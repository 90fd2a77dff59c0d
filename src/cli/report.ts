// logboom report: what is in a log, as a page to look at.
import { createContext, type DamageReport, emptyReport } from '../readers/engine/context.ts'
import { type Command, complain, type ExitCode, exitCodes, tell, UsageError } from './command.ts'
import { filterOptions, RecordFilter, remarkOn } from './find/record-filter.ts'
import { expandInputs, formatOption, inputFormat } from './inputs.ts'
import { Output } from './output.ts'
import { forEachInput, forEachLog } from './read-inputs.ts'
import { reportPage } from './report/page.ts'
import { Tally } from './report/tally.ts'

export const report: Command = {
  name: 'report',
  parameters: '<log>… > report.html',
  summary: 'make a page of what is in a log: records over time, levels, gaps, messages',
  description: `One HTML file that needs nothing else: records and bytes over time by level, the commonest messages, the
largest records, gaps of a minute and more, files and rotations, what was dropped, and damage. The log is read once, and
memory is bounded. Spans are minutes; of more than two days, longer ones. With filters, only of the records that are
wanted.`,
  options: () => ({ ...filterOptions, ...formatOption }),
  examples: ['logboom report app.log > report.html', 'logboom report --since 1d logs/ > today.html'],
  async run(positionals, values) {
    const format = inputFormat(values)
    const paths = await expandInputs(positionals, format)
    if (paths.includes('-')) throw new UsageError('a report is of logs; stdin is none')
    const filter = RecordFilter.of(values)
    const tally = new Tally()
    const found: DamageReport = emptyReport()
    let rotations = 0
    const code = await forEachInput(paths, (path) =>
      forEachLog(path, format, async ({ reader, path: log, event }) => {
        tally.nextLog()
        rotations += (await reader.list(log)).filter(({ live }) => !live).length
        const context = createContext({
          onCorrupt: 'skip-file',
          includeUnterminated: true,
          reuseBuffers: true,
          span: filter?.span,
          report: found
        })
        for await (const batch of reader.read(log, context)) {
          batch.event = event
          const kept = filter === undefined ? batch : filter.keep(batch)
          if (kept !== undefined) tally.add(kept)
        }
      })
    )
    for (const note of found.notes) tell(note)
    for (const { file, offset, reason } of found.damage)
      complain(`${file} is damaged at offset ${offset}: ${reason}`)
    const { damage, skippedBytes, notes } = found
    // A page of nothing would look like one of a log without records.
    if (code !== exitCodes.fine && tally.files.size === 0 && damage.length === 0) return code
    const madeAt = new Date().toISOString()
    const output = new Output()
    const title = paths.join(', ')
    await output.text(reportPage({ title, madeAt, tally, rotations, damage, skippedBytes, notes }))
    await output.flush()
    remarkOn(filter)
    return damage.length > 0 ? (Math.max(code, exitCodes.damaged) as ExitCode) : code
  }
}

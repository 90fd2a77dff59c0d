// logboom repair: cuts off what is no whole record, keeping a copy of the damaged file.
import { LogboomError } from '../base/errors.ts'
import { printable } from '../base/printable.ts'
import type { Command } from './command.ts'
import { expandInputs, formatOption, inputFormat } from './inputs.ts'
import { Output } from './output.ts'
import { forEachInput, forEachLog } from './read-inputs.ts'

export const repair: Command = {
  name: 'repair',
  parameters: '<log>…',
  summary: 'cut off what a crash left behind, keeping a copy of the file',
  description: `Every damaged file of the log is copied to <file>.broken first, then cut back to its last whole record. Files that
are not damaged are not touched. Writers of this package repair their own files when they open them; this is for
files that were damaged otherwise, or that nobody will write to again.`,
  options: () => ({
    json: { type: 'boolean', text: 'One JSON object per repaired file: file, copy, removedBytes.' },
    ...formatOption
  }),
  examples: ['logboom repair events.bin'],
  async run(positionals, values) {
    const format = inputFormat(values)
    const paths = await expandInputs(positionals, format)
    const output = new Output()
    const worst = await forEachInput(paths, async (path) => {
      return await forEachLog(path, format, async ({ reader, path: log }) => {
        if (reader.repair === undefined) {
          throw new LogboomError(
            'ERR_OPTION',
            `${log}: nothing in a log of format '${reader.format}' can be repaired`
          )
        }
        for (const report of await reader.repair(log)) {
          const text = `${report.file}: ${report.removedBytes} bytes cut off, copy in ${report.copy}`
          await output.text(`${values.json === true ? JSON.stringify(report) : printable(text)}\n`)
        }
      })
    })
    await output.flush()
    return worst
  }
}

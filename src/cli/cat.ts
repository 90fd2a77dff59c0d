// logboom cat: all records of logs.

import type { OnCorrupt } from '../readers/reader.ts'
import { type Command, UsageError } from './command.ts'
import { CursorFile, cursorOptions } from './cursors.ts'
import { expandInputs, formatOption, inputFormat } from './inputs.ts'
import { Output, outputForm, outputOptions } from './output.ts'
import { readInputs } from './read-inputs.ts'

const ON_CORRUPT = ['skip-file', 'stop', 'throw']

export const cat: Command = {
  name: 'cat',
  parameters: '<log>…',
  summary: 'print all records, from the oldest backup to the live file',
  description: `Each log is a file together with its backups (compressed ones too), or a folder of logs; patterns
that the shell did not expand are expanded; - is stdin. Records are printed one per line.

A damaged file does not stop it: what is intact is printed, each damage is reported on stderr, and the exit code
is 2.`,
  options: () => ({
    ...formatOption,
    ...outputOptions,
    ...cursorOptions,
    'on-corrupt': {
      type: 'string',
      value: 'what',
      text: 'At the end of a damaged file: skip-file (default) goes on with the next one, stop and throw do not.'
    }
  }),
  examples: [
    'logboom cat app.log | grep ERROR',
    'logboom cat app.log | jq -r .msg',
    'logboom cat --json logs/ | jq -c "{event, offset}"',
    'logboom cat --cursor-file seen app.log   # each time only what is new',
    'zcat old.gz | logboom cat --framed -'
  ],
  async run(positionals, values) {
    const form = outputForm(values)
    const format = inputFormat(values)
    const onCorrupt = (values['on-corrupt'] ?? 'skip-file') as OnCorrupt
    if (!ON_CORRUPT.includes(onCorrupt)) throw new UsageError(`--on-corrupt must be ${ON_CORRUPT.join(', ')}`)
    const paths = await expandInputs(positionals, format)
    const cursor = CursorFile.of(values, paths)
    const output = new Output()
    const options = {
      format,
      onCorrupt,
      includeUnterminated: !cursor.isKept,
      writesToStdout: true,
      from: cursor.from
    }
    const code = await readInputs(paths, options, async (batch) => {
      await output.batch(batch, form)
      cursor.printed(batch)
    })
    await output.flush()
    cursor.save()
    return code
  }
}

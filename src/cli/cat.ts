// logboom cat: all records of logs.

import type { OnCorrupt } from '../readers/reader.ts'
import { batchLength } from '../readers/reader.ts'
import { type Command, countOf, UsageError } from './command.ts'
import { CursorFile, cursorOptions } from './cursors.ts'
import { filterOptions, firstOf, RecordFilter, remarkOn } from './find/record-filter.ts'
import { recordShape, shapeOptions } from './find/shape.ts'
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
    ...filterOptions,
    lines: {
      type: 'string',
      short: 'n',
      value: 'count',
      text: 'Only the first so many records (of those that are wanted).'
    },
    ...shapeOptions,
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
    'logboom cat --level ">=warn" --since 2h --pretty app.log',
    'logboom cat --where req.method=POST --where "res.statusCode>=500" --fields time,req.url app.log',
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
    const filter = RecordFilter.of(values)
    let left = countOf(values, 'lines') ?? Number.POSITIVE_INFINITY
    if (left !== Number.POSITIVE_INFINITY && cursor.isKept)
      throw new UsageError('--lines and --cursor-file exclude each other')
    const output = new Output(await recordShape(values))
    const options = {
      format,
      span: filter?.span,
      onCorrupt,
      includeUnterminated: !cursor.isKept,
      writesToStdout: true,
      from: cursor.from
    }
    const code = await readInputs(left === 0 ? [] : paths, options, async (batch) => {
      const kept = filter === undefined ? batch : filter.keep(batch)
      if (kept !== undefined) {
        const length = left === Number.POSITIVE_INFINITY ? 0 : batchLength(kept)
        await output.batch(length > left ? firstOf(kept, left) : kept, form)
        left -= length
      }
      cursor.printed(batch)
      return left > 0
    })
    await output.flush()
    remarkOn(filter)
    cursor.save()
    return code
  }
}

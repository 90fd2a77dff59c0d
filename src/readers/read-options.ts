// Options of readRecords.
import * as v from 'valibot'
import { flag, type OptionsInput, oneOf, option, optionalOption, size } from '../base/options.ts'

const FROM_RULE =
  "must be 'start', 'end', the cursor of a record, an offset ≥ 0, an index (bigint) or {last: n} with n ≥ 0"
const wholeNumber = v.pipe(
  v.number(FROM_RULE),
  v.check((value) => Number.isSafeInteger(value) && value >= 0, FROM_RULE)
)

const from = v.union(
  [v.string(FROM_RULE), wholeNumber, v.bigint(FROM_RULE), v.strictObject({ last: wholeNumber }, FROM_RULE)],
  FROM_RULE
)

/** The options of `readRecords`; docs/reading.md explains them. */
export const readOptions = {
  format: option('string', v.string('must be a text'), 'auto', 'Format of the log, found out by default.'),
  from: option(
    "'start' | 'end' | cursor | number | bigint | {last: n}",
    from,
    'start',
    'Where to begin: a cursor (a text) goes on behind its record, a number is an offset in a log without backups, a bigint an index of a wal.'
  ),
  follow: option('boolean', flag, false, 'Go on with what is appended, through rotations, until stopped.'),
  onCorrupt: option(
    "'throw' | 'skip-file' | 'stop'",
    oneOf(['throw', 'skip-file', 'stop']),
    'throw',
    'What to do at the end of a damaged file, after all its intact records.'
  ),
  onLost: optionalOption(
    "'throw' | 'note'",
    oneOf(['throw', 'note']),
    "What to do where files were removed before they were read: throw `ERR_CURSOR_LOST`, or go on with a note. Default: `'throw'` behind a cursor, else `'note'`."
  ),
  includeUnterminated: option(
    'boolean',
    flag,
    false,
    'Also return what follows the last record end of the live file.'
  ),
  maxRecordBytes: option(
    'size',
    v.pipe(
      size,
      v.check((value) => value > 0, 'must be more than 0')
    ),
    '64m',
    'Longest record that is returned; a longer one is a damage. Bounds the memory.'
  ),
  signal: optionalOption(
    'AbortSignal',
    v.instance(AbortSignal, 'must be an AbortSignal'),
    'Ends the iteration, without an error.'
  )
}

export type ReadOptions = OptionsInput<typeof readOptions>

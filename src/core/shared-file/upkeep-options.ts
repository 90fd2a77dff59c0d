// The options of what happens to backups; the same for every kind of file.
import * as v from 'valibot'
import { count, duration, oneOf, option, optionalOption, optionError, size } from '../../base/options.ts'
import { type Compression, canCompress } from './compress.ts'

const COMMAND_RULE = 'must be a command: a text for the shell, or an array of a program and its arguments'
const word = v.pipe(
  v.string(COMMAND_RULE),
  v.check((value) => value.trim().length > 0 && !value.includes('\0'), COMMAND_RULE)
)
const argument = v.pipe(
  v.string(COMMAND_RULE),
  v.check((value) => !value.includes('\0'), COMMAND_RULE)
)
const command = v.union(
  [word, v.tupleWithRest([word], argument)],
  COMMAND_RULE
) as unknown as v.GenericSchema<string | readonly string[]>

/** Less is never meant, but days or seconds where a number is milliseconds; it would remove each backup at once. */
const MIN_AGE_MS = 1_000

const ageInMs = v.pipe(
  duration,
  v.check(
    (ms) => ms === 0 || ms >= MIN_AGE_MS,
    "must be 0 or at least 1s: a number is milliseconds, and days are '28d'"
  )
)

/** `files`: for which files it is run. */
export function finishedCommand(files: string) {
  return optionalOption(
    'command',
    command,
    `Run for ${files}, once or more often: a text for the shell, or an array of a program and its arguments. The variable \`LOGBOOM_FILE\` holds its path, \`LOGBOOM_LOG\` that of the log. One that fails is run again.`
  )
}

export function finishedWait(file: string) {
  return option(
    'duration',
    duration,
    '1h',
    `How long ${file} is kept for the command of \`onFinished\`, whatever the limits say.`
  )
}

export const upkeepOptions = {
  maxBackups: option('count', count, 0, 'Keep at most so many backups; 0 for all.'),
  maxAge: option('duration', ageInMs, 0, 'Remove backups older than this; 0 for never.'),
  maxTotalBytes: option(
    'size',
    size,
    0,
    'Remove the oldest backups while all of them together are larger; 0 for never.'
  ),
  maxRetainedBytes: option(
    'size',
    size,
    '1g',
    'What a consumer of the log, such as a shipper, has not got is kept beyond the limits above, until all backups together are larger than this; 0 for no bound.'
  ),
  maxRetainedAge: option(
    'duration',
    ageInMs,
    '7d',
    'The same until backups are older than this; a consumer that has not been running for so long does not count any more. 0 for no bound.'
  ),
  compress: option(
    "`false`, `'gzip'`, `'brotli'`, `'zstd'`",
    oneOf([false, 'gzip', 'brotli', 'zstd']),
    false,
    'Compress backups in the background. `zstd` needs Node 22.15 or newer.'
  ),
  onFinished: finishedCommand('each backup in its final form, so after compression'),
  finishedWait: finishedWait('a backup')
}

/** Of files whose writing can wait for room. */
export const spaceOptions = {
  minFreeBytes: option(
    'size',
    size,
    0,
    'Room that is to stay free on the file system: the oldest backups are removed for it, and when there are none left, nothing is written, and `overflow` decides. 0 for none.'
  )
}

export interface ParsedUpkeepOptions {
  readonly maxBackups: number
  /** In ms. */
  readonly maxAge: number
  readonly maxTotalBytes: number
  readonly maxRetainedBytes: number
  /** In ms. */
  readonly maxRetainedAge: number
  readonly compress: false | 'gzip' | 'brotli' | 'zstd'
  readonly onFinished?: string | readonly string[] | undefined
  /** In ms. */
  readonly finishedWait: number
}

export interface ParsedSpaceOptions {
  readonly minFreeBytes: number
}

/** Throws `ERR_OPTION` where this Node cannot compress as asked. */
export function checkUpkeepOptions(kind: string, { compress }: { compress: unknown }): void {
  if (compress === false || canCompress(compress as Compression)) return
  const rule = `cannot be 'zstd' with Node ${process.versions.node}; it needs 22.15 or newer`
  throw optionError(kind, 'compress', rule, compress)
}

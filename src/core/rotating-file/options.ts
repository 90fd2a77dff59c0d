// Options of the rotating-file sink.
import * as v from 'valibot'
import { requireNameRoom } from '../../base/file-name.ts'
import {
  bytes,
  duration,
  flag,
  type OptionsInput,
  type OptionsOutput,
  option,
  optionalOption,
  optionError,
  parseOptions,
  path,
  requiredOption,
  size
} from '../../base/options.ts'
import { checkUpkeepOptions, upkeepOptions } from '../shared-file/upkeep-options.ts'
import { commonOptions, laneOptions, lockOptions, refuseLockWithoutKernel } from '../sink/common-options.ts'
import { isTimeZone, type RotateEvery } from './period.ts'

const ROTATE_EVERY_RULE = "must be 'hourly', 'daily', 'weekly' or a duration of at least 1s"

const rotateEvery = v.pipe(
  v.unknown(),
  v.transform((value): unknown => {
    if (value === 'hourly' || value === 'daily' || value === 'weekly') return value
    const result = v.safeParse(duration, value)
    return result.success && result.output >= 1000 ? result.output : undefined
  }),
  v.check((value) => value !== undefined, ROTATE_EVERY_RULE)
) as unknown as v.GenericSchema<string | number, RotateEvery>

const prefix = v.union([v.string(), bytes], 'must be a text or bytes')

export const rotatingFileOptions = {
  path: requiredOption('path', path, 'The file to write to.'),
  maxBytes: option(
    'size',
    size,
    '10m',
    'A file never gets larger, unless it holds a single line that is longer; 0 for no limit.'
  ),
  rotateEvery: optionalOption(
    "`'hourly'`, `'daily'`, `'weekly'`, duration",
    rotateEvery,
    'Rotate at these boundaries of the wall clock, too. Weeks begin on Monday.'
  ),
  timeZone: option(
    "`'UTC'`, `'local'`, IANA name",
    v.pipe(
      v.string('must be a time zone'),
      v.check(isTimeZone, "must be 'UTC', 'local' or an IANA time zone")
    ),
    'UTC',
    'The wall clock of `rotateEvery`. Names of backups are always in UTC.'
  ),
  ...upkeepOptions,
  prefix: optionalOption('text or bytes', prefix, 'Put before every line.'),
  ...lockOptions,
  ...laneOptions,
  fsyncOnRotate: option(
    'boolean',
    flag,
    true,
    'Sync every finished file to disk, in the background. Without it `flush("disk")` covers the present file only, unless `durability` is `\'disk\'`.'
  ),
  ...commonOptions({ durability: 'os', flushInterval: '10ms' })
}

/** Options of `RotatingFile` and of the transports of kind `rotating-file`. */
export type RotatingFileOptions = OptionsInput<typeof rotatingFileOptions>
export type ParsedRotatingFileOptions = OptionsOutput<typeof rotatingFileOptions>

/** Checks options and what they need of this machine. Throws `ERR_OPTION` or `ERR_UNSUPPORTED`. */
export function parseRotatingFileOptions(input: unknown): ParsedRotatingFileOptions {
  const options = parseOptions('rotating-file', rotatingFileOptions, input)
  const refuse = (name: keyof ParsedRotatingFileOptions, rule: string) =>
    optionError('rotating-file', name, rule, options[name])
  checkUpkeepOptions('rotating-file', options)
  requireNameRoom('rotating-file', 'path', options.path)
  if (options.maxBufferBytes === 0) throw refuse('maxBufferBytes', 'must be at least 1')
  if (typeof options.prefix === 'string' ? options.prefix.includes('\n') : options.prefix?.includes(10)) {
    throw refuse('prefix', 'must not contain a newline')
  }
  if (options.timeZone !== 'UTC' && options.rotateEvery === undefined) {
    throw refuse('timeZone', "has no meaning without 'rotateEvery'")
  }
  refuseLockWithoutKernel('rotating-file', input)
  if (options.statistics && !options.lock)
    throw optionError('rotating-file', 'statistics', "needs 'lock'", options.statistics)
  return options
}

// Options of the rotating-file sink.
import { basename, join, resolve } from 'node:path'
import * as v from 'valibot'
import { MAX_NAME_BYTES, requireNameRoom } from '../../base/file-name.ts'
import {
  bytes,
  duration,
  flag,
  folder,
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
import { BackupPattern, faultOfPattern } from '../../formats/backup-pattern.ts'
import { checkStartOptions, startOptions } from '../shared-file/start-options.ts'
import { checkUpkeepOptions, spaceOptions, upkeepOptions } from '../shared-file/upkeep-options.ts'
import { commonOptions, laneOptions, lockOptions, refuseLockWithoutKernel } from '../sink/common-options.ts'
import { isCronPattern } from './cron-periods.ts'
import { isTimeZone, type RotateEvery } from './period.ts'

const PERIODS: readonly unknown[] = ['hourly', 'daily', 'weekly', 'monthly', 'yearly']
const ROTATE_EVERY_RULE =
  "must be 'hourly', 'daily', 'weekly', 'monthly', 'yearly' or a duration of at least 1s"
/** What comes behind the name of a backup while it is compressed: `.zst.tmp`. */
const COMPRESSING_BYTES = 8
/** One page, so that a kill cannot tear it. */
const MAX_HEADER_BYTES = 4096

const rotateEvery = v.pipe(
  v.unknown(),
  v.transform((value): unknown => {
    if (PERIODS.includes(value)) return value
    const result = v.safeParse(duration, value)
    return result.success && result.output >= 1000 ? result.output : undefined
  }),
  v.check((value) => value !== undefined, ROTATE_EVERY_RULE)
) as unknown as v.GenericSchema<string | number, RotateEvery>

const header = v.pipe(
  v.string('must be a text'),
  v.check((value) => value.length > 0, 'must not be empty'),
  v.transform((value) => (value.endsWith('\n') ? value : `${value}\n`)),
  v.check(
    (value) => Buffer.byteLength(value) <= MAX_HEADER_BYTES,
    `must not be longer than ${MAX_HEADER_BYTES} bytes`
  )
)

const backupName = v.pipe(
  v.string('must be a pattern'),
  v.check(
    (value) => faultOfPattern(value) === undefined,
    ({ input }) => faultOfPattern(input as string) ?? ''
  )
)

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
    "`'hourly'`, `'daily'`, `'weekly'`, `'monthly'`, `'yearly'`, duration",
    rotateEvery,
    'Rotate at these boundaries of the wall clock, too. Weeks begin on Monday.'
  ),
  rotateAt: optionalOption(
    'cron pattern',
    v.pipe(
      v.string("must be a cron pattern, such as '30 4 * * *'"),
      v.check(isCronPattern, "must be a cron pattern, such as '30 4 * * *'")
    ),
    'Rotate at the times of a cron pattern, in place of `rotateEvery`: minute, hour, day, month, weekday, with seconds before them if there are six fields.'
  ),
  timeZone: option(
    "`'UTC'`, `'local'`, IANA name",
    v.pipe(
      v.string('must be a time zone'),
      v.check(isTimeZone, "must be 'UTC', 'local' or an IANA time zone")
    ),
    'UTC',
    'The wall clock of `rotateEvery` and `rotateAt`. Names of backups are always in UTC.'
  ),
  backupName: optionalOption(
    'pattern',
    backupName,
    'How backups are called, such as `{stem}-%Y-%m-%d.%i{ext}`; see below. Default: `{name}.%Y%m%d-%H%M%S.%i`.'
  ),
  backupDir: optionalOption(
    'path',
    folder,
    'The folder of backups, on the same file system. Default: that of the file.'
  ),
  ...startOptions,
  ...upkeepOptions,
  ...spaceOptions,
  prefix: optionalOption('text or bytes', prefix, 'Put before every line.'),
  header: optionalOption(
    'text',
    header,
    'Whole lines that each file begins with, at most 4096 bytes; counted within `maxBytes`. Readers show them as the lines they are.'
  ),
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
  checkStartOptions('rotating-file', options)
  checkUpkeepOptions('rotating-file', options)
  requireNameRoom('rotating-file', 'path', options.path)
  if (options.backupName !== undefined) checkBackupName(options.path, options.backupName)
  if (options.backupDir !== undefined) checkBackupDir(options.backupDir)
  if (options.maxBufferBytes === 0) throw refuse('maxBufferBytes', 'must be at least 1')
  if (typeof options.prefix === 'string' ? options.prefix.includes('\n') : options.prefix?.includes(10)) {
    throw refuse('prefix', 'must not contain a newline')
  }
  if (options.rotateAt !== undefined && options.rotateEvery !== undefined) {
    throw refuse('rotateAt', "and 'rotateEvery' both say when to rotate; give one of them")
  }
  if (options.timeZone !== 'UTC' && options.rotateEvery === undefined && options.rotateAt === undefined) {
    throw refuse('timeZone', "has no meaning without 'rotateEvery' or 'rotateAt'")
  }
  const { maxBytes } = options
  if (options.header !== undefined && maxBytes > 0 && Buffer.byteLength(options.header) >= maxBytes) {
    throw refuse('header', `must be shorter than 'maxBytes' (${maxBytes})`)
  }
  refuseLockWithoutKernel('rotating-file', input)
  if (options.statistics && !options.lock)
    throw optionError('rotating-file', 'statistics', "needs 'lock'", options.statistics)
  return options
}

function checkBackupName(path: string, backupName: string): void {
  const pattern = new BackupPattern(backupName, basename(path))
  if (pattern.maxBytes <= MAX_NAME_BYTES - COMPRESSING_BYTES) return
  throw optionError('rotating-file', 'backupName', 'gives names that are longer than 255 bytes', backupName)
}

/** The names of backups have room in any folder; their paths need not. */
function checkBackupDir(backupDir: string): void {
  const name = 'backup'
  const path = join(resolve(backupDir), name)
  requireNameRoom('rotating-file', 'backupDir', path, MAX_NAME_BYTES - name.length)
}

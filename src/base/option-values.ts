// The kinds of values that options take, each with its units and its rule: sizes, durations, counts, paths, permissions.
import { basename, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import parseBytes from 'bytes'
import parseDuration from 'ms'
import * as v from 'valibot'
import { asBytes } from './bytes.ts'
import { STANDARD_STREAMS } from './foreign-options.ts'

const SIZE = /^(\d+(?:\.\d+)?) ?(b|kb?|mb?|gb?)?$/i
/** Not `M`: in other packages that is a month. */
const DURATION = /^\d+(?:\.\d+)? ?(?:ms|MS|[smhdwSHDW])$/

function sizeFromText(text: string): number {
  const match = SIZE.exec(text)
  if (match === null) return Number.NaN
  const unit = (match[2] ?? 'b').toLowerCase()
  return parseBytes(`${match[1]}${unit.length === 1 && unit !== 'b' ? `${unit}b` : unit}`) ?? Number.NaN
}

/** A size in bytes: an integer ≥ 0 or text such as '64k', '10m', '1g' (powers of 1024). */
export const size = v.pipe(
  v.union([v.number(), v.string()], "must be a number of bytes or a text such as '64k', '10m', '1g'"),
  v.transform((value) => (typeof value === 'string' ? sizeFromText(value) : value)),
  v.check(
    (value) => Number.isSafeInteger(value) && value >= 0,
    "must be a whole number of bytes ≥ 0 or a text such as '64k', '10m', '1g'"
  )
)

/** A duration in ms: a number ≥ 0 or text such as '100ms', '10s', '5m', '1h', '7d'. */
export const duration = v.pipe(
  v.union(
    [v.number(), v.string()],
    "must be a number of milliseconds or a text such as '100ms', '10s', '5m', '1h', '7d'"
  ),
  v.transform((value) => {
    if (typeof value === 'number') return value
    return DURATION.test(value) ? parseDuration(value as parseDuration.StringValue) : Number.NaN
  }),
  v.check(
    (value) => Number.isFinite(value) && value >= 0,
    "must be milliseconds ≥ 0 or a text such as '100ms', '10s', '5m', '1h', '7d'"
  )
)

/** Timers of Node wait no longer, a good 24 days; with more they fire at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1

/** A duration that a timer waits for. */
export const delay = v.pipe(
  duration,
  v.transform((ms) => Math.min(ms, MAX_TIMER_MS))
)

/** A count: an integer ≥ 0. */
export const count = v.pipe(
  v.number('must be a whole number ≥ 0'),
  v.check((value) => Number.isSafeInteger(value) && value >= 0, 'must be a whole number ≥ 0')
)

/** Bytes: a Buffer or a Uint8Array. */
export const bytes = v.pipe(
  v.custom<Uint8Array>((value) => asBytes(value) !== undefined, 'must be bytes'),
  v.transform((value) => asBytes(value) as Uint8Array)
)

export const flag = v.boolean('must be true or false')

const PATH_RULE = 'must be a path: a text or a file: URL'

/** As a path it would make a folder `file:`. */
const URL_AS_TEXT = /^[a-z][a-z\d+.-]+:\/\//i

/** The path of a folder: a text that is not empty and without NUL, or a `file:` URL. */
export const folder = v.pipe(
  v.union([v.string(), v.instance(URL)], ({ input }) =>
    typeof input === 'number' ? `${PATH_RULE}; ${STANDARD_STREAMS}` : PATH_RULE
  ),
  v.transform((value) => (typeof value === 'string' ? value : pathOfUrl(value))),
  v.check((value) => value !== undefined, PATH_RULE),
  v.transform((value) => value as string),
  v.check((value) => value.length > 0 && !value.includes('\0'), 'must be a non-empty path without NUL'),
  v.check((value) => !URL_AS_TEXT.test(value), `${PATH_RULE}; a URL as text is neither: new URL(…)`),
  v.check(
    (value) => !value.startsWith('~/'),
    "must not begin with '~/', which only shells know: give the folder itself, join(homedir(), …)"
  )
)

/** The path of a file: the same, and not one that can only be a folder, a stream, or a pattern. */
export const path = v.pipe(
  folder,
  v.check((value) => !isStandardStream(value), `must name a file, not a stream: ${STANDARD_STREAMS}`),
  v.check(
    (value) => !namesFolder(value),
    "must name a file, not a folder: folder and file name, 'logs/app.log'"
  ),
  v.check(
    (value) => !DATED.test(value),
    "must not contain %DATE% or another date pattern: the live file keeps its name, and `rotateEvery: 'daily'` puts the date into that of the backup"
  )
)

/** As winston-daily-rotate-file, moment and strftime(3) write dates. */
const DATED = /%DATE%|YYYY.?MM|%Y.?%m/i

/** Undefined unless it is a `file:` URL. */
export function pathOfUrl(url: URL): string | undefined {
  try {
    return fileURLToPath(url)
  } catch {
    return undefined
  }
}

/** Whether a path is one of the names that a process has for its own streams, or another one's. */
export function isStandardStream(value: string): boolean {
  return value === '-' || /^\/(dev\/(std(in|out|err)|fd\/\d+|tty)|proc\/[^/]+\/fd\/\d+)$/.test(resolve(value))
}

function namesFolder(value: string): boolean {
  const name = basename(value)
  if (name === '.' || name === '..' || value.endsWith('/')) return true
  return process.platform === 'win32' && value.endsWith('\\')
}

export function oneOf<const T extends readonly (string | false)[]>(values: T) {
  const list = values.map((value) => (value === false ? 'false' : `'${value}'`)).join(', ')
  return v.picklist(values as unknown as string[], `must be one of ${list}`) as unknown as v.GenericSchema<
    T[number]
  >
}

const MODE_RULE = "must be permission bits given in octal, as a number (0o640) or a text ('0640')"

// 400, 440, 444 and 500 are the decimals below 0o777 whose digits spell a common mode.
const DECIMAL_MISTAKES = new Set([400, 440, 444, 500])

/** Permission bits. A decimal such as 640 is refused: as bits it is 0o1200, never what was meant. */
export const permissions = v.pipe(
  v.union([v.number(), v.string()], MODE_RULE),
  v.check((value) => typeof value === 'number' || /^(0o?)?[0-7]{3}$/.test(value), MODE_RULE),
  v.transform((value) => (typeof value === 'number' ? value : Number.parseInt(value.replace(/^0o/, ''), 8))),
  v.check(
    (value) => Number.isInteger(value) && value >= 0 && value <= 0o777 && !DECIMAL_MISTAKES.has(value),
    `${MODE_RULE}; a decimal such as 640 is a mistake`
  ),
  v.check((value) => value !== 0, 'must not be 0: nobody could read what is written')
)

export const durability = oneOf(['none', 'os', 'disk'])

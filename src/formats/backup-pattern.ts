// Names of backups by a pattern of the user, such as `{stem}-%Y-%m-%d.%i{ext}`: `{name}` is the name of the log,
// `{stem}` and `{ext}` are its parts; `%Y %m %d %H %M %S` the time of the rotation in UTC as strftime(3) writes it, down
// to any unit, `%i` the number that tells backups of one such unit apart, `%%` a percent sign. Behind it `.gz`, `.br` or
// `.zst` once compressed. A name that a pattern gives is read back as exactly the time and number it was made of, and as
// a backup of no other log: a pattern begins with the name of the log, a character that is no digit follows, and nothing
// but the number has no fixed length.
import { parse as parsePath } from 'node:path'
import {
  type Backup,
  type BackupCompression,
  type BackupName,
  COMPRESSED,
  groupNames,
  MAX_BACKUP_NUMBER,
  MAX_BACKUP_STAMP,
  stampOf
} from './backup-name.ts'
import { lockFileName } from './lock-file.ts'

const TOKEN = /\{(?:name|stem|ext)\}|%./g
/** From the coarsest to the finest: each needs those before it. */
const UNITS = ['%Y', '%m', '%d', '%H', '%M', '%S'] as const
/** What is behind names of files that are no backups; of finished ones the compression comes behind the pattern. */
const RESERVED_END = /\.(?:gz|br|zst|tmp|lock)$/i

/** What keeps `pattern` from being one, to go on behind its name; undefined if nothing does. */
export function faultOfPattern(pattern: string): string | undefined {
  if (!/^\{(?:name|stem)\}/.test(pattern)) return 'must begin with {stem} or {name}, the name of the log'
  if (/[/\\\0\n]/.test(pattern)) return "must be the name of a file, without folder: that is 'backupDir'"
  const tokens = pattern.match(TOKEN) ?? []
  const foreign = tokens.find((token) => !isKnown(token))
  if (foreign !== undefined || /%$/.test(pattern))
    return `holds ${foreign ?? '%'}, which means nothing: %Y %m %d %H %M %S, %i and %% do`
  if (/[{}]/.test(pattern.replaceAll(TOKEN, '')))
    return 'holds braces that are not those of {stem}, {ext} or {name}'
  const counted = tokens.filter((token) => token !== '%%')
  if (new Set(counted).size < counted.length) return 'must not hold anything twice'
  if (!counted.includes('%i')) return 'must hold %i, the number that tells backups apart'
  const names = counted.filter((token) => token.startsWith('{'))
  const isWhole = names.includes('{name}') ? names.length === 1 : names.length === 2
  if (!isWhole) return 'must hold {name}, or both {stem} and {ext}, so that it tells logs apart'
  const missing = UNITS.find(
    (unit, at) => !counted.includes(unit) && UNITS.slice(at).some((each) => counted.includes(each))
  )
  if (missing !== undefined) return `must hold ${missing}, too, as it holds a part of the time that is finer`
  if (/^\{(?:name|stem)\}(?:\d|%[^%]|\{)/.test(pattern))
    return 'must have a character that is no digit behind the name of the log'
  if (RESERVED_END.test(pattern)) return 'must not end as other files do: .gz, .br, .zst, .tmp or .lock'
  return undefined
}

function isKnown(token: string): boolean {
  return token.startsWith('{') || token === '%i' || token === '%%' || UNITS.some((unit) => unit === token)
}

/** The pattern of one log. */
export class BackupPattern {
  readonly #pattern: string
  readonly #base: string
  readonly #expression: RegExp
  /** What the groups of the expression are. */
  readonly #fields: readonly string[]
  /** How many of the units there are. */
  readonly #units: number

  /** `base`: the name of the log, without folder. The pattern must have no fault. */
  constructor(pattern: string, base: string) {
    this.#pattern = pattern
    this.#base = base
    const fields: string[] = []
    let expression = ''
    let at = 0
    for (const match of pattern.matchAll(TOKEN)) {
      expression += quoted(pattern.slice(at, match.index))
      at = match.index + match[0].length
      const [token] = match
      if (token === '%%') expression += '%'
      else if (token.startsWith('{')) expression += quoted(this.#nameOf(token))
      else {
        fields.push(token)
        expression += token === '%i' ? '(0|[1-9]\\d{0,8})' : token === '%Y' ? '(\\d{4})' : '(\\d{2})'
      }
    }
    this.#expression = new RegExp(`^${expression}${quoted(pattern.slice(at))}$`, 's')
    this.#fields = fields
    this.#units = UNITS.filter((unit) => fields.includes(unit)).length
  }

  /** Whether names tell the time to the second. */
  get isExact(): boolean {
    return this.#units === UNITS.length
  }

  /** The longest name there is, in bytes, without compression. */
  get maxBytes(): number {
    return Buffer.byteLength(this.format(MAX_BACKUP_STAMP, MAX_BACKUP_NUMBER))
  }

  format(unixSeconds: number, number: number, compression: BackupCompression = ''): string {
    const stamp = Math.min(Math.max(Math.floor(unixSeconds), 0), MAX_BACKUP_STAMP)
    const [year, month, day, hour, minute, second] = new Date(stamp * 1000).toISOString().split(/[-T:.Z]/)
    const values: Record<string, string> = {
      '%Y': year,
      '%m': month,
      '%d': day,
      '%H': hour,
      '%M': minute,
      '%S': second,
      '%i': String(number),
      '%%': '%'
    }
    const name = this.#pattern.replaceAll(TOKEN, (token) => values[token] ?? this.#nameOf(token))
    return compression === '' ? name : `${name}.${compression}`
  }

  /** The parts of `name` if it is a backup, else undefined. Its time is the beginning of the unit. */
  parse(name: string): BackupName | undefined {
    const [, suffix = ''] = COMPRESSED.exec(name) ?? []
    const compression = suffix as BackupCompression
    const plain = suffix === '' ? name : name.slice(0, -suffix.length - 1)
    const match = this.#expression.exec(plain)
    if (match === null) return undefined
    const fieldOf = (token: string): number | undefined => {
      const at = this.#fields.indexOf(token)
      return at === -1 ? undefined : Number(match[at + 1])
    }
    const stamp = this.#stampOf(UNITS.map(fieldOf))
    return stamp === undefined ? undefined : { stamp, number: fieldOf('%i')!, compression }
  }

  /** The beginning of the unit that holds a time, both in seconds since 1970. */
  unitOf(unixSeconds: number): number {
    const date = new Date(unixSeconds * 1000)
    const parts = [
      date.getUTCFullYear(),
      date.getUTCMonth(),
      date.getUTCDate(),
      date.getUTCHours(),
      date.getUTCMinutes(),
      date.getUTCSeconds()
    ].map((part, at) => (at < this.#units ? part : at === 2 ? 1 : 0))
    if (this.#units === 0) return 0
    return Date.UTC(parts[0], parts[1], parts[2], parts[3], parts[4], parts[5]) / 1000
  }

  /** The backups among the names of a folder, oldest first, each once; what is a log itself, with a lock, is none. */
  group(names: Iterable<string>): Backup[] {
    const all = new Set(names)
    return groupNames(all, (name) => {
      const parsed = this.parse(name)
      return parsed !== undefined && all.has(lockFileName(name)) ? undefined : parsed
    })
  }

  #stampOf(values: readonly (number | undefined)[]): number | undefined {
    if (this.#units === 0) return 0
    const [year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0] = values
    return stampOf(year, month, day, hour, minute, second)
  }

  #nameOf(token: string): string {
    const { name, ext } = parsePath(this.#base)
    return token === '{name}' ? this.#base : token === '{stem}' ? name : ext
  }
}

function quoted(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')
}

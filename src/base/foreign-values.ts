// What a value that was refused is called here: units, words and notations of other packages.
import { plainName } from './plain-name.ts'

/** The value that was probably meant, as it is written here; undefined if there is no telling. */
export function similarValue(name: string, value: unknown, rule: string): string | undefined {
  const text = typeof value === 'string' ? value.trim().toLowerCase() : undefined
  // An object would be asked how it is written, and may not answer.
  const written = text ?? (typeof value === 'object' || typeof value === 'function' ? '' : String(value))
  if (name === 'maxBackups' && text !== undefined && /^\d+ ?[smhdw]$/.test(text)) return `maxAge: '${text}'`
  if (NO_BOUND_IS_0.has(name) && isNoBound(value, text)) return '0'
  const word = find(words[name], written)
  if (word !== undefined) return word
  if (typeof value === 'string' && /^\d+ ?M$/.test(value) && /duration|milliseconds/.test(rule)) {
    const number = Number.parseInt(value, 10)
    const months = name === 'rotateEvery' && number === 1 ? 'monthly' : `${30 * number}d`
    return `'${number}m' for minutes or '${months}' for months`
  }
  if (rule.startsWith('must be one of')) return choice(rule, text)
  if (name === 'rotateEvery') return text === undefined ? undefined : period(value as string)
  if (name === 'timeZone') return text === undefined ? undefined : zone(text)
  if (rule.includes('permission bits')) return permissions(value, written)
  if (rule.includes('true or false')) return find(flags, written)
  if (rule.includes('bytes')) return text === undefined ? undefined : size(text)
  if (rule.includes('milliseconds')) return text === undefined ? undefined : duration(text)
  if (rule.includes('a whole number') && text !== undefined && /^\d+$/.test(text)) return text
  return undefined
}

const NO_BOUND_IS_0 = new Set(['maxBytes', 'maxBackups', 'maxAge', 'maxTotalBytes'])
const NO_BOUND = new Set(['unlimited', 'infinity', 'infinite', 'never', 'none', 'no', 'off', 'all', '-1'])

function isNoBound(value: unknown, text: string | undefined): boolean {
  if (text !== undefined) return NO_BOUND.has(text)
  return value === false || value === null || value === Number.POSITIVE_INFINITY || value === -1
}

/** Words for values, by option; booleans by their text. */
const words: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  compress: {
    true: "'gzip'",
    gz: "'gzip'",
    '.gz': "'gzip'",
    zip: "'gzip'",
    zlib: "'gzip'",
    deflate: "'gzip'",
    br: "'brotli'",
    '.br': "'brotli'",
    zst: "'zstd'",
    '.zst': "'zstd'",
    zstandard: "'zstd'",
    none: 'false',
    off: 'false',
    no: 'false',
    null: 'false'
  },
  durability: {
    true: "'disk'",
    sync: "'disk'",
    fsync: "'disk'",
    fdatasync: "'disk'",
    full: "'disk'",
    safe: "'disk'",
    durable: "'disk'",
    false: "'os'",
    write: "'os'",
    kernel: "'os'",
    async: "'none'",
    memory: "'none'",
    buffer: "'none'"
  },
  overflow: {
    drop: "'drop-newest'",
    discard: "'drop-newest'",
    ignore: "'drop-newest'",
    wait: "'block'",
    pause: "'block'",
    backpressure: "'block'"
  },
  directIO: { true: "'require'", false: "'off'" },
  fallback: { true: "'stderr'", console: "'stderr'", null: 'false', none: 'false' },
  timeZone: {
    true: "'UTC'",
    false: "'local'",
    0: "'UTC'",
    local: "'local'",
    localtime: "'local'",
    'local time': "'local'",
    system: "'local'",
    z: "'UTC'"
  },
  rotateEvery: {
    second: "'1s'",
    minute: "'1m'",
    hour: "'hourly'",
    hours: "'hourly'",
    h: "'hourly'",
    day: "'daily'",
    days: "'daily'",
    d: "'daily'",
    date: "'daily'",
    midnight: "'daily'",
    'every day': "'daily'",
    hourly: "'hourly'",
    daily: "'daily'",
    weekly: "'weekly'",
    week: "'weekly'",
    month: "'monthly'",
    months: "'monthly'",
    monthly: "'monthly'",
    year: "'yearly'",
    years: "'yearly'",
    yearly: "'yearly'",
    annually: "'yearly'"
  }
}

const flags: Readonly<Record<string, string>> = {
  true: 'true',
  yes: 'true',
  on: 'true',
  1: 'true',
  false: 'false',
  no: 'false',
  off: 'false',
  0: 'false',
  null: 'false'
}

function find(table: Readonly<Record<string, string>> | undefined, key: string): string | undefined {
  return table !== undefined && Object.hasOwn(table, key) ? table[key] : undefined
}

/** One that is spelt differently, or the only one that begins like this. */
function choice(rule: string, text: string | undefined): string | undefined {
  if (text === undefined || text === '') return undefined
  const choices = [...rule.matchAll(/'([^']+)'/g)].map(([, each]) => each)
  const same = choices.find((each) => plainName(each) === plainName(text))
  const alike = choices.filter((each) => plainName(each).startsWith(plainName(text)))
  const found = same ?? (alike.length === 1 ? alike[0] : undefined)
  return found === undefined ? undefined : `'${found}'`
}

/** The finest unit of a pattern such as `YYYY-MM-DD` is how often a name by it changes. */
const units: readonly (readonly [RegExp, string])[] = [
  [/s/, "'1s'"],
  [/m/, "'1m'"],
  [/h/i, "'hourly'"],
  [/d/i, "'daily'"],
  [/w/i, "'weekly'"],
  [/m/i, "'monthly'"],
  [/y/i, "'yearly'"]
]

function period(value: string): string | undefined {
  const tokens = value.replaceAll(/\[[^\]]*\]|[^A-Za-z]/g, '')
  if (/^[YyMDdHhmsSWwEAZ]+$/.test(tokens) && /(yy|dd|hh|mm|ww)/i.test(tokens)) {
    return units.find(([pattern]) => pattern.test(tokens))?.[1]
  }
  return duration(value.trim().toLowerCase())
}

/** Offsets are names there are, with the other sign. */
function zone(text: string): string | undefined {
  const match = /^(?:utc|gmt)? ?([+-])0?(\d{1,2})(?::?00)?$/.exec(text)
  return match === null ? undefined : `'Etc/GMT${match[1] === '+' ? '-' : '+'}${match[2]}'`
}

function permissions(value: unknown, written: string): string | undefined {
  if (typeof value === 'number') return /^[0-7]{3}$/.test(written) ? `0o${value}` : undefined
  const match = /^-?((?:[r-][w-][x-]){3})$/.exec(written)
  if (match === null) return undefined
  const bits = Number.parseInt([...match[1]].map((letter) => (letter === '-' ? 0 : 1)).join(''), 2)
  return `'0${bits.toString(8).padStart(3, '0')}'`
}

const SIZE = /^([\d_,]+(?:\.\d+)?) *(?:([kmgt])(?:i?b|(?:ilo|ega|iga|era|ibi|ebi|obi)?bytes?)?|b|bytes?)?$/

function size(text: string): string | undefined {
  if (/^\d+e\d+$/.test(text)) return safe(Number(text))
  const match = SIZE.exec(text)
  if (match === null || !/^\d+(?:[_,]\d{3})*(?:\.\d+)?$/.test(match[1])) return undefined
  const number = match[1].replaceAll(/[_,]/g, '')
  if (match[2] === undefined) return safe(Number(number))
  return match[2] === 't' ? `'${Number(number) * 1024}g'` : `'${number}${match[2]}'`
}

function safe(number: number): string | undefined {
  return Number.isSafeInteger(number) ? String(number) : undefined
}

const DURATION = /^p?(\d+(?:\.\d+)?) *([a-z]+)$/
const durations: Readonly<Record<string, string>> = {
  ms: 'ms',
  msec: 'ms',
  msecs: 'ms',
  millisecond: 'ms',
  milliseconds: 'ms',
  s: 's',
  sec: 's',
  secs: 's',
  second: 's',
  seconds: 's',
  m: 'm',
  min: 'm',
  mins: 'm',
  minute: 'm',
  minutes: 'm',
  h: 'h',
  hr: 'h',
  hrs: 'h',
  hour: 'h',
  hours: 'h',
  d: 'd',
  day: 'd',
  days: 'd',
  w: 'w',
  week: 'w',
  weeks: 'w'
}
/** What has no length of its own, in days. */
const days: Readonly<Record<string, number>> = {
  month: 30,
  months: 30,
  mo: 30,
  y: 365,
  year: 365,
  years: 365
}

function duration(text: string): string | undefined {
  if (/^\d+$/.test(text)) return text
  const match = DURATION.exec(text)
  if (match === null) return undefined
  const [, number, unit] = match
  if (Object.hasOwn(durations, unit)) return `'${number}${durations[unit]}'`
  return Object.hasOwn(days, unit) ? `'${Number(number) * days[unit]}d'` : undefined
}

// Levels of pino, bunyan, winston, npm and syslog on one scale: that of pino's numbers.
import { similar } from '../../base/similar.ts'
import { UsageError } from '../command.ts'
import { fieldAt } from './fields.ts'

/** Those between two of pino's keep their order to both. */
const NUMBERS: Readonly<Record<string, number>> = {
  trace: 10,
  silly: 10,
  debug: 20,
  verbose: 23,
  http: 27,
  info: 30,
  informational: 30,
  notice: 35,
  warn: 40,
  warning: 40,
  error: 50,
  err: 50,
  critical: 55,
  crit: 55,
  fatal: 60,
  alert: 60,
  emerg: 60,
  emergency: 60,
  panic: 60
}
const FIELDS = ['level', 'severity', 'log.level', 'lvl']
const CONDITION = /^(>=|<=|!=|=|>|<)?\s*(.+)$/s
/** winston's colorize() puts them around the name. */
const COLOURS = /\x1b\[[\d;]*m/g

/** The level of a record as a number of pino; undefined if it has none, or one that is not known. */
export function levelOf(record: object): number | undefined {
  for (const field of FIELDS) {
    const level = levelNumber(fieldAt(record, field))
    if (level !== undefined) return level
  }
  return undefined
}

/** Whether a level is wanted, from texts such as 'warn', '30', '>=warn' or 'warn,fatal'. */
export function parseLevels(texts: readonly string[]): (level: number) => boolean {
  const conditions = texts.flatMap((text) => text.split(',')).map((text) => parseCondition(text.trim()))
  return (level) => conditions.some((condition) => condition(level))
}

function parseCondition(text: string): (level: number) => boolean {
  const [, comparison = '=', name = ''] = CONDITION.exec(text) ?? []
  const wanted = levelNumber(name)
  if (wanted === undefined) throw unknownLevel(name)
  if (comparison === '>=') return (level) => level >= wanted
  if (comparison === '<=') return (level) => level <= wanted
  if (comparison === '>') return (level) => level > wanted
  if (comparison === '<') return (level) => level < wanted
  return comparison === '=' ? (level) => level === wanted : (level) => level !== wanted
}

function unknownLevel(name: string): UsageError {
  const meant = similar(name, Object.keys(NUMBERS))
  const hint = meant === undefined ? '' : `; did you mean ${meant}?`
  const rule = `--level must be a name such as warn, a number of pino, or a comparison such as '>=warn'`
  return new UsageError(
    `${rule}, got ${JSON.stringify(name)}${hint} (levels with names of their own: --where level=${name || 'name'})`
  )
}

function levelNumber(value: unknown): number | undefined {
  if (typeof value === 'number') return value
  if (typeof value !== 'string') return undefined
  const name = value.replace(COLOURS, '').trim().toLowerCase()
  if (/^\d+(\.\d+)?$/.test(name)) return Number(name)
  return Object.hasOwn(NUMBERS, name) ? NUMBERS[name] : undefined
}

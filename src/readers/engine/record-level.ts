// Levels of pino, bunyan, winston, npm and syslog on one scale: that of pino's numbers.
import { levels } from '../../base/levels.ts'

/** Those between two of pino's keep their order to both. */
export const levelNumbers: Readonly<Record<string, number>> = {
  ...levels,
  silly: levels.trace,
  verbose: 23,
  http: 27,
  informational: levels.info,
  notice: 35,
  warning: levels.warn,
  err: levels.error,
  critical: 55,
  crit: 55,
  alert: levels.fatal,
  emerg: levels.fatal,
  emergency: levels.fatal,
  panic: levels.fatal
}
/** In the order in which they are tried; ECS has a field of that name, or one in `log`. */
const FIELDS = ['level', 'severity', 'log.level', 'lvl']
/** winston's colorize() puts them around the name. */
export const COLOURS = /\x1b\[[\d;]*m/g

/** The level of a record as a number of pino; undefined if it has none, or one that is not known. */
export function levelOf(record: object): number | undefined {
  for (const field of FIELDS) {
    const level = levelNumber(fieldOf(record, field))
    if (level !== undefined) return level
  }
  return undefined
}

export function levelNumber(value: unknown): number | undefined {
  if (typeof value === 'number') return value
  if (typeof value !== 'string') return undefined
  const name = value.replace(COLOURS, '').trim().toLowerCase()
  if (/^\d+(\.\d+)?$/.test(name)) return Number(name)
  return Object.hasOwn(levelNumbers, name) ? levelNumbers[name] : undefined
}

function fieldOf(record: object, field: string): unknown {
  if (Object.hasOwn(record, field)) return (record as Record<string, unknown>)[field]
  const [outer, inner] = field.split('.')
  const value = Object.hasOwn(record, outer) ? (record as Record<string, unknown>)[outer] : undefined
  if (inner === undefined || typeof value !== 'object' || value === null || !Object.hasOwn(value, inner))
    return undefined
  return (value as Record<string, unknown>)[inner]
}

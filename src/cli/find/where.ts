// Conditions on fields, as --where takes them: key=value, key!=value, and comparisons.
import { UsageError } from '../command.ts'
import { fieldAt } from './fields.ts'

const CONDITION = /^(.+?)(!=|>=|<=|=|>|<)(.*)$/s

/** Whether a record meets a condition. */
export type Condition = (record: object) => boolean

export function parseWhere(text: string): Condition {
  const [, key, comparison, wanted] = CONDITION.exec(text) ?? []
  if (key === undefined) {
    throw new UsageError(
      `--where must be key=value, key!=value, or a comparison with <, <=, > or >=, got ${JSON.stringify(text)}`
    )
  }
  const path = key.trim()
  if (comparison === '=') return (record) => isEqual(fieldAt(record, path), wanted)
  if (comparison === '!=') return (record) => !isEqual(fieldAt(record, path), wanted)
  return (record) => {
    const order = compare(fieldAt(record, path), wanted)
    if (order === undefined) return false
    if (comparison === '>') return order > 0
    if (comparison === '>=') return order >= 0
    return comparison === '<' ? order < 0 : order <= 0
  }
}

/** A number by its value, so that 1e3 is 1000; anything else by its text in JSON, texts without quotes. */
function isEqual(value: unknown, wanted: string): boolean {
  if (value === undefined) return false
  if (typeof value === 'string') return value === wanted
  if (typeof value === 'number' && isNumber(wanted)) return value === Number(wanted)
  return JSON.stringify(value) === wanted
}

/** Negative, 0 or positive; undefined if the two cannot be compared. */
function compare(value: unknown, wanted: string): number | undefined {
  if (isNumber(wanted)) {
    const number = typeof value === 'string' && isNumber(value) ? Number(value) : value
    return typeof number === 'number' ? number - Number(wanted) : undefined
  }
  if (typeof value !== 'string') return undefined
  if (value === wanted) return 0
  return value < wanted ? -1 : 1
}

function isNumber(text: string): boolean {
  return text.trim() !== '' && Number.isFinite(Number(text))
}

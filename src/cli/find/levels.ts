// The option --level: names, numbers and comparisons on the scale of pino's levels.
import { similar } from '../../base/similar.ts'
import { levelNumber, levelNumbers } from '../../readers/engine/record-level.ts'
import { UsageError } from '../command.ts'

const CONDITION = /^(>=|<=|!=|=|>|<)?\s*(.+)$/s

/** Whether a level is wanted, from texts such as 'warn', '30', '>=warn' or 'warn,fatal'. */
export function parseLevels(texts: readonly string[]): (level: number) => boolean {
  const conditions = texts.flatMap((text) => text.split(',')).map((text) => parseCondition(text.trim()))
  return (level) => conditions.some((condition) => condition(level))
}

function parseCondition(text: string): (level: number) => boolean {
  const [, comparison = '=', name = ''] = CONDITION.exec(text) ?? []
  const wanted = levelNumber(name)
  if (wanted === undefined) throw unknownLevel(text, name)
  if (comparison === '>=') return (level) => level >= wanted
  if (comparison === '<=') return (level) => level <= wanted
  if (comparison === '>') return (level) => level > wanted
  if (comparison === '<') return (level) => level < wanted
  return comparison === '=' ? (level) => level === wanted : (level) => level !== wanted
}

function unknownLevel(text: string, name: string): UsageError {
  const meant = similar(name, Object.keys(levelNumbers))
  const hint = meant === undefined ? '' : `; did you mean ${meant}?`
  const rule = `--level must be a name such as warn, a number of pino, or a comparison such as '>=warn'`
  return new UsageError(
    `${rule}, got ${JSON.stringify(text)}${hint} (levels with names of their own: --where level=${/^\w/.test(name) ? name : 'name'})`
  )
}

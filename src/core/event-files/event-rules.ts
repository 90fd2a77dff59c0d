// Where in a JSON line the name of its event is: under the first of several keys that gives one. A key with dots leads into
// objects, and `level` may hold one of pino's numbers.
import { levelName } from '../../base/levels.ts'

/** So pino's lines begin. */
const LEVEL_FIRST = /^\{"level":(\d{1,9})[,}]/
const LEVEL_FIRST_BYTES = 20

interface Rule {
  readonly key: string
  /** The same, taken apart at the dots. */
  readonly path: readonly string[]
  readonly isLevel: boolean
}

export class EventRules {
  /** The key of the first rule, whole: what stands under it as a text is the name. */
  readonly first: string
  /** There is no more to it than a text under that key. */
  readonly isSimple: boolean
  readonly #rules: readonly Rule[]

  constructor(keys: readonly string[]) {
    this.first = keys[0]
    this.#rules = keys.map((key) => {
      const path = key.split('.')
      return { key, path, isLevel: path.at(-1) === 'level' }
    })
    this.isSimple = keys.length === 1 && this.#rules[0].path.length === 1 && !this.#rules[0].isLevel
  }

  /** The name in the line from `start` to `end`; undefined if there is none, or it is no JSON object. */
  nameIn(lines: Buffer, start: number, end: number): string | undefined {
    if (this.first === 'level') {
      const match = LEVEL_FIRST.exec(
        lines.toString('latin1', start, Math.min(end, start + LEVEL_FIRST_BYTES))
      )
      if (match !== null) return eventOfLevel(Number(match[1]))
    }
    let object: unknown
    try {
      object = JSON.parse(lines.toString('utf8', start, end))
    } catch {
      // Not JSON: no name.
    }
    if (typeof object !== 'object' || object === null || Array.isArray(object)) return undefined
    for (const { key, path, isLevel } of this.#rules) {
      const value = memberOf(object, key) ?? path.reduce(memberOf, object as unknown)
      // Where there is no other key to look under, a text without content is what stands there.
      if (typeof value === 'string' && (value !== '' || this.isSimple)) return value
      if (isLevel && typeof value === 'number') return eventOfLevel(value)
    }
    return undefined
  }
}

function eventOfLevel(level: number): string {
  return levelName(level) ?? String(level)
}

function memberOf(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined
  return (value as Record<string, unknown>)[key]
}

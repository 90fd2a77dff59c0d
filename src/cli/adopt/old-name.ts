// Templates of file names, such as `app-%DATE%.log.%N%`, and what a name by one of them says.
import { UsageError } from '../command.ts'
import { dateSource, escapeRegExp, type Span, spanOf } from './date-pattern.ts'

export interface OldName {
  /** Of the date in it, if it has one. */
  readonly span: Span | undefined
  /** Undefined if it has none: then it is the first one of its date. */
  readonly number: number | undefined
  /** Whether it is known that the file with the highest number is the newest. */
  readonly rises: boolean
  /** What it ends in behind the template, with its dot: '' or `.gz` and the like. */
  readonly packed: string
}

/** Longer numbers are dates. `%NN%` is a number with leading zeros, of files that are never renamed. */
const PLACES: Readonly<Record<string, string>> = {
  '%N%': '(?<number>0|[1-9]\\d{0,4})',
  '%NN%': '(?<number>\\d{2,4})'
}
const PACKED = '(?<packed>\\.(?:gz|br|zst|zip|bz2|xz|Z))?'

export class NameTemplate {
  readonly text: string
  readonly #regExp: RegExp
  readonly #isUtc: boolean

  constructor(text: string, options: { datePattern?: string | undefined; isUtc: boolean }) {
    this.text = text
    this.#isUtc = options.isUtc
    let hasDate = false
    const parts = text.split(/(%DATE%|%NN?%)/).map((part) => {
      if (PLACES[part] !== undefined) return PLACES[part]
      if (part !== '%DATE%') return escapeRegExp(part)
      // Where it stands twice, both are the same date.
      if (hasDate) return '\\k<date>'
      hasDate = true
      return `(?<date>${dateSource(options.datePattern)})`
    })
    try {
      this.#regExp = new RegExp(`^${parts.join('')}${PACKED}$`, 's')
    } catch {
      throw new UsageError(`--files: %N% stands twice in ${JSON.stringify(text)}`)
    }
  }

  /** Undefined if `name` is not made by it. */
  parse(name: string): OldName | undefined {
    const groups = this.#regExp.exec(name)?.groups
    if (groups === undefined) return undefined
    const span = groups.date === undefined ? undefined : spanOf(groups, this.#isUtc)
    if (groups.date !== undefined && span === undefined) return undefined
    const number = groups.number === undefined ? undefined : Number(groups.number)
    return { span, number, rises: this.text.includes('%NN%'), packed: groups.packed ?? '' }
  }
}

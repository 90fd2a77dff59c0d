// Which event each JSON line belongs to: by a top-level key without building objects, or by rules of any depth.
import { native } from '../../native/index.ts'
import { EventRules } from './event-rules.ts'

/** What there is no room for in the end is looked at again. */
const MAX_LINES = 1_024
const QUOTE = '"'

export class LineEvents {
  readonly #keyBytes: Buffer
  readonly #rules: EventRules
  readonly #found = new Int32Array(3 * MAX_LINES)

  /** `keys`: the first one under which a line has a name decides. */
  constructor(keys: string | readonly string[]) {
    this.#rules = new EventRules(typeof keys === 'string' ? [keys] : keys)
    this.#keyBytes = Buffer.from(this.#rules.first)
  }

  /** Looks at as many lines from `start` on as it can at once; returns how many. */
  scan(lines: Buffer, start: number, end: number): number {
    return native.scanLines(lines, start, end, this.#keyBytes, this.#found)
  }

  /** Where line number `index` of the last scan ends, its line end included. */
  endOf(index: number): number {
    return this.#found[3 * index]
  }

  /**
   * The event's name as its bytes stand in the line, one character per byte: quick to get, and the same name has
   * few spellings. Undefined if there is none; `decode` makes it a name.
   */
  spellingOf(lines: Buffer, start: number, index: number): string | undefined {
    const from = this.#found[3 * index + 1]
    const to = this.#found[3 * index + 2]
    if (to === -1) return this.#parse(lines, start, this.#found[3 * index])
    const isNothing = from === 0 || from === to
    if (isNothing && !this.#rules.isSimple) return this.#parse(lines, start, this.#found[3 * index])
    if (from === 0) return undefined
    return from < 0 ? QUOTE + lines.toString('latin1', -from, to) : lines.toString('latin1', from, to)
  }

  /** The name behind a spelling. */
  decode(spelling: string): string {
    const text = Buffer.from(spelling, 'latin1').toString()
    // A quote cannot stand in a string as it is, so it marks those with escapes.
    return text.startsWith(QUOTE) ? (JSON.parse(`${text}"`) as string) : text
  }

  #parse(lines: Buffer, start: number, end: number): string | undefined {
    const name = this.#rules.nameIn(lines, start, end)
    if (name === undefined) return undefined
    const escaped = JSON.stringify(name).slice(0, -1)
    return Buffer.from(escaped.includes('\\') ? escaped : name).toString('latin1')
  }
}

// Which event each JSON line belongs to, by its top-level key, without building objects.
import { native } from '../../native/index.ts'

/** What there is no room for in the end is looked at again. */
const MAX_LINES = 1_024
const QUOTE = '"'

export class LineEvents {
  readonly #key: string
  readonly #keyBytes: Buffer
  readonly #found = new Int32Array(3 * MAX_LINES)

  constructor(key: string) {
    this.#key = key
    this.#keyBytes = Buffer.from(key)
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
    let value: unknown
    try {
      const object: unknown = JSON.parse(lines.toString('utf8', start, end))
      if (typeof object === 'object' && object !== null && Object.hasOwn(object, this.#key)) {
        value = (object as Record<string, unknown>)[this.#key]
      }
    } catch {
      // Not JSON: no name.
    }
    if (typeof value !== 'string') return undefined
    const escaped = JSON.stringify(value).slice(0, -1)
    return Buffer.from(escaped.includes('\\') ? escaped : value).toString('latin1')
  }
}

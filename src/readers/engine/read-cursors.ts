// How far a reader has come in each of the logs that it reads.
import { type ReadFrom, type RecordBatch, recordAt } from '../reader.ts'
import { formatFolderCursor, isFolderCursor, parseCursor } from './cursor.ts'

/** What the option `from` means. Throws `ERR_OPTION` for a text that is no cursor. */
export function readFrom(given: string | number | bigint | { last: number }): ReadFrom {
  if (typeof given !== 'string' || given === 'start' || given === 'end') return given
  const cursor = parseCursor(given)
  return isFolderCursor(cursor) ? { cursors: cursor } : { cursor }
}

export class ReadCursors {
  /** By the names of the logs. */
  readonly #last = new Map<string, string>()
  /** Behind which reading begins. */
  readonly #given: string | undefined
  #isFolder: boolean

  constructor(from: ReadFrom) {
    this.#isFolder = typeof from === 'object' && 'cursors' in from
    this.#given = typeof from === 'object' && 'cursor' in from ? from.cursor.text : undefined
    if (typeof from !== 'object' || !('cursors' in from)) return
    for (const [log, { text }] of from.cursors) this.#last.set(log, text)
  }

  /** The first `count` records of a batch were returned, and no more of it will be. */
  leave(batch: RecordBatch | undefined, count: number): void {
    if (batch?.place === undefined || count === 0) return
    this.#isFolder ||= batch.event !== undefined
    const { cursor } = recordAt(batch, count - 1)
    if (cursor !== undefined) this.#last.set(batch.place.log, cursor)
  }

  /** The cursor, `count` records into `batch`. */
  text(batch: RecordBatch | undefined, count: number): string | undefined {
    this.leave(batch, count)
    if (this.#last.size === 0) return this.#given
    return this.#isFolder ? formatFolderCursor(this.#last.values()) : [...this.#last.values()].at(-1)
  }
}

// `logger.query` and `logger.stream` of winston over a log and its backups, compressed ones too.
import { EventEmitter } from 'node:events'
import { readRecords } from '../../readers/read-records.ts'

/** As for winston's own File transport. */
export interface QueryOptions {
  /** Most results; default 10. */
  rows?: number
  limit?: number
  /** Lines to pass over first. */
  start?: number
  /** Times between which `timestamp` lies; default: the last day. Records without a timestamp always match. */
  from?: Date | string | number
  until?: Date | string | number
  /** `'desc'` (default): the newest first. */
  order?: 'asc' | 'desc'
  level?: string
  /** Only these fields of each record. */
  fields?: string[]
}

type Entry = Record<string, unknown>

const DAY_MS = 86_400_000

/** The records of the log at `path` that match. Lines that are no JSON objects are passed over. */
export async function query(path: string, options: QueryOptions): Promise<Entry[]> {
  const { start = 0, order = 'desc', level, fields } = options
  const rows = options.rows ?? options.limit ?? 10
  const until = new Date(options.until ?? Date.now()).getTime()
  const from = new Date(options.from ?? until - DAY_MS).getTime()
  const results: Entry[] = []
  let line = 0
  for await (const { data } of readRecords(path, { onCorrupt: 'skip-file' })) {
    if (line++ < start) continue
    const entry = parse(data)
    if (entry === undefined || (level !== undefined && entry.level !== level)) continue
    const time = new Date(entry.timestamp as string).getTime()
    if (time < from || time > until) continue
    results.push(fields === undefined ? entry : pick(entry, fields))
    if (order === 'asc' && results.length === rows) break
    // Twice the rows, then half of them at once: shifting one by one would cost the square of `rows`.
    if (results.length >= 2 * rows + 1_000) results.splice(0, results.length - rows)
  }
  return order === 'asc' ? results : results.slice(-rows).reverse()
}

/**
 * Emits `'log'` for every record, through rotations, until `destroy()`. `start`: lines to pass over first; -1 for only
 * those that are yet to come.
 */
export function stream(path: string, options: { start?: number }): EventEmitter & { destroy(): void } {
  const abort = new AbortController()
  const emitter = Object.assign(new EventEmitter(), { destroy: () => abort.abort() })
  void follow(path, options.start ?? 0, emitter, abort.signal)
  return emitter
}

async function follow(
  path: string,
  start: number,
  emitter: EventEmitter,
  signal: AbortSignal
): Promise<void> {
  try {
    let line = 0
    const from = start === -1 ? 'end' : 'start'
    for await (const { data } of readRecords(path, { follow: true, from, signal, onCorrupt: 'skip-file' })) {
      if (line++ < start) continue
      const entry = parse(data)
      if (entry !== undefined) emitter.emit('log', entry)
    }
  } catch (error) {
    if (!signal.aborted) emitter.emit('error', error)
  }
  emitter.emit('close')
}

function parse(data: Buffer): Entry | undefined {
  try {
    const value: unknown = JSON.parse(data.toString())
    return typeof value === 'object' && value !== null ? (value as Entry) : undefined
  } catch {
    return undefined
  }
}

function pick(entry: Entry, fields: string[]): Entry {
  return Object.fromEntries(fields.map((field) => [field, entry[field]]))
}

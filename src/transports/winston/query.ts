// `logger.query` of winston over a log and its backups, compressed ones too, or over a folder of logs.
import { LogboomError } from '../../base/errors.ts'
import type { FoundLog } from '../../readers/engine/log-finder.ts'
import { findLogs } from '../../readers/find-logs.ts'
import { readRecords } from '../../readers/read-records.ts'
import type { LogPlace } from './log-path.ts'
import type { ParsedQuery } from './query-options.ts'

export type Entry = Record<string, unknown>

/** A record that was asked for. Of one without a timestamp the time is that of the record before. */
interface Match {
  readonly entry: Entry
  readonly timeMs: number
}

/**
 * The records of the log at `place` that match, in the order that was asked for; of a folder of logs, those of all by
 * time. Lines that are no JSON objects are passed over. Never more than are asked for are in memory.
 */
export async function query(place: LogPlace, options: ParsedQuery): Promise<Entry[]> {
  const { rows, start, isDescending } = options
  const { kind, logs, failures } = await findLogs(place.path, place.format)
  if (failures.length > 0) throw failures[0]
  const isFolder = kind === 'folder'
  const each = isFolder ? { ...options, start: 0, rows: start + rows } : options
  let matches: Match[] = []
  for (const log of logs) {
    const found = await matchesOf(log, each)
    if (!isFolder) matches = found
    // Those of one log come by time, so the first or last of all are among the first or last of each.
    else matches = ends(matches.concat(found).sort(byTime), each)
  }
  if (isDescending) matches.reverse()
  return (isFolder ? matches.slice(start) : matches).map(({ entry }) => entry)
}

/** Those without a time are the first. */
function byTime(a: Match, b: Match): number {
  return a.timeMs === b.timeMs ? 0 : a.timeMs - b.timeMs
}

function ends(matches: Match[], { rows, isDescending }: ParsedQuery): Match[] {
  return isDescending ? matches.slice(-rows) : matches.slice(0, rows)
}

/** The first, or the last, matches of one log, oldest first. */
async function matchesOf({ path, reader }: FoundLog, options: ParsedQuery): Promise<Match[]> {
  const { rows, start, isDescending, fields } = options
  const matches: Match[] = []
  let found = 0
  let line = 0
  let lastMs = Number.NEGATIVE_INFINITY
  try {
    for await (const { data } of readRecords(path, { format: reader.format, onCorrupt: 'skip-file' })) {
      if (line++ < start) continue
      const entry = parseEntry(data.toString())
      if (entry === undefined) continue
      const timeMs = new Date(entry.timestamp as string).getTime()
      if (!Number.isNaN(timeMs)) lastMs = timeMs
      if (!matchesQuery(entry, timeMs, options)) continue
      const match = { entry: fields === undefined ? entry : pick(entry, fields), timeMs: lastMs }
      // The newest take the places of the oldest.
      matches[found++ % rows] = match
      if (!isDescending && found === rows) break
    }
  } catch (error) {
    // Nothing was logged yet, or the file was removed just now.
    if (!(error instanceof LogboomError) || error.code !== 'ERR_NOT_FOUND') throw error
  }
  if (found <= rows) return matches
  return [...matches.slice(found % rows), ...matches.slice(0, found % rows)]
}

/** A time that is none matches every bound. */
function matchesQuery(entry: Entry, timeMs: number, { level, fromMs, untilMs }: ParsedQuery): boolean {
  return (level === undefined || entry.level === level) && !(timeMs < fromMs) && !(timeMs > untilMs)
}

/** Undefined unless the line is a JSON object. */
export function parseEntry(line: string): Entry | undefined {
  try {
    const value: unknown = JSON.parse(line)
    const isEntry = typeof value === 'object' && value !== null && !Array.isArray(value)
    return isEntry ? (value as Entry) : undefined
  } catch {
    return undefined
  }
}

function pick(entry: Entry, fields: readonly string[]): Entry {
  return Object.fromEntries(
    fields.map((field) => [field, Object.hasOwn(entry, field) ? entry[field] : undefined])
  )
}

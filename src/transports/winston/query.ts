// `logger.query` of winston over a log and its backups, compressed ones too, or over a folder of logs.
import { LogboomError } from '../../base/errors.ts'
import { findLogs } from '../../readers/find-logs.ts'
import { readRecords } from '../../readers/read-records.ts'
import type { ParsedQuery } from './query-options.ts'

export type Entry = Record<string, unknown>

/** A record that was asked for. Of one without a timestamp the time is that of the record before. */
interface Match {
  readonly entry: Entry
  readonly timeMs: number
}

/**
 * The records of the log at `path` that match, in the order that was asked for; of a folder of logs, those of all by
 * time. Lines that are no JSON objects are passed over. Never more than are asked for are in memory.
 */
export async function query(path: string, options: ParsedQuery): Promise<Entry[]> {
  const { rows, start, isDescending } = options
  const { kind, logs, failures } = await findLogs(path, 'auto')
  if (failures.length > 0) throw failures[0]
  let matches: Match[] = []
  if (kind !== 'folder') {
    for (const log of logs) matches = await matchesOf(log.path, options, rows)
    if (isDescending) matches.reverse()
  } else {
    const most = start + rows
    for (const log of logs) {
      matches.push(...(await matchesOf(log.path, { ...options, start: 0 }, most)))
      // Those of one log come by time, so the first or last of all are among the first or last of each.
      matches.sort((a, b) => (isDescending ? b.timeMs - a.timeMs : a.timeMs - b.timeMs))
      matches.length = Math.min(matches.length, most)
    }
    matches = matches.slice(start)
  }
  return matches.map(({ entry }) => entry)
}

/** The first, or the last, `most` matches of one log, oldest first. */
async function matchesOf(path: string, options: ParsedQuery, most: number): Promise<Match[]> {
  const { start, isDescending, fields } = options
  const matches: Match[] = []
  let found = 0
  let line = 0
  let lastMs = Number.NEGATIVE_INFINITY
  try {
    for await (const { data } of readRecords(path, { onCorrupt: 'skip-file' })) {
      if (line++ < start) continue
      const entry = parseEntry(data.toString())
      if (entry === undefined) continue
      const timeMs = new Date(entry.timestamp as string).getTime()
      if (!Number.isNaN(timeMs)) lastMs = timeMs
      if (!matchesQuery(entry, timeMs, options)) continue
      const match = { entry: fields === undefined ? entry : pick(entry, fields), timeMs: lastMs }
      // The newest take the places of the oldest.
      matches[found++ % most] = match
      if (!isDescending && found === most) break
    }
  } catch (error) {
    // Nothing was logged yet, or the file was removed just now.
    if (!(error instanceof LogboomError) || error.code !== 'ERR_NOT_FOUND') throw error
  }
  if (found <= most) return matches
  return [...matches.slice(found % most), ...matches.slice(0, found % most)]
}

/** A time that is none matches every bound. */
function matchesQuery(entry: Entry, timeMs: number, { level, fromMs, untilMs }: ParsedQuery): boolean {
  return (level === undefined || entry.level === level) && !(timeMs < fromMs) && !(timeMs > untilMs)
}

/** Undefined unless the line is a JSON object. */
export function parseEntry(line: string): Entry | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? (value as Entry) : undefined
  } catch {
    return undefined
  }
}

function pick(entry: Entry, fields: readonly string[]): Entry {
  return Object.fromEntries(
    fields.map((field) => [field, Object.hasOwn(entry, field) ? entry[field] : undefined])
  )
}

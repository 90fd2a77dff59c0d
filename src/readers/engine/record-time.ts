// When a log line was written, as far as the line says.

// The fields of pino, winston, bunyan, ECS and others, in the order in which they are tried.
const FIELDS = ['time', 'timestamp', '@timestamp', 'ts', 'date']
const ISO_AT_START = /^\[?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)/
/** A number below this is in seconds: it would be before 1973 in ms, and beyond the year 5000 in s. */
const MIN_MS = 1e11
const BRACE = 0x7b
const BOM = [0xef, 0xbb, 0xbf]

/**
 * The time of a line in ms since 1970: a field of a JSON line, or an ISO 8601 time at the start of any other
 * (without offset: local time). Undefined if it has none.
 */
export function recordTime(line: Buffer): number | undefined {
  return timeOf(line, parseRecord(line))
}

/** The object that a JSON line is; undefined for any other line. Editors put a byte order mark before the first one. */
export function parseRecord(line: Buffer): object | undefined {
  const start = startOf(line)
  if (line[start] !== BRACE) return undefined
  try {
    return JSON.parse(line.toString('utf8', start))
  } catch {
    return undefined
  }
}

/** The time of a line of which `record` is the object, if it is one. */
export function timeOf(line: Buffer, record: object | undefined): number | undefined {
  for (const field of record === undefined ? [] : FIELDS) {
    const time = toMs((record as Record<string, unknown>)[field])
    if (time !== undefined) return time
  }
  const match = ISO_AT_START.exec(line.toString('latin1', startOf(line), 40))
  return match === null ? undefined : toMs(match[1].replace(',', '.'))
}

function startOf(line: Buffer): number {
  return line[0] === BOM[0] && line[1] === BOM[1] && line[2] === BOM[2] ? BOM.length : 0
}

/** In ms what a field of a record says; undefined if that is no time. */
export function toMs(value: unknown): number | undefined {
  if (typeof value === 'number') return value < MIN_MS ? value * 1000 : value
  if (typeof value !== 'string') return undefined
  const time = Date.parse(value)
  return Number.isNaN(time) ? undefined : time
}

// One picture of `logboom top`: lines for a screen of a given size.
import { printable } from '../../base/printable.ts'
import { formatBytes } from '../units.ts'
import {
  type ConsumerRow,
  consumerRowsOf,
  type LogView,
  rowsOf,
  totalOf,
  type WriterRow
} from './log-view.ts'

export const sortings = ['writer', 'records', 'bytes', 'drops'] as const
export type Sorting = (typeof sortings)[number]

export interface FrameOptions {
  readonly columns: number
  readonly rows: number
  readonly colour: boolean
  readonly sorting: Sorting
  readonly isPaused: boolean
  readonly time: string
}

/** Hangul Jamo; what comes before is one cell wide. */
const FIRST_WIDE = 0x1100
const RED = 31
const GREEN = 32
const YELLOW = 33
const COLOURS: Readonly<Record<string, number>> = { open: GREEN, degraded: YELLOW, failed: RED, dead: RED }
const HEAD = ['WRITER', 'STATE', 'REC/S', 'BYTES/S', 'QUEUE', 'DROPS', 'LOCK', 'SYNC p50/p99']
const WIDTHS = [12, 8, 8, 10, 9, 7, 5, 14]
const CONSUMER_HEAD = ['SHIPPER', 'STATE', 'REC/S', 'BYTES/S', 'LAG REC', 'LAG', 'FOR', 'LOST']
const CONSUMER_WIDTHS = [20, 8, 8, 10, 9, 9, 7, 9]

/** At most `rows` lines of at most `columns` characters. `before` are the views of a moment earlier. */
export function frameLines(
  views: readonly LogView[],
  before: readonly LogView[],
  options: FrameOptions
): string[] {
  const { columns, rows, colour, isPaused, sorting, time } = options
  const paint = (text: string, code: number) => (colour ? `\x1b[${code}m${text}\x1b[0m` : text)
  const title = `logboom top  ${time}  sort: ${sorting}${isPaused ? '  PAUSED' : ''}`
  const keys = 'q quit  p pause  s sort'
  const room = columns - title.length - keys.length
  const lines = [paint((room > 1 ? `${title}${' '.repeat(room)}${keys}` : title).slice(0, columns), 7)]
  for (const view of views) {
    const old = before.find(({ path }) => path === view.path)
    lines.push('', ...logLines(view, old, options, paint))
  }
  if (lines.length <= rows) return lines
  return [...lines.slice(0, rows - 1), `… ${lines.length - rows + 1} more lines`.slice(0, columns)]
}

function logLines(
  view: LogView,
  before: LogView | undefined,
  { columns, sorting }: FrameOptions,
  paint: (text: string, code: number) => string
): string[] {
  if (view.trouble !== undefined) {
    return [
      paint(cut(printable(view.path), columns), 1),
      paint(cut(printable(view.trouble), columns), COLOURS.degraded)
    ]
  }
  const limit = Math.max(0, ...(view.writers ?? []).map(({ maxBytes }) => maxBytes))
  const share =
    limit === 0 ? '' : ` of ${formatBytes(limit)} (${Math.floor((100 * view.liveBytes) / limit)} %)`
  const backups = `${view.backups} backups, ${formatBytes(view.backupBytes)}`
  const lines = [
    paint(cut(printable(view.path), columns), 1),
    cut(`live ${formatBytes(view.liveBytes)}${share}  ${backups}`, columns)
  ]
  const consumers = consumerLines(view, before, columns, paint)
  if (view.writers === undefined)
    return [...lines, cut('no statistics: its writers need statistics: true', columns), ...consumers]
  const rows = sorted(rowsOf(view, before), sorting)
  lines.push(cut(cells(HEAD), columns))
  for (const row of rows) {
    const { writer, state } = row
    const name = writer.threadId === 0 ? `${writer.pid}` : `${writer.pid}/${writer.threadId}`
    const text = cells([name, state, ...figures(row, writer.queuedBytes, writer.dropped)])
    const note = state === 'open' || writer.lastError === '' ? '' : `  ${printable(writer.lastError)}`
    lines.push(paintState(cut(`${text}${note}`, columns), WIDTHS[0] + 1, state, paint))
  }
  const total = totalOf(rows)
  const alive = rows.filter(({ state }) => state !== 'dead').length
  lines.push(
    cut(cells(['total', `${alive} alive`, ...figures(total, total.queuedBytes, total.dropped)]), columns)
  )
  return [...lines, ...consumers]
}

function consumerLines(
  view: LogView,
  before: LogView | undefined,
  columns: number,
  paint: (text: string, code: number) => string
): string[] {
  const rows = consumerRowsOf(view, before)
  if (rows.length === 0) return []
  const lines = rows.map((row) => {
    const { lastError } = row.consumer
    const note = lastError === '' ? '' : `  ${printable(lastError)}`
    const text = cells(consumerCells(row), CONSUMER_WIDTHS)
    return paintState(cut(`${text}${note}`, columns), CONSUMER_WIDTHS[0] + 1, row.state, paint)
  })
  return [cut(cells(CONSUMER_HEAD, CONSUMER_WIDTHS), columns), ...lines]
}

function consumerCells({ consumer, state, recordsPerSecond, bytesPerSecond }: ConsumerRow): string[] {
  return [
    cut(printable(consumer.name), CONSUMER_WIDTHS[0]),
    state,
    recordsPerSecond.toFixed(0),
    formatBytes(bytesPerSecond),
    String(consumer.lagRecords),
    formatBytes(consumer.lagBytes),
    latency(consumer.lagMs * 1000),
    formatBytes(consumer.lostBytes)
  ]
}

function paintState(
  line: string,
  at: number,
  state: string,
  paint: (text: string, code: number) => string
): string {
  const colour = COLOURS[state]
  const end = at + state.length
  return colour === undefined
    ? line
    : line.slice(0, at) + paint(line.slice(at, end), colour) + line.slice(end)
}

function figures(
  rates: Pick<WriterRow, 'recordsPerSecond' | 'bytesPerSecond' | 'lockWaitShare' | 'syncP50Us' | 'syncP99Us'>,
  queuedBytes: number,
  dropped: number
): string[] {
  return [
    rates.recordsPerSecond.toFixed(0),
    formatBytes(rates.bytesPerSecond),
    formatBytes(queuedBytes),
    String(dropped),
    `${(100 * rates.lockWaitShare).toFixed(0)}%`,
    `${latency(rates.syncP50Us)}/${latency(rates.syncP99Us)}`
  ]
}

function latency(us: number | undefined): string {
  if (us === undefined) return '-'
  if (us < 1000) return `${us}µs`
  return us < 1e6 ? `${Math.round(us / 1000)}ms` : `${(us / 1e6).toFixed(1)}s`
}

/** The first two columns are texts, the others numbers. */
function cells(values: readonly string[], widths: readonly number[] = WIDTHS): string {
  return values
    .map((value, at) => (at < 2 ? value.padEnd(widths[at]) : value.padStart(widths[at])))
    .join(' ')
    .trimEnd()
}

/** Of a text that may be too wide, as much as has room: a line that is too long for a terminal would become two. */
function cut(text: string, columns: number): string {
  let width = 0
  let end = 0
  for (const character of text) {
    width += widthOf(character)
    if (width <= columns - 1) end += character.length
  }
  return width <= columns ? text : `${text.slice(0, end)}…`
}

/** At most so many cells: of what is not Latin, Greek, Cyrillic and the like most is wide, and marks count like letters. */
function widthOf(character: string): number {
  return (character.codePointAt(0) as number) < FIRST_WIDE ? 1 : 2
}

function sorted(rows: readonly WriterRow[], sorting: Sorting): WriterRow[] {
  const by: Record<Sorting, (row: WriterRow) => number> = {
    writer: ({ writer }) => writer.slot,
    records: (row) => -row.recordsPerSecond,
    bytes: (row) => -row.bytesPerSecond,
    drops: ({ writer }) => -writer.dropped
  }
  return [...rows].sort((a, b) => by[sorting](a) - by[sorting](b))
}

// Sizes and tables for people.
import { printable } from '../base/printable.ts'

/** `Date` knows no later time, and no earlier one before 1970. */
const MAX_TIME_MS = 8.64e15
const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

/** For example '12.3 MiB'. */
export function formatBytes(bytes: number): string {
  let unit = 0
  let value = bytes
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`
}

/** A time of a file, which may be any number. */
export function formatTime(ms: number): string {
  return Math.abs(ms) <= MAX_TIME_MS ? new Date(ms).toISOString() : `${Math.round(ms / 1000)} s since 1970`
}

/** Columns aligned with two spaces between them, every cell printable; `right` are the numbers of those aligned to the right. */
export function formatTable(rows: readonly (readonly string[])[], right: readonly number[] = []): string {
  const widths: number[] = []
  const cells = rows.map((row) => row.map(printable))
  for (const row of cells) {
    for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, cell.length)
  }
  const lines = cells.map((row) =>
    row
      .map((cell, at) => (right.includes(at) ? cell.padStart(widths[at]) : cell.padEnd(widths[at])))
      .join('  ')
      .trimEnd()
  )
  return lines.map((line) => `${line}\n`).join('')
}

// Reads a log and its backups, compressed ones too, and counts what became of the records of writer.mjs.
import { readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { groupBackups } from '../../src/formats/backup-name.ts'

export interface Expectation {
  /** A file of more than one line must not be larger; 0 for no limit. */
  maxBytes?: number
  /** For each writer the number of records that must be there, beginning with 1. */
  records: Record<string, number>
  /** Further files that belong to the log, for example those an outside program moved away. */
  more?: string[]
}

export interface Report {
  files: number
  records: number
  lost: number
  duplicated: number
  /** Lines that are no whole record, shortened. */
  damaged: string[]
  overLimit: string[]
  /** Sum of the drop notices in the log, and how many there are. */
  dropped: number
  notices: number
  /** The numbers found of each writer, in the order of the files. */
  found: Map<string, number[]>
}

/** What `verify` says of a log in which every expected record is exactly once. */
export const exact = { lost: 0, duplicated: 0, damaged: [], overLimit: [] }

/** The live file and its backups, oldest first. */
export function filesOf(path: string): string[] {
  const folder = dirname(path)
  const names = readdirSync(folder)
  const files = groupBackups(basename(path), names).map(({ name }) => join(folder, name))
  return names.includes(basename(path)) ? [...files, path] : files
}

export function readWhole(file: string): Buffer {
  const bytes = readFileSync(file)
  if (file.endsWith('.gz')) return gunzipSync(bytes)
  return file.endsWith('.br') ? brotliDecompressSync(bytes) : bytes
}

const RECORD = /^#([^:]+):(\d+):(\d+):x*;$/

export function verify(path: string, expected: Expectation): Report {
  const { maxBytes = 0, more = [] } = expected
  const files = [...more, ...filesOf(path)]
  const found = new Map<string, number[]>()
  const report = { records: 0, damaged: [] as string[], overLimit: [] as string[], dropped: 0, notices: 0 }
  for (const file of files) {
    const bytes = readWhole(file)
    const lines = bytes.toString('latin1').split('\n')
    const rest = lines.pop()
    if (rest !== '') report.damaged.push(`${basename(file)}, unfinished: ${shorten(rest!)}`)
    if (maxBytes > 0 && bytes.length > maxBytes && lines.length > 1) {
      report.overLimit.push(`${basename(file)}: ${bytes.length}`)
    }
    for (const line of lines) {
      const text = textOf(line)
      const match = RECORD.exec(text.msg)
      if (match !== null && text.msg.length === Number(match[3])) {
        report.records++
        const numbers = found.get(match[1])
        if (numbers === undefined) found.set(match[1], [Number(match[2])])
        else numbers.push(Number(match[2]))
      } else if (text.dropped !== undefined) {
        report.notices++
        report.dropped += text.dropped
      } else report.damaged.push(`${basename(file)}: ${shorten(line)}`)
    }
  }
  return { files: files.length, ...report, ...account(found, expected.records), found }
}

/** The message of a JSON line of pino or winston; any other line is its own. */
function textOf(line: string): { msg: string; dropped?: number } {
  if (!line.startsWith('{')) return { msg: line }
  try {
    const { msg, message, dropped } = JSON.parse(line)
    return { msg: msg ?? message, dropped }
  } catch {
    return { msg: line }
  }
}

function account(found: Map<string, number[]>, expected: Record<string, number>) {
  let lost = 0
  let duplicated = 0
  for (const [writer, count] of Object.entries(expected)) {
    const unique = new Set(found.get(writer))
    for (let n = 1; n <= count; n++) if (!unique.has(n)) lost++
  }
  for (const numbers of found.values()) duplicated += numbers.length - new Set(numbers).size
  return { lost, duplicated }
}

function shorten(line: string): string {
  return line.length > 120 ? `${line.slice(0, 60)}…${line.slice(-60)}` : line
}

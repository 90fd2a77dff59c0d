// The reader of a spool folder: its published files, in the order of their times, as lines.
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { LogboomError } from '../../base/errors.ts'
import { parsePublishedName } from '../../formats/spool.ts'
import { createContext, notFound } from '../engine/context.ts'
import { type Cursor, noHead } from '../engine/cursor.ts'
import { namesIn } from '../engine/log-files.ts'
import { batchLength, type LogFile, type ReadContext, type Reader, type RecordBatch } from '../reader.ts'
import { textReader } from './text.ts'

const LOOK_AGAIN_MS = 200
/** Clocks of several machines differ. */
const CLOCK_SLACK_MS = 60_000

/** A spool does not keep where a record ends; what transports write to it are lines. */
export const spoolReader: Reader = {
  format: 'spool',
  unit: 'folder',
  detect({ kind, names }) {
    const visible = names.filter((name) => !name.startsWith('.'))
    return kind === 'folder' && visible.length > 0 && visible.every(isPublished)
  },
  async list(path) {
    const files: LogFile[] = []
    for (const file of await publishedFiles(path)) {
      for (const found of await textReader.list(file)) files.push({ ...found, live: false })
    }
    return files
  },
  read: readSpool,
  async info(path, options) {
    const files = await this.list(path)
    if (!options.count) return { format: 'spool', path, files, details: {} }
    const counted: (LogFile & { records: number })[] = []
    for (const file of files)
      counted.push({ ...file, records: await countLines(path, file.path, createContext(options)) })
    return { format: 'spool', path, files: counted, details: {} }
  },
  async *verify(path, context) {
    const files = await publishedFiles(path)
    if (files.length === 0) throw notFound(path)
    for (const file of files) yield* textReader.verify(file, context)
  }
}

function publishedMs(file: string): number {
  return Number((parsePublishedName(basename(file)) ?? 0n) / 1_000_000n)
}

function isPublished(name: string): boolean {
  return parsePublishedName(name) !== undefined
}

/** The published files of a spool, in the order of the times in their names. */
export async function publishedFiles(folder: string): Promise<string[]> {
  const times = new Map<string, bigint>()
  for (const name of await namesIn(folder)) {
    const time = parsePublishedName(name)
    if (time !== undefined && !name.startsWith('.')) times.set(name, time)
  }
  const byTime = [...times].sort(([, a], [, b]) => (a < b ? -1 : a > b ? 1 : 0))
  return byTime.map(([name]) => join(folder, name))
}

async function* readSpool(
  folder: string,
  context: ReadContext
): AsyncGenerator<RecordBatch, void, undefined> {
  let files = await publishedFiles(folder)
  if (files.length === 0 && !context.follow) throw notFound(folder)
  const begin = await findBegin(folder, files, context)
  const sinceMs = (context.span?.sinceMs ?? Number.NEGATIVE_INFINITY) - CLOCK_SLACK_MS
  const finished: ReadContext = { ...context, follow: false, includeUnterminated: true, from: 'start' }
  for (let at = begin.file; at < files.length && !context.signal.aborted; at++) {
    // Nothing is written to a file after its publication.
    if (publishedMs(files[at]) < sinceMs) continue
    yield* readPublished(folder, files[at], at === begin.file ? { ...finished, from: begin.from } : finished)
  }
  while (context.follow && !context.signal.aborted) {
    await sleep(LOOK_AGAIN_MS, undefined, { signal: context.signal }).catch(() => {})
    const seen = new Set(files)
    files = await publishedFiles(folder)
    for (const file of files)
      if (!seen.has(file) && !context.signal.aborted) yield* readPublished(folder, file, finished)
  }
}

/** The lines of a file, unless somebody has collected it in the meantime. */
export async function* readPublished(
  folder: string,
  file: string,
  context: ReadContext
): AsyncGenerator<RecordBatch, void, undefined> {
  try {
    for await (const batch of textReader.read(file, context)) {
      const head = batch.place?.head ?? noHead
      batch.place = { format: 'spool', log: basename(folder), file: `=${basename(file)}`, head }
      yield batch
    }
  } catch (error) {
    if (!(error instanceof LogboomError && error.code === 'ERR_NOT_FOUND')) throw error
  }
}

async function findBegin(
  folder: string,
  files: readonly string[],
  context: ReadContext
): Promise<{ file: number; from: ReadContext['from'] }> {
  const { from } = context
  if (typeof from === 'object' && 'cursor' in from) return behind(folder, files, from.cursor)
  if (from === 'start') return { file: 0, from }
  if (from === 'end') return { file: files.length, from: 'start' }
  if (typeof from !== 'object' || !('last' in from)) {
    const text =
      "readRecords: option 'from' may be no offset, index or cursor of a folder of logs for a spool"
    throw new LogboomError('ERR_OPTION', text)
  }
  let wanted = from.last
  for (let at = files.length - 1; at >= 0 && wanted > 0; at--) {
    const lines = await countLines(folder, files[at], context)
    if (lines >= wanted) return { file: at, from: { last: wanted } }
    wanted -= lines
  }
  return { file: from.last === 0 ? files.length : 0, from: 'start' }
}

/**
 * Files are taken away when they have been dealt with, so one that is gone was: what comes next is in the files that are
 * published behind it, by their times.
 */
function behind(
  folder: string,
  files: readonly string[],
  cursor: Cursor
): { file: number; from: ReadContext['from'] } {
  const name = cursor.file.slice(1)
  const time = parsePublishedName(name)
  if (cursor.format !== 'spool' || time === undefined) {
    const text = `readRecords: the cursor given as 'from' is one of the ${cursor.format} log ${JSON.stringify(cursor.log)}`
    throw new LogboomError('ERR_OPTION', `${text}, not of the spool ${folder}`, { path: folder })
  }
  const at = files.findIndex((file) => basename(file) === name)
  if (at !== -1) return { file: at, from: withinFile(cursor) }
  const next = files.findIndex((file) => (parsePublishedName(basename(file)) ?? 0n) > time)
  return { file: next === -1 ? files.length : next, from: 'start' }
}

/** Where to begin in the file of the cursor. */
export function withinFile(cursor: Cursor): ReadContext['from'] {
  return { cursor: { ...cursor, format: 'text', log: cursor.file.slice(1), file: '>' } }
}

/** Damage is no matter here: it is met when the file is read. */
async function countLines(
  folder: string,
  file: string,
  { signal, maxRecordBytes }: ReadContext
): Promise<number> {
  let lines = 0
  const context = createContext({
    reuseBuffers: true,
    includeUnterminated: true,
    onCorrupt: 'skip-file',
    maxRecordBytes,
    signal
  })
  for await (const batch of readPublished(folder, file, context)) lines += batchLength(batch)
  return lines
}

// The records of a log of single files, from a given place: its finished files in order, then the live one.
import { basename } from 'node:path'
import { LogboomError } from '../../base/errors.ts'
import { batchLength, offsetAt, type ReadContext, type RecordBatch } from '../reader.ts'
import { notFound } from './context.ts'
import { type Cursor, cursorLost } from './cursor.ts'
import { compressionOf } from './decompress.ts'
import {
  type Begin,
  beginBehind,
  type FileEnd,
  type FileFormat,
  holds,
  openFinished,
  placeBehind,
  placed,
  placeOf,
  readFinished,
  readFrom
} from './file-format.ts'
import { followLog } from './follow-log.ts'
import type { FinishedFile } from './log-files.ts'
import type { OpenFile } from './open-file.ts'
import { type Snapshot, takeSnapshot } from './snapshot.ts'
import { filesWithin } from './time-span.ts'

/** The records of the log at `path`. See `ReadContext` for where it begins, and whether it ever ends. */
export async function* readLog(
  format: FileFormat,
  path: string,
  context: ReadContext
): AsyncGenerator<RecordBatch, void, undefined> {
  const { finished, live } = await takeSnapshot(format.find, path)
  try {
    if (finished.length === 0 && live === undefined && !context.follow) {
      throw notFound(path)
    }
    const begin = await findBegin(format, path, { finished, live }, context)
    const { first, end } = await filesWithin(format, finished, context)
    let isNext = false
    for (let at = Math.max(begin.file, first); at < end && !context.signal.aborted; at++) {
      const here = at === begin.file ? begin.at : undefined
      const ended: FileEnd = yield* readFinished(format, path, finished[at], context, here, isNext)
      if (ended === 'stop') return
      isNext ||= ended === 'read'
    }
    const at = begin.file === finished.length ? begin.at : { offset: 0 }
    const isFinished = live === undefined && finished.length === 1 && finished[0].key === path
    if (context.follow && !isFinished) {
      yield* followLog(format, path, context, { live, at, finished })
    } else if (live !== undefined && end === finished.length) {
      const { size } = await live.handle.stat()
      const final = context.includeUnterminated && format.readsUnterminated !== false
      const place = await placeOf(format, path, live, placeBehind(finished))
      yield* placed(readFrom(format, live, context, { ...at, end: size, final }), place)
      context.settle(live.path)
    }
  } finally {
    await live?.handle.close()
  }
}

/** A place in a log: number of the finished file (their count: the live file), and where in it. */
interface LogPlace {
  readonly file: number
  readonly at: Begin
}

async function findBegin(
  format: FileFormat,
  path: string,
  { finished, live }: Snapshot,
  context: ReadContext
): Promise<LogPlace> {
  const { from } = context
  if (typeof from === 'object' && 'cursors' in from) {
    const text = `readRecords: ${path} is a single log, and the cursor given as 'from' is one of a folder of logs`
    throw new LogboomError('ERR_OPTION', text, { path })
  }
  if (typeof from === 'object' && 'cursor' in from) {
    const file = await findFile(format, path, { finished, live }, from.cursor, context)
    return { file, at: beginBehind(from.cursor) }
  }
  const newest = live === undefined && finished.length === 1 ? 0 : finished.length
  if (from === 'start') return { file: 0, at: { offset: 0 } }
  if (typeof from === 'bigint') {
    throw new LogboomError('ERR_OPTION', "readRecords: option 'from' may be an index (bigint) only for a wal")
  }
  const size = live === undefined ? 0 : (await live.handle.stat()).size
  if (typeof from === 'number') {
    if (newest > 0) {
      const text = `readRecords: ${path} has backups, so an offset as 'from' does not say which file it means; take the cursor of a record`
      throw new LogboomError('ERR_OPTION', text, { path })
    }
    return { file: newest, at: { offset: live !== undefined && from > size ? 0 : from } }
  }
  let wanted = from === 'end' ? 0 : from.last
  let place: LogPlace = { file: finished.length, at: { offset: 0 } }
  if (live !== undefined) {
    const final = context.includeUnterminated && format.readsUnterminated !== false
    const { offset, count } = await lastRecords(format, live, size, wanted, final, context)
    place = { file: finished.length, at: { offset } }
    wanted -= count
  }
  for (let at = finished.length - 1; at >= 0 && wanted > 0 && !context.signal.aborted; at--) {
    const open = await openFinished(finished[at])
    if (open === undefined) continue
    try {
      const { size } = await open.handle.stat()
      const { offset, count } = await lastRecords(format, open, size, wanted, true, context)
      place = { file: at, at: { offset } }
      wanted -= count
    } finally {
      await open.handle.close()
    }
  }
  return place
}

/** The file that holds the record of the cursor. Throws `ERR_CURSOR_LOST`, or `ERR_OPTION` for another log's cursor. */
async function findFile(
  format: FileFormat,
  path: string,
  { finished, live }: Snapshot,
  cursor: Cursor,
  context: ReadContext
): Promise<number> {
  const named = finished.length === 1 && finished[0].key === path ? cursor.log : basename(path)
  if (cursor.format !== format.name || cursor.log !== named) {
    const text = `readRecords: the cursor given as 'from' is one of the ${cursor.format} log ${JSON.stringify(cursor.log)}`
    throw new LogboomError('ERR_OPTION', `${text}, not of ${path}`, { path })
  }
  // The one that the names point to, then those behind it: another program may have rotated, and names may be missing.
  const first = likelyFile(cursor, finished)
  const order = [...finished.keys(), finished.length].filter((at) => at !== first)
  for (const at of [first, ...order.filter((at) => at > first), ...order.filter((at) => at < first)]) {
    const open = at === finished.length ? live : at < 0 ? undefined : await openFinished(finished[at])
    if (open === undefined) continue
    try {
      if (await holds(format, open, cursor, context)) return at
    } finally {
      if (open !== live) await open.handle.close()
    }
  }
  const left = finished.length + (live === undefined ? 0 : 1)
  const name = cursor.file.slice(1)
  const which = cursor.file.startsWith('=')
    ? `its file ${name}`
    : name === ''
      ? 'the first file of the log'
      : `the file behind ${name}`
  throw cursorLost(
    path,
    `${which} has been removed, replaced or cut; ${left === 1 ? '1 file is' : `${left} files are`} left`
  )
}

/** The number of the file that the cursor names; -1 if no file has the name. */
function likelyFile({ file }: Cursor, finished: readonly FinishedFile[]): number {
  const name = file.slice(1)
  const names = finished.map(({ key }) => basename(key))
  if (file.startsWith('=')) return names.indexOf(name)
  if (name === '') return 0
  // Retention removes from the oldest on: without it, the oldest that is left is the likeliest.
  const at = names.indexOf(name)
  return at + 1
}

/**
 * Where the last `count` records of a file begin, by reading it all unless the format knows better. `final`: as the file will be
 * read, so that the same records are counted.
 */
async function lastRecords(
  format: FileFormat,
  file: OpenFile,
  size: number,
  count: number,
  final: boolean,
  context: ReadContext
): Promise<{ offset: number; count: number }> {
  const isPlain = compressionOf(basename(file.path)) === ''
  const quick = isPlain ? await format.lastRecords?.(file, size, count, final) : undefined
  if (quick !== undefined) return quick
  const quiet: ReadContext = { ...context, reuseBuffers: true, damaged: () => {}, progress: () => {} }
  const offsets: number[] = []
  const keep = Math.max(1, count)
  let found = 0
  for await (const batch of readFrom(format, file, quiet, { offset: 0, end: size, final })) {
    const length = batchLength(batch)
    for (let at = Math.max(0, length - keep); at < length; at++)
      offsets[(found + at) % keep] = offsetAt(batch, at)
    found += length
  }
  // All of them: what is damaged before the first one belongs to it.
  if (found <= count) return { offset: 0, count: found }
  if (count === 0) return { offset: offsets[0] + 1, count: 0 }
  return { offset: offsets[found > keep ? found % keep : 0], count }
}

// The records of a log of single files, from a given place: its finished files in order, then the live one.
import { basename } from 'node:path'
import { LogboomError } from '../../base/errors.ts'
import { batchLength, offsetAt, type ReadContext, type RecordBatch } from '../reader.ts'
import { notFound } from './context.ts'
import { compressionOf } from './decompress.ts'
import { type FileFormat, openFinished, readFinished, readFrom } from './file-format.ts'
import { followLog } from './follow-log.ts'
import type { FinishedFile } from './log-files.ts'
import type { OpenFile } from './open-file.ts'
import { takeSnapshot } from './snapshot.ts'

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
    const begin = await findBegin(format, finished, live, context)
    for (let at = begin.file; at < finished.length && !context.signal.aborted; at++) {
      const offset = at === begin.file ? begin.offset : 0
      if (!(yield* readFinished(format, finished[at], context, offset))) return
    }
    const offset = begin.file === finished.length ? begin.offset : 0
    const isFinished = live === undefined && finished.length === 1 && finished[0].key === path
    if (context.follow && !isFinished) {
      const seen = new Set(finished.map(({ key }) => key))
      yield* followLog(format, path, context, { live, offset, seen })
    } else if (live !== undefined) {
      const { size } = await live.handle.stat()
      const final = context.includeUnterminated && format.readsUnterminated !== false
      yield* readFrom(format, live, context, { offset, end: size, final })
      context.settle(live.path)
    }
  } finally {
    await live?.handle.close()
  }
}

/** A place in a log: number of the finished file (their count: the live file) and offset in it. */
interface Place {
  readonly file: number
  readonly offset: number
}

async function findBegin(
  format: FileFormat,
  finished: readonly FinishedFile[],
  live: OpenFile | undefined,
  context: ReadContext
): Promise<Place> {
  const { from } = context
  const newest = live === undefined && finished.length === 1 ? 0 : finished.length
  if (from === 'start') return { file: 0, offset: 0 }
  if (typeof from === 'bigint') {
    throw new LogboomError('ERR_OPTION', "readRecords: option 'from' may be an index (bigint) only for a wal")
  }
  const size = live === undefined ? 0 : (await live.handle.stat()).size
  if (typeof from === 'number') return { file: newest, offset: live !== undefined && from > size ? 0 : from }
  let wanted = from === 'end' ? 0 : from.last
  let place: Place = { file: finished.length, offset: 0 }
  if (live !== undefined) {
    const { offset, count } = await lastRecords(format, live, size, wanted, context)
    place = { file: finished.length, offset }
    wanted -= count
  }
  for (let at = finished.length - 1; at >= 0 && wanted > 0 && !context.signal.aborted; at--) {
    const open = await openFinished(finished[at])
    if (open === undefined) continue
    try {
      const { size } = await open.handle.stat()
      const { offset, count } = await lastRecords(format, open, size, wanted, context)
      place = { file: at, offset }
      wanted -= count
    } finally {
      await open.handle.close()
    }
  }
  return place
}

/** Where the last `count` records of a file begin, by reading it all unless the format knows better. */
async function lastRecords(
  format: FileFormat,
  file: OpenFile,
  size: number,
  count: number,
  context: ReadContext
): Promise<{ offset: number; count: number }> {
  const final = context.includeUnterminated && format.readsUnterminated !== false
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

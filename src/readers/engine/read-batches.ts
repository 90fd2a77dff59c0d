// The batches of whatever is at a path: the part of reading that `readRecords` and the CLI share.
import { basename } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { LogboomError } from '../../base/errors.ts'
import { type FoundLogs, findLogs } from '../find-logs.ts'
import {
  batchLength,
  type Note,
  type ReadContext,
  type ReadFrom,
  type RecordBatch,
  recordAt
} from '../reader.ts'
import { BatchMerger } from './batch-merger.ts'
import { notFound } from './context.ts'
import type { FoundLog } from './log-finder.ts'
import { failureNote } from './open-file.ts'
import { readFrom } from './read-cursors.ts'

// How often a followed folder is searched for new logs, and a missing path is looked for.
const LOOK_AGAIN_MS = 200

/**
 * The records of the log at `path`; of a folder of logs, those of one log after the other, or, when followed,
 * as they come. Throws `ERR_NOT_FOUND` if nothing is there, unless it follows. A log of a folder that cannot be read
 * keeps nobody from the others: it is thrown for after them, and, when followed, is noted and tried again.
 */
export async function* readBatches(
  path: string,
  format: string,
  context: ReadContext
): AsyncGenerator<RecordBatch, void, undefined> {
  let found = await findLogs(path, format)
  let { from } = context
  while (context.follow && (found.kind === 'missing' || found.isEmpty) && !context.signal.aborted) {
    // What is not there yet is new from its first byte; an empty file does not tell its format yet.
    if (from === 'end') from = 'start'
    await pause(context.signal)
    found = await findLogs(path, format)
  }
  if (context.signal.aborted) return
  for (const note of found.notes) context.note(note)
  if (found.kind === 'folder') requireFolderCursor(path, from)
  const begun: ReadContext = { ...context, from }
  if (found.kind === 'folder' && context.follow) {
    yield* followFolder(path, format, found, begun)
  } else {
    yield* readAll(path, found, begun)
  }
}

async function* readAll(
  path: string,
  { kind, logs, failures }: FoundLogs,
  context: ReadContext
): AsyncGenerator<RecordBatch, void, undefined> {
  const failed: unknown[] = [...failures]
  if (logs.length === 0 && failed.length === 0) throw notFound(path)
  for (const log of logs) {
    try {
      yield* readOne(log, context)
    } catch (error) {
      if (kind === 'log' || !isUnreadable(error)) throw error
      failed.push(error)
    }
  }
  // One error can be thrown; none of the others is to be hidden.
  for (const error of failed.slice(1)) context.note(failureNote(error, path))
  if (failed.length > 0) throw failed[0]
}

/** Removed, replaced or refused: of no concern to the logs beside it. */
function isUnreadable(error: unknown): boolean {
  if (!(error instanceof LogboomError)) return false
  return error.code === 'ERR_IO' || error.code === 'ERR_NOT_FILE' || error.code === 'ERR_NOT_FOUND'
}

function requireFolderCursor(path: string, from: ReadFrom): void {
  if (typeof from !== 'object' || !('cursor' in from)) return
  const log = JSON.stringify(from.cursor.log)
  const text = `readRecords: the cursor given as 'from' is one of the log ${log}; read that log, or take the cursor of the reader of ${path}`
  throw new LogboomError('ERR_OPTION', text, { path })
}

/** Where reading of one log begins; of a folder, behind the last record that was read of it. */
function fromOf(log: FoundLog, from: ReadFrom): ReadFrom {
  if (typeof from !== 'object' || !('cursors' in from) || log.event === undefined) return from
  const cursor = from.cursors.get(basename(log.path))
  return cursor === undefined ? 'start' : { cursor }
}

async function* readOne(log: FoundLog, context: ReadContext): AsyncGenerator<RecordBatch, void, undefined> {
  for await (const batch of log.reader.read(log.path, { ...context, from: fromOf(log, context.from) })) {
    batch.event = log.event
    yield batch
  }
}

async function* followFolder(
  folder: string,
  format: string,
  first: FoundLogs,
  context: ReadContext
): AsyncGenerator<RecordBatch, void, undefined> {
  const merger = new BatchMerger(context.signal)
  const { signal } = merger
  const known = new Set<string>()
  const told = new Set<string>(first.notes.map((note) => note.path))
  const tell = (note: Note) => {
    if (!told.has(note.path)) context.note(note)
    told.add(note.path)
  }
  const add = ({ logs, notes, failures }: FoundLogs, from: ReadContext['from']) => {
    for (const log of logs) {
      if (known.has(log.path)) continue
      known.add(log.path)
      const failed = (error: unknown) => tell(failureNote(error, folder))
      merger.add(followOne(log, { ...context, from: fromOf(log, from), signal }, failed), log.event)
    }
    for (const note of notes) tell(note)
    for (const failure of failures) tell(failureNote(failure, folder))
  }
  add(first, context.from)
  merger.run(async () => {
    while (!signal.aborted) {
      await pause(signal)
      if (!signal.aborted) add(await findLogs(folder, format, known), 'start')
    }
  })
  merger.close()
  yield* merger.read()
}

/** One log of a folder: what keeps it from being read is told, and it is gone on with behind what was read of it. */
async function* followOne(
  { path, reader }: FoundLog,
  context: ReadContext,
  failed: (error: unknown) => void
): AsyncGenerator<RecordBatch, void, undefined> {
  let { from } = context
  let isTriedAgain = false
  while (!context.signal.aborted) {
    try {
      for await (const batch of reader.read(path, { ...context, from })) {
        // The bytes of a batch may be others once it was used.
        const cursor = recordAt(batch, batchLength(batch) - 1).cursor
        yield batch
        if (cursor !== undefined) from = readFrom(cursor)
      }
      return
    } catch (error) {
      const isLost = isTriedAgain && error instanceof LogboomError && error.code === 'ERR_CURSOR_LOST'
      if (!isLost && !isUnreadable(error)) throw error
      if (isLost) context.lost(path, 'what came next, or the log is another one')
      else failed(error)
      if (isLost) from = 'start'
      isTriedAgain = true
      await pause(context.signal)
    }
  }
}

async function pause(signal: AbortSignal): Promise<void> {
  await sleep(LOOK_AGAIN_MS, undefined, { signal }).catch(() => {})
}

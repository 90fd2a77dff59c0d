// The batches of whatever is at a path: the part of reading that `readRecords` and the CLI share.
import { setTimeout as sleep } from 'node:timers/promises'
import { type FoundLog, findLogs } from '../find-logs.ts'
import type { ReadContext, RecordBatch } from '../reader.ts'
import { BatchMerger } from './batch-merger.ts'
import { notFound } from './context.ts'

// How often a followed folder is searched for new logs, and a missing path is looked for.
const LOOK_AGAIN_MS = 200

/**
 * The records of the log at `path`; of a folder of logs, those of one log after the other, or, when followed,
 * as they come. Throws `ERR_NOT_FOUND` if nothing is there, unless it follows.
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
  const begun: ReadContext = { ...context, from }
  if (found.kind === 'folder' && context.follow) {
    yield* followFolder(path, format, found.logs, begun)
  } else if (found.logs.length === 0) {
    throw notFound(path)
  } else {
    for (const log of found.logs) yield* readOne(log, begun)
  }
}

async function* readOne(log: FoundLog, context: ReadContext): AsyncGenerator<RecordBatch, void, undefined> {
  for await (const batch of log.reader.read(log.path, context)) {
    batch.event = log.event
    yield batch
  }
}

async function* followFolder(
  folder: string,
  format: string,
  first: readonly FoundLog[],
  context: ReadContext
): AsyncGenerator<RecordBatch, void, undefined> {
  const merger = new BatchMerger(context.signal)
  const { signal } = merger
  const known = new Set<string>()
  const add = (logs: readonly FoundLog[], from: ReadContext['from']) => {
    for (const { path, reader, event } of logs) {
      if (known.has(path)) continue
      known.add(path)
      merger.add(reader.read(path, { ...context, from, signal }), event)
    }
  }
  add(first, context.from)
  merger.run(async () => {
    while (!signal.aborted) {
      await pause(signal)
      if (!signal.aborted) add((await findLogs(folder, format)).logs, 'start')
    }
  })
  merger.close()
  yield* merger.read()
}

async function pause(signal: AbortSignal): Promise<void> {
  await sleep(LOOK_AGAIN_MS, undefined, { signal }).catch(() => {})
}

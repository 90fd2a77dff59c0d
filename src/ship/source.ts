// The log that is shipped: found, or waited for, until it says what it is.
import { setTimeout as sleep } from 'node:timers/promises'
import { LogboomError } from '../base/errors.ts'
import { notFound } from '../readers/engine/context.ts'
import { findLogs } from '../readers/find-logs.ts'
import type { Reader } from '../readers/reader.ts'

const LOOK_AGAIN_MS = 200
const LINE_FORMATS = ['text', 'spool']

export interface SourceLog {
  /** Of the log itself: within the folder that was given, for a write-ahead log with its snapshots. */
  readonly path: string
  readonly reader: Reader
  /** Whether records are lines. */
  readonly areLines: boolean
  /** There is nothing in it. */
  readonly isEmpty: boolean
}

/** Undefined when it was stopped before there was a log. Throws `ERR_OPTION` for a folder of logs, `ERR_NOT_FOUND`. */
export async function findSource(
  path: string,
  follow: boolean,
  signal: AbortSignal
): Promise<SourceLog | undefined> {
  while (!signal.aborted) {
    const { kind, logs, isEmpty } = await findLogs(path, 'auto')
    const [log] = logs
    // A folder that is empty may become anything.
    if (kind === 'folder' && (logs.length > 0 || !follow)) throw severalLogs(path)
    if (kind === 'missing' && !follow) throw notFound(path)
    if (log !== undefined && !(isEmpty && follow))
      return { ...log, areLines: LINE_FORMATS.includes(log.reader.format), isEmpty }
    await sleep(LOOK_AGAIN_MS, undefined, { signal }).catch(() => {})
  }
  return undefined
}

/** Whether what is at the path, as soon as something is there, is a folder of logs; false also when it was stopped before. */
export async function isFolderOfLogs(path: string, follow: boolean, signal: AbortSignal): Promise<boolean> {
  while (!signal.aborted) {
    const { kind, logs } = await findLogs(path, 'auto')
    if (kind === 'folder') {
      // A folder that is empty may become anything.
      if (logs.length > 0 || !follow) return true
    } else if (kind === 'log' || !follow) return false
    await sleep(LOOK_AGAIN_MS, undefined, { signal }).catch(() => {})
  }
  return false
}

function severalLogs(source: string): LogboomError {
  const message = `${source} is a folder of logs: FolderShipper ships them one by one, each with a checkpoint of its own`
  return new LogboomError('ERR_OPTION', message, { path: source })
}

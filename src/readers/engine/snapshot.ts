// The files of a log at one moment, although it may be rotated at any time.
import { stat } from 'node:fs/promises'
import { LogboomError } from '../../base/errors.ts'
import type { FindLogFiles, FinishedFile } from './log-files.ts'
import { isMissing, type OpenFile, openFile, readError } from './open-file.ts'

/** Nobody rotates so often in the time a folder is listed; a path that changes at every look is no log. */
const MAX_TURNS = 100

/** All files of a log at one moment, oldest first. */
export interface Snapshot {
  readonly finished: readonly FinishedFile[]
  /** Open; to be closed by who asked. */
  readonly live: OpenFile | undefined
}

/**
 * The files of the log at `path`. A rotation while the folder is being read would show a file twice or not at
 * all, so the live file is opened before and must still be in its place afterwards.
 */
export async function takeSnapshot(find: FindLogFiles, path: string): Promise<Snapshot> {
  for (let turn = 0; turn < MAX_TURNS; turn++) {
    const live = await openFile(path)
    let kept = false
    try {
      const found = await find(path)
      if (found.live === undefined) return { finished: found.finished, live: undefined }
      kept = isSameFile(await identityAt(path), live)
      if (kept) return { finished: found.finished, live }
    } finally {
      if (!kept) await live?.handle.close()
    }
  }
  throw new LogboomError('ERR_IO', `${path} was replaced ${MAX_TURNS} times while its files were listed`, {
    path
  })
}

/** What tells one file from another, whatever its name, as long as it is open or exists. */
export type Identity = Pick<OpenFile, 'dev' | 'ino'>

/** The identity of the file that is at `path` now; undefined if there is none. */
export async function identityAt(path: string): Promise<Identity | undefined> {
  try {
    const { dev, ino } = await stat(path, { bigint: true })
    return { dev, ino }
  } catch (error) {
    if (isMissing(error)) return undefined
    throw readError(path, error)
  }
}

/** Whether both are the same file, or both nothing. */
export function isSameFile(a: Identity | undefined, b: Identity | undefined): boolean {
  return a?.dev === b?.dev && a?.ino === b?.ino
}

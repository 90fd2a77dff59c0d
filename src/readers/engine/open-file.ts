// Opens a file for reading. Only regular files: opening a FIFO would wait for a writer, and a device has no end.
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { errorMessage, LogboomError, systemCode } from '../../base/errors.ts'

/** An open file and its identity, which a rename keeps and a new file of the same name does not share. */
export interface OpenFile {
  readonly handle: FileHandle
  readonly path: string
  readonly dev: bigint
  readonly ino: bigint
}

/** Undefined if there is no such file. Throws `ERR_NOT_FILE`, or `ERR_IO` with the system error as cause. */
export async function openFile(path: string): Promise<OpenFile | undefined> {
  let handle: FileHandle
  try {
    handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
  } catch (error) {
    if (isMissing(error)) return undefined
    throw readError(path, error)
  }
  const stat = await handle.stat({ bigint: true })
  if (stat.isFile()) return { handle, path, dev: stat.dev, ino: stat.ino }
  await handle.close()
  throw new LogboomError('ERR_NOT_FILE', `${path} is not a regular file`, { path })
}

/** Whether an error says that nothing is there. */
export function isMissing(error: unknown): boolean {
  const code = systemCode(error)
  return code === 'ENOENT' || code === 'ENOTDIR'
}

/** An `ERR_IO` for a failed read. */
export function readError(path: string, cause: unknown): LogboomError {
  if (cause instanceof LogboomError) return cause
  return new LogboomError('ERR_IO', `cannot read ${path}: ${errorMessage(cause)}`, { path, cause })
}

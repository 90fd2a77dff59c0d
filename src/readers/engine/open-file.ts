// Opens a file for reading. Only regular files: opening a FIFO would wait for a writer, opening a device may act on it,
// and neither has an end.
import { constants, type Stats } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { errorMessage, LogboomError, systemCode } from '../../base/errors.ts'
import type { Note } from '../reader.ts'

/** An open file and its identity, which a rename keeps and a new file of the same name does not share. */
export interface OpenFile {
  readonly handle: FileHandle
  readonly path: string
  readonly dev: bigint
  readonly ino: bigint
}

export interface OpenFileOptions {
  /** False where nobody has a reason to put a link: it is refused. */
  readonly followLinks?: boolean
}

/** Undefined if there is no such file. Throws `ERR_NOT_FILE`, or `ERR_IO` with the system error as cause. */
export async function openFile(path: string, options: OpenFileOptions = {}): Promise<OpenFile | undefined> {
  let handle: FileHandle | undefined
  try {
    // Before opening it. What takes its place in between is opened without waiting, and looked at again.
    const before = await stat(path)
    if (!before.isFile()) throw notFile(path, before)
    handle = await open(path, options.followLinks === false ? WITHOUT_LINKS : PLAIN)
    const opened = await handle.stat({ bigint: true })
    if (opened.isFile()) return { handle, path, dev: opened.dev, ino: opened.ino }
    throw notFile(path, before)
  } catch (error) {
    await handle?.close()
    if (isMissing(error)) return undefined
    throw readError(path, error)
  }
}

const PLAIN = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) | (constants.O_NOCTTY ?? 0)
const WITHOUT_LINKS = PLAIN | (constants.O_NOFOLLOW ?? 0)

/** What a thing that is no regular file is called. */
export function kindName(stats: Pick<Stats, 'isDirectory' | 'isFIFO' | 'isSocket'>): string {
  if (stats.isDirectory()) return 'a folder'
  if (stats.isFIFO()) return 'a FIFO'
  return stats.isSocket() ? 'a socket' : 'a device'
}

function notFile(path: string, stats: Stats): LogboomError {
  return new LogboomError('ERR_NOT_FILE', `${path} is not a regular file, but ${kindName(stats)}`, { path })
}

/** Whether an error says that nothing is there. */
export function isMissing(error: unknown): boolean {
  const code = systemCode(error)
  return code === 'ENOENT' || code === 'ENOTDIR'
}

/** Tells of a file or folder that could not be read where others could. */
export function failureNote(error: unknown, folder: string): Note {
  const { path, cause } = error instanceof LogboomError ? error : { path: undefined, cause: error }
  return { path: path ?? folder, text: `cannot be read: ${systemCode(cause) ?? errorMessage(error)}` }
}

/** An `ERR_IO` for a failed read. */
export function readError(path: string, cause: unknown): LogboomError {
  if (cause instanceof LogboomError) return cause
  return new LogboomError('ERR_IO', `cannot read ${path}: ${errorMessage(cause)}`, { path, cause })
}

/** Opens a small file in which others tell of themselves. A lock can be asked for only where one could write; nothing is. */
export async function openToLook(path: string): Promise<FileHandle> {
  const { O_RDWR, O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants
  try {
    return await open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK)
  } catch (error) {
    const code = systemCode(error)
    if (code !== 'EACCES' && code !== 'EPERM' && code !== 'EROFS') throw error
    return await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  }
}

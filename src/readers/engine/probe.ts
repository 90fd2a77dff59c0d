// Looks at what is at a path without reading it: its kind, the names around it, and its first and last bytes.
import type { Dirent } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { type ByteSource, fileSource, SourceDamage } from './byte-source.ts'
import { compressionOf, DecompressedSource } from './decompress.ts'
import { isMissing, kindName, type OpenFile, openFile, readError } from './open-file.ts'

const HEAD_BYTES = 8192
const TAIL_BYTES = 1024
/** How far into a file that looks like nothing known the mark of a format is looked for. */
const SEARCH_BYTES = 16 * 1024 * 1024
const SEARCH_CHUNK_BYTES = 256 * 1024

/** What is at a path; of what is no file and no folder, its name ('a FIFO'). */
export type PathKind =
  | { readonly is: 'file' | 'folder' | 'missing' }
  | { readonly is: 'other'; readonly what: string }

export async function kindOf(path: string): Promise<PathKind> {
  try {
    const stats = await stat(path)
    if (stats.isFile()) return { is: 'file' }
    return stats.isDirectory() ? { is: 'folder' } : { is: 'other', what: kindName(stats) }
  } catch (error) {
    if (isMissing(error)) return { is: 'missing' }
    throw readError(path, error)
  }
}

/** What is in a folder. A link may be to anything, so it is among the files and among the folders. */
export interface FolderEntries {
  readonly files: readonly string[]
  readonly folders: readonly string[]
  /** FIFOs, sockets and devices. */
  readonly others: readonly { readonly name: string; readonly what: string }[]
}

export async function entriesIn(folder: string): Promise<FolderEntries> {
  let entries: Dirent[]
  try {
    entries = await readdir(folder, { withFileTypes: true })
  } catch (error) {
    if (isMissing(error)) return { files: [], folders: [], others: [] }
    throw readError(folder, error)
  }
  const names = (wanted: (entry: Dirent) => boolean) => entries.filter(wanted).map(({ name }) => name)
  return {
    files: names((entry) => entry.isFile() || entry.isSymbolicLink()),
    folders: names((entry) => entry.isDirectory() || entry.isSymbolicLink()),
    others: entries
      .filter((entry) => !entry.isFile() && !entry.isSymbolicLink() && !entry.isDirectory())
      .map((entry) => ({ name: entry.name, what: kindName(entry) }))
  }
}

/** The first bytes of a (decompressed) file, and the last ones of an uncompressed one; undefined if there is none. */
export async function endsOf(path: string): Promise<{ head: Buffer; tail: Buffer } | undefined> {
  return await withSource(path, async (source, file) => {
    const head = await readUpTo(source, HEAD_BYTES)
    if (compressionOf(basename(path)) !== '') return { head, tail: NOTHING }
    const { size } = await file.handle.stat()
    return {
      head,
      tail: await readUpTo(fileSource(path, file.handle, Math.max(0, size - TAIL_BYTES)), TAIL_BYTES)
    }
  })
}

/** Whether `mark` stands anywhere in the first 16 MiB of a (decompressed) file. */
export async function holdsMark(path: string, mark: Buffer): Promise<boolean> {
  const found = await withSource(path, async (source) => {
    let before = NOTHING
    for (let searched = 0; searched < SEARCH_BYTES; ) {
      const chunk = await readUpTo(source, SEARCH_CHUNK_BYTES)
      if (chunk.length === 0) return false
      if (Buffer.concat([before, chunk]).includes(mark)) return true
      // The mark may lie across two chunks.
      before = Buffer.from(chunk.subarray(Math.max(0, chunk.length - mark.length + 1)))
      searched += chunk.length
    }
    return false
  })
  return found === true
}

/** What `ask` says of a (decompressed) file that it can read from its start on. */
export async function asked(
  path: string,
  ask: (read: (length: number) => Promise<Buffer>) => Promise<boolean>
): Promise<boolean> {
  const answer = await withSource(path, (source) => ask((length) => readUpTo(source, length)))
  return answer === true
}

const NOTHING: Buffer = Buffer.alloc(0)

async function withSource<T>(
  path: string,
  use: (source: ByteSource, file: OpenFile) => Promise<T>
): Promise<T | undefined> {
  const file = await openFile(path)
  if (file === undefined) return undefined
  let packed: DecompressedSource | undefined
  try {
    const compression = compressionOf(basename(path))
    if (compression !== '') packed = new DecompressedSource(path, file.handle, compression, () => {})
    return await use(packed ?? fileSource(path, file.handle, 0), file)
  } finally {
    packed?.close()
    await file.handle.close()
  }
}

/** `length` bytes, or fewer where the source ends or is damaged. */
async function readUpTo(source: ByteSource, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length)
  let filled = 0
  try {
    while (filled < length) {
      const bytesRead = await source.read(bytes.subarray(filled))
      if (bytesRead === 0) break
      filled += bytesRead
    }
  } catch (error) {
    if (!(error instanceof SourceDamage)) throw error
  }
  return bytes.subarray(0, filled)
}

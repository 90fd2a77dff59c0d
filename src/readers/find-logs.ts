// What is at a path: a log, a folder that is one log, or a folder of logs.
import { stat } from 'node:fs/promises'
import { basename, dirname, extname, join } from 'node:path'
import { LogboomError } from '../base/errors.ts'
import { type ByteSource, fileSource, SourceDamage } from './engine/byte-source.ts'
import { compressionOf, DecompressedSource } from './engine/decompress.ts'
import { findRotatedFiles, namesIn } from './engine/log-files.ts'
import { isMissing, openFile, readError } from './engine/open-file.ts'
import type { Probe, Reader } from './reader.ts'
import { readerOf, readers } from './registry.ts'

/** A log and who can read it. */
export interface FoundLog {
  readonly path: string
  readonly reader: Reader
  /** In a folder of logs: its name without extension. */
  readonly event?: string
}

export interface FoundLogs {
  /** What `path` is: with 'missing', `logs` is empty. */
  readonly kind: 'log' | 'folder' | 'missing'
  readonly logs: readonly FoundLog[]
  /** There is a file, but nothing in it or its backups yet. */
  readonly isEmpty: boolean
}

const HEAD_BYTES = 8192

/** The logs at `path`. Throws `ERR_OPTION` for an unknown format, `ERR_FORMAT` if no reader knows the path. */
export async function findLogs(path: string, format: string): Promise<FoundLogs> {
  const reader = format === 'auto' ? undefined : requireReader(format)
  const probe = await probePath(path)
  if (probe.kind === 'missing') return { kind: 'missing', logs: [], isEmpty: true }
  if (probe.kind === 'folder' && reader?.unit !== 'folder') {
    const found = reader === undefined ? readers.find((each) => each.detect(probe)) : undefined
    if (found !== undefined) return { kind: 'log', logs: [{ path, reader: found }], isEmpty: false }
    return { kind: 'folder', logs: await logsIn(path, probe.names, reader), isEmpty: false }
  }
  const isEmpty = probe.kind === 'file' && reader === undefined && probe.head.length === 0
  return { kind: 'log', logs: [{ path, reader: reader ?? detectReader(probe) }], isEmpty }
}

/** The reader of a byte stream that begins with `head`. */
export function readerOfStream(name: string, head: Buffer, format: string): Reader {
  if (format !== 'auto') return requireReader(format)
  return detectReader({ path: name, kind: 'stream', name, names: [], head })
}

function requireReader(format: string): Reader {
  const reader = readerOf(format)
  if (reader !== undefined) return reader
  const known = ['auto', ...readers.map((each) => each.format)].join(', ')
  throw new LogboomError('ERR_OPTION', `unknown format ${JSON.stringify(format)}; known formats: ${known}`)
}

function detectReader(probe: Probe): Reader {
  const reader = readers.find((each) => each.detect(probe))
  if (reader !== undefined) return reader
  throw new LogboomError('ERR_FORMAT', `${probe.path} is in no known format`, { path: probe.path })
}

/** The logs in a folder by name. Hidden files are not logs: locks and files that are being prepared. */
async function logsIn(folder: string, names: readonly string[], reader?: Reader): Promise<FoundLog[]> {
  const askBackupOf = reader === undefined ? readers : [reader]
  const bases = new Set<string>()
  for (const name of names) {
    if (name.startsWith('.') || name.endsWith('.tmp')) continue
    const owner = askBackupOf.find((each) => each.backupOf?.(name) !== undefined)
    bases.add(owner?.backupOf?.(name) ?? name)
  }
  const logs: FoundLog[] = []
  for (const base of [...bases].sort()) {
    const path = join(folder, base)
    const probe = await probePath(path, names)
    if (probe.kind !== 'file') continue
    logs.push({ path, reader: reader ?? detectReader(probe), event: basename(base, extname(base)) })
  }
  return logs
}

async function probePath(path: string, siblings?: readonly string[]): Promise<Probe> {
  const name = basename(path)
  const kind = await kindOf(path)
  if (kind === 'folder') return { path, kind, name, names: await namesIn(path), head: Buffer.alloc(0) }
  const names = siblings ?? (await namesIn(dirname(path)))
  let head = kind === 'file' ? await headOf(path) : undefined
  if (head !== undefined && head.length > 0) return { path, kind: 'file', name, names, head }
  const newest = (await findRotatedFiles(path)).finished.at(-1)
  for (const backup of newest?.paths ?? []) {
    head = (await headOf(backup)) ?? head
    if (head !== undefined && head.length > 0) break
  }
  return { path, kind: head === undefined ? 'missing' : 'file', name, names, head: head ?? Buffer.alloc(0) }
}

async function kindOf(path: string): Promise<'file' | 'folder' | 'missing'> {
  try {
    return (await stat(path)).isDirectory() ? 'folder' : 'file'
  } catch (error) {
    if (isMissing(error)) return 'missing'
    throw readError(path, error)
  }
}

/** The first bytes of a (decompressed) file; undefined if there is none. */
async function headOf(path: string): Promise<Buffer | undefined> {
  const file = await openFile(path)
  if (file === undefined) return undefined
  const compression = compressionOf(basename(path))
  const packed =
    compression === '' ? undefined : new DecompressedSource(path, file.handle, compression, () => {})
  try {
    return await readHead(packed ?? fileSource(path, file.handle, 0))
  } finally {
    packed?.close()
    await file.handle.close()
  }
}

async function readHead(source: ByteSource): Promise<Buffer> {
  const head = Buffer.alloc(HEAD_BYTES)
  let filled = 0
  try {
    while (filled < HEAD_BYTES) {
      const bytesRead = await source.read(head.subarray(filled))
      if (bytesRead === 0) break
      filled += bytesRead
    }
  } catch (error) {
    if (!(error instanceof SourceDamage)) throw error
  }
  return head.subarray(0, filled)
}

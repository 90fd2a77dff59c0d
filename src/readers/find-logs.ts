// What is at a path: a log, a folder that is one log, or a folder of logs.
import { readlink } from 'node:fs/promises'
import { basename, dirname, extname, join } from 'node:path'
import { LogboomError } from '../base/errors.ts'
import { detectReader, type FoundLog, isHidden, LogFinder } from './engine/log-finder.ts'
import { failureNote, readError } from './engine/open-file.ts'
import { entriesIn, type FolderEntries, kindOf } from './engine/probe.ts'
import type { Note, Probe, Reader } from './reader.ts'
import { readerOf, readers } from './registry.ts'

export interface FoundLogs {
  /** What `path` is: with 'missing', `logs` is empty. */
  readonly kind: 'log' | 'folder' | 'missing'
  readonly logs: readonly FoundLog[]
  /** There is a file, but nothing in it or its backups yet. */
  readonly isEmpty: boolean
  /** What is in a folder of logs and is no log, and what is odd about a log. */
  readonly notes: readonly Note[]
  /** What is in a folder of logs and could not be looked at. */
  readonly failures: readonly LogboomError[]
}

/** The folder of a write-ahead log within the one of its event or member, beside that of its snapshots. */
const WAL_FOLDER = 'wal'
const SNAPSHOT_FOLDER = 'snap'
const NOTHING = Buffer.alloc(0)

/**
 * The logs at `path`. Throws `ERR_OPTION` for an unknown format, `ERR_FORMAT` if no reader knows the path. Logs of a
 * folder whose paths are `known` are left out.
 */
export async function findLogs(
  path: string,
  format: string,
  known: ReadonlySet<string> = new Set()
): Promise<FoundLogs> {
  const reader = format === 'auto' ? undefined : requireReader(format)
  const kind = await kindOf(path)
  if (kind.is === 'other') throw notFile(path, kind.what)
  if (kind.is === 'folder') return await findInFolder(path, reader, known)
  const found = await new LogFinder(dirname(path), reader).find(basename(path))
  if (found === undefined) {
    const lost = await folderLog(path, { files: [], folders: [], others: [] }, reader)
    if (lost !== undefined) return { kind: 'log', logs: [lost], isEmpty: false, notes: [], failures: [] }
    return { kind: 'missing', logs: [], isEmpty: true, notes: [], failures: [] }
  }
  const { log, isEmpty, notes } = found
  return { kind: 'log', logs: [log], isEmpty: isEmpty && reader === undefined, notes, failures: [] }
}

/** The reader of a byte stream that begins with `head`. */
export function readerOfStream(name: string, head: Buffer, format: string): Reader {
  if (format !== 'auto') return requireReader(format)
  return detectReader({ path: name, kind: 'stream', name, names: [], head, tail: NOTHING })
}

function requireReader(format: string): Reader {
  const reader = readerOf(format)
  if (reader !== undefined) return reader
  const known = ['auto', ...readers.map((each) => each.format)].join(', ')
  throw new LogboomError('ERR_OPTION', `unknown format ${JSON.stringify(format)}; known formats: ${known}`)
}

function notFile(path: string, what: string): LogboomError {
  return new LogboomError('ERR_NOT_FILE', `${path} is not a regular file, but ${what}`, { path })
}

async function findInFolder(
  path: string,
  reader: Reader | undefined,
  known: ReadonlySet<string>
): Promise<FoundLogs> {
  const entries = await entriesIn(path)
  const one = await folderLog(path, entries, reader)
  if (one !== undefined) return { kind: 'log', logs: [one], isEmpty: false, notes: [], failures: [] }
  const found = await logsIn(path, entries, reader, known)
  if (reader?.unit !== 'folder' || found.logs.length + known.size > 0)
    return { kind: 'folder', isEmpty: false, ...found }
  // Its reader says what is missing, and waits for it when it follows.
  return { kind: 'log', logs: [{ path, reader }], isEmpty: false, notes: [], failures: [] }
}

/** The log that the folder is as a whole, or holds beside nothing but its snapshots. */
async function folderLog(
  path: string,
  entries: FolderEntries,
  wanted: Reader | undefined
): Promise<FoundLog | undefined> {
  const candidates = wanted === undefined ? readers : [wanted]
  const probe = folderProbe(path, entries)
  const reader = candidates.find((each) => each.unit === 'folder' && each.detect(probe))
  if (reader !== undefined) return { path, reader }
  const others = [...entries.files, ...entries.folders].filter(
    (name) => !isHidden(name) && name !== WAL_FOLDER && name !== SNAPSHOT_FOLDER
  )
  return others.length === 0 ? await memberLog(path, entries, wanted) : undefined
}

/** The write-ahead log in the folder `wal` of a folder. */
async function memberLog(
  path: string,
  entries: FolderEntries,
  wanted: Reader | undefined
): Promise<FoundLog | undefined> {
  const reader = readerOf(WAL_FOLDER)
  if (reader === undefined || (wanted !== undefined && wanted !== reader)) return undefined
  // Of a log that is gone its snapshots may be left.
  if (!entries.folders.some((name) => name === WAL_FOLDER || name === SNAPSHOT_FOLDER)) return undefined
  const inner = join(path, WAL_FOLDER)
  return reader.detect(folderProbe(inner, await entriesIn(inner))) ? { path: inner, reader } : undefined
}

function folderProbe(path: string, { files }: FolderEntries): Probe {
  return { path, kind: 'folder', name: basename(path), names: files, head: NOTHING, tail: NOTHING }
}

/** The logs in a folder, by name: files with their backups, and folders that are a write-ahead log. */
async function logsIn(
  folder: string,
  entries: FolderEntries,
  reader: Reader | undefined,
  known: ReadonlySet<string>
): Promise<Pick<FoundLogs, 'logs' | 'notes' | 'failures'>> {
  const notes: Note[] = entries.others
    .filter(({ name }) => !isHidden(name))
    .map(({ name, what }) => ({ path: join(folder, name), text: `no log, but ${what}` }))
  const failures: LogboomError[] = []
  const finder = new LogFinder(folder, reader, entries.files)
  const own = new Set(reader?.unit === 'folder' ? [] : await finder.names())
  const logs: FoundLog[] = []
  for (const name of [...new Set([...own, ...entries.folders])].filter((each) => !isHidden(each)).sort()) {
    const path = join(folder, name)
    if (known.has(path)) continue
    try {
      const kind = await kindOf(path)
      if (kind.is === 'other') notes.push({ path, text: `no log, but ${kind.what}` })
      else if (kind.is === 'folder') {
        const log = await walIn(path, reader).catch((error) => {
          // Most folders are no logs, so this is no log that is missed.
          notes.push(failureNote(error, path))
        })
        if (log !== undefined) logs.push({ ...log, event: name })
      } else if (own.has(name)) {
        const found = await finder.find(name)
        if (found !== undefined) {
          logs.push({ ...found.log, event: basename(name, extname(name)) })
          notes.push(...found.notes)
        } else if (await isLink(path)) notes.push({ path, text: 'no log, but a link to nothing' })
      }
    } catch (error) {
      // The others can be read all the same.
      failures.push(readError(path, error))
    }
  }
  return { logs, notes, failures }
}

async function walIn(path: string, wanted: Reader | undefined): Promise<FoundLog | undefined> {
  const reader = readerOf(WAL_FOLDER)
  if (reader === undefined || (wanted !== undefined && wanted !== reader)) return undefined
  const entries = await entriesIn(path)
  if (reader.detect(folderProbe(path, entries))) return { path, reader }
  return await memberLog(path, entries, wanted)
}

async function isLink(path: string): Promise<boolean> {
  return await readlink(path).then(
    () => true,
    () => false
  )
}

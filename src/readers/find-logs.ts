// What is at a path: a log, a folder that is one log, or a folder of logs.
import { readlink } from 'node:fs/promises'
import { basename, dirname, extname, join } from 'node:path'
import { LogboomError } from '../base/errors.ts'
import { failureNote, readError } from './engine/open-file.ts'
import { endsOf, entriesIn, type FolderEntries, holdsMark, kindOf } from './engine/probe.ts'
import type { Note, Probe, Reader } from './reader.ts'
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
  /** What is in a folder of logs and is no log, and what is odd about a log. */
  readonly notes: readonly Note[]
  /** What is in a folder of logs and could not be looked at. */
  readonly failures: readonly LogboomError[]
}

/** The folder of a write-ahead log within the one of its event or member, beside that of its snapshots. */
const WAL_FOLDER = 'wal'
const SNAPSHOT_FOLDER = 'snap'
/** Of how many backups, from the newest on, the first bytes are looked at when the live file does not tell. */
const MAX_BACKUPS_ASKED = 4
const NOTHING = Buffer.alloc(0)
const EMPTY_RECORD = Buffer.alloc(4)

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
  if (found === undefined) return { kind: 'missing', logs: [], isEmpty: true, notes: [], failures: [] }
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

function detectReader(probe: Probe): Reader {
  const reader = readers.find((each) => each.detect(probe))
  if (reader !== undefined) return reader
  throw new LogboomError('ERR_FORMAT', `${probe.path} is in no known format`, { path: probe.path })
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
  if (!entries.folders.includes(WAL_FOLDER)) return undefined
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
  const own = reader?.unit === 'folder' ? [] : await finder.names()
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
      } else if (own.includes(name)) {
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

/** Locks and files that are being prepared are no logs. */
function isHidden(name: string): boolean {
  return name.startsWith('.') || name.endsWith('.tmp')
}

interface Found {
  readonly log: FoundLog
  readonly isEmpty: boolean
  readonly notes: readonly Note[]
}

/** Finds the logs among the files of one folder. */
class LogFinder {
  readonly #folder: string
  readonly #readers: readonly Reader[]
  readonly #wanted: Reader | undefined
  #names: readonly string[] | undefined

  /** `wanted`: the format is given. `names`: the files in the folder, if they are known. */
  constructor(folder: string, wanted: Reader | undefined, names?: readonly string[]) {
    this.#folder = folder
    this.#wanted = wanted
    this.#readers = wanted === undefined ? readers : [wanted]
    this.#names = names
  }

  /** The names of the logs, that is, of all files that are no backup of another one. */
  async names(): Promise<string[]> {
    const all = (await this.#files()).filter((name) => !isHidden(name))
    const bases = new Set<string>()
    /** Log → what would be its backups, if it has the format that names them so. */
    const doubtful = new Map<string, string[]>()
    for (const name of all) {
      const owners = this.#readers.filter((each) => each.backups?.baseOf(name) !== undefined)
      const sure = owners.find((each) => each.backups?.isUnmistakable)
      const base = (sure ?? owners[0])?.backups?.baseOf(name)
      if (base === undefined) bases.add(name)
      else if (sure !== undefined) bases.add(base)
      else doubtful.set(base, [...(doubtful.get(base) ?? []), name])
    }
    const backups = new Set<string>()
    // The shorter first: a name is settled before those that could be its backups.
    for (const [base, names] of [...doubtful].sort(([a], [b]) => a.length - b.length)) {
      const isOwner = !backups.has(base) && (await this.#owns(base, names[0]))
      if (isOwner) bases.add(base)
      for (const name of names) (isOwner ? backups : bases).add(name)
    }
    return [...bases].filter((name) => !backups.has(name))
  }

  async #owns(base: string, name: string): Promise<boolean> {
    try {
      return (await this.find(base))?.log.reader.backups?.baseOf(name) === base
    } catch {
      // It cannot be read, which is said where it is: what may be its backups can be read by themselves.
      return false
    }
  }

  /** The log named `name`; undefined if there is neither a file of this name nor a backup of it. */
  async find(name: string): Promise<Found | undefined> {
    const path = join(this.#folder, name)
    const names = await this.#files()
    const ends = await endsOf(path)
    const probe = { path, kind: 'file', name, names, head: NOTHING, tail: NOTHING, ...ends } as const
    const isMissing = ends === undefined
    if (ends !== undefined && ends.head.length > 0) return await this.#byContent(probe)
    let isBackedUp = false
    for (const reader of this.#readers) {
      const heads = await this.#backupHeads(reader, name, names)
      isBackedUp ||= heads.length > 0 && (reader === this.#wanted || reader.backups?.isUnmistakable === true)
      const head = heads.find(({ length }) => length > 0)
      if (head !== undefined && (reader === this.#wanted || reader.detect({ ...probe, head })))
        return { log: { path, reader }, isEmpty: false, notes: [] }
    }
    if (isMissing && !isBackedUp) return undefined
    return { log: { path, reader: this.#wanted ?? detectReader(probe) }, isEmpty: true, notes: [] }
  }

  async #byContent(probe: Probe): Promise<Found> {
    const { path } = probe
    const found = (reader: Reader, notes: readonly Note[] = []) => ({
      log: { path, reader },
      isEmpty: false,
      notes
    })
    if (this.#wanted !== undefined) return found(this.#wanted)
    const reader = detectReader(probe)
    const hasNul = probe.head.includes(0)
    // No text is like this, and empty records are more likely a hole: the first bytes of the file may be damaged.
    const isOdd = reader.takesAnything === true ? hasNul : probe.head.indexOf(EMPTY_RECORD) === 0
    if (!isOdd) return found(reader)
    for (const each of readers) {
      if (each.mark === undefined) continue
      if (probe.tail.includes(each.mark) || (await holdsMark(path, each.mark))) return found(each)
    }
    if (reader.takesAnything !== true) return found(reader)
    return found(reader, [
      { path, text: `holds NUL bytes and is in no known format; it is read as ${reader.format}` }
    ])
  }

  /** The first bytes of the newest backups that are there, the newest first. */
  async #backupHeads(reader: Reader, name: string, names: readonly string[]): Promise<Buffer[]> {
    const newest = reader.backups?.of(name, names).slice(-MAX_BACKUPS_ASKED).reverse() ?? []
    const heads: Buffer[] = []
    for (const files of newest) {
      for (const file of files) {
        const ends = await endsOf(join(this.#folder, file))
        if (ends !== undefined) heads.push(ends.head)
      }
      if (heads.some(({ length }) => length > 0)) break
    }
    return heads
  }

  async #files(): Promise<readonly string[]> {
    this.#names ??= (await entriesIn(this.#folder)).files
    return this.#names
  }
}

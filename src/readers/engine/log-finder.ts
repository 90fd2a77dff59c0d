// Which files of a folder are logs, which are backups of which, and what format they are in.
import { basename, join } from 'node:path'
import { LogboomError } from '../../base/errors.ts'
import { backupsNoteName } from '../../formats/backups-note.ts'
import { lockFileName } from '../../formats/lock-file.ts'
import type { Note, Probe, Reader } from '../reader.ts'
import { readers } from '../registry.ts'
import { notedBackups } from './backup-ways.ts'
import { findRotatedFiles } from './log-files.ts'
import { asked, endsOf, entriesIn, holdsMark } from './probe.ts'

/** Of how many backups, from the newest on, the first bytes are looked at when the live file does not tell. */
const MAX_BACKUPS_ASKED = 4
const NOTHING = Buffer.alloc(0)
const EMPTY_RECORD = Buffer.alloc(4)

/** A log and who can read it. */
export interface FoundLog {
  readonly path: string
  readonly reader: Reader
  /** In a folder of logs: its name without extension. */
  readonly event?: string
}

/** A log, whether there is nothing in it yet, and what is odd about it. */
export interface Found {
  readonly log: FoundLog
  readonly isEmpty: boolean
  readonly notes: readonly Note[]
}

/** Finds the logs among the files of one folder. */
export class LogFinder {
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
    const files = await this.#files()
    const noted = await notedBackups(this.#folder, files)
    const all = files.filter((name) => !isHidden(name) && !noted.has(join(this.#folder, name)))
    const bases = new Set<string>([...noted.values()].map((log) => basename(log)))
    /** Log → what would be its backups, if it has the format that names them so. */
    const doubtful = new Map<string, string[]>()
    for (const name of all) {
      const owners = this.#readers.filter((each) => each.backups?.baseOf(name) !== undefined)
      const sure = owners.find((each) => each.backups?.isUnmistakable)
      const base = (sure ?? owners[0])?.backups?.baseOf(name)
      const isWrittenTo = sure === undefined && files.includes(lockFileName(name))
      if (base === undefined || isWrittenTo) bases.add(name)
      else if (sure !== undefined) bases.add(base)
      else if (doubtful.get(base)?.push(name) === undefined) doubtful.set(base, [name])
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
    if (ends !== undefined && ends.head.length > 0)
      return await this.#byContent(path, probe, this.#wanted ?? detectReader(probe))
    let isBackedUp = false
    for (const reader of this.#readers) {
      const backups = await this.#backupEnds(reader, name, names)
      isBackedUp ||=
        backups.length > 0 && (reader === this.#wanted || reader.backups?.isUnmistakable === true)
      const backup = backups.find(({ head }) => head.length > 0)
      if (backup === undefined) continue
      const backupProbe = { ...probe, ...backup }
      const isKnown = reader === this.#wanted || reader.detect(backupProbe)
      if (isKnown || (reader.holds !== undefined && (await asked(backup.path, reader.holds))))
        return await this.#byContent(path, backupProbe, reader)
    }
    if (names.includes(backupsNoteName(name))) {
      // In a way of their own are backups of text only.
      const { finished } = await findRotatedFiles(path)
      isBackedUp ||= finished.length > 0
    }
    if (isMissing && !isBackedUp) return undefined
    return { log: { path, reader: this.#wanted ?? detectReader(probe) }, isEmpty: true, notes: [] }
  }

  /** The log at `path`, of which the live file or a backup looks as if it were for `reader`. */
  async #byContent(path: string, probe: Probe, reader: Reader): Promise<Found> {
    const found = (reader: Reader, notes: readonly Note[] = []) => ({
      log: { path, reader },
      isEmpty: false,
      notes
    })
    if (this.#wanted !== undefined) return found(this.#wanted)
    const hasNul = probe.head.includes(0)
    // No text is like this, and empty records are more likely a hole: the first bytes of the file may be damaged.
    const isOdd = reader.takesAnything === true ? hasNul : probe.head.indexOf(EMPTY_RECORD) === 0
    if (!isOdd) return found(reader)
    for (const each of readers) {
      if (each.mark === undefined) continue
      if (probe.tail.includes(each.mark) || (await holdsMark(probe.path, each.mark))) return found(each)
    }
    if (reader.takesAnything !== true) return found(reader)
    for (const each of readers) {
      // Backups are called as those of `reader`, and would not be found by another one.
      if (probe.path === path && each.holds !== undefined && (await asked(path, each.holds)))
        return found(each)
    }
    return found(reader, [
      { path: probe.path, text: `holds NUL bytes and is in no known format; it is read as ${reader.format}` }
    ])
  }

  /** The first and last bytes of the newest backups that are there, the newest first. */
  async #backupEnds(
    reader: Reader,
    name: string,
    names: readonly string[]
  ): Promise<Pick<Probe, 'path' | 'head' | 'tail'>[]> {
    const newest = reader.backups?.of(name, names).slice(-MAX_BACKUPS_ASKED).reverse() ?? []
    const found: Pick<Probe, 'path' | 'head' | 'tail'>[] = []
    for (const files of newest) {
      for (const file of files) {
        const path = join(this.#folder, file)
        const ends = await endsOf(path)
        if (ends !== undefined) found.push({ path, ...ends })
      }
      if (found.some(({ head }) => head.length > 0)) break
    }
    return found
  }

  async #files(): Promise<readonly string[]> {
    this.#names ??= (await entriesIn(this.#folder)).files
    return this.#names
  }
}

/** The first reader that knows what is probed. Throws `ERR_FORMAT` if none does. */
export function detectReader(probe: Probe): Reader {
  const reader = readers.find((each) => each.detect(probe))
  if (reader !== undefined) return reader
  throw new LogboomError('ERR_FORMAT', `${probe.path} is in no known format`, { path: probe.path })
}

/** Locks and files that are being prepared are no logs. */
export function isHidden(name: string): boolean {
  return name.startsWith('.') || name.endsWith('.tmp')
}

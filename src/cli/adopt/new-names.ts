// The names that taken over files get: those that the writers of the log give its backups, in the folder where these are.
import { existsSync, lstatSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { LogboomError, systemCode } from '../../base/errors.ts'
import { BackupWays, type BackupWaysOptions } from '../../core/rotating-file/backup-ways.ts'
import { parseRotatingFileOptions } from '../../core/rotating-file/options.ts'
import {
  type Backup,
  type BackupCompression,
  type BackupName,
  formatBackupName,
  groupBackups,
  parseBackupName
} from '../../formats/backup-name.ts'
import { BackupPattern } from '../../formats/backup-pattern.ts'
import {
  type BackupWay,
  backupsNoteName,
  decodeBackupsNote,
  MAX_BACKUPS_NOTE_BYTES
} from '../../formats/backups-note.ts'
import { realDisk } from '../../io/disk.ts'
import { isForeign } from '../../io/open-file.ts'

/** The usual names, spelt out. */
export const USUAL_PATTERN = '{name}.%Y%m%d-%H%M%S.%i'

export class NewNames {
  readonly way: BackupWay
  /** Where the files go. */
  readonly folder: string
  /** Whether a name tells the time to the second. */
  readonly isExact: boolean
  readonly #base: string
  readonly #pattern: BackupPattern | undefined

  constructor(path: string, way: BackupWay) {
    this.way = way
    this.folder = resolve(dirname(path), way.dir ?? '.')
    this.#base = basename(path)
    this.#pattern = way.name === undefined ? undefined : new BackupPattern(way.name, this.#base)
    this.isExact = this.#pattern?.isExact ?? true
  }

  /** As a path from the folder of the log. */
  format(stamp: number, number: number, compression: BackupCompression): string {
    const name =
      this.#pattern?.format(stamp, number, compression) ??
      formatBackupName(this.#base, stamp, number, compression)
    return this.#placed(name)
  }

  /** The parts of such a path; undefined of any other. */
  parse(to: string): BackupName | undefined {
    const name = basename(to)
    if (to !== this.#placed(name)) return undefined
    return this.#pattern === undefined ? parseBackupName(this.#base, name) : this.#pattern.parse(name)
  }

  /** The beginning of the unit of time that holds `stamp`: within one, numbers tell names apart. */
  unitOf(stamp: number): number {
    return this.#pattern?.unitOf(stamp) ?? stamp
  }

  /** The names in the folder; none if it is not there. */
  namesThere(): string[] {
    try {
      return readdirSync(this.folder)
    } catch (error) {
      if (['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) return []
      throw error
    }
  }

  /** The backups among names of the folder, the oldest first. */
  group(names: readonly string[]): Backup[] {
    return this.#pattern?.group(names) ?? groupBackups(this.#base, names)
  }

  #placed(name: string): string {
    return this.way.dir === undefined ? name : join(this.way.dir, name)
  }
}

/** How the writers of a log name its backups, as they have noted, the latest last. */
export function waysNoted(path: string): BackupWay[] {
  const note = notePath(path)
  const found = lstatSync(note, { throwIfNoEntry: false })
  if (found?.isFile() !== true || found.size > MAX_BACKUPS_NOTE_BYTES) return []
  return decodeBackupsNote(readFileSync(note, 'utf8'))
}

/**
 * How the latest writer of the log at `path` has called backups. Throws `ERR_OWNER` where somebody else's note leads to a folder
 * that is not theirs.
 */
export function notedWay(path: string): BackupWay {
  const way = waysNoted(path).at(-1) ?? {}
  requireOwn(path, way)
  return way
}

/**
 * How backups of the log at `path` are to be called: as the options of its writers say, else as these have noted. Throws
 * `ERR_OPTION`; and `ERR_OWNER` where somebody else's note leads to a folder that is not theirs.
 */
export function wayOf(
  path: string,
  given: { name?: string | undefined; dir?: string | undefined }
): BackupWay {
  if (given.name === undefined && given.dir === undefined) {
    return notedWay(path)
  }
  const backupDir = given.dir === undefined ? {} : { backupDir: given.dir }
  const backupName = given.name === undefined ? {} : { backupName: given.name }
  const options = parseRotatingFileOptions({ path, ...backupDir, ...backupName })
  const dir = relative(dirname(path), resolve(options.backupDir ?? dirname(path)))
  const name = options.backupName === USUAL_PATTERN ? undefined : options.backupName
  // What would be refused when it is done is refused when it is shown.
  const isThere = existsSync(dirname(path)) && existsSync(resolve(dirname(path), dir))
  if (isThere) writersWays(path, { dir, name }).check()
  return { ...(dir === '' ? {} : { dir }), ...(name === undefined ? {} : { name }) }
}

/** What the writers of the log do to have backups called so. */
export function writersWays(path: string, { dir, name }: BackupWay): BackupWays {
  const options: BackupWaysOptions = { mode: 0o640, dirMode: 0o750, mkdir: true, foreignOwner: 'allow' }
  const backupDir = dir === undefined ? undefined : resolve(dirname(path), dir)
  return new BackupWays(realDisk, path, { ...options, backupDir, backupName: name })
}

/**
 * Else a user could have root move files to where only root may. A link in the way is followed, as the move would follow it,
 * and a folder that is missing would be made in the nearest one that is there.
 */
function requireOwn(path: string, { dir }: BackupWay): void {
  if (dir === undefined) return
  const { uid } = lstatSync(notePath(path))
  if (!isForeign(uid)) return
  const folder = resolve(dirname(path), dir)
  let there = folder
  let found = statSync(there, { throwIfNoEntry: false })
  while (found === undefined && there !== dirname(there)) {
    there = dirname(there)
    found = statSync(there, { throwIfNoEntry: false })
  }
  if (found?.uid === uid) return
  const message = `${notePath(path)}, by another user (uid ${uid}), says that backups are in ${folder}, which is not theirs`
  throw new LogboomError('ERR_OWNER', message, { path })
}

function notePath(path: string): string {
  return join(dirname(path), backupsNoteName(basename(path)))
}

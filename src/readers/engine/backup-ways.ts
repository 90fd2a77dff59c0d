// Backups that are called as a user wants, or in a folder of their own: where the note beside a log says they are.
import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { groupBackups } from '../../formats/backup-name.ts'
import { BackupPattern } from '../../formats/backup-pattern.ts'
import {
  type BackupWay,
  backupsNoteName,
  baseOfBackupsNote,
  decodeBackupsNote,
  MAX_BACKUPS_NOTE_BYTES
} from '../../formats/backups-note.ts'
import { mergeWays } from '../../formats/merge-ways.ts'
import { isMissing, openFile } from './open-file.ts'

/** One backup of a log, in whatever folder. */
export interface PlacedBackup {
  readonly folder: string
  /** Its name without compression, whether or not there is such a file. */
  readonly plain: string
  /** Its files, the one to read first. */
  readonly names: readonly string[]
}

/** The ways in the note of the log at `path`, the latest last; none without a note. */
export async function notedWays(path: string): Promise<BackupWay[]> {
  try {
    const note = join(dirname(path), backupsNoteName(basename(path)))
    const file = await openFile(note, { followLinks: false })
    if (file === undefined) return []
    try {
      const bytes = Buffer.alloc(Math.min((await file.handle.stat()).size, MAX_BACKUPS_NOTE_BYTES))
      const { bytesRead } = await file.handle.read(bytes, 0, bytes.length, 0)
      return decodeBackupsNote(bytes.toString('utf8', 0, bytesRead))
    } finally {
      await file.handle.close()
    }
  } catch {
    // No note, or one that cannot be read: what is beside the log under the usual names is found without it.
    return []
  }
}

/** The backups of the log at `path` in all of its ways, oldest first; `names` are those in its own folder. */
export async function backupsInWays(
  path: string,
  names: readonly string[],
  ways: readonly BackupWay[]
): Promise<PlacedBackup[]> {
  const own = dirname(path)
  const usual: BackupWay = {}
  const others = ways.filter(({ dir, name }) => dir !== undefined || name !== undefined)
  const lists: (PlacedBackup & { name: string })[][] = []
  for (const { dir, name } of [usual, ...others]) {
    const folder = dir === undefined ? own : resolve(own, dir)
    lists.push(group(folder, basename(path), name, folder === own ? names : await namesOf(folder)))
  }
  const times = new Map<string, number>()
  if (lists.filter(({ length }) => length > 0).length > 1) {
    for (const { name } of lists.flat()) times.set(name, await timeOf(name))
  }
  return mergeWays(lists, (name) => times.get(name) ?? 0)
}

/** The paths of backups that notes in a folder speak of → the path of their log, in the order of their records. */
export async function notedBackups(folder: string, names: readonly string[]): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for (const note of names) {
    const base = baseOfBackupsNote(note)
    if (base === undefined) continue
    const log = join(folder, base)
    for (const backup of await backupsInWays(log, names, await notedWays(log))) {
      for (const name of backup.names) found.set(join(backup.folder, name), log)
    }
  }
  return found
}

function group(
  folder: string,
  base: string,
  pattern: string | undefined,
  names: readonly string[]
): (PlacedBackup & { name: string })[] {
  const backups =
    pattern === undefined ? groupBackups(base, names) : new BackupPattern(pattern, base).group(names)
  return backups.map(({ name, names: files, compression }) => {
    const plain = compression === '' ? name : name.slice(0, -compression.length - 1)
    return { folder, plain, names: files, name: join(folder, name) }
  })
}

async function namesOf(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

async function timeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).mtimeMs
  } catch {
    return 0
  }
}

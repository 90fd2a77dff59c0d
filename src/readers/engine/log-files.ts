// Which files belong to a log that is rotated by rename: its backups, oldest first, and the live file.
import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { backupBase, groupBackups } from '../../formats/backup-name.ts'
import { backupsNoteName } from '../../formats/backups-note.ts'
import type { BackupNames, LogFile } from '../reader.ts'
import { backupsInWays, notedWays } from './backup-ways.ts'
import { compressionOf } from './decompress.ts'
import { isMissing, readError } from './open-file.ts'

/** A file that nothing is appended to any more. */
export interface FinishedFile {
  /** The same for one backup before and after its compression. */
  readonly key: string
  /** Where it may be found, best first: a backup moves on when it is compressed. */
  readonly paths: readonly string[]
}

export interface LogFiles {
  readonly finished: readonly FinishedFile[]
  /** The path that records are appended to, whether or not it exists; undefined if `path` is a backup. */
  readonly live: string | undefined
}

/** Finds the files of a log. */
export type FindLogFiles = (path: string) => Promise<LogFiles>

/** A folder that was listed so long after its last change: a later change cannot bear the same time. */
const SETTLED_MS = 2_000

/** The folder listed last: a folder of thousands of logs is asked for with each of them. */
let lastListed:
  | {
      readonly folder: string
      readonly ino: bigint
      readonly mtimeNs: bigint
      readonly names: readonly string[]
    }
  | undefined

/** The names in a folder; none if there is no such folder. */
export async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    const { ino, mtimeNs } = await stat(folder, { bigint: true })
    const last = lastListed
    if (last?.folder === folder && last.ino === ino && last.mtimeNs === mtimeNs) return last.names
    const isSettled = mtimeNs < BigInt(Date.now() - SETTLED_MS) * 1_000_000n
    const names = await readdir(folder)
    lastListed = isSettled ? { folder, ino, mtimeNs, names } : undefined
    return names
  } catch (error) {
    if (isMissing(error)) return []
    throw readError(folder, error)
  }
}

/** The files of a log whose backups are named as formats/backup-name.ts says. */
export const findRotatedFiles: FindLogFiles = async (path) => {
  const name = basename(path)
  if (isFinishedName(name)) return { finished: [{ key: path, paths: [path] }], live: undefined }
  const names = await namesIn(dirname(path))
  const ways = names.includes(backupsNoteName(name)) ? await notedWays(path) : []
  if (ways.length > 0) {
    const placed = await backupsInWays(path, names, ways)
    return { finished: placed.map((each) => finishedIn(each.folder, each.plain, each.names)), live: path }
  }
  const finished = groupBackups(name, names).map((backup) => {
    const plain = backup.compression === '' ? backup.name : backup.name.replace(/\.[a-z]+$/, '')
    return finishedBackup(path, plain, backup.names)
  })
  return { finished, live: path }
}

/** A backup of the log at `path` whose name without compression is `plain`; `found` are its files, the best first. */
export function finishedBackup(path: string, plain: string, found: readonly string[]): FinishedFile {
  return finishedIn(dirname(path), plain, found)
}

function finishedIn(folder: string, plain: string, found: readonly string[]): FinishedFile {
  const names = new Set([...found, plain, `${plain}.gz`, `${plain}.br`, `${plain}.zst`])
  return { key: plain, paths: [...names].map((each) => join(folder, each)) }
}

/** How the backups of a log are named that is rotated by rename. */
export const rotatedBackups: BackupNames = {
  baseOf: backupBase,
  of: (name, names) => groupBackups(name, names).map((backup) => backup.names),
  isUnmistakable: true
}

/** Whether a name says that nothing is appended: a backup of a log, or something compressed. */
export function isFinishedName(name: string): boolean {
  return backupBase(name) !== undefined || compressionOf(name) !== ''
}

/** Size and time of the files that are there, in order. */
export async function listFiles(find: FindLogFiles, path: string): Promise<LogFile[]> {
  const { finished, live } = await find(path)
  const files: LogFile[] = []
  for (const { paths } of finished) {
    for (const each of paths) {
      const file = await describe(each, false)
      if (file === undefined) continue
      files.push(file)
      break
    }
  }
  const file = live === undefined ? undefined : await describe(live, true)
  return file === undefined ? files : [...files, file]
}

async function describe(path: string, live: boolean): Promise<LogFile | undefined> {
  try {
    const { size, mtimeMs } = await stat(path)
    return { path, live, compression: compressionOf(basename(path)), size, mtimeMs }
  } catch (error) {
    if (isMissing(error)) return undefined
    throw readError(path, error)
  }
}

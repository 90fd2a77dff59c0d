// A file that a lane's note speaks of, found by its identity: it may have been rotated since, and have another name.
import { constants } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Disk, FileStat } from '../../io/disk.ts'
import { closeQuietly } from '../../io/quietly.ts'
import type { AppendPlace, NotedFiles } from '../lane/append-journal.ts'
import type { BackupGrammar } from './backup-grammar.ts'

/** A link is never followed, and a FIFO must not block. */
const SAFE = constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY

type Identity = Pick<FileStat, 'dev' | 'ino'>

export interface BackupPlace {
  readonly backupFolder: string
  readonly grammar: BackupGrammar
}

/** The files of the log at `path`. `isShared`: others write to them, too, so nothing may be cut off. */
export function notedFiles(disk: Disk, path: string, backups: BackupPlace, isShared: boolean): NotedFiles {
  return {
    read: (place, skipBytes, target) =>
      withNoted(disk, path, backups, place, constants.O_RDONLY, (fd) =>
        read(disk, fd, place.offset + skipBytes, target)
      ) ?? 0,
    cutBack(place, keptBytes) {
      if (isShared) return
      withNoted(disk, path, backups, place, constants.O_RDWR, (fd) => {
        const { size } = disk.fstat(fd)
        const end = place.offset + keptBytes
        if (size > end && size <= place.offset + place.length) disk.truncate(fd, end)
      })
    }
  }
}

function withNoted<T>(
  disk: Disk,
  path: string,
  backups: BackupPlace,
  place: Omit<AppendPlace, 'length'>,
  access: number,
  use: (fd: number) => T
): T | undefined {
  const found = find(disk, path, backups, place)
  if (found === undefined) return undefined
  const fd = disk.open(found, access | SAFE, 0)
  try {
    return isSame(disk.fstat(fd), place) ? use(fd) : undefined
  } finally {
    closeQuietly(disk, fd)
  }
}

/** Where the file is now: at the path of the log, or at that of a backup. */
function find(
  disk: Disk,
  path: string,
  { backupFolder, grammar }: BackupPlace,
  wanted: Identity
): string | undefined {
  const live = disk.lstat(path)
  if (live !== undefined && isSame(live, wanted)) return path
  const base = basename(path)
  const paths = disk.readdir(dirname(path)).flatMap((name) => {
    return name.startsWith(base) ? join(dirname(path), name) : []
  })
  if (disk.exists(backupFolder)) {
    for (const name of disk.readdir(backupFolder)) {
      if (grammar.compressionOf(name) === '') paths.push(join(backupFolder, name))
    }
  }
  for (const backup of paths) {
    const stat = disk.lstat(backup)
    if (stat?.isFile === true && isSame(stat, wanted)) return backup
  }
  return undefined
}

function isSame(stat: Identity, wanted: Identity): boolean {
  return stat.ino === wanted.ino && stat.dev === wanted.dev
}

function read(disk: Disk, fd: number, offset: number, target: Buffer): number {
  let at = 0
  while (at < target.length) {
    const count = disk.read(fd, target, at, target.length - at, offset + at)
    if (count === 0) break
    at += count
  }
  return at
}

// The snapshot files of a log on disk: finding the valid ones, and the folder they are in.
import { constants } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { systemCode } from '../../base/errors.ts'
import { decodeSnapshotFile, parseSnapshotName, snapshotName } from '../../formats/snapshot-file.ts'
import { compare, listSegments, type WalSnapshot } from '../../formats/wal.ts'
import type { Disk } from '../../io/disk.ts'
import { isForeign } from '../../io/open-file.ts'
import { scanLog } from './scan-log.ts'

/** Snapshot files hold no state of ours; anything larger is not ours and too large to look into here. */
const MAX_SNAPSHOT_BYTES = 64 * 1024 * 1024
/** In a folder of this name, etcd's layout of one log per parent is followed. */
const MEMBER_FOLDER = 'wal'

/** Valid snapshot files, the newest first. Those of other users count only where `onForeign` is undefined; it is told of each. */
export function listSnapshots(
  disk: Disk,
  snapDir: string,
  onForeign: ((path: string) => void) | undefined
): WalSnapshot[] {
  let names: string[]
  try {
    names = disk.readdir(snapDir)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return []
    throw error
  }
  const snapshots = names.map(parseSnapshotName).filter((snapshot) => snapshot !== undefined)
  return snapshots
    .sort((a, b) => compare(b.index, a.index) || compare(b.term, a.term))
    .filter((snapshot) => isValid(disk, join(snapDir, snapshotName(snapshot)), snapshot, onForeign))
}

/**
 * The folder of the snapshots of the log in `walDir` where no option names it: `snap` beside a folder called `wal`,
 * else `<walDir>.snap`, so that logs side by side have one each. A `snap` that version 0.1 made for the log goes on being
 * used: its newest snapshot is noted in the log.
 */
export function findSnapDir(disk: Disk, walDir: string): string {
  const beside = join(dirname(walDir), 'snap')
  if (basename(walDir) === MEMBER_FOLDER) return beside
  const own = `${walDir}.snap`
  if (disk.exists(own) || !disk.exists(beside)) return own
  return isSnapshotNoted(disk, walDir, listSnapshots(disk, beside, () => {})[0]) ? beside : own
}

function isSnapshotNoted(disk: Disk, walDir: string, snapshot: WalSnapshot | undefined): boolean {
  if (snapshot === undefined || !disk.exists(walDir)) return false
  const segments = listSegments(disk.readdir(walDir))
  const from = segments.findLastIndex((segment) => segment.index <= snapshot.index)
  let isNoted = false
  if (from === -1) return false
  scanLog(disk, walDir, segments.slice(from), {
    onSnapshot: (noted) => {
      if (noted?.index === snapshot.index) isNoted = true
    }
  })
  return isNoted
}

function isValid(
  disk: Disk,
  path: string,
  snapshot: WalSnapshot,
  onForeign: ((path: string) => void) | undefined
): boolean {
  let fd: number
  try {
    fd = disk.open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK, 0)
  } catch (error) {
    const code = systemCode(error)
    // Removed meanwhile, or a link or a socket, which is not ours.
    if (code === 'ENOENT' || code === 'ELOOP' || code === 'ENXIO') return false
    throw error
  }
  try {
    const { size, isFile, uid } = disk.fstat(fd)
    if (!isFile || size > MAX_SNAPSHOT_BYTES) return false
    if (onForeign !== undefined && isForeign(uid)) {
      onForeign(path)
      return false
    }
    const bytes = Buffer.alloc(size)
    const length = disk.read(fd, bytes, 0, size, 0)
    const found = length === size ? decodeSnapshotFile(bytes) : undefined
    return found !== undefined && found.index === snapshot.index && found.term === snapshot.term
  } finally {
    disk.close(fd)
  }
}

// The explicit repair of a damaged log: what is before the damage stays, everything behind is set aside.
import { constants } from 'node:fs'
import { join } from 'node:path'
import { LogboomError } from '../../base/errors.ts'
import { listSegments, type SegmentName } from '../../formats/wal.ts'
import { type Disk, realDisk } from '../../io/disk.ts'
import { openFile, syncFolder } from '../../io/open-file.ts'
import { native } from '../../native/index.ts'
import { FolderLock } from './folder-lock.ts'
import { keepBroken } from './keep-broken.ts'
import { scanLog } from './scan-log.ts'
import { WHOLE_FILE } from './segment.ts'

export interface RepairedSegment {
  /** The segment that was cut or set aside. */
  readonly path: string
  /** The copy that was kept. */
  readonly copy: string
  /** Bytes cut off; all of them if the segment was set aside. */
  readonly bytes: number
}

/** Throws `ERR_LOCKED` if somebody has the log open. Empty if nothing is wrong. */
export function repairLog(folder: string, disk: Disk = realDisk): RepairedSegment[] {
  const lock = FolderLock.acquire(disk, folder)
  try {
    const segments = listSegments(disk.readdir(folder))
    refuseOwned(disk, folder, segments)
    const replay = scanLog(disk, folder, segments)
    const damage = replay.damage
    if (damage === undefined) return []
    const at = segments.findIndex((segment) => segment.name === damage.file)
    const repaired: RepairedSegment[] = []
    // The newest first: a crash in between leaves a log with the same damage, and no hole.
    for (const segment of segments.slice(at + 1).reverse())
      repaired.push(setAside(disk, folder, segment.name))
    if (damage.offset === 0) repaired.push(setAside(disk, folder, damage.file))
    else {
      const bytes = keepBroken(disk, folder, damage.file, damage.offset)
      const path = join(folder, damage.file)
      repaired.push({ path, copy: `${path}.broken`, bytes })
    }
    syncFolder(disk, folder)
    return repaired.reverse()
  } finally {
    lock.release()
  }
}

/** etcd locks its segments, not our lock file. */
function refuseOwned(disk: Disk, folder: string, segments: readonly SegmentName[]): void {
  if (!native.canLock || segments.length === 0) return
  const path = join(folder, segments[segments.length - 1].name)
  const file = openFile(disk, path, constants.O_RDWR, { mode: 0, dirMode: 0, mkdir: false })
  try {
    if (disk.lock(file.fd, WHOLE_FILE, 0)) return
    throw new LogboomError('ERR_LOCKED', `${path} is locked by another program`, { path })
  } finally {
    file.release()
  }
}

function setAside(disk: Disk, folder: string, name: string): RepairedSegment {
  const path = join(folder, name)
  const copy = `${path}.broken`
  const bytes = disk.lstat(path)?.size ?? 0
  disk.rename(path, copy)
  return { path, copy, bytes }
}

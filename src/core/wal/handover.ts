// How a segment whose sync failed is left. What it holds behind its durable end is acknowledged to those who asked for no
// more than the kernel's word, so that it must be in a file at every moment: the next segment is filled under a name beside
// the log before the old one is cut, and whoever opens the log after a crash in between finishes that.
import { constants } from 'node:fs'
import { join } from 'node:path'
import { LogboomError } from '../../base/errors.ts'
import { CRC, listSegments, parseSegmentName, type SegmentName } from '../../formats/wal.ts'
import type { Disk } from '../../io/disk.ts'
import { failpoint } from '../../io/failpoint.ts'
import { type OpenFile, openFile } from '../../io/open-file.ts'
import type { ForeignOwner } from './folder-lock.ts'
import { scanLog } from './scan-log.ts'
import { syncEntries } from './sync-entries.ts'

/** Readers ignore such names, as etcd does, and they are no names of other temporary files of a log. */
const SUFFIX = '.tmp'

export function handoverName(segment: string): string {
  return `${segment}${SUFFIX}`
}

/** Finishes what a writer was about to do when it died; or removes what it left, where that is in the log. */
export function finishHandover(disk: Disk, folder: string, foreignOwner: ForeignOwner): void {
  const names = disk.readdir(folder)
  for (const name of names) {
    const target = name.endsWith(SUFFIX) ? parseSegmentName(name.slice(0, -SUFFIX.length)) : undefined
    if (target === undefined) continue
    const file = openOurs(disk, join(folder, name), foreignOwner)
    if (file === undefined) continue
    try {
      finish(disk, folder, listSegments(names).at(-1), { ...target, name }, file, foreignOwner)
    } finally {
      file.release()
    }
  }
}

function finish(
  disk: Disk,
  folder: string,
  last: SegmentName | undefined,
  next: SegmentName,
  file: OpenFile,
  foreignOwner: ForeignOwner
): void {
  const end = last === undefined ? undefined : placeOf(disk, folder, last, next)
  if (last === undefined || end === 'damaged') return
  if (end === undefined) {
    disk.unlink(file.path)
    return
  }
  disk.fsync(file.fd)
  failpoint('wal-found-synced')
  const old = openFile(disk, join(folder, last.name), constants.O_RDWR, access(foreignOwner))
  try {
    disk.truncate(old.fd, end)
    disk.fsync(old.fd)
  } finally {
    old.release()
  }
  failpoint('wal-found-sealed')
  disk.renameNoReplace(file.path, file.path.slice(0, -SUFFIX.length))
  failpoint('wal-found-renamed')
  syncEntries(disk, folder)
}

/** Where in the last segment the next one goes on; undefined if it does not, or holds nothing more. */
function placeOf(
  disk: Disk,
  folder: string,
  last: SegmentName,
  next: SegmentName
): number | 'damaged' | undefined {
  if (next.sequence !== last.sequence + 1n) return undefined
  let seed: number | undefined
  const rest = scanLog(disk, folder, [next], {
    onRecord: ({ decoder }) => {
      if (decoder.type === CRC) seed ??= decoder.crc
    }
  })
  if (rest.damage !== undefined) return undefined
  let place: number | undefined
  const before = scanLog(disk, folder, [last], {
    onRecord: ({ decoder, lastIndex }) => {
      if (decoder.crc === seed && lastIndex === next.index - 1n) place = decoder.offset
    }
  })
  if (place === undefined && before.damage?.kind === 'corrupt') return 'damaged'
  return before.lastIndex > rest.lastIndex ? undefined : place
}

function openOurs(disk: Disk, path: string, foreignOwner: ForeignOwner): OpenFile | undefined {
  try {
    return openFile(disk, path, constants.O_RDWR, access(foreignOwner))
  } catch (error) {
    // Something of somebody else, who may keep it.
    if (error instanceof LogboomError) return undefined
    throw error
  }
}

function access(foreignOwner: ForeignOwner) {
  return { mode: 0o600, dirMode: 0, mkdir: false, foreignOwner }
}

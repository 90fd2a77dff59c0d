// Finds out where a log goes on after a clean close or a crash: from the last snapshot, with a torn tail and an
// incomplete batch cut off. Anything else that is wrong is reported, not touched.
import { constants } from 'node:fs'
import { join } from 'node:path'
import { LogboomError, systemCode } from '../../base/errors.ts'
import { decodeSnapshotFile, parseSnapshotName, snapshotName } from '../../formats/snapshot-file.ts'
import { compare, listSegments, type SegmentName, SNAPSHOT, type WalSnapshot } from '../../formats/wal.ts'
import type { WalDamage, WalPosition, WalReplay } from '../../formats/wal-replay.ts'
import type { Disk } from '../../io/disk.ts'
import { keepBroken } from './keep-broken.ts'
import { scanLog } from './scan-log.ts'

/** Snapshot files hold no state of ours; anything larger is not ours and too large to look into here. */
const MAX_SNAPSHOT_BYTES = 64 * 1024 * 1024

export interface Recovered {
  /** All segments in the folder, the one to append to last. */
  segments: SegmentName[]
  /** Where appending goes on. */
  end: WalPosition
  metadata: Uint8Array | undefined
  /** Index of the last released snapshot; 0 if there is none. */
  snapshotIndex: bigint
  /** Path and number of bytes, if something was cut off. */
  repaired: { path: string; bytes: number } | undefined
}

/** Undefined if the folder holds no segment. Throws `ERR_CORRUPT` or `ERR_FORMAT`. */
export function recoverLog(disk: Disk, folder: string, snapDir: string): Recovered | undefined {
  const segments = listSegments(disk.readdir(folder))
  if (segments.length === 0) return undefined
  const { replay, snapshotIndex } = replayFromSnapshot(disk, folder, segments, listSnapshots(disk, snapDir))
  const damage = replay.damage
  if (damage !== undefined && damage.kind !== 'torn') throw corrupt(folder, damage)
  const first = replay.firstIndex
  if (first > 1n && snapshotIndex < first - 1n) {
    const reason = `entries 1 to ${first - 1n} are missing, and no snapshot stands for them`
    throw corrupt(folder, { kind: 'corrupt', file: segments[0].name, offset: 0, reason })
  }
  const last = segments[segments.length - 1]
  if (replay.segment !== last) throw new Error('the scan ended before the last segment')
  const end = endOf(replay, last, folder)
  const cut = replay.decoder.offset > end.offset
  const torn = damage !== undefined
  let repaired: Recovered['repaired']
  if (cut || torn) {
    const path = join(folder, last.name)
    const bytes = keepBroken(disk, folder, last.name, end.offset)
    repaired = { path, bytes }
  }
  return { segments, end, metadata: replay.metadata, snapshotIndex, repaired }
}

/** Valid snapshot files, the newest first. */
export function listSnapshots(disk: Disk, snapDir: string): WalSnapshot[] {
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
    .filter((snapshot) => isValid(disk, join(snapDir, snapshotName(snapshot)), snapshot))
}

function isValid(disk: Disk, path: string, snapshot: WalSnapshot): boolean {
  const fd = disk.open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK, 0)
  try {
    const { size, isFile } = disk.fstat(fd)
    if (!isFile || size > MAX_SNAPSHOT_BYTES) return false
    const bytes = Buffer.alloc(size)
    const length = disk.read(fd, bytes, 0, size, 0)
    const found = length === size ? decodeSnapshotFile(bytes) : undefined
    return found !== undefined && found.index === snapshot.index && found.term === snapshot.term
  } finally {
    disk.close(fd)
  }
}

/** A snapshot counts only if the log says so, too: a crash may come between its file and its record. */
function replayFromSnapshot(
  disk: Disk,
  folder: string,
  segments: SegmentName[],
  snapshots: WalSnapshot[]
): { replay: WalReplay; snapshotIndex: bigint } {
  for (const snapshot of snapshots) {
    const from = segments.findLastIndex((segment) => segment.index <= snapshot.index)
    if (from === -1) continue
    let recorded = false
    const replay = scanLog(disk, folder, segments.slice(from), (seen) => {
      if (seen.decoder.type === SNAPSHOT && seen.snapshot?.index === snapshot.index) recorded = true
    })
    if (recorded || replay.damage?.kind === 'corrupt') return { replay, snapshotIndex: snapshot.index }
  }
  const replay = scanLog(disk, folder, segments)
  return { replay, snapshotIndex: replay.snapshotIndex }
}

function endOf(replay: WalReplay, last: SegmentName, folder: string): WalPosition {
  // Entries without a commit mark in the first segment may be our own first batch; anything else is not ours.
  const pendingElsewhere = replay.committed?.segment !== last
  if (replay.foreign || replay.committed === undefined || pendingElsewhere) {
    const message = `${folder} was written by another program; it can be read, but only its own writer can append to it`
    throw new LogboomError('ERR_FORMAT', message, { path: folder })
  }
  return replay.committed
}

export function corrupt(folder: string, damage: WalDamage): LogboomError {
  const path = join(folder, damage.file)
  return new LogboomError('ERR_CORRUPT', `${path} at offset ${damage.offset}: ${damage.reason}`, { path })
}

// Finds out where a log goes on after a clean close or a crash: from the last snapshot, with a torn tail and an
// incomplete batch cut off. Anything else that is wrong is reported, not touched.
import { join } from 'node:path'
import { laterIndex, listSegments, type SegmentName, type WalSnapshot } from '../../formats/wal.ts'
import type { WalDamage, WalPosition, WalReplay } from '../../formats/wal-replay.ts'
import type { Disk } from '../../io/disk.ts'
import { isRefusal, judgeLog, refusalError } from './judge.ts'
import { cutTorn, keepBroken } from './keep-broken.ts'
import { scanLog } from './scan-log.ts'

export interface Recovered {
  /** All segments in the folder, the one to append to last. */
  segments: SegmentName[]
  /** Where appending goes on. */
  end: WalPosition
  metadata: Uint8Array | undefined
  /** Index of the last released snapshot; 0 if there is none. */
  snapshotIndex: bigint
  /** If something was cut off: where, how many bytes, and if whole batches were among them, why and where they are. */
  repaired: { path: string; bytes: number; lost: { copy: string; reason: string } | undefined } | undefined
}

/** Undefined if the folder holds no segment. Throws `ERR_CORRUPT` or `ERR_FORMAT`. */
export function recoverLog(
  disk: Disk,
  folder: string,
  snapshots: readonly WalSnapshot[]
): Recovered | undefined {
  const segments = listSegments(disk.readdir(folder))
  if (segments.length === 0) return undefined
  const { replay, snapshotIndex } = replayFromSnapshot(disk, folder, segments, snapshots)
  const verdict = judgeLog(replay, segments, snapshots[0]?.index ?? 0n)
  if (isRefusal(verdict)) throw refusalError(folder, verdict)
  const { end } = verdict
  const repaired = verdict.isCut ? cutOff(disk, folder, end, replay.damage) : undefined
  return { segments, end, metadata: replay.metadata, snapshotIndex, repaired }
}

function cutOff(
  disk: Disk,
  folder: string,
  { segment, offset }: WalPosition,
  damage: WalDamage | undefined
): Recovered['repaired'] {
  const path = join(folder, segment.name)
  if (damage?.intactAt === undefined) {
    return { path, bytes: cutTorn(disk, folder, segment.name, offset), lost: undefined }
  }
  const { bytes, copy } = keepBroken(disk, folder, segment.name, offset)
  return { path, bytes, lost: { copy, reason: damage.reason } }
}

/** A snapshot counts only if the log says so, too: a crash may come between its file and its record. */
function replayFromSnapshot(
  disk: Disk,
  folder: string,
  segments: SegmentName[],
  snapshots: readonly WalSnapshot[]
): { replay: WalReplay; snapshotIndex: bigint } {
  for (const { index } of snapshots) {
    const from = segments.findLastIndex((segment) => segment.index <= index)
    if (from === -1) continue
    let recorded = false
    const replay = scanLog(disk, folder, segments.slice(from), {
      onSnapshot: (snapshot) => {
        if (snapshot?.index === index) recorded = true
      }
    })
    // A later snapshot may have found no room for its file: its record alone counts.
    const snapshotIndex = laterIndex(replay.snapshotIndex, index)
    if (recorded || replay.damage?.kind === 'corrupt') return { replay, snapshotIndex }
  }
  const replay = scanLog(disk, folder, segments)
  return { replay, snapshotIndex: replay.snapshotIndex }
}

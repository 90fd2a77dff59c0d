// Reads a whole log and reports every damage with file, offset and kind; changes nothing.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { listSegments, type SegmentName } from '../../formats/wal.ts'
import { type WalDamage, WalReplay } from '../../formats/wal-replay.ts'
import { type Disk, realDisk } from '../../io/disk.ts'
import { SegmentReader } from './scan-log.ts'

export interface WalReport {
  /** True if nothing is wrong. */
  readonly ok: boolean
  readonly segments: number
  readonly entries: number
  /** Index of the first and last entry; 0 if there is none. */
  readonly firstIndex: bigint
  readonly lastIndex: bigint
  /** Index up to which batches are whole. */
  readonly commitIndex: bigint
  readonly snapshotIndex: bigint
  /** Entries at the end of an incomplete batch, which opening the log cuts off. */
  readonly uncommitted: bigint
  readonly damage: readonly WalDamage[]
}

/** After a damage the scan goes on with the next segment, so that each damaged segment is found. */
export async function verifyLog(folder: string, disk: Disk = realDisk): Promise<WalReport> {
  const segments = listSegments(disk.readdir(folder))
  const damage: WalDamage[] = []
  let replay = new WalReplay()
  let entries = 0
  let firstIndex = 0n
  for (const [i, segment] of segments.entries()) {
    await verifySegment(disk, folder, segment, replay, i === segments.length - 1, (index) => {
      firstIndex ||= index
      entries++
    })
    if (replay.damage === undefined) continue
    damage.push(replay.damage)
    if (i < segments.length - 1) replay = new WalReplay()
  }
  const { lastIndex, commit, snapshotIndex, marked } = replay
  const uncommitted = marked && lastIndex > commit ? lastIndex - commit : 0n
  const ok = damage.length === 0
  const common = { ok, segments: segments.length, entries, firstIndex, damage, snapshotIndex, uncommitted }
  return { ...common, lastIndex: entries === 0 ? 0n : lastIndex, commitIndex: commit }
}

async function verifySegment(
  disk: Disk,
  folder: string,
  segment: SegmentName,
  replay: WalReplay,
  last: boolean,
  onEntry: (index: bigint) => void
): Promise<void> {
  const reader = new SegmentReader(disk, folder, segment, replay, last)
  let entries = replay.entries
  try {
    for (let step = reader.next(); step === 'record' || step === 'more'; step = reader.next()) {
      if (step === 'more') await nextTurn()
      else if (replay.entries > entries) {
        entries = replay.entries
        onEntry(replay.lastIndex)
      }
    }
  } finally {
    reader.close()
  }
}

// What a log that was read says about going on with it: where appending goes on, what is cut off before, or why it
// cannot be opened. The one verdict of `open`, `verify` and `repair`.
import { join } from 'node:path'
import { LogboomError } from '../../base/errors.ts'
import { laterIndex, type SegmentName } from '../../formats/wal.ts'
import type { WalDamage, WalPosition, WalReplay } from '../../formats/wal-replay.ts'

export interface Judgement {
  /** Where appending goes on. Its index is that of the last entry, or of the snapshot that stands for it. */
  readonly end: WalPosition
  /** Whether something behind `end` is cut off: what a crash left, an incomplete batch. */
  readonly isCut: boolean
}

/** Why a log cannot be opened. */
export interface Refusal {
  readonly code: 'ERR_CORRUPT' | 'ERR_FORMAT'
  readonly damage: WalDamage
}

/**
 * Judges a log whose `segments` were replayed, from one that a snapshot allows to begin with. `releasedIndex` is that of
 * the newest snapshot file.
 */
export function judgeLog(
  replay: WalReplay,
  segments: readonly SegmentName[],
  releasedIndex: bigint
): Judgement | Refusal {
  const { damage, committed, firstIndex, snapshotIndex } = replay
  if (damage !== undefined && damage.kind !== 'torn') return { code: 'ERR_CORRUPT', damage }
  const last = segments[segments.length - 1]
  // Entries without a commit mark in the first segment may be our own first batch; anything else is not ours.
  if (replay.foreign || committed?.segment !== last) {
    const reason = 'written by another program; it can be read, but only its own writer can append to it'
    return { code: 'ERR_FORMAT', damage: { kind: 'corrupt', file: last.name, offset: 0, reason } }
  }
  const known = laterIndex(snapshotIndex, releasedIndex)
  if (firstIndex > 1n && known < firstIndex - 1n) {
    const reason = `entries 1 to ${firstIndex - 1n} are missing, and no snapshot stands for them`
    return refused(segments[0].name, 0, reason)
  }
  const index = laterIndex(snapshotIndex, committed.index)
  if (releasedIndex > index) return refused(last.name, committed.offset, aheadOf(index, releasedIndex))
  return {
    end: { ...committed, index },
    isCut: damage !== undefined || replay.decoder.offset > committed.offset
  }
}

/** A log that ends before its snapshots is an older copy, or has lost its end. */
export function aheadOf(lastIndex: bigint, releasedIndex: bigint): string {
  return (
    `a snapshot says that entries up to ${releasedIndex} were released, but the log ends with entry ${lastIndex}: it is an ` +
    "older copy, has lost its end, or 'snapDir' is another log's. Put the right folder in its place; or let 'repair' make " +
    `the log go on with entry ${releasedIndex + 1n}`
  )
}

/** A log whose newest segment, which its lock file names, is gone. */
export function newestMissing({ name }: SegmentName): WalDamage {
  const reason =
    `${name}, the newest segment, is gone with all behind it. Put the right file in its place; or let 'repair' make the ` +
    'log go on without it'
  return { kind: 'corrupt', file: name, offset: 0, reason }
}

export function isRefusal(verdict: Judgement | Refusal): verdict is Refusal {
  return 'code' in verdict
}

export function refusalError(folder: string, { code, damage }: Refusal): LogboomError {
  if (code === 'ERR_CORRUPT') return corrupt(folder, damage)
  return new LogboomError(code, `${folder} was ${damage.reason}`, { path: folder })
}

export function corrupt(folder: string, { file, offset, reason }: WalDamage): LogboomError {
  const path = join(folder, file)
  return new LogboomError('ERR_CORRUPT', `${path} at offset ${offset}: ${reason}`, { path, offset })
}

function refused(file: string, offset: number, reason: string): Refusal {
  return { code: 'ERR_CORRUPT', damage: { kind: 'corrupt', file, offset, reason } }
}

// Reads a whole log and reports every damage with file, offset and kind, and whether it can be opened; changes nothing.
// The one verifier of the class and the command.
import { join } from 'node:path'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import type { LogboomError } from '../../base/errors.ts'
import { listSegments, type SegmentName } from '../../formats/wal.ts'
import { type WalDamage, WalReplay } from '../../formats/wal-replay.ts'
import { type Disk, realDisk } from '../../io/disk.ts'
import { refuseOthers } from '../../io/open-file.ts'
import { type ForeignOwner, isNewestMissing, LOCK_NAME, lookAtLock } from './folder-lock.ts'
import { aheadOf, isRefusal, judgeLog, newestMissing } from './judge.ts'
import { SegmentReader } from './scan-log.ts'
import { findSnapDir, listSnapshots } from './snapshot-files.ts'

const SETTLE_MS = 20
const SETTLE_TURNS = 5

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

/** What was found in one segment. */
export interface SegmentReport {
  readonly segment: SegmentName
  readonly bytes: number
  readonly entries: number
  /** Index of the first entry; 0 if there is none. */
  readonly firstIndex: bigint
  readonly damage: readonly WalDamage[]
  /** The state of the replay behind it. */
  readonly replay: WalReplay
}

export interface VerifyOptions {
  disk?: Disk
  /** By default where the log keeps them. */
  snapDir?: string | undefined
  /** With 'refuse', by default, files of other users than this process's are damage: it could not open the log. */
  foreignOwner?: ForeignOwner
  signal?: AbortSignal
  progress?: (bytes: number) => void
}

/** Throws the error of the system where a segment cannot be read, `ERR_NOT_FILE` where it is none. */
export async function verifyLog(folder: string, options: VerifyOptions = {}): Promise<WalReport> {
  const disk = options.disk ?? realDisk
  const isGone = !disk.exists(folder)
  const damage = isGone ? lostAlone(disk, folder, options) : []
  // Of a folder that is gone and has left nothing the system says so.
  const segments = damage.length > 0 ? [] : listSegments(disk.readdir(folder))
  if (!isGone && segments.length === 0) damage.push(...lostAlone(disk, folder, options))
  let replay = new WalReplay()
  let entries = 0
  let firstIndex = 0n
  for await (const report of verifySegments(folder, segments, options)) {
    replay = report.replay
    entries += report.entries
    firstIndex ||= report.firstIndex
    damage.push(...report.damage)
  }
  const { lastIndex, commit, snapshotIndex, marked } = replay
  const uncommitted = marked && lastIndex > commit ? lastIndex - commit : 0n
  const ok = damage.length === 0
  const common = { ok, segments: segments.length, entries, firstIndex, damage, snapshotIndex, uncommitted }
  return { ...common, lastIndex: entries === 0 ? 0n : lastIndex, commitIndex: commit }
}

/** Whether a folder without segments, or that is gone, is what is left of a log. Where that cannot be found out, it is not. */
export function isLostLog(folder: string): boolean {
  try {
    return lostAlone(realDisk, folder, { foreignOwner: 'allow' }).length > 0
  } catch {
    return false
  }
}

/** A whole log; a segment that others follow; or one that stands alone. */
export type Extent = 'log' | 'followed' | 'alone'

/**
 * Each segment of the log in turn. After a damage the scan goes on with the next segment for itself, so that each
 * damaged segment is found. What keeps a log without damage from being opened counts as damage of the segment it is
 * about.
 */
export async function* verifySegments(
  folder: string,
  segments: readonly SegmentName[],
  options: VerifyOptions = {},
  extent: Extent = 'log'
): AsyncGenerator<SegmentReport, void, undefined> {
  const disk = options.disk ?? realDisk
  let replay = new WalReplay()
  let isSound = true
  for (const [i, segment] of segments.entries()) {
    const isEnd = i === segments.length - 1
    const report = await verifySegment(disk, folder, segment, replay, extent !== 'followed' && isEnd, options)
    if (report.damage.some(({ kind }) => kind === 'corrupt')) isSound = false
    if (replay.damage !== undefined && !isEnd) replay = new WalReplay()
    const refusal =
      isEnd && extent === 'log' && isSound ? refusalOf(replay, disk, folder, segments, options) : undefined
    if (refusal === undefined) yield report
    else if (refusal.file !== segments[0].name || i === 0)
      yield { ...report, damage: [...report.damage, refusal] }
    else {
      yield report
      yield { ...report, segment: segments[0], entries: 0, firstIndex: 0n, damage: [refusal] }
    }
  }
}

/** A released log of which nothing is left is not a new one. */
function lostAlone(disk: Disk, folder: string, { snapDir, foreignOwner }: VerifyOptions): WalDamage[] {
  const { noted } = lookAtLock(disk, folder, foreignOwner ?? 'refuse')
  if (noted !== undefined) return [newestMissing(noted)]
  const releasedIndex = newestSnapshot(disk, folder, snapDir)
  if (releasedIndex === 0n) return []
  return [{ kind: 'corrupt', file: '', offset: 0, reason: aheadOf(0n, releasedIndex) }]
}

function refusalOf(
  replay: WalReplay,
  disk: Disk,
  folder: string,
  segments: readonly SegmentName[],
  options: VerifyOptions
): WalDamage | undefined {
  const verdict = judgeLog(replay, segments, newestSnapshot(disk, folder, options.snapDir))
  // The log of another program is sound, although only its own writer can append to it.
  if (isRefusal(verdict)) return verdict.code === 'ERR_CORRUPT' ? verdict.damage : undefined
  const { noted, refusal } = lookAtLock(disk, folder, options.foreignOwner ?? 'refuse')
  if (refusal !== undefined) return unusable(LOCK_NAME, refusal)
  // Looks anew at what is there: a log that is written to has a newest segment of which the caller need not know.
  if (isNewestMissing(noted, listSegments(disk.readdir(folder)))) return newestMissing(noted!)
  return foreignEnd(disk, folder, segments[segments.length - 1], options)
}

/** What a writer would append to may be another user's. */
function foreignEnd(
  disk: Disk,
  folder: string,
  { name }: SegmentName,
  { foreignOwner }: VerifyOptions
): WalDamage | undefined {
  const path = join(folder, name)
  const found = disk.lstat(path)
  try {
    if (found !== undefined) refuseOthers(disk, path, found, { foreignOwner })
  } catch (error) {
    return unusable(name, (error as LogboomError).message)
  }
}

function unusable(file: string, why: string): WalDamage {
  return { kind: 'corrupt', file, offset: 0, reason: `no writer can open the log: ${why}` }
}

function newestSnapshot(disk: Disk, folder: string, snapDir: string | undefined): bigint {
  return listSnapshots(disk, snapDir ?? findSnapDir(disk, folder), () => {})[0]?.index ?? 0n
}

async function verifySegment(
  disk: Disk,
  folder: string,
  segment: SegmentName,
  replay: WalReplay,
  last: boolean,
  { signal, progress }: VerifyOptions
): Promise<SegmentReport> {
  const reader = new SegmentReader(disk, folder, segment, replay, last)
  const before = replay.entries
  let reported = 0
  const readOn = async (): Promise<void> => {
    for (let step = reader.nextOther(); step === 'record' || step === 'more'; step = reader.nextOther()) {
      if (step === 'record') continue
      progress?.(reader.readBytes - reported)
      reported = reader.readBytes
      if (signal?.aborted === true) return
      await nextTurn()
    }
  }
  try {
    await readOn()
    // The last segment may be being written: what was only half there is looked at again.
    const isHalf = (): boolean => replay.damage !== undefined || incompleteBatch(replay) !== undefined
    for (let turn = 0; last && isHalf() && turn < SETTLE_TURNS; turn++) {
      await sleep(SETTLE_MS)
      if (signal?.aborted === true || !reader.resume()) break
      await readOn()
    }
  } finally {
    reader.close()
  }
  const found = replay.damage ?? (last ? incompleteBatch(replay) : undefined)
  const damage = found === undefined ? [] : [found]
  const entries = replay.entries - before
  return { segment, bytes: reader.size, entries, firstIndex: replay.firstInSegment, damage, replay }
}

/** Entries at the end whose batch has no mark, which opening cuts off. Of other programs they are nothing unusual. */
function incompleteBatch({
  marked,
  foreign,
  lastIndex,
  commit,
  committed
}: WalReplay): WalDamage | undefined {
  if (!marked || foreign || lastIndex <= commit || committed === undefined) return undefined
  const reason = `entries ${commit + 1n} to ${lastIndex} are the beginning of a batch that was not finished`
  return { kind: 'torn', file: committed.segment.name, offset: committed.offset, reason }
}

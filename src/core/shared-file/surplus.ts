// Which backups go: those beyond the limits, as far as nobody waits for them, and more for room on the disk. Consumers that
// could not be waited for are told.
import { join } from 'node:path'
import type { Disk } from '../../io/disk.ts'
import type { RemovalReason } from '../sink/contract.ts'
import type { BackupFiles, BackupGrammar } from './backup-grammar.ts'
import type { Finisher } from './finisher.ts'
import { freeBytesIn } from './free-space.ts'
import { firstNeeded, type LogConsumer, logConsumers, noteLost } from './log-consumers.ts'

/** A name may be ahead of the clock by so much: within one second backups are numbered. */
const CLOCK_TOLERANCE_MS = 2_000

/** What is kept of a log; 0 for no bound. */
export interface Limits {
  /** Where the backups are. */
  folder: string
  /** Where the log is, and what its consumers have written beside it. */
  logFolder: string
  /** Name of the log. */
  base: string
  grammar: BackupGrammar
  maxBackups: number
  maxAgeMs: number
  maxTotalBytes: number
  /** Room that is to stay free on the file system. */
  minFreeBytes: number
  /** How much is kept for consumers that have not got it, and for how long. */
  maxRetainedBytes: number
  maxRetainedAgeMs: number
  /** Whether consumers may be other users. */
  isForeignUsed: boolean
  /** Runs the user's command for finished backups, and knows which wait for it. */
  finisher: Finisher
}

export interface Surplus {
  readonly removed: Map<BackupFiles, RemovalReason>
  readonly isHolding: boolean
  readonly isExhausted: boolean
}

/**
 * The backups to remove: all beyond the newest `maxBackups`, too old, beyond `maxTotalBytes`, unless they wait for their
 * command or for a consumer; and as many of the oldest as it takes to have `minFreeBytes` free, whether they wait or not.
 */
export function surplusOf(
  disk: Disk,
  limits: Limits,
  logNames: readonly string[],
  backups: readonly BackupFiles[],
  nowMs: number,
  spared: ReadonlySet<string>,
  care: ConsumerCare
): Surplus {
  const { folder, maxBackups, maxAgeMs, maxTotalBytes, minFreeBytes, finisher } = limits
  const removed = new Map<BackupFiles, RemovalReason>()
  const isSpared = (backup: BackupFiles): boolean => backup.names.some((name) => spared.has(name))
  let isHolding = false
  let isLaterTooOld = false
  let totalBytes = 0
  let rank = 0
  for (const backup of backups.toReversed()) {
    const madeMs = maxAgeMs > 0 ? madeAtMs(disk, folder, backup, nowMs) : nowMs
    // What a clock that was ahead made is older than what came behind it.
    const isTooOld: boolean =
      madeMs < nowMs - maxAgeMs || (isLaterTooOld && madeMs > nowMs + CLOCK_TOLERANCE_MS)
    isLaterTooOld ||= isTooOld
    let reason: RemovalReason | undefined = isTooOld ? 'maxAge' : undefined
    if (!isSpared(backup)) {
      if (maxTotalBytes > 0) totalBytes += bytesOf(disk, folder, backup)
      if (maxTotalBytes > 0 && totalBytes > maxTotalBytes) reason = 'maxTotalBytes'
      if (maxBackups > 0 && rank >= maxBackups) reason = 'maxBackups'
      rank++
    }
    if (reason === undefined) continue
    if (finisher.holds(backup, stampMs(backup, nowMs), nowMs)) isHolding = true
    else removed.set(backup, reason)
  }
  const waiting =
    removed.size > 0 || minFreeBytes > 0 ? waitingConsumers(disk, limits, logNames, backups, care) : []
  const held = keepForConsumers(disk, limits, backups, removed, waiting, care)
  const isExhausted =
    minFreeBytes > 0 &&
    !makeRoom(
      disk,
      limits,
      backups.filter((each) => !isSpared(each)),
      removed
    )
  care.held(held.filter((backup) => !removed.has(backup)).length)
  tellLost(disk, folder, backups, removed, waiting, care)
  return { removed, isHolding, isExhausted }
}

/** Adds the oldest to `removed` until `minFreeBytes` will be free; false if they do not suffice. */
function makeRoom(
  disk: Disk,
  { folder, logFolder, minFreeBytes }: Limits,
  backups: readonly BackupFiles[],
  removed: Map<BackupFiles, RemovalReason>
): boolean {
  // Not looked at again after each removal: some file systems free later what was removed.
  let freeBytes = freeBytesIn(disk, folder) ?? disk.freeBytes(logFolder)
  for (const backup of removed.keys()) freeBytes += bytesOf(disk, folder, backup)
  for (const backup of backups) {
    if (freeBytes >= minFreeBytes) break
    if (removed.has(backup)) continue
    freeBytes += bytesOf(disk, folder, backup)
    removed.set(backup, 'minFreeBytes')
  }
  return freeBytes >= minFreeBytes
}

function stampMs(backup: BackupFiles, nowMs: number): number | undefined {
  return backup.stamp === undefined || isAhead(backup, nowMs) ? undefined : backup.stamp * 1000
}

/** A consumer, and the number of the first backup it still needs. */
interface Waiting {
  readonly consumer: LogConsumer
  readonly from: number
}

/** Those that are waited for: one that is dead for longer than the bound holds nothing for ever. */
function waitingConsumers(
  disk: Disk,
  limits: Limits,
  logNames: readonly string[],
  backups: readonly BackupFiles[],
  care: ConsumerCare
): Waiting[] {
  const { logFolder, base, grammar, isForeignUsed } = limits
  const isWaited = ({ isAlive, updatedAtMs }: LogConsumer) => isAlive || !isLate(updatedAtMs, limits, care)
  return logConsumers(disk, logFolder, base, logNames, isForeignUsed, care.unreadable)
    .filter(isWaited)
    .map((consumer) => ({ consumer, from: firstNeeded(grammar, backups, consumer) }))
}

function isLate(ms: number, { maxRetainedAgeMs }: Limits, { steadyMs }: ConsumerCare): boolean {
  return maxRetainedAgeMs > 0 && ms < steadyMs - maxRetainedAgeMs
}

/** Takes out of `removed` what consumers have not got, within the bounds, and returns that. */
function keepForConsumers(
  disk: Disk,
  limits: Limits,
  backups: readonly BackupFiles[],
  removed: Map<BackupFiles, RemovalReason>,
  waiting: readonly Waiting[],
  care: ConsumerCare
): BackupFiles[] {
  if (waiting.length === 0 || care.isDiskFull) return []
  const { folder, maxRetainedBytes } = limits
  const from = Math.min(...waiting.map((each) => each.from))
  const held: BackupFiles[] = []
  let totalBytes = 0
  for (let at = backups.length - 1; at >= from; at--) {
    const backup = backups[at]
    totalBytes += bytesOf(disk, folder, backup)
    if (!removed.has(backup)) continue
    const isBeyond = maxRetainedBytes > 0 && totalBytes > maxRetainedBytes
    const seenAtMs = care.seenAtMs(backup) ?? madeAtMs(disk, folder, backup, care.steadyMs)
    if (isBeyond || isLate(seenAtMs, limits, care)) continue
    removed.delete(backup)
    held.push(backup)
  }
  return held
}

/** Tells of what goes before those that wait have got it: them, by a note, and the user. */
function tellLost(
  disk: Disk,
  folder: string,
  backups: readonly BackupFiles[],
  removed: ReadonlyMap<BackupFiles, RemovalReason>,
  waiting: readonly Waiting[],
  care: ConsumerCare
): void {
  const sizeOfAll = (lost: readonly BackupFiles[]) =>
    lost.reduce((sum, backup) => sum + bytesOf(disk, folder, backup), 0)
  const late = waiting
    .map(({ consumer, from }) => ({
      consumer,
      lost: backups.slice(from).filter((backup) => removed.has(backup))
    }))
    .filter(({ lost }) => lost.length > 0)
  if (late.length === 0) return
  for (const { consumer, lost } of late) {
    const last = lost[lost.length - 1].name
    try {
      noteLost(disk, consumer.path, { backups: lost.length, bytes: sizeOfAll(lost), last })
    } catch (error) {
      care.unreadable(consumer.path, error)
    }
  }
  // Each needs all from some backup on, so whoever lost most lost what any of them did.
  const all = late.reduce((most, { lost }) => (lost.length > most.length ? lost : most), late[0].lost)
  const consumers = late.map(({ consumer }) => consumer)
  care.lost(consumers, all.length, sizeOfAll(all))
}

function bytesOf(disk: Disk, folder: string, { names }: BackupFiles): number {
  return names.reduce((sum, name) => sum + sizeOf(disk, join(folder, name)), 0)
}

/** By its name, or by its last change where the name says nothing or was given by a clock that was ahead. */
function madeAtMs(disk: Disk, folder: string, backup: BackupFiles, nowMs: number): number {
  return stampMs(backup, nowMs) ?? disk.lstat(join(folder, backup.name))?.mtimeMs ?? nowMs
}

/** What a round has to know, and tells, of consumers. */
export interface ConsumerCare {
  readonly isDiskFull: boolean
  saw(backups: readonly BackupFiles[]): void
  /**
   * Now, by a clock that was set when the process began, and since when it has seen a backup, unless that was there before: a
   * clock that is set while backups wait for a consumer must not make them old.
   */
  readonly steadyMs: number
  seenAtMs(backup: BackupFiles): number | undefined
  /** So many backups are kept for consumers only. */
  held(count: number): void
  /** Backups were removed that these had not got. */
  lost(consumers: readonly LogConsumer[], backups: number, bytes: number): void
  unreadable(path: string, error: unknown): void
}

export function isAhead({ stamp }: BackupFiles, nowMs: number): boolean {
  return stamp !== undefined && stamp * 1000 > nowMs + CLOCK_TOLERANCE_MS
}

export function sizeOf(disk: Disk, path: string): number {
  return disk.lstat(path)?.size ?? 0
}

// What happens to backups after a rotation, off the write path: leftovers of a crash are cleaned up, old backups
// removed, new ones compressed. Every step can be repeated, so a crash at any point costs nothing but time.
import { join } from 'node:path'
import { setTimeout as setTimeoutAsync } from 'node:timers/promises'
import { monotonicMs } from '../../base/clock.ts'
import { errorMessage, systemCode } from '../../base/errors.ts'
import type { Disk } from '../../io/disk.ts'
import { failpoint } from '../../io/failpoint.ts'
import { syncFolderIfPossible } from '../../io/open-file.ts'
import type { BackupFiles, BackupGrammar } from './backup-grammar.ts'
import {
  type Compression,
  compressBackup,
  compressionSuffix,
  isCompressedCopy,
  temporaryName
} from './compress.ts'
import { firstNeeded, type LogConsumer, logConsumers, noteLost } from './log-consumers.ts'

/** Somebody else does upkeep at the moment. */
const BUSY_RETRY_MS = 200
/** Looks again at what is kept for consumers only, while nothing rotates. */
const HELD_INTERVAL_MS = 5_000
/** Removes by age while nothing rotates. */
const AGE_INTERVAL_MS = 3_600_000
/** How long closing waits for a compression before it is abandoned to the next rotation. */
const STOP_TIMEOUT_MS = 3_000
/** A name may be ahead of the clock by so much: within one second backups are numbered. */
const CLOCK_TOLERANCE_MS = 2_000

export interface UpkeepOptions {
  disk: Disk
  now: () => number
  /** Whether other processes may do the same work; then `lock` is taken, which gives undefined if it is busy. */
  shared: boolean
  lock: () => { release(): void } | undefined
  failed: (error: unknown) => void
  /** Something to tell that is no failure. */
  warn: (code: string, message: string) => void
  /** While this holds nothing is removed: a sync is failing, and what is new may be lost. */
  isPaused: () => boolean
  folder: string
  /** Name of the log. */
  base: string
  grammar: BackupGrammar
  maxBackups: number
  maxAgeMs: number
  maxTotalBytes: number
  /** How much is kept for consumers that have not got it, and for how long; 0 for no bound. */
  maxRetainedBytes: number
  maxRetainedAgeMs: number
  /** Whether consumers may be other users. */
  isForeignUsed: boolean
  compress: false | Compression
  mode: number
}

export class Upkeep {
  readonly #options: UpkeepOptions
  readonly #needed: boolean
  #abort: AbortController | undefined
  #running: Promise<void> | undefined
  #again = false
  #stopping = false
  /** Names of backups that were made because a sync failed: they push out no others. */
  readonly #spared = new Set<string>()
  #warnedOfClock = false
  #ageTimer: NodeJS.Timeout | undefined
  #heldTimer: NodeJS.Timeout | undefined
  /** Backups that only consumers keep, as of the last round. */
  #held = 0
  #isDiskFull = false
  /** By the names of backups without compression; undefined for what was there in the first round. */
  readonly #seenAtMs = new Map<string, number | undefined>()
  #isFirstRound = true
  /** The two clocks when it was made. */
  readonly #startedAtMs: number
  readonly #startedMonotonicMs = monotonicMs()
  readonly #warnedOfConsumers = new Set<string>()

  constructor(options: UpkeepOptions) {
    const { maxBackups, maxAgeMs, maxTotalBytes, compress } = options
    this.#options = options
    this.#startedAtMs = options.now()
    this.#needed = maxBackups > 0 || maxAgeMs > 0 || maxTotalBytes > 0 || compress !== false
  }

  /** Does what an earlier process left undone or other options demand. */
  start(): void {
    this.request()
    if (this.#options.maxAgeMs > 0)
      this.#ageTimer = setInterval(() => this.request(), AGE_INTERVAL_MS).unref()
  }

  /** The backup `name` was made because a sync failed, not because the file was full. */
  spare(name: string): void {
    if (this.#needed) this.#spared.add(name)
  }

  /** A backup was made. */
  request(): void {
    if (!this.#needed) return
    this.#again = true
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
    })
  }

  /** The disk is full: what only consumers keep makes room for what is logged. */
  diskFull(): void {
    if (this.#held === 0) return
    this.#isDiskFull = true
    this.request()
  }

  /** Lets a round under way finish, within a limit. */
  async stop(): Promise<void> {
    clearInterval(this.#ageTimer)
    clearTimeout(this.#heldTimer)
    this.#stopping = true
    if (this.#running === undefined) return
    const timer = setTimeout(() => this.#abort?.abort(), STOP_TIMEOUT_MS)
    await this.#running
    clearTimeout(timer)
  }

  async #run(): Promise<void> {
    const { disk, shared, lock, failed, now, isPaused } = this.#options
    this.#abort ??= new AbortController()
    const { signal } = this.#abort
    while (this.#again && !signal.aborted) {
      let held: { release(): void } | undefined
      let seen: Set<string>
      try {
        const isPausing = isPaused()
        held = shared && !isPausing ? lock() : undefined
        if (isPausing || (shared && held === undefined)) {
          if (this.#stopping) return
          await setTimeoutAsync(BUSY_RETRY_MS, undefined, { ref: false })
          continue
        }
        this.#again = false
        const nowMs = now()
        seen = await keepUp(disk, this.#options, nowMs, signal, this.#spared, {
          isDiskFull: this.#takeDiskFull(),
          steadyMs: this.#steadyMs(),
          saw: (backups) => this.#remember(backups),
          seenAtMs: ({ name }) => this.#seenAtMs.get(plainName(name)),
          held: (count) => this.#keptForConsumers(count),
          lost: (consumers, backups, bytes) => this.#warnOfLost(consumers, backups, bytes),
          unreadable: (path, error) => this.#warnOfConsumer(path, error)
        })
        this.#warnOfClock(seen, nowMs)
      } catch (error) {
        if (!signal.aborted) failed(error)
        return
      } finally {
        held?.release()
      }
      if (shared) await this.#lookAgain(seen)
    }
  }

  // Who rotated meanwhile found the lock busy, and if it ended since, nobody else would see to its backup.
  async #lookAgain(seen: Set<string>): Promise<void> {
    const { disk, folder, grammar, failed } = this.#options
    try {
      const names = await disk.readdirAsync(folder)
      this.#again ||= names.some((name) => !seen.has(name) && grammar.compressionOf(name) === '')
    } catch (error) {
      failed(error)
    }
  }

  #steadyMs(): number {
    return this.#startedAtMs + monotonicMs() - this.#startedMonotonicMs
  }

  /** What is new since the last round. */
  #remember(backups: readonly BackupFiles[]): void {
    const names = new Set(backups.map(({ name }) => plainName(name)))
    for (const name of this.#seenAtMs.keys()) if (!names.has(name)) this.#seenAtMs.delete(name)
    for (const name of names) {
      if (this.#seenAtMs.has(name)) continue
      this.#seenAtMs.set(name, this.#isFirstRound ? undefined : this.#steadyMs())
    }
    this.#isFirstRound = false
  }

  /** For one round; the disk may be full again while that is under way. */
  #takeDiskFull(): boolean {
    const isFull = this.#isDiskFull
    this.#isDiskFull = false
    return isFull
  }

  #keptForConsumers(count: number): void {
    this.#held = count
    clearTimeout(this.#heldTimer)
    if (count === 0 || this.#stopping) return
    this.#heldTimer = setTimeout(() => this.request(), HELD_INTERVAL_MS).unref()
  }

  #warnOfLost(consumers: readonly LogConsumer[], backups: number, bytes: number): void {
    const names = consumers.map(({ name }) => name).join(', ')
    const message = `${backups} backups (${bytes} bytes) were removed before ${names} had got them: more than is kept for consumers`
    this.#options.warn('ERR_RETENTION', message)
  }

  #warnOfConsumer(path: string, error: unknown): void {
    if (this.#warnedOfConsumers.has(path)) return
    this.#warnedOfConsumers.add(path)
    this.#options.warn('ERR_IO', `nothing is kept for a consumer, because ${errorMessage(error)}`)
  }

  /** Backups from the future are what a clock that was ahead leaves; their names go on from there. */
  #warnOfClock(names: Set<string>, nowMs: number): void {
    const { maxAgeMs, grammar, warn } = this.#options
    if (maxAgeMs === 0 || this.#warnedOfClock) return
    const ahead = grammar.group(names).filter((backup) => isAhead(backup, nowMs)).length
    if (ahead === 0) return
    this.#warnedOfClock = true
    warn(
      'ERR_CLOCK',
      `${ahead} backups have names from the future: the clock was ahead. Their age is taken from the files`
    )
  }
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

/**
 * One round over the folder; the caller holds the upkeep lock. Resolves with the names that were there; rejects with
 * the first error of the disk.
 */
export async function keepUp(
  disk: Disk,
  options: UpkeepOptions,
  nowMs: number,
  signal: AbortSignal,
  spared: ReadonlySet<string>,
  care: ConsumerCare
): Promise<Set<string>> {
  const { folder, grammar, compress } = options
  const names = await disk.readdirAsync(folder)
  const backups = grammar.group(names)
  care.saw(backups)
  const failures: unknown[] = []
  const removed = expired(disk, options, backups, nowMs, spared)
  if (removed.size > 0) keepForConsumers(disk, options, names, backups, removed, care)
  else care.held(0)
  const surplus = [...names.filter((name) => isTemporary(grammar, name)), ...[...removed].flatMap(namesOf)]
  for (const name of surplus) {
    try {
      remove(disk, folder, name)
    } catch (error) {
      failures.push(error)
    }
  }
  for (const backup of compress === false ? [] : backups) {
    if (removed.has(backup) || backup.compression !== '') continue
    try {
      await compressOne(disk, options, compress as Compression, backup, signal)
    } catch (error) {
      signal.throwIfAborted()
      failures.push(error)
    }
  }
  // One file that cannot be removed or compressed does not keep the others from it.
  if (failures.length > 0) throw failures[0]
  return new Set(names)
}

function namesOf({ names }: BackupFiles): readonly string[] {
  return names
}

async function compressOne(
  disk: Disk,
  { folder, grammar, mode }: UpkeepOptions,
  method: Compression,
  backup: BackupFiles,
  signal: AbortSignal
): Promise<void> {
  const source = join(folder, backup.name)
  if (backup.names.length === 1) {
    const target = grammar.compressedName(backup.name, compressionSuffix[method])
    await compressBackup(disk, source, join(folder, target), method, mode, signal)
    syncFolderIfPossible(disk, folder)
  } else if (!(await isCompressedCopy(disk, source, join(folder, backup.names[1]), signal))) {
    // Not what a crash of ours leaves; perhaps another program is compressing it at this moment.
    return
  }
  failpoint('remove')
  remove(disk, folder, backup.name)
}

function plainName(name: string): string {
  return name.replace(/\.(gz|br|zst)$/, '')
}

function isTemporary(grammar: BackupGrammar, name: string): boolean {
  const suffix = temporaryName('')
  if (!name.endsWith(suffix)) return false
  const compression = grammar.compressionOf(name.slice(0, -suffix.length))
  return compression !== undefined && compression !== ''
}

function isAhead({ stamp }: BackupFiles, nowMs: number): boolean {
  return stamp !== undefined && stamp * 1000 > nowMs + CLOCK_TOLERANCE_MS
}

/** The backups to remove: all beyond the newest `maxBackups`, too old, or beyond `maxTotalBytes`. */
function expired(
  disk: Disk,
  options: UpkeepOptions,
  backups: readonly BackupFiles[],
  nowMs: number,
  spared: ReadonlySet<string>
): Set<BackupFiles> {
  const { folder, maxBackups, maxAgeMs, maxTotalBytes } = options
  const removed = new Set<BackupFiles>()
  let totalBytes = 0
  let rank = 0
  for (const backup of backups.toReversed()) {
    const isTooOld = maxAgeMs > 0 && madeAtMs(disk, folder, backup, nowMs) < nowMs - maxAgeMs
    let isBeyond = false
    if (!backup.names.some((name) => spared.has(name))) {
      if (maxTotalBytes > 0) totalBytes += bytesOf(disk, folder, backup)
      isBeyond = (maxBackups > 0 && rank >= maxBackups) || (maxTotalBytes > 0 && totalBytes > maxTotalBytes)
      rank++
    }
    if (isTooOld || isBeyond) removed.add(backup)
  }
  return removed
}

/** Takes out of `removed` what consumers have not got, within the bounds, and tells those that it is lost to. */
function keepForConsumers(
  disk: Disk,
  options: UpkeepOptions,
  names: readonly string[],
  backups: readonly BackupFiles[],
  removed: Set<BackupFiles>,
  care: ConsumerCare
): void {
  const { folder, base, grammar, maxRetainedBytes, maxRetainedAgeMs, isForeignUsed } = options
  const { steadyMs } = care
  const isLate = (ms: number) => maxRetainedAgeMs > 0 && ms < steadyMs - maxRetainedAgeMs
  const consumers = logConsumers(disk, folder, base, names, isForeignUsed, care.unreadable)
    .filter(({ isAlive, updatedAtMs }) => isAlive || !isLate(updatedAtMs))
    .map((consumer) => ({ consumer, from: firstNeeded(grammar, backups, consumer) }))
  if (consumers.length === 0) {
    care.held(0)
    return
  }
  const from = Math.min(...consumers.map((each) => each.from))
  let totalBytes = 0
  let held = 0
  const lost: { at: number; bytes: number }[] = []
  for (let at = backups.length - 1; at >= 0; at--) {
    const backup = backups[at]
    const bytes = bytesOf(disk, folder, backup)
    totalBytes += bytes
    if (at < from || !removed.has(backup)) continue
    const isBeyond = maxRetainedBytes > 0 && totalBytes > maxRetainedBytes
    if (
      care.isDiskFull ||
      isBeyond ||
      isLate(care.seenAtMs(backup) ?? madeAtMs(disk, folder, backup, steadyMs))
    ) {
      lost.push({ at, bytes })
    } else {
      removed.delete(backup)
      held++
    }
  }
  care.held(held)
  tellLost(disk, backups, lost, consumers, care)
}

function tellLost(
  disk: Disk,
  backups: readonly BackupFiles[],
  lost: readonly { readonly at: number; readonly bytes: number }[],
  consumers: readonly { readonly consumer: LogConsumer; readonly from: number }[],
  care: ConsumerCare
): void {
  if (lost.length === 0) return
  const late = consumers.filter(({ from }) => lost.some(({ at }) => at >= from))
  for (const { consumer, from } of late) {
    const own = lost.filter(({ at }) => at >= from)
    const bytes = own.reduce((sum, each) => sum + each.bytes, 0)
    try {
      noteLost(disk, consumer.path, { backups: own.length, bytes, last: backups[own[0].at].name })
    } catch (error) {
      care.unreadable(consumer.path, error)
    }
  }
  const bytes = lost.reduce((sum, each) => sum + each.bytes, 0)
  care.lost(
    late.map(({ consumer }) => consumer),
    lost.length,
    bytes
  )
}

function bytesOf(disk: Disk, folder: string, { names }: BackupFiles): number {
  return names.reduce((sum, name) => sum + (disk.lstat(join(folder, name))?.size ?? 0), 0)
}

/** By its name, or by its last change where the name says nothing or was given by a clock that was ahead. */
function madeAtMs(disk: Disk, folder: string, backup: BackupFiles, nowMs: number): number {
  if (backup.stamp !== undefined && !isAhead(backup, nowMs)) return backup.stamp * 1000
  return disk.lstat(join(folder, backup.name))?.mtimeMs ?? nowMs
}

function remove(disk: Disk, folder: string, name: string): void {
  try {
    disk.unlink(join(folder, name))
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error
  }
}

// What happens to backups after a rotation, off the write path: leftovers of a crash are cleaned up, old backups
// removed, new ones compressed. Every step can be repeated, so a crash at any point costs nothing but time.
import { join } from 'node:path'
import { setTimeout as setTimeoutAsync } from 'node:timers/promises'
import { monotonicMs } from '../../base/clock.ts'
import { errorMessage, systemCode } from '../../base/errors.ts'
import type { Disk } from '../../io/disk.ts'
import { failpoint } from '../../io/failpoint.ts'
import { syncFolderIfPossible } from '../../io/open-file.ts'
import type { RemovalReason } from '../sink/contract.ts'
import type { BackupFiles, BackupGrammar } from './backup-grammar.ts'
import {
  type Compression,
  compressBackup,
  compressionSuffix,
  isCompressedCopy,
  temporaryName
} from './compress.ts'
import type { Finisher } from './finisher.ts'
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
  /** How much is kept for consumers that have not got it, and for how long; 0 for no bound. */
  maxRetainedBytes: number
  maxRetainedAgeMs: number
  /** Whether consumers may be other users. */
  isForeignUsed: boolean
  compress: false | Compression
  mode: number
  /** Runs the user's command for finished backups, and knows which wait for it. */
  finisher: Finisher
  /** A backup was compressed, and is in its final form. */
  finished: (path: string, bytes: number) => void
  removed: (path: string, bytes: number, reason: RemovalReason) => void
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
  #finishTimer: NodeJS.Timeout | undefined
  #isExhausted = false
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
    const { maxBackups, maxAgeMs, maxTotalBytes, minFreeBytes, compress, finisher } = options
    this.#options = options
    this.#startedAtMs = options.now()
    const isLimited = maxBackups > 0 || maxAgeMs > 0 || maxTotalBytes > 0 || minFreeBytes > 0
    this.#needed = isLimited || compress !== false || finisher.hasCommand
  }

  /** Less than `minFreeBytes` is free, and the last round found no backup that could be removed for it. */
  get isExhausted(): boolean {
    return this.#isExhausted
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
    clearTimeout(this.#finishTimer)
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
        const round = await keepUp(disk, this.#options, nowMs, signal, this.#spared, {
          isDiskFull: this.#takeDiskFull(),
          steadyMs: this.#steadyMs(),
          saw: (backups) => this.#remember(backups),
          seenAtMs: ({ name }) => this.#seenAtMs.get(plainName(name)),
          held: (count) => this.#keptForConsumers(count),
          lost: (consumers, backups, bytes) => this.#warnOfLost(consumers, backups, bytes),
          unreadable: (path, error) => this.#warnOfConsumer(path, error)
        })
        seen = round.names
        this.#isExhausted = round.isExhausted
        this.#warnOfClock(seen, nowMs)
        await this.#finish(signal, round.isHolding)
        // One file that cannot be removed or compressed does not keep the others from it.
        if (round.failures.length > 0) throw round.failures[0]
      } catch (error) {
        if (!signal.aborted) failed(error)
        return
      } finally {
        held?.release()
      }
      if (shared) await this.#lookAgain(seen)
    }
  }

  /** Runs the command of `onFinished` for those that wait for it. */
  async #finish(signal: AbortSignal, isHolding: boolean): Promise<void> {
    const { disk, folder, grammar, finisher } = this.#options
    if (!finisher.hasCommand) return
    const pauseMs = await finisher.run(grammar.group(await namesIn(disk, folder)), signal)
    clearTimeout(this.#finishTimer)
    if (pauseMs === 0 || (isHolding && finisher.hasRun)) this.#again = true
    if (pauseMs !== undefined && pauseMs > 0 && !this.#stopping) {
      this.#finishTimer = setTimeout(() => this.request(), pauseMs).unref()
    }
  }

  // Who rotated meanwhile found the lock busy, and if it ended since, nobody else would see to its backup.
  async #lookAgain(seen: Set<string>): Promise<void> {
    const { disk, folder, grammar, failed } = this.#options
    try {
      const names = await namesIn(disk, folder)
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

export interface Round {
  /** Those that were there. */
  readonly names: Set<string>
  /** Backups would have been removed if they did not wait for their command. */
  readonly isHolding: boolean
  readonly isExhausted: boolean
  /** What could not be removed or compressed. */
  readonly failures: readonly unknown[]
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
 * One round over the folder; the caller holds the upkeep lock. Rejects when the folder cannot be
 * listed.
 */
export async function keepUp(
  disk: Disk,
  options: UpkeepOptions,
  nowMs: number,
  signal: AbortSignal,
  spared: ReadonlySet<string>,
  care: ConsumerCare
): Promise<Round> {
  const { folder, grammar, compress, finisher, finished } = options
  const names = await namesIn(disk, folder)
  const backups = grammar.group(names)
  care.saw(backups)
  finisher.begin()
  const surplus = surplusOf(disk, options, backups, nowMs, spared, care)
  const failures: unknown[] = []
  const tryToRemove = (name: string): boolean => {
    try {
      remove(disk, folder, name)
      return true
    } catch (error) {
      failures.push(error)
      return false
    }
  }
  for (const name of names.filter((each) => isTemporary(grammar, each))) tryToRemove(name)
  for (const [backup, reason] of surplus.removed) {
    const path = join(folder, backup.name)
    const bytes = sizeOf(disk, path)
    const isGone = backup.names.map(tryToRemove).every(Boolean)
    if (isGone) options.removed(path, bytes, reason)
  }
  for (const backup of compress === false ? [] : backups) {
    if (surplus.removed.has(backup) || backup.compression !== '') continue
    try {
      const path = await compressOne(disk, options, compress as Compression, backup, signal)
      if (path !== undefined) finished(path, sizeOf(disk, path))
    } catch (error) {
      signal.throwIfAborted()
      failures.push(error)
    }
  }
  const { isHolding, isExhausted } = surplus
  return { names: new Set(names), isHolding, isExhausted, failures }
}

/** None in a folder that is made with the first backup. */
async function namesIn(disk: Disk, folder: string): Promise<string[]> {
  try {
    return await disk.readdirAsync(folder)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return []
    throw error
  }
}

function sizeOf(disk: Disk, path: string): number {
  return disk.lstat(path)?.size ?? 0
}

/** Resolves with the path of the compressed backup. */
async function compressOne(
  disk: Disk,
  { folder, grammar, mode }: UpkeepOptions,
  method: Compression,
  backup: BackupFiles,
  signal: AbortSignal
): Promise<string | undefined> {
  const source = join(folder, backup.name)
  let target: string
  if (backup.names.length === 1) {
    target = join(folder, grammar.compressedName(backup.name, compressionSuffix[method]))
    await compressBackup(disk, source, target, method, mode, signal)
    syncFolderIfPossible(disk, folder)
  } else {
    target = join(folder, backup.names[1])
    // Not what a crash of ours leaves; perhaps another program is compressing it at this moment.
    if (!(await isCompressedCopy(disk, source, target, signal))) return undefined
  }
  failpoint('remove')
  remove(disk, folder, backup.name)
  return target
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

interface Surplus {
  readonly removed: Map<BackupFiles, RemovalReason>
  readonly isHolding: boolean
  readonly isExhausted: boolean
}

/**
 * The backups to remove: all beyond the newest `maxBackups`, too old, beyond `maxTotalBytes`, unless they wait for their
 * command or for a consumer; and as many of the oldest as it takes to have `minFreeBytes` free, whether they wait or not.
 */
function surplusOf(
  disk: Disk,
  options: UpkeepOptions,
  backups: readonly BackupFiles[],
  nowMs: number,
  spared: ReadonlySet<string>,
  care: ConsumerCare
): Surplus {
  const { folder, maxBackups, maxAgeMs, maxTotalBytes, minFreeBytes, finisher } = options
  const removed = new Map<BackupFiles, RemovalReason>()
  const isSpared = (backup: BackupFiles): boolean => backup.names.some((name) => spared.has(name))
  let isHolding = false
  let totalBytes = 0
  let rank = 0
  for (const backup of backups.toReversed()) {
    const isTooOld = maxAgeMs > 0 && madeAtMs(disk, folder, backup, nowMs) < nowMs - maxAgeMs
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
  const waiting = removed.size > 0 || minFreeBytes > 0 ? waitingConsumers(disk, options, backups, care) : []
  const held = keepForConsumers(disk, options, backups, removed, waiting, care)
  const isExhausted =
    minFreeBytes > 0 &&
    !makeRoom(
      disk,
      options,
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
  { folder, minFreeBytes }: UpkeepOptions,
  backups: readonly BackupFiles[],
  removed: Map<BackupFiles, RemovalReason>
): boolean {
  // Not looked at again after each removal: some file systems free later what was removed.
  let freeBytes = disk.freeBytes(folder)
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
  options: UpkeepOptions,
  backups: readonly BackupFiles[],
  care: ConsumerCare
): Waiting[] {
  const { logFolder, base, grammar, isForeignUsed } = options
  const isWaited = ({ isAlive, updatedAtMs }: LogConsumer) => isAlive || !isLate(updatedAtMs, options, care)
  const names = disk.readdir(logFolder)
  return logConsumers(disk, logFolder, base, names, isForeignUsed, care.unreadable)
    .filter(isWaited)
    .map((consumer) => ({ consumer, from: firstNeeded(grammar, backups, consumer) }))
}

function isLate(ms: number, { maxRetainedAgeMs }: UpkeepOptions, { steadyMs }: ConsumerCare): boolean {
  return maxRetainedAgeMs > 0 && ms < steadyMs - maxRetainedAgeMs
}

/** Takes out of `removed` what consumers have not got, within the bounds, and returns that. */
function keepForConsumers(
  disk: Disk,
  options: UpkeepOptions,
  backups: readonly BackupFiles[],
  removed: Map<BackupFiles, RemovalReason>,
  waiting: readonly Waiting[],
  care: ConsumerCare
): BackupFiles[] {
  if (waiting.length === 0 || care.isDiskFull) return []
  const { folder, maxRetainedBytes } = options
  const from = Math.min(...waiting.map((each) => each.from))
  const held: BackupFiles[] = []
  let totalBytes = 0
  for (let at = backups.length - 1; at >= from; at--) {
    const backup = backups[at]
    totalBytes += bytesOf(disk, folder, backup)
    if (!removed.has(backup)) continue
    const isBeyond = maxRetainedBytes > 0 && totalBytes > maxRetainedBytes
    const seenAtMs = care.seenAtMs(backup) ?? madeAtMs(disk, folder, backup, care.steadyMs)
    if (isBeyond || isLate(seenAtMs, options, care)) continue
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
  const lostTo = (from: number) => backups.slice(from).filter((backup) => removed.has(backup))
  const sizeOfAll = (lost: readonly BackupFiles[]) =>
    lost.reduce((sum, backup) => sum + bytesOf(disk, folder, backup), 0)
  const late = waiting.filter(({ from }) => lostTo(from).length > 0)
  if (late.length === 0) return
  for (const { consumer, from } of late) {
    const own = lostTo(from)
    const last = own[own.length - 1].name
    try {
      noteLost(disk, consumer.path, { backups: own.length, bytes: sizeOfAll(own), last })
    } catch (error) {
      care.unreadable(consumer.path, error)
    }
  }
  const lost = lostTo(Math.min(...late.map(({ from }) => from)))
  care.lost(
    late.map(({ consumer }) => consumer),
    lost.length,
    sizeOfAll(lost)
  )
}

function bytesOf(disk: Disk, folder: string, { names }: BackupFiles): number {
  return names.reduce((sum, name) => sum + sizeOf(disk, join(folder, name)), 0)
}

/** By its name, or by its last change where the name says nothing or was given by a clock that was ahead. */
function madeAtMs(disk: Disk, folder: string, backup: BackupFiles, nowMs: number): number {
  return stampMs(backup, nowMs) ?? disk.lstat(join(folder, backup.name))?.mtimeMs ?? nowMs
}

function remove(disk: Disk, folder: string, name: string): void {
  try {
    disk.unlink(join(folder, name))
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error
  }
}

// What happens to backups after a rotation, off the write path: leftovers of a crash are cleaned up, old backups
// removed, new ones compressed. Every step can be repeated, so a crash at any point costs nothing but time.
import { join } from 'node:path'
import { setImmediate as nextTurn, setTimeout as setTimeoutAsync } from 'node:timers/promises'
import { monotonicMs } from '../../base/clock.ts'
import { errorMessage, systemCode } from '../../base/errors.ts'
import { withoutCompression } from '../../formats/backup-name.ts'
import type { Disk } from '../../io/disk.ts'
import { failpoint } from '../../io/failpoint.ts'
import { syncFolderIfPossible } from '../../io/open-file.ts'
import { exitDeadline } from '../sink/at-exit.ts'
import type { RemovalReason } from '../sink/contract.ts'
import type { BackupFiles, BackupGrammar } from './backup-grammar.ts'
import {
  type Compression,
  compressBackup,
  compressionSuffix,
  isCompressedCopy,
  temporaryName
} from './compress.ts'
import type { LogConsumer } from './log-consumers.ts'
import { type ConsumerCare, isAhead, type Limits, sizeOf, surplusOf } from './surplus.ts'

/** Somebody else does upkeep at the moment. */
const BUSY_RETRY_MS = 200
/** Looks again at what is kept for consumers only, while nothing rotates. */
const HELD_INTERVAL_MS = 5_000
/** Removes by age while nothing rotates. */
const AGE_INTERVAL_MS = 3_600_000
/** How long closing waits for a compression before it is abandoned to the next rotation. */
const STOP_TIMEOUT_MS = 3_000

export interface UpkeepOptions extends Limits {
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
  compress: false | Compression
  mode: number
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
  #isWorking = false
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

  /** Resolves when no round is under way; it does not reject. */
  settled(): Promise<void> {
    return this.#running ?? Promise.resolve()
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

  /** A round is under way that has to come to its end. While the process exits none does. */
  get mustEnd(): boolean {
    const { compress, finisher } = this.#options
    return this.#isWorking && (compress !== false || finisher.hasCommand) && exitDeadline() === undefined
  }

  /** The same at once, unless a round must come to its end. One that only removes does nothing more after this. */
  stopNow(): void {
    this.#again = false
    this.#abort?.abort()
    void this.stop()
  }

  async #run(): Promise<void> {
    const { disk, shared, lock, failed, now, isPaused } = this.#options
    // Nobody who writes is to wait for it, and who closes a file as soon as it is written finds nothing begun.
    await nextTurn()
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
        this.#isWorking = true
        const nowMs = now()
        const round = await keepUp(disk, this.#options, nowMs, signal, this.#spared, {
          isDiskFull: this.#takeDiskFull(),
          steadyMs: this.#steadyMs(),
          saw: (backups) => this.#remember(backups),
          seenAtMs: ({ name }) => this.#seenAtMs.get(withoutCompression(name)),
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
        this.#isWorking = false
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
    const names = new Set(backups.map(({ name }) => withoutCompression(name)))
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
  // Consumers have their files beside the log, which its backups need not be.
  const logNames = options.logFolder === folder ? names : await namesIn(disk, options.logFolder)
  // The lock may be gone with the sink, which waits for no listing.
  signal.throwIfAborted()
  const surplus = surplusOf(disk, options, logNames, backups, nowMs, spared, care)
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

function isTemporary(grammar: BackupGrammar, name: string): boolean {
  const suffix = temporaryName('')
  if (!name.endsWith(suffix)) return false
  const compression = grammar.compressionOf(name.slice(0, -suffix.length))
  return compression !== undefined && compression !== ''
}

function remove(disk: Disk, folder: string, name: string): void {
  try {
    disk.unlink(join(folder, name))
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error
  }
}

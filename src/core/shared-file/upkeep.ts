// What happens to backups after a rotation, off the write path: leftovers of a crash are cleaned up, old backups
// removed, new ones compressed. Every step can be repeated, so a crash at any point costs nothing but time.
import { join } from 'node:path'
import { setTimeout as setTimeoutAsync } from 'node:timers/promises'
import { systemCode } from '../../base/errors.ts'
import { type Backup, formatBackupName, groupBackups, parseBackupName } from '../../formats/backup-name.ts'
import type { Disk } from '../../io/disk.ts'
import { failpoint } from '../../io/failpoint.ts'
import { type OpenFile, syncFolder } from '../../io/open-file.ts'
import {
  type Compression,
  compressBackup,
  compressionSuffix,
  isCompressedCopy,
  temporaryName
} from './compress.ts'

/** Somebody else does upkeep at the moment. */
const BUSY_RETRY_MS = 200
/** Removes by age while nothing rotates. */
const AGE_INTERVAL_MS = 3_600_000
/** How long closing waits for a compression before it is abandoned to the next rotation. */
const STOP_TIMEOUT_MS = 3_000

export interface UpkeepOptions {
  disk: Disk
  now: () => number
  /** Whether other processes may do the same work; then `lock` is taken, which gives undefined if it is busy. */
  shared: boolean
  lock: () => OpenFile | undefined
  failed: (error: unknown) => void
  folder: string
  base: string
  maxBackups: number
  maxAgeMs: number
  maxTotalBytes: number
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
  #ageTimer: NodeJS.Timeout | undefined

  constructor(options: UpkeepOptions) {
    const { maxBackups, maxAgeMs, maxTotalBytes, compress } = options
    this.#options = options
    this.#needed = maxBackups > 0 || maxAgeMs > 0 || maxTotalBytes > 0 || compress !== false
  }

  /** Does what an earlier process left undone or other options demand. */
  start(): void {
    this.request()
    if (this.#options.maxAgeMs > 0)
      this.#ageTimer = setInterval(() => this.request(), AGE_INTERVAL_MS).unref()
  }

  /** A backup was made. */
  request(): void {
    if (!this.#needed) return
    this.#again = true
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
    })
  }

  /** Lets a round under way finish, within a limit. */
  async stop(): Promise<void> {
    clearInterval(this.#ageTimer)
    this.#stopping = true
    if (this.#running === undefined) return
    const timer = setTimeout(() => this.#abort?.abort(), STOP_TIMEOUT_MS)
    await this.#running
    clearTimeout(timer)
  }

  async #run(): Promise<void> {
    const { disk, shared, lock, failed, now } = this.#options
    this.#abort ??= new AbortController()
    const { signal } = this.#abort
    while (this.#again && !signal.aborted) {
      let held: OpenFile | undefined
      let seen: Set<string>
      try {
        held = shared ? lock() : undefined
        if (shared && held === undefined) {
          if (this.#stopping) return
          await setTimeoutAsync(BUSY_RETRY_MS, undefined, { ref: false })
          continue
        }
        this.#again = false
        seen = await keepUp(disk, this.#options, now(), signal)
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
    const { disk, folder, base, failed } = this.#options
    try {
      const names = await disk.readdirAsync(folder)
      this.#again ||= names.some((name) => !seen.has(name) && parseBackupName(base, name)?.compression === '')
    } catch (error) {
      failed(error)
    }
  }
}

/**
 * One round over the folder; the caller holds the upkeep lock. Resolves with the names that were there; rejects with
 * the first error of the disk.
 */
export async function keepUp(
  disk: Disk,
  options: UpkeepOptions,
  now: number,
  signal: AbortSignal
): Promise<Set<string>> {
  const { folder, base, compress } = options
  const names = await disk.readdirAsync(folder)
  for (const name of names) if (isTemporary(base, name)) remove(disk, folder, name)
  const backups = groupBackups(base, names)
  const removed = expired(disk, options, backups, now)
  for (const backup of removed) for (const name of backup.names) remove(disk, folder, name)
  let failure: unknown
  for (const backup of compress === false ? [] : backups) {
    if (removed.has(backup) || backup.compression !== '') continue
    try {
      await compressOne(disk, options, compress as Compression, backup, signal)
    } catch (error) {
      signal.throwIfAborted()
      // One that cannot be compressed does not keep the others from it.
      failure ??= error
    }
  }
  if (failure !== undefined) throw failure
  return new Set(names)
}

async function compressOne(
  disk: Disk,
  { folder, base, mode }: UpkeepOptions,
  method: Compression,
  backup: Backup,
  signal: AbortSignal
): Promise<void> {
  const source = join(folder, backup.name)
  if (backup.names.length === 1) {
    const target = formatBackupName(base, backup.stamp, backup.number, compressionSuffix[method])
    await compressBackup(disk, source, join(folder, target), method, mode, signal)
    syncFolder(disk, folder)
  } else if (!(await isCompressedCopy(disk, source, join(folder, backup.names[1]), signal))) {
    // Not what a crash of ours leaves; perhaps another program is compressing it at this moment.
    return
  }
  failpoint('remove')
  remove(disk, folder, backup.name)
}

function isTemporary(base: string, name: string): boolean {
  const suffix = temporaryName('')
  if (!name.endsWith(suffix)) return false
  const backup = parseBackupName(base, name.slice(0, -suffix.length))
  return backup !== undefined && backup.compression !== ''
}

/** The backups to remove: all beyond the newest `maxBackups`, too old, or beyond `maxTotalBytes`. */
function expired(disk: Disk, options: UpkeepOptions, backups: readonly Backup[], now: number): Set<Backup> {
  const { folder, maxBackups, maxAgeMs, maxTotalBytes } = options
  const removed = new Set<Backup>()
  let total = 0
  for (const [rank, backup] of backups.toReversed().entries()) {
    if (maxTotalBytes > 0) {
      for (const name of backup.names) total += disk.lstat(join(folder, name))?.size ?? 0
    }
    const tooMany = maxBackups > 0 && rank >= maxBackups
    const tooOld = maxAgeMs > 0 && backup.stamp * 1000 < now - maxAgeMs
    if (tooMany || tooOld || (maxTotalBytes > 0 && total > maxTotalBytes)) removed.add(backup)
  }
  return removed
}

function remove(disk: Disk, folder: string, name: string): void {
  try {
    disk.unlink(join(folder, name))
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error
  }
}

// A folder in which this process may make files and which it may not open: then nobody here can sync its names. Whoever
// shuts it for a moment opens it again, so the answer holds only when it stays the same.
import { monotonicMs } from '../base/clock.ts'
import { systemCode } from '../base/errors.ts'
import type { Disk } from './disk.ts'
import { cannotSync } from './open-file.ts'

/** Less than closing waits for what makes no progress. */
const SHUT_MS = 5_000

export class ShutFolder {
  #sinceMs: number | undefined

  /** Whether a sync of the folder that failed so can be had here at all; to be asked for each that fails. */
  isUnsyncable(error: unknown): boolean {
    if (cannotSync(error)) return true
    if (systemCode(error) !== 'EACCES') return false
    const nowMs = monotonicMs()
    this.#sinceMs ??= nowMs
    return nowMs - this.#sinceMs >= SHUT_MS
  }

  /** It could be synced. */
  opened(): void {
    this.#sinceMs = undefined
  }
}

/** Whether an attempt to sync the folder failed so because somebody has removed it, or put something else in its place. */
export function isFolderGone(disk: Disk, folder: string, error: unknown): boolean {
  const isMissing = (failure: unknown): boolean => ['ENOENT', 'ENOTDIR'].includes(systemCode(failure) ?? '')
  if (!isMissing(error)) return false
  try {
    return disk.lstat(folder)?.isFile !== false
  } catch (failure) {
    return isMissing(failure)
  }
}

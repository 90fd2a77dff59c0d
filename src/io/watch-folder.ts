// Tells that something has changed in a folder, where the system can.
import { watch } from 'node:fs'

/**
 * Calls `changed` when a name appears in the folder or goes from it, and when nothing more is told; it does not keep the
 * process alive. Undefined if the folder cannot be watched; else the result ends it.
 */
export function watchFolder(path: string, changed: () => void): (() => void) | undefined {
  try {
    const watcher = watch(path, { persistent: false }, changed)
    watcher.on('error', changed)
    return () => watcher.close()
  } catch {
    // Too many are watched already, it is not permitted, or the folder has gone.
    return undefined
  }
}

// Tells of names that appear in, or go from, a folder, where the system can.
import { watch } from 'node:fs'

/**
 * Calls `changed` with each such name, or undefined where the system does not say which; it does not keep the process
 * alive. `lost`: nothing more is told. Undefined if the folder cannot be watched; else the result ends it.
 */
export function watchFolder(
  path: string,
  changed: (name: string | undefined) => void,
  lost: () => void
): (() => void) | undefined {
  try {
    const watcher = watch(path, { persistent: false }, (_event, name) => changed(name ?? undefined))
    watcher.on('error', () => {
      watcher.close()
      lost()
    })
    return () => watcher.close()
  } catch {
    // Too many are watched already, it is not permitted, or the folder has gone.
    return undefined
  }
}

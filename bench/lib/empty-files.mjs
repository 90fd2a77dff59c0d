// What runs leave behind until the bench ends.
import { chmodSync, readdirSync, truncateSync } from 'node:fs'
import { join } from 'node:path'

/** Empties all files of a folder, so that the kernel does not write to disk what nobody will read. */
export function emptyFiles(folder) {
  for (const file of readdirSync(folder, { withFileTypes: true })) {
    if (!file.isFile()) continue
    const path = join(folder, file.name)
    // Spool files are read-only.
    chmodSync(path, 0o600)
    truncateSync(path)
  }
}

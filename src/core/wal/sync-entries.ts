// Makes the entries of a folder durable where that is possible at all.
import { join } from 'node:path'
import { systemCode } from '../../base/errors.ts'
import type { Disk } from '../../io/disk.ts'
import { syncFolderIfPossible } from '../../io/open-file.ts'

/** Syncs a folder of the log. */
export function syncEntries(disk: Disk, folder: string): void {
  syncFolderIfPossible(disk, folder)
}

/** Makes the name of the folder durable. */
export function syncParent(disk: Disk, folder: string): void {
  try {
    syncEntries(disk, join(folder, '..'))
  } catch (error) {
    // The folder above may belong to somebody else, who does not let it be listed.
    if (systemCode(error) !== 'EACCES') throw error
  }
}

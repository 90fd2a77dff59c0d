// Makes the entries of a folder durable where that is possible at all.
import { join } from 'node:path'
import { systemCode } from '../../base/errors.ts'
import type { Disk } from '../../io/disk.ts'
import { cannotSync, syncFolder } from '../../io/open-file.ts'

/** Syncs a folder of the log. Some file systems have no such thing as a sync of a folder: there, none is needed or nothing helps. */
export function syncEntries(disk: Disk, folder: string): void {
  try {
    syncFolder(disk, folder)
  } catch (error) {
    if (!cannotSync(error)) throw error
  }
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

// Syncing what was written to files that were closed since, so that a flush to disk covers them, too.
import { constants } from 'node:fs'
import type { Disk } from '../../io/disk.ts'
import { syncFolder } from '../../io/open-file.ts'
import { DataSyncError } from '../sink/target.ts'
import type { EventEntry } from './outputs.ts'

const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/** Syncs the files of these events and takes them out of the set. What is gone meanwhile needs no sync. */
export async function syncClosed(disk: Disk, folder: string, entries: Set<EventEntry>): Promise<void> {
  if (entries.size === 0) return
  for (const entry of [...entries]) {
    // Any descriptor will do: it is the file that is synced, not what was written through the descriptor.
    if (disk.exists(entry.path)) await syncFile(disk, entry.path)
    entries.delete(entry)
  }
  syncFolder(disk, folder)
}

/** The same on this thread. */
export function syncClosedNow(disk: Disk, folder: string, entries: Set<EventEntry>): void {
  if (entries.size === 0) return
  for (const entry of [...entries]) {
    if (disk.exists(entry.path)) syncFileNow(disk, entry.path)
    entries.delete(entry)
  }
  syncFolder(disk, folder)
}

function syncFileNow(disk: Disk, path: string): void {
  const fd = disk.open(path, READ, 0)
  try {
    disk.fdatasync(fd)
  } catch (error) {
    throw new DataSyncError(path, error)
  } finally {
    disk.close(fd)
  }
}

async function syncFile(disk: Disk, path: string): Promise<void> {
  const fd = await disk.openAsync(path, READ, 0)
  try {
    await disk.fdatasyncAsync(fd)
  } catch (error) {
    throw new DataSyncError(path, error)
  } finally {
    disk.close(fd)
  }
}

// The end of files where nothing more can be done about an error, and another one is the one to tell.
import type { Disk } from './disk.ts'

/** The descriptor is free whatever close(2) says; what had to be durable was synced before. */
export function closeQuietly(disk: Disk, fd: number): void {
  try {
    disk.close(fd)
  } catch {
    // Nothing rests on it.
  }
}

/** Removes what is of no use any more; whether it did. What stays is found by whoever looks after that folder. */
export function removeQuietly(disk: Disk, path: string): boolean {
  try {
    disk.unlink(path)
    return true
  } catch {
    // It is in nobody's way.
    return false
  }
}

// Small questions about open files, and the end of them where nothing more can be done about an error.
import type { Disk } from '../../io/disk.ts'

/** Whether `path` still is the file that is open. */
export function isAt(disk: Disk, fd: number, path: string): boolean {
  const there = disk.lstat(path)
  if (there === undefined) return false
  const own = disk.fstat(fd)
  return there.ino === own.ino && there.dev === own.dev
}

/** The same where it cannot be found out: no. */
export function isKnownAt(disk: Disk, fd: number, path: string): boolean {
  try {
    return isAt(disk, fd, path)
  } catch {
    return false
  }
}

/** The descriptor is free whatever close(2) says; what had to be durable was synced before. */
export function closeQuietly(disk: Disk, fd: number): void {
  try {
    disk.close(fd)
  } catch {
    // Nothing rests on it.
  }
}

/** Removes what is of no use any more; the error that made it so is the one to tell. */
export function removeQuietly(disk: Disk, path: string): void {
  try {
    disk.unlink(path)
  } catch {
    // Whoever recovers finds that nothing speaks for it.
  }
}

// Small questions about open files.
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

// Whether a path still is the file that is open.
import type { Disk } from '../../io/disk.ts'

export function isAt(disk: Disk, fd: number, path: string): boolean {
  const there = disk.lstat(path)
  if (there === undefined) return false
  const own = disk.fstat(fd)
  return there.ino === own.ino && there.dev === own.dev
}

// Gives a file that was created here exactly the mode that was asked for, where that can be done at all.
import { errorMessage, systemCode } from '../base/errors.ts'
import type { Disk } from './disk.ts'

/** Told of a file that is as good as any other, but has another mode. */
export type ModeWarning = (code: string, message: string, path: string) => void

/**
 * Node's permission model refuses fchmod whatever is granted, and some file systems have no modes of their own; no
 * repetition changes either.
 */
const IMPOSSIBLE = new Set(['ERR_ACCESS_DENIED', 'EPERM', 'EACCES', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'])

/** That it cannot be done is no failure: the mode was given to open(2) already, and a umask can only have narrowed it. */
export function giveMode(disk: Disk, path: string, fd: number, mode: number, warn?: ModeWarning): void {
  const before = disk.fstat(fd).mode
  // Windows has no more of it than "read-only", which would keep the file from being removed.
  if (before === mode || process.platform === 'win32') return
  try {
    disk.chmod(fd, mode)
  } catch (error) {
    const code = systemCode(error) ?? ''
    if (!IMPOSSIBLE.has(code)) throw error
    const octal = (bits: number): string => `0${bits.toString(8)}`
    warn?.(code, `${path} has mode ${octal(before)} instead of ${octal(mode)}: ${errorMessage(error)}`, path)
  }
}

/** The same warning, once: the next file will be no different. */
export function once(warn: ModeWarning): ModeWarning {
  let said = false
  return (code, message, path) => {
    if (said) return
    said = true
    warn(code, message, path)
  }
}

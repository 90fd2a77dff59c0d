// Room in file names: what is put before and behind the name of a log must still be a name that file systems accept.
import { basename, dirname, resolve } from 'node:path'
import { LogboomError } from './errors.ts'

/** Longest file name, in bytes: that of Linux's file systems; others allow no less. */
export const MAX_NAME_BYTES = 255
/** Longest path, in bytes, without the zero at its end. */
const MAX_PATH_BYTES = 4095
/** The longest thing put behind a name: `.20250131-235959.123456789012345.zst.tmp`. */
export const BACKUP_SUFFIX_BYTES = 40

/**
 * Throws `ERR_OPTION` if the file at `path` cannot have backups, lock and temporary files, whose names are `extraBytes`
 * longer. Without this a sink would work up to its first rotation and lose everything after it.
 */
export function requireNameRoom(
  kind: string,
  option: string,
  path: string,
  extraBytes: number = BACKUP_SUFFIX_BYTES
): void {
  const bytes = Buffer.byteLength(basename(path))
  const most = MAX_NAME_BYTES - extraBytes
  if (bytes > most) {
    const rule = `names a file of ${bytes} bytes; the most is ${most}, as its backups and its lock file have longer names`
    throw new LogboomError('ERR_OPTION', `${kind}: option '${option}' ${rule}`, { path })
  }
  // The folder of the process counts, too.
  const whole = resolve(path)
  const isTooDeep =
    Math.max(Buffer.byteLength(path), Buffer.byteLength(whole)) > MAX_PATH_BYTES - extraBytes ||
    dirname(whole)
      .split('/')
      .some((name) => Buffer.byteLength(name) > MAX_NAME_BYTES)
  if (!isTooDeep) return
  const rule = `is a path that is too long: the most is ${MAX_PATH_BYTES - extraBytes} bytes, and ${MAX_NAME_BYTES} for the name of each folder`
  throw new LogboomError('ERR_OPTION', `${kind}: option '${option}' ${rule}`, { path })
}

// Looks into the small file of somebody who holds a kernel lock on it for as long as he lives, and whether he does.
import { constants } from 'node:fs'
import { systemCode } from '../base/errors.ts'
import { native } from '../native/index.ts'
import type { Disk } from './disk.ts'
import { closeQuietly } from './quietly.ts'
import { open, read, type Steps } from './steps.ts'

const { O_RDWR, O_RDONLY, O_NOFOLLOW, O_NONBLOCK, O_NOCTTY } = constants
const SAFE = O_NOFOLLOW | O_NONBLOCK | O_NOCTTY
/** There is nothing, a link, a folder, or a socket. */
const NONE = new Set(['ENOENT', 'ELOOP', 'EISDIR', 'ENXIO'])
/** The one that its owner holds. */
export const OWNER_SLOT = 0

export interface HeldFile {
  readonly bytes: Buffer
  readonly uid: number
  readonly mtimeMs: number
  /** Undefined where that cannot be found out: no kernel locks, or a file that may only be read. */
  readonly isHeld: boolean | undefined
}

/** Undefined where nothing is, or something that is no such file: a link, a folder, more than `mostBytes`. */
export function* lookAtHeld(disk: Disk, path: string, mostBytes: number): Steps<HeldFile | undefined> {
  const fd = yield* openToLook(path)
  if (fd === undefined) return undefined
  try {
    const { isFile, size, uid, mtimeMs } = disk.fstat(fd)
    if (!isFile || size > mostBytes) return undefined
    const bytes = Buffer.alloc(mostBytes)
    const length = yield* read(fd, bytes, mostBytes, 0)
    return { bytes: bytes.subarray(0, length), uid, mtimeMs, isHeld: isHeld(disk, fd) }
  } finally {
    closeQuietly(disk, fd)
  }
}

/** To be locked a file must be open for writing; one that can only be read still says something. */
function* openToLook(path: string): Steps<number | undefined> {
  try {
    return yield* open(path, O_RDWR | SAFE, 0)
  } catch (error) {
    const code = systemCode(error)
    if (NONE.has(code ?? '')) return undefined
    if (code !== 'EACCES' && code !== 'EPERM' && code !== 'EROFS') throw error
  }
  return yield* open(path, O_RDONLY | SAFE, 0)
}

function isHeld(disk: Disk, fd: number): boolean | undefined {
  if (!native.canLock) return undefined
  try {
    if (!disk.lock(fd, OWNER_SLOT, 0)) return true
    disk.unlock(fd, OWNER_SLOT)
    return false
  } catch {
    return undefined
  }
}

// Who a log is: 16 random bytes, made with the log and kept in `.identity` beside its segments, where etcd and its tools
// pass it over. By it a position is known to be one in this log, and not in another one at its path.
import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { join } from 'node:path'
import type { Disk } from '../../io/disk.ts'
import { openFile } from '../../io/open-file.ts'
import { writeAll } from '../../io/write-all.ts'
import { syncEntries } from './sync-entries.ts'
import { freeTempName } from './temp-name.ts'

export const IDENTITY_NAME = '.identity'
const PREFIX = 'logboom-wal:1:'
const CONTENT = /^logboom-wal:1:([0-9a-f]{32})\n$/
/** What a power cut leaves of it: a beginning, or zeros. */
const UNFINISHED = /^(logboom-wal:1:[0-9a-f]*\0*|\0*)$/
const CONTENT_BYTES = PREFIX.length + 33
const NOT_FOLLOWED = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY

/** The identity of the log in `folder` as 32 hexadecimal digits; undefined if it has none yet, or none that can be read. */
export function identityIn(disk: Disk, folder: string): string | undefined {
  return CONTENT.exec(contentIn(disk, folder) ?? '')?.[1]
}

/** What is in the file; undefined if there is none that can be read, or one that is too large to be ours. */
function contentIn(disk: Disk, folder: string): string | undefined {
  let fd: number
  try {
    fd = disk.open(join(folder, IDENTITY_NAME), NOT_FOLLOWED, 0)
  } catch {
    return undefined
  }
  try {
    const { isFile, size } = disk.fstat(fd)
    if (!isFile || size > CONTENT_BYTES) return undefined
    const bytes = Buffer.alloc(CONTENT_BYTES)
    return bytes.toString('latin1', 0, disk.read(fd, bytes, 0, CONTENT_BYTES, 0))
  } finally {
    disk.close(fd)
  }
}

/**
 * The identity of the log in `folder`, made if there is none: for whoever holds its lock. Durable when it returns, but for
 * its name, which is the caller's to sync. What lies in its place and is none of ours is left alone, and the log has no
 * identity. Throws what the system says.
 */
export function makeIdentity(disk: Disk, folder: string, mode: number, known?: string): string | undefined {
  const found = identityIn(disk, folder)
  if (found !== undefined) return found
  const path = join(folder, IDENTITY_NAME)
  if (disk.lstat(path) !== undefined && !UNFINISHED.test(contentIn(disk, folder) ?? 'unknown'))
    return undefined
  const identity = known ?? randomBytes(16).toString('hex')
  const temporary = join(folder, freeTempName(disk, folder))
  const file = openFile(disk, temporary, constants.O_RDWR, { mode, dirMode: 0, mkdir: false })
  try {
    writeAll(disk, file.fd, Buffer.from(`${PREFIX}${identity}\n`), 0)
    disk.fsync(file.fd)
    disk.rename(temporary, path)
  } catch (error) {
    removeQuietly(disk, temporary)
    throw error
  } finally {
    file.release()
  }
  return identity
}

/** The same for a log that works without: what keeps it from being made is tried again at the next opening. */
export function makeIdentityQuietly(
  disk: Disk,
  folder: string,
  mode: number,
  known?: string
): string | undefined {
  try {
    const before = identityIn(disk, folder)
    if (before !== undefined) return before
    const made = makeIdentity(disk, folder, mode, known)
    syncEntries(disk, folder)
    return made
  } catch {
    return undefined
  }
}

function removeQuietly(disk: Disk, path: string): void {
  try {
    disk.unlink(path)
  } catch {
    // Whoever opens the log next removes it.
  }
}

// Makes the file of a ring: private, with all its blocks, locked as long as it is in memory, and at its name only when it is
// whole.
import { constants } from 'node:fs'
import { systemCode } from '../../base/errors.ts'
import { decodeRingHeader, encodeRingHeader, ringBytes } from '../../formats/lane.ts'
import type { Disk } from '../../io/disk.ts'
import { closeQuietly, removeQuietly } from '../../io/quietly.ts'
import { MappedRing } from './mapped-ring.ts'

/** As a slot of a lock. */
export const WHOLE_FILE = -1
const NEW_FILE = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
const ZEROS = Buffer.alloc(256 * 1024)

/** Throws the system's error, and leaves nothing then. `isChecked`: on a disk, where records carry checksums. */
export function createRingFile(
  disk: Disk,
  path: string,
  newPath: string,
  capacityBytes: number,
  isChecked: boolean,
  description: string
): MappedRing {
  const encoded = encodeRingHeader(capacityBytes, isChecked, description)
  const header = decodeRingHeader(encoded)!
  const fd = disk.open(newPath, NEW_FILE, 0o600)
  let ring: MappedRing | undefined
  try {
    disk.chmod(fd, 0o600)
    reserve(disk, fd, ringBytes(header.headerBytes, capacityBytes), isChecked)
    writeAt(disk, fd, encoded, encoded.length, 0)
    if (isChecked) disk.fsync(fd)
    ring = new MappedRing(disk, path, fd, header)
    // The memory holds the descriptor's file, and so the lock, until it is unmapped or the process is dead.
    disk.lock(fd, WHOLE_FILE, 0)
    disk.renameNoReplace(newPath, path)
    return ring
  } catch (error) {
    ring?.close()
    removeQuietly(disk, newPath)
    throw error
  } finally {
    closeQuietly(disk, fd)
  }
}

/**
 * Touching a page for which there is no room would end the process (SIGBUS), so there has to be room for all of them. On
 * a disk, blocks that are only reserved have still to be noted as written, so zeros are written there.
 */
function reserve(disk: Disk, fd: number, bytes: number, isOnDisk: boolean): void {
  try {
    disk.fallocate(fd, 0, bytes)
    if (!isOnDisk) return
  } catch (error) {
    const code = systemCode(error)
    if (code !== 'EOPNOTSUPP' && code !== 'ENOSYS') throw error
  }
  for (let at = 0; at < bytes; at += ZEROS.length) {
    writeAt(disk, fd, ZEROS, Math.min(ZEROS.length, bytes - at), at)
  }
}

function writeAt(disk: Disk, fd: number, data: Buffer, length: number, position: number): void {
  for (let done = 0; done < length; ) {
    const written = disk.write(fd, data, done, length - done, position + done)
    if (written === 0) throw Object.assign(new Error('ENOSPC: nothing was written'), { code: 'ENOSPC' })
    done += written
  }
}

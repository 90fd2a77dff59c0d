// Before anything is cut off a segment, the segment is copied to `<name>.broken`, so that an operator can look.
import { constants } from 'node:fs'
import { join } from 'node:path'
import { WAL_FILE_MODE } from '../../formats/wal.ts'
import type { Disk } from '../../io/disk.ts'
import { openFile, syncFolder } from '../../io/open-file.ts'

const CHUNK_BYTES = 1024 * 1024
const ACCESS = { mode: WAL_FILE_MODE, dirMode: 0, mkdir: false }

/**
 * Copies the segment `name` and cuts it to `length` bytes, both durably. Returns how many bytes were cut off, not
 * counting the zeros at the end.
 */
export function keepBroken(disk: Disk, folder: string, name: string, length: number): number {
  const path = join(folder, name)
  const file = openFile(disk, path, constants.O_RDWR, ACCESS)
  try {
    const end = copy(disk, file.fd, join(folder, `${name}.broken`))
    disk.truncate(file.fd, length)
    disk.fsync(file.fd)
    syncFolder(disk, folder)
    return Math.max(0, end - length)
  } finally {
    file.release()
  }
}

/** Zeros become a hole: a preallocated rest costs neither time nor space. Returns where the last other byte ends. */
function copy(disk: Disk, from: number, to: string): number {
  if (disk.exists(to)) disk.unlink(to)
  const target = openFile(disk, to, constants.O_RDWR, ACCESS)
  try {
    const { size } = disk.fstat(from)
    const chunk = Buffer.alloc(CHUNK_BYTES)
    let end = 0
    for (let at = 0; at < size; ) {
      const bytes = disk.read(from, chunk, 0, Math.min(CHUNK_BYTES, size - at), at)
      if (bytes === 0) break
      const used = usedBytes(chunk, bytes)
      for (let done = 0; done < used; ) done += disk.write(target.fd, chunk, done, used - done, at + done)
      if (used > 0) end = at + used
      at += bytes
    }
    disk.truncate(target.fd, size)
    disk.fsync(target.fd)
    return end
  } finally {
    target.release()
  }
}

function usedBytes(chunk: Buffer, length: number): number {
  if (chunk.subarray(0, length).equals(zeroChunk.subarray(0, length))) return 0
  while (chunk[length - 1] === 0) length--
  return length
}

const zeroChunk = Buffer.alloc(CHUNK_BYTES)

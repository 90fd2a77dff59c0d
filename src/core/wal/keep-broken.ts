// Before anything is cut off a segment, the segment is copied to `<name>.broken`, so that an operator can look.
import { constants } from 'node:fs'
import { join } from 'node:path'
import { WAL_FILE_MODE } from '../../formats/wal.ts'
import type { Disk } from '../../io/disk.ts'
import { failpoint } from '../../io/failpoint.ts'
import { openFile } from '../../io/open-file.ts'
import { writeAll } from '../../io/write-all.ts'
import { syncEntries } from './sync-entries.ts'

const CHUNK_BYTES = 1024 * 1024
const ACCESS = { mode: WAL_FILE_MODE, dirMode: 0, mkdir: false, foreignOwner: 'allow' as const }
const MAX_COPIES = 10_000
/** A program that crashes again and again must not fill the disk with copies of torn tails. */
const MAX_TORN_COPIES = 8

export interface KeptCopy {
  /** Bytes cut off, not counting the zeros at the end. */
  bytes: number
  copy: string
}

/** Copies the segment `name` and cuts it to `length` bytes, both durably. */
export function keepBroken(disk: Disk, folder: string, name: string, length: number): KeptCopy {
  const path = join(folder, name)
  const copy = freeCopyName(disk, path)
  return { bytes: cut(disk, folder, path, length, copy), copy }
}

/**
 * The same for the torn tail that a crash left: nothing whole is cut off, so that where there are enough copies of the
 * segment no more are made.
 */
export function cutTorn(disk: Disk, folder: string, name: string, length: number): number {
  const path = join(folder, name)
  const hasEnough = disk.exists(copyName(path, MAX_TORN_COPIES - 1))
  return cut(disk, folder, path, length, hasEnough ? undefined : freeCopyName(disk, path))
}

function cut(disk: Disk, folder: string, path: string, length: number, copy: string | undefined): number {
  const file = openFile(disk, path, constants.O_RDWR, ACCESS)
  try {
    const end = copyFile(disk, file.fd, copy)
    if (copy !== undefined) syncEntries(disk, folder)
    failpoint('wal-copied')
    disk.truncate(file.fd, length)
    disk.fsync(file.fd)
    failpoint('wal-cut')
    return Math.max(0, end - length)
  } finally {
    file.release()
  }
}

/** A name for the copy of the file at `path`; those of earlier damage are kept. */
export function freeCopyName(disk: Disk, path: string): string {
  for (let number = 0; number < MAX_COPIES; number++) {
    const name = copyName(path, number)
    if (!disk.exists(name)) return name
  }
  throw new Error(`${path} has ${MAX_COPIES} copies; remove those that nobody needs`)
}

function copyName(path: string, number: number): string {
  return number === 0 ? `${path}.broken` : `${path}.broken.${number}`
}

/** Copies, where `to` is given. Zeros become a hole: a preallocated rest costs neither time nor space. Returns where the last other byte ends. */
function copyFile(disk: Disk, from: number, to: string | undefined): number {
  const target = to === undefined ? undefined : openFile(disk, to, constants.O_RDWR, ACCESS)
  try {
    const { size } = disk.fstat(from)
    const chunk = Buffer.alloc(CHUNK_BYTES)
    let end = 0
    for (let at = 0; at < size; ) {
      const bytes = disk.read(from, chunk, 0, Math.min(CHUNK_BYTES, size - at), at)
      if (bytes === 0) break
      const used = usedBytes(chunk, bytes)
      if (target !== undefined) writeAll(disk, target.fd, chunk.subarray(0, used), at)
      if (used > 0) end = at + used
      at += bytes
    }
    if (target !== undefined) {
      disk.truncate(target.fd, size)
      disk.fsync(target.fd)
    }
    return end
  } finally {
    target?.release()
  }
}

function usedBytes(chunk: Buffer, length: number): number {
  if (chunk.subarray(0, length).equals(zeroChunk.subarray(0, length))) return 0
  while (chunk[length - 1] === 0) length--
  return length
}

const zeroChunk = Buffer.alloc(CHUNK_BYTES)

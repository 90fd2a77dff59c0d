// Reads what the writers of a log tell of themselves, and which of them are alive.
import type { FileHandle } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { systemCode } from '../base/errors.ts'
import {
  decodeStatistics,
  maxStatisticsSlots,
  statisticsBytes,
  statisticsFileName,
  type WriterStatistics
} from '../formats/statistics-file.ts'
import { lockedBytes } from '../io/kernel-locks.ts'
import { native } from '../native/index.ts'
import { openToLook, readError } from './engine/open-file.ts'

/** A record is written at once, so the next look finds it whole. */
const MAX_LOOKS = 3
const NONE = new Set(['ENOENT', 'ELOOP', 'EISDIR', 'ENXIO', 'EACCES', 'EPERM'])

export interface SeenWriter extends WriterStatistics {
  readonly slot: number
  /** The kernel says so, also of writers in other containers of this machine. */
  readonly isAlive: boolean
}

/**
 * The writers of the log at `path`, by their slot; undefined if it keeps no statistics. Throws `ERR_IO` for a file that
 * cannot be read.
 */
export async function readStatistics(path: string): Promise<SeenWriter[] | undefined> {
  const file = join(dirname(path), statisticsFileName(basename(path)))
  let handle: FileHandle | undefined
  try {
    handle = await openToLook(file)
    const stats = await handle.stat({ bigint: true })
    if (!stats.isFile()) return undefined
    const slots = Math.min(maxStatisticsSlots, Math.floor(Number(stats.size) / statisticsBytes))
    const writers: SeenWriter[] = []
    for (let slot = 0; slot < slots; slot++) {
      const found = await readSlot(handle, slot)
      if (found === undefined) continue
      const isAlive = isHeld(handle.fd, stats.ino, slot) ?? found.state !== 'closed'
      writers.push({ ...found, slot, isAlive })
    }
    return writers
  } catch (error) {
    const code = systemCode(error)
    // Nothing, a link, a folder, a socket, or what we may not read: the log is there all the same.
    if (NONE.has(code ?? '')) return undefined
    throw readError(file, error)
  } finally {
    await handle?.close()
  }
}

async function readSlot(handle: FileHandle, slot: number): Promise<WriterStatistics | undefined> {
  const bytes = Buffer.alloc(statisticsBytes)
  for (let look = 0; look < MAX_LOOKS; look++) {
    await handle.read(bytes, 0, statisticsBytes, slot * statisticsBytes)
    const found = decodeStatistics(bytes)
    if (found !== undefined) return found
  }
  return undefined
}

/** Whether a writer holds the lock of its record; undefined where that cannot be found out. */
function isHeld(fd: number, ino: bigint, slot: number): boolean | undefined {
  if (!native.canLock) return lockedBytes(ino)?.includes(slot)
  try {
    if (!native.lock(fd, slot, 0)) return true
    native.unlock(fd, slot)
    return false
  } catch {
    // It may be read only. Linux shows the locks of all.
    return lockedBytes(ino)?.includes(slot)
  }
}

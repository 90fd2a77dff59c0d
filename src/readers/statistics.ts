// Reads what the writers of a log tell of themselves, and which of them are alive.
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { systemCode } from '../base/errors.ts'
import {
  decodeStatistics,
  maxStatisticsSlots,
  statisticsBytes,
  statisticsFileName,
  type WriterStatistics
} from '../formats/statistics-file.ts'
import { native } from '../native/index.ts'
import { readError } from './engine/open-file.ts'

/** A record is written at once, so the next look finds it whole. */
const MAX_LOOKS = 3

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
    // A lock can be asked for only where one could write; nothing is.
    handle = await open(file, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    const stats = await handle.stat()
    if (!stats.isFile()) return undefined
    const slots = Math.min(maxStatisticsSlots, Math.floor(stats.size / statisticsBytes))
    const writers: SeenWriter[] = []
    for (let slot = 0; slot < slots; slot++) {
      const found = await readSlot(handle, slot)
      if (found !== undefined) writers.push({ ...found, slot, isAlive: isHeld(handle.fd, slot) })
    }
    return writers
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
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

/** Whether a writer holds the lock of its record. */
function isHeld(fd: number, slot: number): boolean {
  if (!native.canLock) return false
  if (!native.lock(fd, slot, 0)) return true
  native.unlock(fd, slot)
  return false
}

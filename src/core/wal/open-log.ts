// Opens the folder of a log: makes a new one in a way no crash can leave half done, or recovers what is there.
import { join } from 'node:path'
import { LogboomError, systemCode } from '../../base/errors.ts'
import { segmentName } from '../../formats/wal.ts'
import { WalEncoder } from '../../formats/wal-encoder.ts'
import type { Disk } from '../../io/disk.ts'
import { failpoint } from '../../io/failpoint.ts'
import { makeFolders, syncFolder } from '../../io/open-file.ts'
import { FolderLock, LOCK_NAME } from './folder-lock.ts'
import type { ParsedWalOptions } from './options.ts'
import { type Recovered, recoverLog } from './recover.ts'
import { Segment, type SegmentCounters } from './segment.ts'

export interface OpenLog {
  lock: FolderLock
  segment: Segment
  /** Checksum and index at the end of the log. */
  position: { crc: number; index: bigint }
  metadata: Uint8Array | undefined
  recovered: Recovered | undefined
}

const TEMPORARY = /^\d+\.tmp$/

/** Throws `ERR_LOCKED`, `ERR_CORRUPT`, `ERR_FORMAT`, `ERR_OPTION`, or the error of the system. */
export function openLog(disk: Disk, options: ParsedWalOptions, counters: SegmentCounters): OpenLog {
  const { walDir } = options
  if (!disk.exists(walDir)) {
    const made = createFolder(disk, options, counters)
    if (made !== undefined) return made
  }
  const lock = FolderLock.acquire(disk, walDir)
  try {
    removeTemporary(disk, walDir)
    const recovered = recoverLog(disk, walDir, options.snapDir)
    if (recovered === undefined) {
      return { lock, ...createFirst(disk, walDir, options, counters), recovered: undefined }
    }
    checkMetadata(options, recovered)
    const { end } = recovered
    const segment = Segment.openAt(disk, walDir, end.segment, end.offset, options.segmentBytes, counters)
    return { lock, segment, position: end, metadata: recovered.metadata, recovered }
  } catch (error) {
    lock.release()
    throw error
  }
}

/**
 * Makes the log in `<walDir>.tmp` and renames that folder, so that the folder of a log is never seen without its
 * first segment. Undefined if somebody else was faster.
 */
function createFolder(disk: Disk, options: ParsedWalOptions, counters: SegmentCounters): OpenLog | undefined {
  const { walDir, dirMode, mkdir } = options
  const temporary = `${walDir}.tmp`
  const parent = join(walDir, '..')
  if (!mkdir && !disk.exists(parent)) {
    throw Object.assign(new Error(`ENOENT: ${parent} does not exist, and 'mkdir' is false`), {
      code: 'ENOENT'
    })
  }
  makeFolders(disk, temporary, dirMode)
  const lock = FolderLock.acquire(disk, temporary)
  let segment: Segment | undefined
  try {
    for (const name of disk.readdir(temporary)) if (name !== LOCK_NAME) disk.unlink(join(temporary, name))
    const created = createFirst(disk, temporary, options, counters)
    segment = created.segment
    failpoint('wal-created')
    disk.rename(temporary, walDir)
    failpoint('wal-renamed')
    syncFolder(disk, parent)
    segment.movedTo(walDir)
    return { lock, ...created, recovered: undefined }
  } catch (error) {
    segment?.close()
    lock.release()
    const code = systemCode(error)
    if (code === 'ENOTEMPTY' || code === 'EEXIST' || (code === 'ENOENT' && disk.exists(walDir)))
      return undefined
    throw error
  }
}

function createFirst(disk: Disk, folder: string, options: ParsedWalOptions, counters: SegmentCounters) {
  const segment = Segment.create(disk, folder, '0.tmp', options.segmentBytes, options.mode, counters)
  try {
    const encoder = new WalEncoder()
    encoder.writeCrc()
    encoder.writeMetadata(options.metadata)
    encoder.writeSnapshot({ index: 0n, term: 0n })
    segment.write(encoder.bytes)
    segment.syncNow()
    segment.rename(segmentName(0n, 0n))
    syncFolder(disk, folder)
    return { segment, position: { crc: encoder.crc, index: 0n }, metadata: options.metadata }
  } catch (error) {
    segment.close()
    throw error
  }
}

function removeTemporary(disk: Disk, folder: string): void {
  for (const name of disk.readdir(folder)) if (TEMPORARY.test(name)) disk.unlink(join(folder, name))
}

function checkMetadata(options: ParsedWalOptions, recovered: Recovered): void {
  const { metadata, walDir } = options
  if (metadata === undefined || Buffer.compare(metadata, recovered.metadata ?? Buffer.alloc(0)) === 0) return
  const message = `wal: option 'metadata' differs from that of the existing log in ${walDir}`
  throw new LogboomError('ERR_OPTION', message, { path: walDir })
}

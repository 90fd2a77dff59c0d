// Opens the folder of a log: makes a new one in a way no crash can leave half done, or recovers what is there.
import { join } from 'node:path'
import { LogboomError, systemCode } from '../../base/errors.ts'
import { listSegments, segmentName, type WalSnapshot } from '../../formats/wal.ts'
import { WalEncoder } from '../../formats/wal-encoder.ts'
import type { Disk } from '../../io/disk.ts'
import { failpoint } from '../../io/failpoint.ts'
import { makeFolders } from '../../io/open-file.ts'
import { FolderLock, isNewestMissing } from './folder-lock.ts'
import { finishHandover } from './handover.ts'
import { makeIdentity, makeIdentityQuietly } from './identity.ts'
import { aheadOf, corrupt, newestMissing } from './judge.ts'
import type { ParsedWalOptions } from './options.ts'
import { type Recovered, recoverLog } from './recover.ts'
import { Segment, type SegmentCounters } from './segment.ts'
import { findSnapDir, listSnapshots } from './snapshot-files.ts'
import { syncEntries, syncParent } from './sync-entries.ts'
import { removeTemporary } from './temp-name.ts'

export interface OpenLog {
  lock: FolderLock
  segment: Segment
  /** Checksum and index at the end of the log. */
  position: { crc: number; index: bigint }
  metadata: Uint8Array | undefined
  identity: string | undefined
  recovered: Recovered | undefined
  /** Where its snapshot files are, and those there of other users, which do not count. */
  snapDir: string
  foreign: string[]
}

/** So many folders for making a log may be blocked by things of others. */
const MAX_TEMP_FOLDERS = 100

/** Throws `ERR_LOCKED`, `ERR_CORRUPT`, `ERR_FORMAT`, `ERR_OPTION`, `ERR_NOT_FILE`, or the error of the system. */
export function openLog(disk: Disk, options: ParsedWalOptions, counters: SegmentCounters): OpenLog {
  const { walDir } = options
  const snapDir = options.snapDir ?? findSnapDir(disk, walDir)
  const foreign: string[] = []
  const isForeignUsed = options.foreignOwner === 'allow'
  const snapshots = listSnapshots(disk, snapDir, isForeignUsed ? undefined : (path) => foreign.push(path))
  if (!disk.exists(walDir)) {
    refuseLost(walDir, snapshots)
    const made = createFolder(disk, options, counters)
    if (made !== undefined) return { ...made, snapDir, foreign }
  }
  const lock = FolderLock.acquire(disk, walDir, options.foreignOwner)
  try {
    removeTemporary(disk, walDir)
    finishHandover(disk, walDir, options.foreignOwner)
    refuseShortened(disk, walDir, lock)
    const recovered = recoverLog(disk, walDir, snapshots)
    if (recovered === undefined) {
      refuseLost(walDir, snapshots)
      const created = createFirst(disk, walDir, options, counters)
      try {
        syncParent(disk, walDir)
      } catch (error) {
        created.segment.close()
        throw error
      }
      lock.note(created.segment.name)
      return { lock, ...created, recovered: undefined, snapDir, foreign }
    }
    checkMetadata(options, recovered)
    const { end, metadata } = recovered
    const segment = Segment.openAt(disk, walDir, end, options, counters)
    try {
      // Whoever made the folder or the last segment may have died before their names were on disk.
      syncEntries(disk, walDir)
      syncParent(disk, walDir)
    } catch (error) {
      segment.close()
      throw error
    }
    lock.note(segment.name)
    // A log of version 0.1 has none yet.
    const identity = makeIdentityQuietly(disk, walDir, options.mode)
    return { lock, segment, position: end, metadata, identity, recovered, snapDir, foreign }
  } catch (error) {
    lock.release()
    throw error
  }
}

/** The snapshots of a log that is gone say which indices were given before. */
function refuseLost(walDir: string, snapshots: readonly WalSnapshot[]): void {
  const releasedIndex = snapshots[0]?.index ?? 0n
  if (releasedIndex === 0n) return
  throw new LogboomError('ERR_CORRUPT', `${walDir}: ${aheadOf(0n, releasedIndex)}`, { path: walDir })
}

function refuseShortened(disk: Disk, walDir: string, { noted }: FolderLock): void {
  if (noted === undefined || !isNewestMissing(noted, listSegments(disk.readdir(walDir)))) return
  throw corrupt(walDir, newestMissing(noted))
}

type Created = Omit<OpenLog, 'snapDir' | 'foreign'>

/**
 * Makes the log in `<walDir>.tmp` and renames that folder, so that the folder of a log is never seen without its
 * first segment. Undefined if somebody else was faster.
 */
function createFolder(disk: Disk, options: ParsedWalOptions, counters: SegmentCounters): Created | undefined {
  const { walDir, mkdir } = options
  const parent = join(walDir, '..')
  if (!mkdir && !disk.exists(parent)) {
    throw Object.assign(new Error(`ENOENT: ${parent} does not exist, and 'mkdir' is false`), {
      code: 'ENOENT'
    })
  }
  const { temporary, lock } = makeTemporary(disk, options)
  let segment: Segment | undefined
  try {
    const created = createFirst(disk, temporary, options, counters)
    segment = created.segment
    failpoint('wal-created')
    disk.rename(temporary, walDir)
    failpoint('wal-renamed')
    syncParent(disk, walDir)
    segment.movedTo(walDir)
    lock.note(segment.name)
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

/** An empty folder of ours to make the log in. One that holds anything of others is left as it is. */
function makeTemporary(
  disk: Disk,
  { walDir, dirMode, foreignOwner }: ParsedWalOptions
): { temporary: string; lock: FolderLock } {
  for (let number = 0; number < MAX_TEMP_FOLDERS; number++) {
    const temporary = number === 0 ? `${walDir}.tmp` : `${walDir}.${number}.tmp`
    if (disk.exists(temporary) && !holdsOnlyOurs(disk, temporary)) continue
    makeFolders(disk, temporary, dirMode)
    const lock = FolderLock.acquire(disk, temporary, foreignOwner, walDir)
    try {
      for (const name of disk.readdir(temporary)) if (OURS.test(name)) disk.unlink(join(temporary, name))
      return { temporary, lock }
    } catch (error) {
      lock.release()
      throw error
    }
  }
  const message = `${walDir}.tmp and ${MAX_TEMP_FOLDERS - 1} more folders beside it hold files of others`
  throw new LogboomError('ERR_NOT_FILE', message, { path: walDir })
}

const OURS = /^(\d+\.tmp|\.identity|[0-9a-f]{16}-[0-9a-f]{16}\.wal)$/

function holdsOnlyOurs(disk: Disk, folder: string): boolean {
  try {
    return disk
      .readdir(folder)
      .every(
        (name) => disk.lstat(join(folder, name))?.isFile === true && (OURS.test(name) || name === '.lock')
      )
  } catch (error) {
    // A file, a link or a folder that cannot be listed; or it was renamed meanwhile.
    return systemCode(error) === 'ENOENT'
  }
}

function createFirst(disk: Disk, folder: string, options: ParsedWalOptions, counters: SegmentCounters) {
  const segment = Segment.create(disk, folder, options.segmentBytes, options.mode, counters)
  try {
    const encoder = new WalEncoder()
    encoder.writeCrc()
    encoder.writeMetadata(options.metadata)
    encoder.writeSnapshot({ index: 0n, term: 0n })
    segment.write(encoder.bytes)
    segment.syncNow()
    const identity = makeIdentity(disk, folder, options.mode)
    segment.rename(segmentName(0n, 0n))
    syncEntries(disk, folder)
    return { segment, position: { crc: encoder.crc, index: 0n }, metadata: options.metadata, identity }
  } catch (error) {
    segment.close()
    throw error
  }
}

function checkMetadata(options: ParsedWalOptions, recovered: Recovered): void {
  const { metadata, walDir } = options
  if (metadata === undefined || Buffer.compare(metadata, recovered.metadata ?? Buffer.alloc(0)) === 0) return
  const message = `wal: option 'metadata' differs from that of the existing log in ${walDir}`
  throw new LogboomError('ERR_OPTION', message, { path: walDir })
}

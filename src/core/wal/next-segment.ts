// The ways from one segment to another: the next one in order, and a new one in the place of one that somebody took away.
import { join } from 'node:path'
import { listSegments, MEMBER, segmentName, TERM } from '../../formats/wal.ts'
import { CONF_STATE, WalEncoder } from '../../formats/wal-encoder.ts'
import type { Disk } from '../../io/disk.ts'
import { failpoint } from '../../io/failpoint.ts'
import { handoverName } from './handover.ts'
import { freeCopyName } from './keep-broken.ts'
import type { Segment } from './segment.ts'
import type { SegmentSupply } from './segment-supply.ts'
import { syncEntries } from './sync-entries.ts'
import type { Savepoint, Unsynced } from './unsynced.ts'

const COPY_BYTES = 1024 * 1024

/** Where a log stands that gets another segment. */
export interface Standing {
  readonly walDir: string
  readonly metadata: Uint8Array | undefined
  /** The segment that is left. */
  readonly old: Segment
  readonly unsynced: Unsynced
  /** Index of the last entry on disk, and of the last one that was released. */
  readonly durableIndex: bigint
  readonly releasedIndex: bigint
}

export interface Successor {
  readonly segment: Segment
  /** Checksum at its end. */
  readonly crc: number
  /** Entries up to this are missing; 0 if none are. */
  readonly missingTo: bigint
}

/** A segment that is in place but cannot be used contradicts what the old one gets to hold. */
export class StraySegment extends Error {
  readonly path: string

  constructor(path: string, cause: unknown) {
    super(`${path} cannot be removed`, { cause })
    this.path = path
  }
}

/**
 * The next segment, with all that is not known to be on disk; on disk itself when it returns. Where the old one holds what
 * was acknowledged and may be gone, it is cut as soon as the next one has that, up to `acknowledged`, on disk.
 */
export function beginNext(
  disk: Disk,
  supply: SegmentSupply,
  standing: Standing,
  acknowledged: Savepoint | undefined
): Successor {
  const { walDir, old, unsynced, durableIndex } = standing
  const encoder = newHead(unsynced.durableCrc, standing)
  if (durableIndex > 0n) encoder.writeState({ term: TERM, vote: MEMBER, commit: durableIndex })
  const keptBytes = unsynced.copyTo(encoder, acknowledged)
  const segment = supply.take()
  const name = segmentName(old.name.sequence + 1n, durableIndex + 1n)
  const fill = (): void => segment.write(encoder.bytes)
  if (acknowledged === undefined) put(disk, supply, walDir, segment, name, fill)
  else handOver(disk, supply, standing, segment, name, fill, keptBytes)
  return { segment, crc: encoder.crc, missingTo: 0n }
}

/**
 * The same segment once more, because its file is not at its path: with what it held, as long as the open file still
 * has it. A snapshot is made to stand for entries that are gone for good.
 */
export function restore(
  disk: Disk,
  supply: SegmentSupply,
  standing: Standing,
  hasContent: boolean
): Successor {
  const { walDir, old, unsynced, durableIndex, releasedIndex } = standing
  const { name } = old.name
  const path = join(walDir, name)
  const others = listSegments(disk.readdir(walDir)).filter((segment) => segment.name !== name)
  const first = others.length > 0 && others[0].sequence < old.name.sequence ? others[0].index : old.name.index
  const beforeFirst = first > 1n ? first - 1n : 0n
  const missingTo = hasContent ? (beforeFirst > releasedIndex ? beforeFirst : 0n) : durableIndex
  // Prepared segments are in the folder that may be gone.
  supply.drop()
  const segment = supply.take()
  let encoder: WalEncoder
  if (hasContent) {
    encoder = new WalEncoder(tailCrc(unsynced))
    if (missingTo > 0n) encoder.writeSnapshot({ index: missingTo, term: TERM }, CONF_STATE)
  } else {
    encoder = newHead(0, standing)
    encoder.writeSnapshot({ index: missingTo, term: TERM }, CONF_STATE)
    encoder.writeState({ term: TERM, vote: MEMBER, commit: missingTo })
    unsynced.copyTo(encoder)
  }
  put(disk, supply, walDir, segment, name, () => {
    if (hasContent) {
      copyContent(old, segment, unsynced.durableEnd)
      for (const piece of unsynced.pieces) segment.write(piece)
    }
    if (encoder.length > 0) segment.write(encoder.bytes)
    if (disk.exists(path)) disk.rename(path, freeCopyName(disk, path))
  })
  return { segment, crc: encoder.crc, missingTo }
}

function newHead(crc: number, { metadata }: Standing): WalEncoder {
  const encoder = new WalEncoder(crc)
  encoder.writeCrc()
  encoder.writeMetadata(metadata)
  return encoder
}

function tailCrc(unsynced: Unsynced): number {
  return unsynced.tail.crc
}

/** Fills `segment` and gives it its name, durably; or removes it and throws. */
function put(
  disk: Disk,
  supply: SegmentSupply,
  walDir: string,
  segment: Segment,
  name: string,
  fill: () => void
): void {
  let isNamed = false
  try {
    fill()
    segment.syncNow()
    failpoint('wal-created')
    segment.rename(name)
    isNamed = true
    failpoint('wal-renamed')
    syncEntries(disk, walDir)
  } catch (error) {
    if (!supply.discard(segment) && isNamed) throw new StraySegment(segment.path, error)
    throw error
  }
}

/** The same for what must stay in a file at every moment: first under a name beside the log, to which it falls back. */
function handOver(
  disk: Disk,
  supply: SegmentSupply,
  { walDir, old, unsynced }: Standing,
  segment: Segment,
  name: string,
  fill: () => void,
  keptBytes: number
): void {
  try {
    fill()
    segment.setAside(handoverName(name))
  } catch (error) {
    supply.discard(segment)
    throw error
  }
  try {
    failpoint('wal-aside')
    segment.syncNow()
    failpoint('wal-aside-synced')
    old.seal(unsynced.durableEnd)
    failpoint('wal-aside-sealed')
    segment.rename(name)
    failpoint('wal-aside-renamed')
    syncEntries(disk, walDir)
  } catch (error) {
    withdraw(segment, handoverName(name), keptBytes)
    throw error
  }
}

/** What was acknowledged stays in it, until another attempt replaces it. */
function withdraw(segment: Segment, aside: string, keptBytes: number): void {
  try {
    segment.cutTo(keptBytes)
    failpoint('wal-withdrawn')
  } catch {
    // Then what is told to have failed may be found again, if the process dies before the next attempt.
  }
  try {
    if (segment.name.name !== aside) segment.setAside(aside)
  } catch (error) {
    throw new StraySegment(segment.path, error)
  } finally {
    segment.close()
  }
}

function copyContent(from: Segment, to: Segment, bytes: number): void {
  const chunk = Buffer.allocUnsafe(Math.min(COPY_BYTES, bytes))
  for (let at = 0; at < bytes; ) {
    const read = from.read(chunk.subarray(0, Math.min(chunk.length, bytes - at)), at)
    if (read === 0) throw new Error(`${from.path} has lost its content`)
    to.write(chunk.subarray(0, read))
    at += read
  }
}

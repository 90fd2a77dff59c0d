// The explicit repair of a damaged write-ahead log, until it can be opened again: what is before the damage stays,
// everything behind is set aside, and what is missing for good is stood for by a snapshot.
import { constants } from 'node:fs'
import { join } from 'node:path'
import { LogboomError } from '../base/errors.ts'
import { FolderLock, type ForeignOwner, isNewestMissing } from '../core/wal/folder-lock.ts'
import { isRefusal, judgeLog } from '../core/wal/judge.ts'
import { freeCopyName, keepBroken } from '../core/wal/keep-broken.ts'
import { scanLog } from '../core/wal/scan-log.ts'
import { Segment, WHOLE_FILE } from '../core/wal/segment.ts'
import { findSnapDir, listSnapshots } from '../core/wal/snapshot-files.ts'
import { syncEntries } from '../core/wal/sync-entries.ts'
import {
  laterIndex,
  listSegments,
  MEMBER,
  type SegmentName,
  segmentName,
  TERM,
  WAL_FILE_MODE,
  WAL_FOLDER_MODE,
  type WalSnapshot
} from '../formats/wal.ts'
import { CONF_STATE, WalEncoder } from '../formats/wal-encoder.ts'
import type { WalPosition, WalReplay } from '../formats/wal-replay.ts'
import { type Disk, realDisk } from '../io/disk.ts'
import { makeFolders, openFile } from '../io/open-file.ts'
import { native } from '../native/index.ts'

export interface RepairedSegment {
  /** The segment that was cut, set aside or added to. */
  readonly path: string
  /** The copy that was kept. */
  readonly copy: string
  /** Bytes cut off; all of them if the segment was set aside. */
  readonly bytes: number
}

/** Throws `ERR_LOCKED` if somebody has the log open. Empty if nothing is wrong. */
export function repairLog(
  folder: string,
  disk: Disk = realDisk,
  snapDir?: string,
  foreignOwner: ForeignOwner = 'allow'
): RepairedSegment[] {
  const snapshots = listSnapshots(disk, snapDir ?? findSnapDir(disk, folder), () => {})
  // A folder that is gone is made again where its snapshots say that there was a log.
  if (snapshots.length > 0 && !disk.exists(folder)) makeFolders(disk, folder, WAL_FOLDER_MODE)
  const lock = FolderLock.acquire(disk, folder, foreignOwner)
  try {
    return new Repair(disk, folder, snapshots, lock).run()
  } finally {
    lock.release()
  }
}

class Repair {
  readonly #disk: Disk
  readonly #folder: string
  readonly #snapshots: readonly WalSnapshot[]
  readonly #lock: FolderLock
  readonly #repaired: RepairedSegment[] = []
  #metadata: Uint8Array | undefined

  constructor(disk: Disk, folder: string, snapshots: readonly WalSnapshot[], lock: FolderLock) {
    this.#disk = disk
    this.#folder = folder
    this.#snapshots = snapshots
    this.#lock = lock
  }

  run(): RepairedSegment[] {
    const segments = this.#segments()
    refuseOwned(this.#disk, this.#folder, segments)
    // Every turn takes a segment or a damage away, or is the last one.
    for (let turn = 0; turn <= 2 * segments.length + 2; turn++) {
      if (!this.#step()) break
    }
    this.#goOnWithoutNewest()
    if (this.#repaired.length > 0) syncEntries(this.#disk, this.#folder)
    return this.#repaired
  }

  /** Mends what is wrong first; false if nothing is. */
  #step(): boolean {
    const segments = this.#segments()
    const releasedIndex = this.#snapshots[0]?.index ?? 0n
    if (segments.length === 0) return releasedIndex > 0n && this.#beginBehind(releasedIndex)
    const replay = scanLog(this.#disk, this.#folder, segments)
    this.#metadata ??= replay.metadata
    if (replay.damage !== undefined) return this.#cutOff(segments, replay)
    const verdict = judgeLog(replay, segments, releasedIndex)
    if (!isRefusal(verdict)) return false
    if (verdict.code === 'ERR_FORMAT' || replay.committed === undefined) return false
    const missing = replay.firstIndex - 1n
    return this.#standFor(replay.committed, laterIndex(releasedIndex, missing))
  }

  /** The newest segment is gone: the one before takes its place, and a copy of it shows how the log was found. */
  #goOnWithoutNewest(): void {
    const segments = this.#segments()
    if (!isNewestMissing(this.#lock.noted, segments)) return
    const last = segments.at(-1)
    if (last !== undefined && this.#repaired.length === 0) {
      const path = join(this.#folder, last.name)
      const { size } = this.#disk.lstat(path)!
      this.#repaired.push({ path, ...keepBroken(this.#disk, this.#folder, last.name, size) })
    }
    this.#lock.note(last)
  }

  #segments(): SegmentName[] {
    return listSegments(this.#disk.readdir(this.#folder))
  }

  /** Everything from the damage on; or, of what a snapshot has released, everything up to the damage. */
  #cutOff(segments: readonly SegmentName[], { damage }: WalReplay): true {
    const at = segments.findIndex(({ name }) => name === damage!.file)
    const needed = this.#firstNeeded(segments)
    if (at < needed) {
      // Oldest first, so that a crash in between leaves no hole.
      for (const { name } of segments.slice(0, at + 1)) this.#setAside(name)
      return true
    }
    // The newest first: a crash in between leaves a log with the same damage, and no hole.
    const aside: RepairedSegment[] = []
    for (const { name } of segments.slice(at + 1).reverse()) aside.push(this.#moved(name))
    const { file, offset } = damage!
    // A segment that is cut within its head is none any more.
    const isHeadLost = offset < this.#headBytes(segments[at])
    if (isHeadLost) aside.push(this.#moved(file))
    else {
      const { bytes, copy } = keepBroken(this.#disk, this.#folder, file, offset)
      aside.push({ path: join(this.#folder, file), copy, bytes })
    }
    this.#repaired.push(...aside.reverse())
    return true
  }

  /** Position of the segment that opening begins with, if the log is sound from there on; 0 if it is not. */
  #firstNeeded(segments: readonly SegmentName[]): number {
    for (const { index } of this.#snapshots) {
      const from = segments.findLastIndex((segment) => segment.index <= index)
      if (from <= 0) continue
      const rest = segments.slice(from)
      const replay = scanLog(this.#disk, this.#folder, rest)
      if (replay.snapshotIndex >= index && !isRefusal(judgeLog(replay, rest, index))) return from
    }
    return 0
  }

  /** Size of the checksum and metadata records. */
  #headBytes(segment: SegmentName): number {
    let bytes = Number.POSITIVE_INFINITY
    scanLog(this.#disk, this.#folder, [segment], {
      onRecord: ({ decoder, metadata }) => {
        if (metadata !== undefined) bytes = Math.min(bytes, decoder.offset)
      }
    })
    return bytes
  }

  /** Notes that a snapshot stands for the entries up to `index`, which are not there. */
  #standFor(end: WalPosition, index: bigint): true {
    const { name } = end.segment
    const { bytes, copy } = keepBroken(this.#disk, this.#folder, name, end.offset)
    const encoder = new WalEncoder(end.crc)
    encoder.writeSnapshot({ index, term: TERM }, CONF_STATE)
    const options = { segmentBytes: 0, foreignOwner: 'allow' as const }
    const segment = Segment.openAt(this.#disk, this.#folder, end, options, noCounters())
    try {
      segment.write(encoder.bytes)
      segment.syncNow()
    } finally {
      segment.close()
    }
    this.#repaired.push({ path: join(this.#folder, name), copy, bytes })
    return true
  }

  /** A new first segment, for a log of which nothing but its snapshots is left. */
  #beginBehind(index: bigint): false {
    const encoder = new WalEncoder()
    encoder.writeCrc()
    encoder.writeMetadata(this.#metadata)
    encoder.writeSnapshot({ index, term: TERM }, CONF_STATE)
    encoder.writeState({ term: TERM, vote: MEMBER, commit: index })
    const segment = Segment.create(this.#disk, this.#folder, 0, WAL_FILE_MODE, noCounters())
    try {
      segment.write(encoder.bytes)
      segment.syncNow()
      segment.rename(segmentName(0n, index + 1n))
      syncEntries(this.#disk, this.#folder)
    } finally {
      segment.close()
    }
    return false
  }

  #setAside(name: string): void {
    this.#repaired.push(this.#moved(name))
  }

  #moved(name: string): RepairedSegment {
    const path = join(this.#folder, name)
    const copy = freeCopyName(this.#disk, path)
    const bytes = this.#disk.lstat(path)?.size ?? 0
    this.#disk.rename(path, copy)
    return { path, copy, bytes }
  }
}

/** etcd locks its segments, not our lock file. */
function refuseOwned(disk: Disk, folder: string, segments: readonly SegmentName[]): void {
  if (!native.canLock || segments.length === 0) return
  const path = join(folder, segments[segments.length - 1].name)
  const file = openFile(disk, path, constants.O_RDWR, {
    mode: 0,
    dirMode: 0,
    mkdir: false,
    foreignOwner: 'allow'
  })
  try {
    if (disk.lock(file.fd, WHOLE_FILE, 0)) return
    throw new LogboomError('ERR_LOCKED', `${path} is locked by another program`, { path })
  } finally {
    file.release()
  }
}

function noCounters(): { writes: number; syncs: number } {
  return { writes: 0, syncs: 0 }
}

// Streams entries of a log from its segments, a quarter of a megabyte in memory at a time.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { LogboomError } from '../../base/errors.ts'
import { ENTRY, listSegments, type SegmentName } from '../../formats/wal.ts'
import { WalReplay } from '../../formats/wal-replay.ts'
import type { Disk } from '../../io/disk.ts'
import { corrupt } from './judge.ts'
import { SegmentReader } from './scan-log.ts'

export interface Entry {
  readonly index: bigint
  readonly data: Buffer
}

/**
 * The entries `from` to `to`, both included, all of which must be on disk. `onSegment` is told the sequence of the
 * segment that is read next. Throws `ERR_CORRUPT`.
 */
export async function* streamEntries(
  disk: Disk,
  folder: string,
  from: bigint,
  to: bigint,
  onSegment: (sequence: bigint) => void
): AsyncGenerator<Entry, void, undefined> {
  if (from > to) return
  const segments = segmentsFrom(listSegments(disk.readdir(folder)), from)
  const replay = new WalReplay()
  for (const [i, segment] of segments.entries()) {
    onSegment(segment.sequence)
    const reader = new SegmentReader(disk, folder, segment, replay, i === segments.length - 1)
    try {
      for (let step = reader.next(); step === 'record' || step === 'more'; step = reader.next()) {
        if (step === 'more') await nextTurn()
        else if (replay.decoder.type === ENTRY) {
          const { index, data } = replay.entry
          if (index >= from) yield { index, data: Buffer.from(data) }
          if (index >= to) return
        }
      }
    } finally {
      reader.close()
    }
    if (replay.damage !== undefined) throw corrupt(folder, replay.damage)
  }
  // What a snapshot stands for need not be there.
  if (replay.snapshotIndex >= to) return
  throw new LogboomError('ERR_CORRUPT', `${folder} ends before entry ${to}`, { path: folder })
}

/** The segments from the one that holds entry `index` on. */
export function segmentsFrom(segments: SegmentName[], index: bigint): SegmentName[] {
  const first = segments.findLastIndex((segment) => segment.index <= index)
  return segments.slice(Math.max(0, first))
}

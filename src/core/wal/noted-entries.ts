// Entries that a lane's note speaks of: the batch that a dead writer was appending, as far as it is in the log.
import { encodeLength, LENGTH_BYTES } from '../../formats/binary-file.ts'
import { ENTRY, listSegments } from '../../formats/wal.ts'
import { WalReplay } from '../../formats/wal-replay.ts'
import type { Disk } from '../../io/disk.ts'
import type { NotedFiles } from '../lane/append-journal.ts'
import { segmentsFrom } from './entries.ts'
import { SegmentReader } from './scan-log.ts'

/** Those of the log in `folder`, which is open, as frames; the offset of a note is the index of the first one. */
export function notedEntries(disk: Disk, folder: string): NotedFiles {
  return {
    read: ({ offset }, skipBytes, target) => readFrames(disk, folder, BigInt(offset), skipBytes, target),
    // Opening has cut off what is no whole batch.
    cutBack() {}
  }
}

/** Fills `target` with the frames of the entries from `first` on, without the first `skipBytes` of them. */
function readFrames(disk: Disk, folder: string, first: bigint, skipBytes: number, target: Buffer): number {
  let left = skipBytes
  let at = 0
  for (const data of entriesFrom(disk, folder, first)) {
    const frame = Buffer.allocUnsafe(LENGTH_BYTES + data.length)
    encodeLength(frame, 0, data.length)
    frame.set(data, LENGTH_BYTES)
    if (left < frame.length) at += frame.copy(target, at, left)
    left = Math.max(0, left - frame.length)
    if (at === target.length) break
  }
  return at
}

function* entriesFrom(disk: Disk, folder: string, first: bigint): Generator<Uint8Array> {
  const segments = segmentsFrom(listSegments(disk.readdir(folder)), first)
  const replay = new WalReplay()
  for (const [i, segment] of segments.entries()) {
    const reader = new SegmentReader(disk, folder, segment, replay, i === segments.length - 1)
    try {
      for (let step = reader.next(); step === 'record' || step === 'more'; step = reader.next()) {
        if (step === 'record' && replay.decoder.type === ENTRY && replay.entry.index >= first)
          yield replay.entry.data
      }
    } finally {
      reader.close()
    }
    if (replay.damage !== undefined) return
  }
}

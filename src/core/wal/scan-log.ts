// Reads segments through `Disk` into a replay: the synchronous driver of the pure decoder, shared by recovery,
// snapshots, verify and repair.
import { constants } from 'node:fs'
import { join } from 'node:path'
import type { SegmentName } from '../../formats/wal.ts'
import type { WalStep } from '../../formats/wal-decoder.ts'
import { WalReplay } from '../../formats/wal-replay.ts'
import type { Disk } from '../../io/disk.ts'

const OPEN_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY

/** One segment open for reading. */
export class SegmentReader {
  readonly #disk: Disk
  readonly #fd: number
  readonly #replay: WalReplay
  readonly #follows: boolean

  constructor(disk: Disk, folder: string, segment: SegmentName, replay: WalReplay, last: boolean) {
    this.#disk = disk
    this.#replay = replay
    this.#fd = disk.open(join(folder, segment.name), OPEN_FLAGS, 0)
    try {
      this.#follows = replay.begin(segment, disk.fstat(this.#fd).size, last)
    } catch (error) {
      disk.close(this.#fd)
      throw error
    }
  }

  /** The next record, or how the segment ended; `more` after each piece of the file. */
  next(): WalStep {
    if (!this.#follows) return 'corrupt'
    const step = this.#replay.next()
    if (step === 'more') {
      this.#replay.decoder.makeRoom()
      const { window, fillOffset, fillBytes, fillPosition } = this.#replay.decoder
      this.#replay.decoder.filled(this.#disk.read(this.#fd, window, fillOffset, fillBytes, fillPosition))
    }
    return step
  }

  close(): void {
    this.#disk.close(this.#fd)
  }
}

/** Reads whole segments until the end or the first damage; `onRecord` sees every record. */
export function scanLog(
  disk: Disk,
  folder: string,
  segments: readonly SegmentName[],
  onRecord?: (replay: WalReplay) => void
): WalReplay {
  const replay = new WalReplay()
  for (const [i, segment] of segments.entries()) {
    const reader = new SegmentReader(disk, folder, segment, replay, i === segments.length - 1)
    try {
      for (;;) {
        const step = reader.next()
        if (step === 'record') onRecord?.(replay)
        else if (step !== 'more') break
      }
    } finally {
      reader.close()
    }
    if (replay.damage !== undefined) break
  }
  return replay
}

// Reads segments through `Disk` into a replay: the synchronous driver of the pure decoder, shared by recovery,
// snapshots, verify and repair.
import { constants } from 'node:fs'
import { join } from 'node:path'
import { LogboomError, systemCode } from '../../base/errors.ts'
import { type SegmentName, SNAPSHOT, type WalSnapshot } from '../../formats/wal.ts'
import type { WalStep } from '../../formats/wal-decoder.ts'
import { WalReplay } from '../../formats/wal-replay.ts'
import type { Disk } from '../../io/disk.ts'

const OPEN_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY

/** One segment open for reading. */
export class SegmentReader {
  readonly size: number
  /** Bytes read so far. */
  readBytes = 0
  readonly #disk: Disk
  readonly #fd: number
  readonly #replay: WalReplay
  readonly #last: boolean
  readonly #follows: boolean

  constructor(disk: Disk, folder: string, segment: SegmentName, replay: WalReplay, last: boolean) {
    this.#disk = disk
    this.#replay = replay
    this.#last = last
    const path = join(folder, segment.name)
    this.#fd = openForReading(disk, path)
    try {
      const { size, isFile } = disk.fstat(this.#fd)
      if (!isFile) throw new LogboomError('ERR_NOT_FILE', `${path} is not a regular file`, { path })
      this.size = size
      this.#follows = replay.begin(segment, size, last)
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
      const bytes = this.#disk.read(this.#fd, window, fillOffset, fillBytes, fillPosition)
      this.readBytes += bytes
      this.#replay.decoder.filled(bytes)
    }
    return step
  }

  /** The same, past the entries and commit marks at hand that follow in order: what is left needs a look of its own. */
  nextOther(): WalStep {
    if (this.#follows) this.#replay.follow()
    return this.next()
  }

  /** Looks again behind the last sound record; false if the segment cannot follow the one before. */
  resume(): boolean {
    if (this.#follows) this.#replay.resume(this.#disk.fstat(this.#fd).size, this.#last)
    return this.#follows
  }

  close(): void {
    this.#disk.close(this.#fd)
  }
}

function openForReading(disk: Disk, path: string): number {
  try {
    return disk.open(path, OPEN_FLAGS, 0)
  } catch (error) {
    if (systemCode(error) !== 'ELOOP') throw error
    throw new LogboomError('ERR_SYMLINK', `${path} is a symbolic link, which is never followed`, { path })
  }
}

interface Watch {
  readonly onRecord?: (replay: WalReplay) => void
  readonly onSnapshot?: (snapshot: WalSnapshot | undefined) => void
}

/** Reads whole segments until the end or the first damage; `onRecord` sees every record, `onSnapshot` those of snapshots. */
export function scanLog(
  disk: Disk,
  folder: string,
  segments: readonly SegmentName[],
  { onRecord, onSnapshot }: Watch = {}
): WalReplay {
  const replay = new WalReplay()
  for (const [i, segment] of segments.entries()) {
    const reader = new SegmentReader(disk, folder, segment, replay, i === segments.length - 1)
    try {
      for (;;) {
        const step = onRecord === undefined ? reader.nextOther() : reader.next()
        if (step === 'record') {
          onRecord?.(replay)
          if (replay.decoder.type === SNAPSHOT) onSnapshot?.(replay.snapshot)
        } else if (step !== 'more') break
      }
    } finally {
      reader.close()
    }
    if (replay.damage !== undefined) break
  }
  return replay
}

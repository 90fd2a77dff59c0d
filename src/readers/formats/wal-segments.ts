// The segments of a write-ahead log as files, and the records of one of them step by step.
import { type FileHandle, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { listSegments, parseSegmentName, type SegmentName } from '../../formats/wal.ts'
import type { WalStep } from '../../formats/wal-decoder.ts'
import type { WalReplay } from '../../formats/wal-replay.ts'
import { namesIn } from '../engine/log-files.ts'
import { openFile, readError } from '../engine/open-file.ts'

/** A segment that stands alone: one file of a log, or one that was saved elsewhere. */
const ALONE: SegmentName = { name: '', sequence: 0n, index: 0n }

export interface SegmentPlace {
  readonly path: string
  readonly segment: SegmentName
}

/** The segments in the folder at `path`, oldest first; of a file, just this one. */
export async function findSegments(path: string, isFolder: boolean): Promise<SegmentPlace[]> {
  if (!isFolder) {
    const name = basename(path)
    return [{ path, segment: parseSegmentName(name) ?? { ...ALONE, name } }]
  }
  return listSegments(await namesIn(path)).map((segment) => ({ path: join(path, segment.name), segment }))
}

/** Whether `path` names a segment that another one follows in its folder. */
export async function isFollowed(path: string): Promise<boolean> {
  const segments = listSegments(await namesIn(dirname(path)))
  const own = segments.findIndex(({ name }) => name === basename(path))
  return own !== -1 && own < segments.length - 1
}

/** One segment open for reading. */
export class SegmentSource {
  readonly path: string
  readonly #handle: FileHandle
  readonly #replay: WalReplay

  private constructor(path: string, handle: FileHandle, replay: WalReplay) {
    this.path = path
    this.#handle = handle
    this.#replay = replay
  }

  /** Undefined if the file is gone. `begun` is false if it cannot follow what was read before. */
  static async open(
    place: SegmentPlace,
    replay: WalReplay,
    last: boolean
  ): Promise<{ source: SegmentSource; begun: boolean } | undefined> {
    const file = await openFile(place.path)
    if (file === undefined) return undefined
    const source = new SegmentSource(place.path, file.handle, replay)
    return { source, begun: replay.begin(place.segment, await source.size(), last) }
  }

  async size(): Promise<number> {
    return (await this.#handle.stat()).size
  }

  /** Whether its name is another file's by now, or nobody's. */
  async isGone(): Promise<boolean> {
    const own = await this.#handle.stat({ bigint: true })
    const named = await stat(this.path, { bigint: true }).catch(() => undefined)
    return named === undefined || named.ino !== own.ino || named.dev !== own.dev
  }

  /** The next step without reading: `more` asks for `fill`. */
  next(): WalStep {
    return this.#replay.next()
  }

  /** The same, past the entries and commit marks at hand that follow in order. */
  nextOther(): WalStep {
    this.#replay.follow()
    return this.#replay.next()
  }

  /** Reads the next piece of the file into the decoder's window, overwriting what was decoded. Returns its bytes. */
  async fill(): Promise<number> {
    const { decoder } = this.#replay
    decoder.makeRoom()
    try {
      const { window, fillOffset, fillBytes, fillPosition } = decoder
      const { bytesRead } = await this.#handle.read(window, fillOffset, fillBytes, fillPosition)
      decoder.filled(bytesRead)
      return bytesRead
    } catch (error) {
      throw readError(this.path, error)
    }
  }

  /** Looks again behind the last sound record: the file may have grown, or be followed by another one. */
  async resume(last: boolean): Promise<void> {
    this.#replay.resume(await this.size(), last)
  }

  async close(): Promise<void> {
    await this.#handle.close()
  }
}

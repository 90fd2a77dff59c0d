// How far a shipper is behind: what it has read and the target has not is known exactly; what it has not read yet is the size of
// files, as stored, and an estimate of the records in them.
import { basename } from 'node:path'
import { withoutCompression } from '../formats/backup-name.ts'
import type { LogFile } from '../readers/reader.ts'
import type { Reached } from './durable-log.ts'

export interface Lag {
  /** In the log, and not in the target. */
  readonly records: number
  readonly bytes: number
  /** For how long the oldest of them has been waiting. */
  readonly ms: number
}

/**
 * The bytes behind `reached` in the files of a log, oldest first; all of them if nothing was read. `isAtEnd`: what the file that
 * is read holds behind that are line ends, padding or a record that is not finished.
 */
export function unreadBytes(
  files: readonly LogFile[],
  reached: Reached | undefined,
  isAtEnd: boolean
): number {
  const at = reached === undefined ? -1 : numberOf(files, reached)
  let bytes = 0
  for (const [number, { size, compression, live }] of files.entries()) {
    // A segment that is written has its full size from the start.
    const isOpenSegment = live && reached?.isGrowing === false
    if (number < at || isOpenSegment) continue
    if (number > at) bytes += size
    // How much of a compressed file is left is not known; a moment later it has been read.
    else if (compression === '' && !isAtEnd) bytes += Math.max(0, size - (reached?.end ?? 0))
  }
  return bytes
}

/** Which of the files it is now: it may have been rotated, or compressed. */
function numberOf(files: readonly LogFile[], { file, place, isGrowing }: Reached): number {
  const names = files.map(({ path }) => withoutCompression(basename(path)))
  if (!isGrowing) return names.indexOf(basename(file))
  const at = names.indexOf(place.slice(1))
  return place.startsWith('=') ? at : at + 1
}

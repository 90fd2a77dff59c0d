// Reads the records of a binary file back, backups first. Never modifies a file; memory is bounded by the longest
// record, and that by what is really in the file.
import { constants } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { errorMessage, LogboomError, systemCode } from '../../base/errors.ts'
import { BinaryFileDecoder, numberedBackups } from '../../formats/binary-file.ts'
import type { Disk } from '../../io/disk.ts'

const PIECE_BYTES = 256 * 1024

export interface ReadOptions {
  /**
   * What to do at the end of a damaged file, after all its intact records, and with a backup that cannot be
   * read: `'throw'` (default), go on with the next file (`'skip-file'`), or end (`'stop'`). The last two report
   * it by the event `warning`.
   */
  onCorrupt?: 'throw' | 'skip-file' | 'stop'
}

export interface ReadHost {
  readonly disk: Disk
  report(code: string, message: string, path: string): void
  /** The size of the open live file at a moment when nobody is writing to it. */
  liveSize(fd: number): number
}

export function* readPayloads(
  host: ReadHost,
  path: string,
  { onCorrupt = 'throw' }: ReadOptions
): Generator<Buffer, void, undefined> {
  const { disk } = host
  let next = 0
  let found = false
  for (;;) {
    // The live file is opened before the backups are listed: if it is rolled over in between, it is among them.
    const live = openForReading(disk, path)
    try {
      const backups = backupsFrom(disk, path, next)
      for (const { file, number } of backups) {
        found = true
        next = number + 1
        if (!(yield* readFile(host, file, onCorrupt))) return
      }
      if (backups.length > 0) continue
      if (live === undefined) break
      found = true
      yield* settle(host, readOpen(disk, path, live, host.liveSize(live)), onCorrupt)
      return
    } finally {
      if (live !== undefined) disk.close(live)
    }
  }
  if (!found) throw new LogboomError('ERR_NOT_FOUND', `there is no binary file at ${path}`, { path })
}

function openForReading(disk: Disk, path: string): number | undefined {
  try {
    return disk.open(path, constants.O_RDONLY | constants.O_NONBLOCK, 0)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw unreadable(path, error)
  }
}

function backupsFrom(disk: Disk, path: string, next: number): { file: string; number: number }[] {
  const folder = dirname(path)
  let names: string[]
  try {
    names = disk.readdir(folder)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return []
    throw unreadable(folder, error)
  }
  return numberedBackups(basename(path), names)
    .filter(({ number }) => number >= next)
    .map(({ name, number }) => ({ file: join(folder, name), number }))
}

/** The records of a backup. Returns whether to go on. */
function* readFile(
  host: ReadHost,
  path: string,
  onCorrupt: ReadOptions['onCorrupt']
): Generator<Buffer, boolean, undefined> {
  const { disk } = host
  let fd: number | undefined
  try {
    const records = (function* () {
      fd = openForReading(disk, path)
      // Removed since it was listed, for example by who collects backups.
      if (fd !== undefined) yield* readOpen(disk, path, fd, disk.fstat(fd).size)
    })()
    return yield* settle(host, records, onCorrupt)
  } finally {
    if (fd !== undefined) disk.close(fd)
  }
}

/** Passes records on; at a failure throws, or reports and says whether to go on. */
function* settle(
  host: ReadHost,
  records: Iterable<Buffer>,
  onCorrupt: ReadOptions['onCorrupt']
): Generator<Buffer, boolean, undefined> {
  try {
    yield* records
    return true
  } catch (error) {
    if (!(error instanceof LogboomError) || onCorrupt === 'throw') throw error
    host.report(error.code, error.message, error.path ?? '')
    return onCorrupt === 'skip-file'
  }
}

function* readOpen(disk: Disk, path: string, fd: number, size: number): Generator<Buffer, void, undefined> {
  const decoder = new BinaryFileDecoder()
  for (let at = 0; at < size; ) {
    // A record that ends behind the end of the file is damage: no need to read all of it to say so.
    if (decoder.offset + decoder.neededBytes > size) break
    const piece = Buffer.allocUnsafe(Math.min(PIECE_BYTES, size - at))
    const count = readPiece(disk, path, fd, piece, at)
    if (count === 0) break
    at += count
    decoder.push(piece.subarray(0, count))
    for (let record = decoder.next(); record !== undefined; record = decoder.next()) yield record.data
  }
  if (decoder.offset === size) return
  const message = `${path} is damaged at offset ${decoder.offset}: its last record announces more than is there`
  throw new LogboomError('ERR_CORRUPT', message, { path })
}

function readPiece(disk: Disk, path: string, fd: number, piece: Buffer, at: number): number {
  try {
    return disk.read(fd, piece, 0, piece.length, at)
  } catch (error) {
    throw unreadable(path, error)
  }
}

function unreadable(path: string, error: unknown): LogboomError {
  return new LogboomError('ERR_IO', `cannot read ${path}: ${errorMessage(error)}`, { path, cause: error })
}

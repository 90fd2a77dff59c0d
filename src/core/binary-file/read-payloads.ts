// Reads the records of a binary file back, backups first. Never modifies a file; memory is bounded by the longest
// record, and that by what is really in the file; a compressed backup is unpacked whole.
import { constants } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { errorMessage, LogboomError, systemCode } from '../../base/errors.ts'
import { type BackupCompression, COMPRESSIONS } from '../../formats/backup-name.ts'
import { completeEnd, decodeLength, LENGTH_BYTES, MAX_PAYLOAD_BYTES } from '../../formats/binary-file.ts'
import { numberedBackups } from '../../formats/numbered-name.ts'
import type { Disk } from '../../io/disk.ts'
import { closeQuietly } from '../../io/quietly.ts'
import { unpackNow } from './unpack.ts'

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
      for (const backup of backups) {
        found = true
        next = backup.number + 1
        if (!(yield* readFile(host, backup, onCorrupt))) return
      }
      if (backups.length > 0) continue
      if (live === undefined) break
      found = true
      yield* settle(host, readOpen(disk, path, live, host.liveSize(live)), onCorrupt)
      return
    } finally {
      if (live !== undefined) closeQuietly(disk, live)
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

interface Backup {
  readonly number: number
  /** Where it may be found, best first: it may be compressed while the files before it are read. */
  readonly paths: readonly string[]
}

function backupsFrom(disk: Disk, path: string, next: number): Backup[] {
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
    .map(({ number, plain }) => ({
      number,
      paths: COMPRESSIONS.map((suffix) => join(folder, suffix === '' ? plain : `${plain}.${suffix}`))
    }))
}

/** The records of a backup. Returns whether to go on. */
function* readFile(
  host: ReadHost,
  backup: Backup,
  onCorrupt: ReadOptions['onCorrupt']
): Generator<Buffer, boolean, undefined> {
  const { disk } = host
  let fd: number | undefined
  try {
    const records = (function* () {
      // Twice: between looking for a name and looking for the next, the file can move from the next to the first.
      for (const path of [...backup.paths, ...backup.paths]) {
        fd = openForReading(disk, path)
        if (fd === undefined) continue
        const compression = COMPRESSIONS.find((each) => each !== '' && path.endsWith(`.${each}`)) ?? ''
        const { size } = disk.fstat(fd)
        if (compression === '') yield* readOpen(disk, path, fd, size)
        else yield* readPacked(disk, path, fd, size, compression)
        return
      }
      // Removed since it was listed, for example by who collects backups.
    })()
    return yield* settle(host, records, onCorrupt)
  } finally {
    if (fd !== undefined) closeQuietly(disk, fd)
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
  let at = 0
  for (let wanted = PIECE_BYTES; at < size; ) {
    // New memory for each piece: the payloads are views of it.
    const piece = readPiece(disk, path, fd, Math.min(wanted, size - at), at)
    const bounds: number[] = []
    const end = completeEnd(piece, 0, piece.length, MAX_PAYLOAD_BYTES, bounds)
    yield* payloads(piece, bounds)
    at += end
    const neededBytes = end > 0 || piece.length < LENGTH_BYTES ? 0 : LENGTH_BYTES + decodeLength(piece, 0)
    // A record longer than the piece is read at once, if it is there at all.
    if (end === 0 && (neededBytes <= piece.length || neededBytes > size - at)) break
    wanted = Math.max(PIECE_BYTES, neededBytes)
  }
  if (at < size) throw cutShort(path, at)
}

function* readPacked(
  disk: Disk,
  path: string,
  fd: number,
  size: number,
  compression: Exclude<BackupCompression, ''>
): Generator<Buffer, void, undefined> {
  const { bytes, damage } = unpackNow(path, readPiece(disk, path, fd, size, 0), compression)
  const bounds: number[] = []
  const end = completeEnd(bytes, 0, bytes.length, MAX_PAYLOAD_BYTES, bounds)
  yield* payloads(bytes, bounds)
  if (damage !== undefined) {
    throw new LogboomError('ERR_CORRUPT', `${path} is damaged at offset ${end}: ${damage}`, {
      path,
      offset: end
    })
  }
  if (end < bytes.length) throw cutShort(path, end)
}

function* payloads(bytes: Buffer, bounds: readonly number[]): Generator<Buffer, void, undefined> {
  for (let at = 0; at < bounds.length; at += 2) yield bytes.subarray(bounds[at], bounds[at + 1])
}

function cutShort(path: string, offset: number): LogboomError {
  const message = `${path} is damaged at offset ${offset}: its last record announces more than is there`
  return new LogboomError('ERR_CORRUPT', message, { path, offset })
}

/** `length` bytes at `position`; fewer only where the file ends. */
function readPiece(disk: Disk, path: string, fd: number, length: number, position: number): Buffer {
  const piece = Buffer.allocUnsafe(length)
  let filled = 0
  try {
    while (filled < length) {
      const count = disk.read(fd, piece, filled, length - filled, position + filled)
      if (count === 0) break
      filled += count
    }
  } catch (error) {
    throw unreadable(path, error)
  }
  return piece.subarray(0, filled)
}

function unreadable(path: string, error: unknown): LogboomError {
  return new LogboomError('ERR_IO', `cannot read ${path}: ${errorMessage(error)}`, { path, cause: error })
}

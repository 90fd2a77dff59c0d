// A shipper as a consumer of its log: what it has not got is kept by those who write the log, within their bounds. Of a
// write-ahead log it is a named consumer as any other; a spool is not cleaned up by those who write it.
import { stat } from 'node:fs/promises'
import { errorMessage, LogboomError } from '../base/errors.ts'
import { ConsumerFile, type Position } from '../core/wal/consumer-file.ts'
import { positionAt } from '../core/wal/consumer-reading.ts'
import { identityIn } from '../core/wal/identity.ts'
import type { ConsumerPosition, LostBackups } from '../formats/log-consumer.ts'
import { realDisk } from '../io/disk.ts'
import { type Cursor, isFolderCursor, parseCursor } from '../readers/engine/cursor.ts'
import { PositionFile } from './position-file.ts'
import type { SourceLog } from './source.ts'

const WAL_ACCESS = { mode: 0o600, dirMode: 0o700, foreignOwner: 'refuse' } as const
/** Of a new consumer: entries may be removed as long as nobody knows of it. */
const MAX_TURNS = 100

export class Registration {
  /** Why the log does not wait for this shipper; undefined if it does. */
  readonly obstacle: string | undefined
  readonly #position: PositionFile | undefined
  readonly #wal: ConsumerFile | undefined
  readonly #walDir: string
  readonly #lostBefore: LostBackups | undefined

  private constructor(
    walDir: string,
    position: PositionFile | undefined,
    wal: ConsumerFile | undefined,
    obstacle: string | undefined
  ) {
    this.#walDir = walDir
    this.#position = position
    this.#wal = wal
    this.obstacle = obstacle
    this.#lostBefore = position?.lost()
  }

  /** `cursor` is how far the shipper has come. Rejects with `ERR_LOCKED`. */
  static async open(source: SourceLog, name: string, cursor: string | null): Promise<Registration> {
    let obstacle: string | undefined
    const failed = (error: unknown): undefined => {
      if (error instanceof LogboomError && error.code === 'ERR_LOCKED') throw error
      obstacle = errorMessage(error)
    }
    const position = attempt(() => PositionFile.open(realDisk, source.path, name), failed)
    try {
      const wal = await openWal(source, name, cursor).catch(failed)
      return new Registration(source.path, position, wal, obstacle)
    } catch (error) {
      position?.close()
      throw error
    }
  }

  /** Tells where the shipper is; what cannot be written now is written later. Returns the error, if there was one. */
  update(cursor: string | null, statistics: Omit<ConsumerPosition, 'file'>): unknown {
    try {
      const place = cursor === null ? undefined : placeIn(cursor)
      this.#position?.write({ ...statistics, file: place?.file ?? '' })
      if (this.#wal !== undefined && place !== undefined) acknowledge(this.#wal, this.#walDir, place)
      return undefined
    } catch (error) {
      return error
    }
  }

  /** What is not there any more is not waited for: of a write-ahead log, all before its oldest entry. */
  async passLoss(): Promise<void> {
    if (this.#wal === undefined) return
    try {
      this.#wal.write(await positionAt(this.#walDir, 'start', undefined), identityIn(realDisk, this.#walDir))
    } catch {
      // With the next entry that is shipped.
    }
  }

  /** What the log could not keep since this was opened; undefined if there was nothing. */
  lost(): LostBackups | undefined {
    const before = this.#lostBefore
    if (this.#position === undefined || before === undefined) return undefined
    try {
      const { backups, bytes, last } = this.#position.lost()
      if (backups === 0) return undefined
      const isNew = backups > before.backups
      return isNew ? { backups: backups - before.backups, bytes: bytes - before.bytes, last } : undefined
    } catch {
      return undefined
    }
  }

  close(): void {
    this.#position?.close()
    this.#wal?.release()
  }
}

function attempt<T>(open: () => T, failed: (error: unknown) => undefined): T | undefined {
  try {
    return open()
  } catch (error) {
    return failed(error)
  }
}

function placeIn(text: string): Cursor | undefined {
  const cursor = parseCursor(text)
  return isFolderCursor(cursor) ? undefined : cursor
}

function acknowledge(file: ConsumerFile, walDir: string, cursor: Cursor): void {
  if (cursor.position === file.state.index) return
  file.write(positionOf(cursor), identityIn(realDisk, walDir))
}

function positionOf({ position, length, crc }: Cursor): Position {
  return { index: position, entry: { length, crc } }
}

/** Undefined for what is no write-ahead log, or only a segment of one. */
async function openWal(
  { path, reader }: SourceLog,
  name: string,
  text: string | null
): Promise<ConsumerFile | undefined> {
  if (reader.format !== 'wal' || !(await stat(path)).isDirectory()) return undefined
  const cursor = text === null ? undefined : placeIn(text)
  const identity = identityIn(realDisk, path)
  const begin = async (): Promise<Position> =>
    cursor === undefined ? await positionAt(path, 'start', undefined) : positionOf(cursor)
  const start = await begin()
  const file = ConsumerFile.open(realDisk, path, name, identity, WAL_ACCESS, () => start)
  try {
    for (let turn = 0; turn < MAX_TURNS; turn++) {
      const position = turn === 0 ? start : await begin()
      if (position.index === file.state.index) break
      file.write(position, identity)
    }
    return file
  } catch (error) {
    file.release()
    throw error
  }
}

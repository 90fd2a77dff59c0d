// The contract between `readRecords`, the CLI and the readers of each format. A reader never writes, except
// for its explicit `repair`.

import { native } from '../native/index.ts'
import { type Cursor, type FolderCursor, formatCursor, type Place } from './engine/cursor.ts'

const NEWLINE = 10

/** One record of a log. */
export interface LogRecord {
  /** The record without line end or length prefix. Shares memory with its neighbours: copy it to keep it long. */
  readonly data: Buffer
  /** Path of the file it is in. */
  readonly file: string
  /** Where it begins in that file, in bytes of the decompressed content. */
  readonly offset: number
  /** Its index, in a write-ahead log. */
  readonly index?: bigint
  /** Name of its log, without extension, when a folder of logs is read. */
  readonly event?: string
  /**
   * Behind this record, for the option `from`: a text that means the same after rotations and restarts. Undefined for
   * records of a stream.
   */
  readonly cursor?: string | undefined
}

/** Where reading begins. */
export type ReadFrom =
  | 'start'
  | 'end'
  | number
  | bigint
  | { readonly last: number }
  | { readonly cursor: Cursor }
  | { readonly cursors: FolderCursor }

/** What to do at the end of a damaged file, after all its intact records. */
export type OnCorrupt = 'throw' | 'skip-file' | 'stop'

/** What to do where records were removed before they were read. */
export type OnLost = 'throw' | 'note'

/** A stretch of a file that holds no intact record. */
export interface Damage {
  readonly file: string
  /** Where it begins, in bytes of the decompressed content. */
  readonly offset: number
  /** Its length in bytes, counted as stored: of a compressed file, the compressed bytes that are not usable. */
  readonly bytes: number
  readonly reason: string
}

/** Records that were found together. Readers pass batches on, so that a record costs no promise. */
export interface RecordBatch {
  readonly file: string
  /** Holds all records of the batch. */
  readonly bytes: Buffer
  /** Where byte 0 of `bytes` is in the decompressed file. */
  readonly position: number
  /** Start and end of each record in `bytes`, in turn: start, end, start, end, … */
  readonly bounds: ArrayLike<number>
  /** Where each record begins in the file, if that is before its data (a length prefix). */
  readonly offsets?: ArrayLike<number> | undefined
  /** The index of each record, in a write-ahead log. */
  readonly indexes?: ArrayLike<bigint> | undefined
  /** Set by who reads a folder of logs: the name of this log. */
  event?: string | undefined
  /** Set by who reads a log: the file, as cursors name it. */
  place?: Place | undefined
  /** The records as lines, each with its line end, if `bytes` holds just that: can be copied as one piece. */
  readonly lines?: Buffer | undefined
  /** The records are lines: as stored, a line end follows each. */
  readonly areLines?: boolean | undefined
}

/** A span of time, both ends included; infinite where it is open. */
export interface TimeSpan {
  readonly sinceMs: number
  readonly untilMs: number
}

/** What a reader is told, and how it reports. */
export interface ReadContext {
  readonly from: ReadFrom
  /** Files that hold no record of this span need not be read; what else is outside is left to who asks. */
  readonly span?: TimeSpan | undefined
  readonly follow: boolean
  /** Also return what follows the last record end of a live file. */
  readonly includeUnterminated: boolean
  /** Longest record returned; memory is bounded by it. */
  readonly maxRecordBytes: number
  /** The consumer is done with a batch before it asks for the next, so buffers may be used again. */
  readonly reuseBuffers: boolean
  readonly signal: AbortSignal
  readonly onLost: OnLost
  /** Records of the log at `path` were removed before they were read: throws `ERR_CURSOR_LOST`, or notes it. */
  readonly lost: (path: string, reason: string) => void
  /** Tells something that is no damage. */
  readonly note: (note: Note) => void
  /** Counts and remembers a damage. */
  readonly damaged: (damage: Damage) => void
  /** To be called where a file ends: throws `ERR_CORRUPT`, or says whether to go on with the next file. */
  readonly settle: (file: string) => boolean
  /** While following a write-ahead log: everything there was when it was looked for has been returned. */
  readonly caughtUp?: (() => void) | undefined
  /** Counts bytes as stored, for progress. */
  readonly progress: (bytes: number) => void
}

/** What a path is, for `Reader.detect`. */
export interface Probe {
  /** As given; '-' for standard input. */
  readonly path: string
  readonly kind: 'file' | 'folder' | 'stream' | 'missing'
  /** Last part of the path. */
  readonly name: string
  /** The names of the files in the folder, or in the folder the file is in; empty for a stream. */
  readonly names: readonly string[]
  /** The first bytes of the (decompressed) file, or of its newest backup if it is missing or empty. */
  readonly head: Buffer
  /** The last bytes of an uncompressed file. */
  readonly tail: Buffer
}

/** Something worth telling that is no damage. */
export interface Note {
  readonly path: string
  readonly text: string
}

/** How the backups of a format are named. All names are without folder. */
export interface BackupNames {
  /** The name of the log a file belongs to as a backup; undefined if it is none. */
  baseOf(name: string): string | undefined
  /** The backups of `name` among the names of its folder, oldest first; of each its files, the one to read first. */
  of(name: string, names: Iterable<string>): readonly (readonly string[])[]
  /** Nobody else gives such names. Of others, the content of the log decides whether they are backups. */
  readonly isUnmistakable: boolean
}

/** One file of a log. */
export interface LogFile {
  readonly path: string
  /** Whether records may still be appended. */
  readonly live: boolean
  readonly compression: '' | 'gz' | 'br' | 'zst'
  /** As stored, in bytes. */
  readonly size: number
  readonly mtimeMs: number
}

/** What `logboom info` shows of a log. */
export interface LogInfo {
  readonly format: string
  readonly path: string
  /** In the order of their records. */
  readonly files: readonly (LogFile & { readonly records?: number })[]
  /** What only this format knows, as label and value. */
  readonly details: Readonly<Record<string, string | number>>
}

/** What `logboom verify` found in one file. */
export interface FileReport {
  readonly file: string
  readonly records: number
  /** Decompressed size, in bytes. */
  readonly bytes: number
  readonly damage: readonly Damage[]
  /** Remarks that are no damage. */
  readonly notes: readonly string[]
}

/** What `logboom repair` did. */
export interface RepairReport {
  readonly file: string
  /** The untouched copy that was kept. */
  readonly copy: string
  readonly removedBytes: number
}

/** Everything that is known about reading one format. A new one is one file and one line in registry.ts. */
export interface Reader {
  readonly format: string
  /** What a log of this format is: a file with its backups, or a folder. */
  readonly unit: 'file' | 'folder'
  /** Only for unit 'file'. */
  readonly backups?: BackupNames | undefined
  /** Only files of this format hold these bytes: found in a file that is in no known format, they tell what it was. */
  readonly mark?: Buffer | undefined
  /**
   * Whether a file whose first bytes do not tell is in this format; `read` gives so many of its next bytes, or fewer where it
   * ends. Asked of files that are in no known format otherwise.
   */
  holds?: ((read: (length: number) => Promise<Buffer>) => Promise<boolean>) | undefined
  /** Any file can be in this format. */
  readonly takesAnything?: boolean | undefined
  /** Whether a path holds this format. Asked in the order of the registry; the last one takes any file. */
  detect(probe: Probe): boolean
  /** The files of a log, oldest first. Empty if there is none. */
  list(path: string): Promise<LogFile[]>
  /** The records of a log from `context.from`, in order, in chunks of bounded size; with `follow` for ever. */
  read(path: string, context: ReadContext): AsyncGenerator<RecordBatch, void, undefined>
  /** The records of a byte stream, for formats that need no file. */
  readStream?(
    stream: AsyncIterable<Uint8Array>,
    name: string,
    context: ReadContext
  ): AsyncGenerator<RecordBatch, void, undefined>
  /** With `count`, also the number of records of each file, which means reading them all. */
  info(path: string, options: { readonly count: boolean; readonly signal?: AbortSignal }): Promise<LogInfo>
  verify(path: string, context: ReadContext): AsyncGenerator<FileReport, void, undefined>
  repair?(path: string): Promise<RepairReport[]>
}

/** Number of records of a batch. */
export function batchLength(batch: RecordBatch): number {
  const { lines } = batch
  if (lines === undefined) return batch.bounds.length / 2
  const ends = native.countLines(lines, 0, lines.length)
  return lines[lines.length - 1] === NEWLINE ? ends : ends + 1
}

/** Record number `at` of a batch. */
export function recordAt(batch: RecordBatch, at: number): LogRecord {
  return new BatchRecord(batch, at)
}

/** Where record number `at` of a batch begins in its file. */
export function offsetAt(batch: RecordBatch, at: number): number {
  return batch.offsets === undefined ? batch.position + batch.bounds[2 * at] : batch.offsets[at]
}

/** What a cursor costs is paid by those who ask for it. */
class BatchRecord implements LogRecord {
  readonly data: Buffer
  readonly file: string
  readonly offset: number
  declare readonly index?: bigint
  declare readonly event?: string
  readonly #place: Place | undefined

  constructor(batch: RecordBatch, at: number) {
    const start = batch.bounds[2 * at]
    this.data = batch.bytes.subarray(start, batch.bounds[2 * at + 1])
    this.file = batch.file
    this.offset = offsetAt(batch, at)
    if (batch.indexes !== undefined) this.index = batch.indexes[at]
    if (batch.event !== undefined) this.event = batch.event
    this.#place = batch.place
  }

  get cursor(): string | undefined {
    return this.#place && formatCursor(this.#place, this.index ?? this.offset, this.data)
  }
}

// Reads logs that are made of files of one format each: the files in order, plain or compressed, from any place.
import { basename } from 'node:path'
import { LogboomError } from '../../base/errors.ts'
import type { BackupCompression } from '../../formats/backup-name.ts'
import { batchLength, offsetAt, type ReadContext, type RecordBatch, recordAt } from '../reader.ts'
import { type ByteSource, fileSource, SourceDamage } from './byte-source.ts'
import {
  type Cursor,
  checksumOf,
  cursorLost,
  type Head,
  MAX_HEAD_BYTES,
  noHead,
  type Place
} from './cursor.ts'
import { compressionOf, DecompressedSource } from './decompress.ts'
import type { FindLogFiles, FinishedFile } from './log-files.ts'
import { type OpenFile, openFile } from './open-file.ts'
import { type Scanner, type ScanOptions, scan } from './scan.ts'

/** What the reader of a format in single files has to know. */
export interface FileFormat {
  /** The name of the format. */
  readonly name: string
  readonly find: FindLogFiles
  /** False if what follows the last record end of a live file is never a record. */
  readonly readsUnterminated?: boolean
  /** A scanner for one file, plain or compressed, or a stream; for formats that are read from front to back. */
  scanner?(maxRecordBytes: number): Scanner
  /** A decoder for one file; for formats that have to look around in it. One of the two is needed. */
  decoder?(maxRecordBytes: number): FileDecoder
  /** Where scanning must begin to find every record whose offset is at least `offset`. */
  scanFrom(offset: number): number
  /**
   * Faster than reading it all, where a format allows it: where the last `count` records of the first `size`
   * bytes of an uncompressed file begin, and how many there are. `unterminated`: what follows the last record
   * end counts as one. Undefined where only reading it tells.
   */
  lastRecords?(
    file: OpenFile,
    size: number,
    count: number,
    unterminated: boolean
  ): Promise<{ offset: number; count: number } | undefined>
}

/** Finds the records of one file that may grow. May keep state from one call to the next. */
export interface FileDecoder {
  /**
   * The complete records from `options.position` on, as far as the first `end` bytes go. Returns where the next
   * call has to begin, which is after the last complete record.
   */
  decode(file: OpenFile, end: number, options: ScanOptions): AsyncGenerator<RecordBatch, number, undefined>
  /** All records of a compressed file. */
  decodePacked?(file: OpenFile, options: ScanOptions): AsyncGenerator<RecordBatch, number, undefined>
}

/** The decoder of a format for one file. */
export function createDecoder(format: FileFormat, maxRecordBytes: number): FileDecoder {
  if (format.decoder !== undefined) return format.decoder(maxRecordBytes)
  const scanner = requireScanner(format, maxRecordBytes, '')
  return {
    decode(file, end, options) {
      const source = fileSource(file.path, file.handle, options.position, end)
      return scan(counted(source, options), scanner, options)
    }
  }
}

/** The scanner of a format, for what cannot be read from any place. */
export function requireScanner(format: FileFormat, maxRecordBytes: number, path: string): Scanner {
  if (format.scanner !== undefined) return format.scanner(maxRecordBytes)
  const text = `${path}: this format cannot be read from a stream; read it from its file`
  throw new LogboomError('ERR_FORMAT', text, { path })
}

/** Opens a finished file under the name it has now. Undefined if it is gone (retention removed it). */
export async function openFinished(file: FinishedFile): Promise<OpenFile | undefined> {
  // Twice: between looking for a name and looking for the next, the file can move from the next to the first.
  for (const path of [...file.paths, ...file.paths]) {
    const opened = await openFile(path)
    if (opened !== undefined) return opened
  }
  return undefined
}

/** The records of an open file from `offset`, to its end or to `end`; damage is reported to the context. */
export async function* readFrom(
  format: FileFormat,
  file: OpenFile,
  context: ReadContext,
  range: { offset: number; recordAt?: number; end?: number; final: boolean }
): AsyncGenerator<RecordBatch, void, undefined> {
  const compression = compressionOf(basename(file.path))
  if (compression !== '') {
    yield* readCompressed(format, file, compression, context, range)
    return
  }
  const position = range.recordAt ?? format.scanFrom(range.offset)
  const end = range.end ?? (await file.handle.stat()).size
  const decoder = createDecoder(format, context.maxRecordBytes)
  const batches = decoder.decode(file, end, scanOptions(context, file.path, position, range.final))
  yield* fromOffset(batches, range.offset)
}

async function* readCompressed(
  format: FileFormat,
  file: OpenFile,
  compression: Exclude<BackupCompression, ''>,
  context: ReadContext,
  range: { offset: number; final: boolean }
): AsyncGenerator<RecordBatch, void, undefined> {
  const options = scanOptions(context, file.path, 0, range.final)
  const packed = format.decoder?.(context.maxRecordBytes).decodePacked?.(file, options)
  if (packed !== undefined) {
    yield* fromOffset(packed, range.offset)
    return
  }
  const scanner = requireScanner(format, context.maxRecordBytes, file.path)
  const source = new DecompressedSource(file.path, file.handle, compression, (bytes) =>
    context.progress(bytes)
  )
  try {
    yield* fromOffset(scan(source, scanner, options), range.offset)
  } finally {
    source.close()
  }
}

/** What scanning a file has to know of the context. */
export function scanOptions(
  context: ReadContext,
  file: string,
  position: number,
  final: boolean
): ScanOptions {
  const { follow, maxRecordBytes, reuseBuffers, signal, damaged, progress } = context
  return { file, position, final, follow, maxRecordBytes, reuseBuffers, signal, damaged, progress }
}

/** The records that begin at `offset` or later. Returns what `batches` returns. */
export async function* fromOffset(
  batches: AsyncGenerator<RecordBatch, number, undefined>,
  offset: number
): AsyncGenerator<RecordBatch, number, undefined> {
  for (;;) {
    const { done, value } = await batches.next()
    if (done === true) return value
    const wanted = value.position < offset ? dropBefore(value, offset) : value
    if (wanted !== undefined) yield wanted
  }
}

/**
 * The records of a finished file of the log `log`, from `offset` or behind a cursor. `isNext`: what was before it has been
 * read, so that its records are missing if it is gone.
 */
export async function* readFinished(
  format: FileFormat,
  log: string,
  file: FinishedFile,
  context: ReadContext,
  begin: Begin = { offset: 0 },
  isNext = false
): AsyncGenerator<RecordBatch, FileEnd, undefined> {
  const open = await openFinished(file)
  if (open === undefined) {
    if (begin.cursor !== undefined) throw cursorLost(log, `${basename(file.key)} has been removed`)
    if (isNext) context.lost(log, `${basename(file.key)} has been removed`)
    return 'gone'
  }
  try {
    const place = await placeOf(format, log, open, `=${basename(file.key)}`)
    yield* placed(readFrom(format, open, context, { ...begin, final: true }), place)
  } finally {
    await open.handle.close()
  }
  return context.settle(open.path) ? 'read' : 'stop'
}

/** It was read, or was not there any more, or nothing more is wanted. */
export type FileEnd = 'read' | 'gone' | 'stop'

/** Where reading of a file begins: at the first record from `offset` on. */
export interface Begin {
  readonly offset: number
  /** Where a record is known to begin, at or before `offset`. */
  readonly recordAt?: number
  /** What the record there was found by. */
  readonly cursor?: Cursor
}

/** Behind the record of a cursor. */
export function beginBehind(cursor: Cursor): Begin {
  const recordAt = Number(cursor.position)
  return { offset: recordAt + 1, recordAt, cursor }
}

/** What the cursors of the records in an open file say of it. */
export async function placeOf(format: FileFormat, log: string, open: OpenFile, file: string): Promise<Place> {
  return { format: format.name, log: basename(log), file, head: await headOf(open, MAX_HEAD_BYTES) }
}

/** How cursors name the file that nothing has been renamed from yet. */
export function placeBehind(finished: readonly FinishedFile[]): string {
  const newest = finished.at(-1)
  return newest === undefined ? '>' : `>${basename(newest.key)}`
}

/** The first bytes of a file, at most `bytes`, decompressed. What cannot be decompressed has none. */
export async function headOf(open: OpenFile, bytes: number): Promise<Head> {
  if (bytes === 0) return noHead
  const compression = compressionOf(basename(open.path))
  const buffer = Buffer.alloc(bytes)
  const packed =
    compression === '' ? undefined : new DecompressedSource(open.path, open.handle, compression, () => {})
  const source = packed ?? fileSource(open.path, open.handle, 0)
  let length = 0
  try {
    for (let read = 1; read > 0 && length < bytes; length += read)
      read = await source.read(buffer.subarray(length))
  } catch (error) {
    if (!(error instanceof SourceDamage)) throw error
  } finally {
    packed?.close()
  }
  return length === 0 ? noHead : { bytes: length, crc: checksumOf(buffer.subarray(0, length)) }
}

/** The same batches, each with its place. */
export async function* placed(
  batches: AsyncGenerator<RecordBatch, void, undefined>,
  place: Place
): AsyncGenerator<RecordBatch, void, undefined> {
  for await (const batch of batches) {
    batch.place = place
    yield batch
  }
}

/** Whether the record of the cursor is where the cursor says, in a file that begins as it says. */
export async function holds(
  format: FileFormat,
  open: OpenFile,
  { head, position, length, crc }: Cursor,
  context: ReadContext
): Promise<boolean> {
  const found = await headOf(open, head.bytes)
  if (found.bytes !== head.bytes || found.crc !== head.crc) return false
  const offset = Number(position)
  const end = (await open.handle.stat()).size
  const quiet: ReadContext = { ...context, reuseBuffers: true, damaged: () => {}, progress: () => {} }
  const final = context.includeUnterminated || compressionOf(basename(open.path)) !== ''
  for await (const batch of readFrom(format, open, quiet, { offset, recordAt: offset, end, final })) {
    const { data } = recordAt(batch, 0)
    return offsetAt(batch, 0) === offset && data.length === length && checksumOf(data) === crc
  }
  return false
}

/** The part of a batch whose records begin at `offset` or later; undefined if there is none. */
function dropBefore(batch: RecordBatch, offset: number): RecordBatch | undefined {
  const length = batchLength(batch)
  let first = 0
  while (first < length && offsetAt(batch, first) < offset) first++
  return first === length ? undefined : batchFrom(batch, first)
}

/** A batch without its first `count` records. */
export function batchFrom(batch: RecordBatch, count: number): RecordBatch {
  if (count === 0) return batch
  const { file, bytes, position, event, place, lines, areLines } = batch
  const slice = <T>(values: ArrayLike<T> | undefined, from: number) =>
    values === undefined ? undefined : Array.prototype.slice.call(values, from)
  return {
    file,
    bytes,
    position,
    event,
    place,
    bounds: slice(batch.bounds, 2 * count) as number[],
    offsets: slice(batch.offsets, count),
    indexes: slice(batch.indexes, count),
    lines: lines?.subarray(batch.bounds[2 * count] - batch.bounds[0]),
    areLines
  }
}

function counted(source: ByteSource, { progress }: ScanOptions): ByteSource {
  return {
    async read(target) {
      const bytesRead = await source.read(target)
      progress(bytesRead)
      return bytesRead
    }
  }
}

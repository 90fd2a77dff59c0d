// Reads logs that are made of files of one format each: the files in order, plain or compressed, from any place.
import { basename } from 'node:path'
import { LogboomError } from '../../base/errors.ts'
import type { BackupCompression } from '../../formats/backup-name.ts'
import { batchLength, offsetAt, type ReadContext, type RecordBatch } from '../reader.ts'
import { type ByteSource, fileSource } from './byte-source.ts'
import { compressionOf, DecompressedSource } from './decompress.ts'
import type { FindLogFiles, FinishedFile } from './log-files.ts'
import { type OpenFile, openFile } from './open-file.ts'
import { type Scanner, type ScanOptions, scan } from './scan.ts'

/** What the reader of a format in single files has to know. */
export interface FileFormat {
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
   * end counts as one.
   */
  lastRecords?(
    file: OpenFile,
    size: number,
    count: number,
    unterminated: boolean
  ): Promise<{ offset: number; count: number }>
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
  range: { offset: number; end?: number; final: boolean }
): AsyncGenerator<RecordBatch, void, undefined> {
  const compression = compressionOf(basename(file.path))
  if (compression !== '') {
    yield* readCompressed(format, file, compression, context, range)
    return
  }
  const position = format.scanFrom(range.offset)
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

/** The records of a finished file. Returns whether to go on. */
export async function* readFinished(
  format: FileFormat,
  file: FinishedFile,
  context: ReadContext,
  offset = 0
): AsyncGenerator<RecordBatch, boolean, undefined> {
  const open = await openFinished(file)
  if (open === undefined) return true
  try {
    yield* readFrom(format, open, context, { offset, final: true })
  } finally {
    await open.handle.close()
  }
  return context.settle(open.path)
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
  const { file, bytes, position, event, lines, areLines } = batch
  const slice = <T>(values: ArrayLike<T> | undefined, from: number) =>
    values === undefined ? undefined : Array.prototype.slice.call(values, from)
  return {
    file,
    bytes,
    position,
    event,
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

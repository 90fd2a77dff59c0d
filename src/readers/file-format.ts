// Reads logs that are made of files of one format each: the files in order, plain or compressed, from any place.
import { basename } from 'node:path'
import { type ByteSource, fileSource } from './byte-source.ts'
import { compressionOf, DecompressedSource } from './decompress.ts'
import type { FindLogFiles, FinishedFile } from './log-files.ts'
import { type OpenFile, openFile } from './open-file.ts'
import { batchLength, offsetAt, type ReadContext, type RecordBatch } from './reader.ts'
import { type Scanner, scan } from './scan.ts'

/** What the reader of a format in single files has to know. */
export interface FileFormat {
  readonly find: FindLogFiles
  /** Whether what follows the last record end of a live file can be read as a record. */
  readonly readsUnterminated: boolean
  /** A scanner for one file. */
  scanner(maxRecordBytes: number): Scanner
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
  const start = compression === '' ? format.scanFrom(range.offset) : 0
  const source =
    compression === ''
      ? counted(fileSource(file.path, file.handle, start, range.end), context)
      : new DecompressedSource(file.path, file.handle, compression, (bytes) => context.progress(bytes))
  const batches = scan(source, format.scanner(context.maxRecordBytes), {
    file: file.path,
    position: start,
    final: range.final,
    maxRecordBytes: context.maxRecordBytes,
    reuseBuffers: context.reuseBuffers,
    signal: context.signal,
    damaged: (damage) => context.damaged(damage)
  })
  try {
    for await (const batch of batches) {
      const rest = batch.position < range.offset ? dropBefore(batch, range.offset) : batch
      if (rest !== undefined) yield rest
    }
  } finally {
    if (source instanceof DecompressedSource) source.close()
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
export function dropBefore(batch: RecordBatch, offset: number): RecordBatch | undefined {
  const length = batchLength(batch)
  let first = 0
  while (first < length && offsetAt(batch, first) < offset) first++
  return first === length ? undefined : batchFrom(batch, first)
}

/** A batch without its first `count` records. */
export function batchFrom(batch: RecordBatch, count: number): RecordBatch {
  if (count === 0) return batch
  const { file, bytes, position, event, lines } = batch
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
    lines: lines?.subarray(batch.bounds[2 * count] - batch.bounds[0])
  }
}

function counted(source: ByteSource, context: ReadContext): ByteSource {
  return {
    async read(target) {
      const bytesRead = await source.read(target)
      context.progress(bytesRead)
      return bytesRead
    }
  }
}

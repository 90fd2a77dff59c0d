// Makes a reader of what is known about the format of single files.

import {
  batchLength,
  type Damage,
  type FileReport,
  type LogInfo,
  type ReadContext,
  type Reader,
  type RecordBatch
} from '../reader.ts'
import { streamSource } from './byte-source.ts'
import { createContext, MAX_DAMAGE, notFound } from './context.ts'
import { type FileFormat, openFinished, readFrom, requireScanner, scanOptions } from './file-format.ts'
import { listFiles } from './log-files.ts'
import { type OpenFile, openFile } from './open-file.ts'
import { readLog } from './read-log.ts'
import { scan } from './scan.ts'
import { takeSnapshot } from './snapshot.ts'

/** What a format has to say about a batch beyond what scanning found. */
export interface FileCheck {
  readonly damage: Omit<Damage, 'file'>[]
  readonly notes: string[]
}

export interface FileReaderSpec
  extends Pick<Reader, 'format' | 'detect' | 'backups' | 'mark' | 'holds' | 'takesAnything' | 'repair'> {
  readonly files: FileFormat
  /** Looks at each batch during `verify`; `live` says that the batch is of a file that is still written. */
  check?(batch: RecordBatch, live: boolean): FileCheck
  /** What only this format knows about a log, for `info`. */
  details?(path: string): Promise<LogInfo['details']>
}

/** The reader of a format in which a log is a file with its backups. */
export function createFileReader(spec: FileReaderSpec): Reader {
  const { format, files, detect, backups, mark, holds, takesAnything, repair } = spec
  return {
    format,
    unit: 'file',
    detect,
    backups,
    mark,
    holds,
    takesAnything,
    list: (path) => listFiles(files.find, path),
    read: (path, context) => readLog(files, path, context),
    readStream: (stream, name, context) => readStream(files, stream, name, context),
    info: (path, options) => describeLog(spec, path, options),
    verify: (path, context) => verifyLog(spec, path, context),
    ...(repair === undefined ? {} : { repair })
  }
}

async function* readStream(
  files: FileFormat,
  stream: AsyncIterable<Uint8Array>,
  name: string,
  context: ReadContext
): AsyncGenerator<RecordBatch, void, undefined> {
  const scanner = requireScanner(files, context.maxRecordBytes, name)
  yield* scan(streamSource(name, stream), scanner, scanOptions(context, name, 0, true))
  context.settle(name)
}

async function describeLog(
  { format, files, details: describe }: FileReaderSpec,
  path: string,
  options: { readonly count: boolean; readonly signal?: AbortSignal }
): Promise<LogInfo> {
  const found = await listFiles(files.find, path)
  const details = (await describe?.(path)) ?? {}
  if (!options.count) return { format, path, files: found, details }
  const counted: LogInfo['files'][number][] = []
  const context = createContext({ reuseBuffers: true, signal: options.signal })
  for (const file of found) {
    const open = await openFile(file.path)
    if (open === undefined) continue
    let records = 0
    try {
      for await (const batch of readFrom(files, open, context, { offset: 0, final: !file.live })) {
        records += batchLength(batch)
      }
    } finally {
      await open.handle.close()
    }
    counted.push({ ...file, records })
  }
  return { format, path, files: counted, details }
}

async function* verifyLog(
  spec: FileReaderSpec,
  path: string,
  context: ReadContext
): AsyncGenerator<FileReport, void, undefined> {
  const { finished, live } = await takeSnapshot(spec.files.find, path)
  try {
    for (const file of finished) {
      const open = await openFinished(file)
      if (open === undefined) continue
      try {
        yield await verifyFile(spec, open, false, context)
      } finally {
        await open.handle.close()
      }
    }
    if (live !== undefined) yield await verifyFile(spec, live, true, context)
    else if (finished.length === 0) throw notFound(path)
  } finally {
    await live?.handle.close()
  }
}

async function verifyFile(
  spec: FileReaderSpec,
  open: OpenFile,
  live: boolean,
  context: ReadContext
): Promise<FileReport> {
  const file = open.path
  const damage: Damage[] = []
  const notes: string[] = []
  const add = (found: Damage) => {
    if (damage.length < MAX_DAMAGE) damage.push(found)
  }
  const inFile: ReadContext = { ...context, damaged: add }
  const { size } = await open.handle.stat()
  let records = 0
  let bytes = 0
  let recordsEnd = 0
  const final = !live || spec.files.readsUnterminated !== false
  for await (const batch of readFrom(spec.files, open, inFile, { offset: 0, end: size, final })) {
    records += batchLength(batch)
    bytes = batch.position + batch.bytes.length
    if (!final) recordsEnd = batch.position + batch.bounds[batch.bounds.length - 1]
    const found = spec.check?.(batch, live)
    if (found === undefined) continue
    for (const each of found.damage) add({ file, ...each })
    notes.push(...found.notes)
  }
  // Only where records lie close together is what follows the last one part of the next.
  const isDense = spec.files.scanner !== undefined
  if (!final && isDense && recordsEnd < size && damage.length === 0) {
    notes.push(`the last ${size - recordsEnd} bytes are no whole record: still being written, or torn`)
  }
  return { file, records, bytes: final ? bytes : size, damage, notes }
}

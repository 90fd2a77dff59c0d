// Follows a log like `tail -F`: through rotation, deletion, truncation and a file that is not there yet, every
// record once and in order.

import { monotonicMs } from '../../base/clock.ts'
import { LogboomError } from '../../base/errors.ts'
import type { ReadContext, RecordBatch } from '../reader.ts'
import { ChangeWatch } from './change-watch.ts'
import { MAX_HEAD_BYTES, noHead, type Place } from './cursor.ts'
import {
  type Begin,
  createDecoder,
  type FileDecoder,
  type FileEnd,
  type FileFormat,
  fromOffset,
  headOf,
  openFinished,
  placeBehind,
  placeOf,
  readFinished,
  scanOptions
} from './file-format.ts'
import type { FinishedFile } from './log-files.ts'
import type { OpenFile } from './open-file.ts'
import { sameContent } from './same-content.ts'
import { identityAt, isSameFile, type Snapshot, takeSnapshot } from './snapshot.ts'

// Programs that are told to reopen their log after the rotation still write to the old file for a moment.
const RETIRED_MS = 5000
const MAX_RETIRED = 8
// How much of what lies before the reading position is compared to notice that the file was cut and grew again.
const REMEMBERED_BYTES = 64

/** A file that may grow. */
interface Growing {
  readonly open: OpenFile
  decoder: FileDecoder
  /** Where the last complete record ends. What follows is read again, for a writer may have replaced it. */
  position: number
  /** Records before this offset are not wanted. */
  offset: number
  place: Place
  /** The bytes before `position`. */
  before: Buffer
  size: bigint
  mtimeNs: bigint
  retiredAtMs: number
}

/**
 * The records from `offset` of the open live file on, until the signal aborts. `seen` are the keys of the
 * finished files that have been dealt with.
 */
export async function* followLog(
  format: FileFormat,
  path: string,
  context: ReadContext,
  start: { live: OpenFile | undefined; at: Begin; finished: readonly FinishedFile[] }
): AsyncGenerator<RecordBatch, void, undefined> {
  let seen = new Set(start.finished.map(({ key }) => key))
  const growing = (open: OpenFile, at: Begin, finished: readonly FinishedFile[]): Promise<Growing> =>
    grow(format, open, context, at, { path, file: placeBehind(finished) })
  let current = start.live && (await growing(start.live, start.at, start.finished))
  let retired: Growing[] = []
  let next: OpenFile | undefined
  const changes = new ChangeWatch(path, context.signal)
  try {
    while (!context.signal.aborted) {
      if (current !== undefined) yield* readNew(format, current, context)
      for (const old of retired) yield* readNew(format, old, context)
      retired = yield* dismiss(format, retired, context)
      if (!context.settle(path)) return
      const identity = await identityAt(path)
      if (identity === undefined || isSameFile(identity, current?.open)) {
        await changes.wait()
        continue
      }
      // Whoever rotates does it after the last write to the old file, so now it can be read to its end.
      if (current !== undefined) yield* readNew(format, current, context)
      const snapshot = await snapshotOfFile(format, path)
      if (snapshot === undefined) {
        await changes.wait()
        continue
      }
      const { finished, live } = snapshot
      next = live
      const between = finished.filter(({ key }) => !seen.has(key))
      seen = new Set(finished.map(({ key }) => key))
      const own = current && (await findOwn(between, current.open))
      if (current !== undefined && own === undefined && between.length > 0)
        context.lost(path, 'the file that was read last is gone, and perhaps others behind it')
      if (current !== undefined) retired.push({ ...current, retiredAtMs: monotonicMs() })
      current = live && (await growing(live, { offset: 0 }, finished))
      let isNext = own !== undefined
      for (const file of between) {
        if (file === own) continue
        const ended: FileEnd = yield* readFinished(format, path, file, context, undefined, isNext)
        if (ended === 'stop') return
        isNext = true
      }
    }
  } finally {
    changes.close()
    for (const { open } of current === undefined ? retired : [...retired, current]) await open.handle.close()
    await next?.handle.close()
  }
}

/** Undefined while something that is no file is at the path: it is waited for, as for a file that is not there. */
async function snapshotOfFile(format: FileFormat, path: string): Promise<Snapshot | undefined> {
  try {
    return await takeSnapshot(format.find, path)
  } catch (error) {
    if (error instanceof LogboomError && error.code === 'ERR_NOT_FILE') return undefined
    throw error
  }
}

async function grow(
  format: FileFormat,
  open: OpenFile,
  context: ReadContext,
  { offset, recordAt }: Begin,
  { path, file }: { path: string; file: string }
): Promise<Growing> {
  const position = recordAt ?? format.scanFrom(offset)
  const place = await placeOf(format, path, open, file)
  const decoder = createDecoder(format, context.maxRecordBytes)
  const before = await bytesBefore(open, position)
  return { open, decoder, position, offset, place, before, size: -1n, mtimeNs: -1n, retiredAtMs: 0 }
}

/** The records that were completed since the last call. */
async function* readNew(
  format: FileFormat,
  file: Growing,
  context: ReadContext,
  final = false
): AsyncGenerator<RecordBatch, void, undefined> {
  const { size, mtimeNs } = await file.open.handle.stat({ bigint: true })
  if (!final && size === file.size && mtimeNs === file.mtimeNs) return
  file.size = size
  file.mtimeNs = mtimeNs
  const end = Number(size)
  if (end < file.position || !file.before.equals(await bytesBefore(file.open, file.position))) {
    const decoder = createDecoder(format, context.maxRecordBytes)
    Object.assign(file, { decoder, position: 0, offset: 0, place: { ...file.place, head: noHead } })
  }
  // The start of the file, as far as there was one, tells it from others.
  if (file.place.head.bytes < Math.min(end, MAX_HEAD_BYTES))
    file.place = { ...file.place, head: await headOf(file.open, MAX_HEAD_BYTES) }
  const options = scanOptions(context, file.open.path, file.position, final)
  // Read before the records are handed out: whoever gets them may cut the file at once.
  const beforeEnd = await bytesBefore(file.open, end)
  const batches = fromOffset(file.decoder.decode(file.open, end, options), file.offset)
  for (let next = await batches.next(); ; next = await batches.next()) {
    if (next.done === true) {
      file.position = next.value
      break
    }
    next.value.place = file.place
    yield next.value
  }
  file.before = file.position === end ? beforeEnd : await bytesBefore(file.open, file.position)
}

async function bytesBefore(file: OpenFile, position: number): Promise<Buffer> {
  const length = Math.min(position, REMEMBERED_BYTES)
  const { buffer, bytesRead } = await file.handle.read(Buffer.alloc(length), 0, length, position - length)
  return buffer.subarray(0, bytesRead)
}

/** Closes the retired files that have had their time. What follows their last record end is now complete. */
async function* dismiss(
  format: FileFormat,
  retired: Growing[],
  context: ReadContext
): AsyncGenerator<RecordBatch, Growing[], undefined> {
  const old = retired.filter(
    ({ retiredAtMs }, at) => monotonicMs() - retiredAtMs > RETIRED_MS || at < retired.length - MAX_RETIRED
  )
  for (const file of old) {
    yield* readNew(format, file, context, true)
    await file.open.handle.close()
  }
  return retired.filter((file) => !old.includes(file))
}

/** Which of the new finished files is the one that was followed until now: it has been read already. */
async function findOwn(
  files: readonly FinishedFile[],
  followed: OpenFile
): Promise<FinishedFile | undefined> {
  for (const file of files) {
    const open = await openFinished(file)
    if (open === undefined) continue
    try {
      if (isSameFile(open, followed) || (await sameContent(open, followed))) return file
    } finally {
      await open.handle.close()
    }
  }
  return undefined
}

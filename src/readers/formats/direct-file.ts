// The reader of direct files of every layout: ours, full capacity and compact.
import { basename } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { backupBase } from '../../formats/backup-name.ts'
import {
  BLOCK_BYTES,
  decodeSeal,
  decodeU32,
  ENTRY_HEADER_BYTES,
  FRAME_HEADER_BYTES,
  isSealIntact,
  SEAL_BYTES,
  SEAL_START
} from '../../formats/direct-file.ts'
import { decodeSteps } from '../../formats/direct-file-decoder.ts'
import type { EntryBatch } from '../../formats/direct-file-frames.ts'
import {
  type DirectLayout,
  type FoundSeal,
  findSeal,
  headerOf,
  layoutOf
} from '../../formats/direct-file-layout.ts'
import { bytesAt, checksum, type RandomSource, type Steps } from '../../formats/direct-file-source.ts'
import type { SourceDamage } from '../engine/byte-source.ts'
import { compressionOf } from '../engine/decompress.ts'
import type { FileDecoder } from '../engine/file-format.ts'
import { createFileReader } from '../engine/file-reader.ts'
import { findRotatedFiles, rotatedBackups } from '../engine/log-files.ts'
import { type OpenFile, openFile } from '../engine/open-file.ts'
import type { ScanOptions } from '../engine/scan.ts'
import { UnpackedSource } from '../engine/unpacked-source.ts'
import type { LogInfo, Probe, RecordBatch } from '../reader.ts'
import { type AwaitedSource, EntryRecords, OpenFileSource, SMALL_READ_BYTES } from './direct-file-source.ts'

/** No writer uses buffers so large; the length of a record of another format often looks like it. */
const MAX_PLAUSIBLE_BYTES = 1 << 29
/** A flush may reach the disk in pieces, in any order; what looks damaged at the end is looked at again after this. */
const SETTLE_MS = 60
/** A frame header and the length of the first entry. */
const MIN_HEAD_BYTES = 12

export const directFileReader = createFileReader({
  format: 'direct-file',
  files: {
    name: 'direct-file',
    find: findRotatedFiles,
    readsUnterminated: false,
    decoder: (maxRecordBytes) => new Decoder(maxRecordBytes),
    scanFrom: (offset) => offset,
    lastRecords
  },
  detect: detectDirectFile,
  backups: rotatedBackups,
  mark: SEAL_START,
  details: describeSeals
})

function detectDirectFile({ kind, head }: Probe): boolean {
  if (kind !== 'file' && kind !== 'stream') return false
  const header = headerOf(head)
  if (header === undefined || head.length < MIN_HEAD_BYTES || header.capacity >= MAX_PLAUSIBLE_BYTES)
    return false
  let at = FRAME_HEADER_BYTES
  const end = Math.min(head.length, at + header.validBytes)
  while (end - at >= ENTRY_HEADER_BYTES) {
    const length = decodeU32(head, at)
    // A length of zero begins the padding, or a seal.
    if (length === 0) return at > FRAME_HEADER_BYTES || isSealIntact(head)
    at += ENTRY_HEADER_BYTES + length
  }
  return at <= FRAME_HEADER_BYTES + header.validBytes
}

/** The records of an open file, and where the next look at it has to begin. */
class Decoder implements FileDecoder {
  readonly #maxRecordBytes: number
  #layout: DirectLayout | undefined

  constructor(maxRecordBytes: number) {
    this.#maxRecordBytes = maxRecordBytes
  }

  async *decode(
    file: OpenFile,
    end: number,
    options: ScanOptions
  ): AsyncGenerator<RecordBatch, number, undefined> {
    const source = new OpenFileSource(file, end, options.reuseBuffers, this.#maxRecordBytes)
    const layout = this.#layout ?? (await settle(source, layoutOf(source)))
    // Other layouts are found out anew each time: the first flush of a file of ours has no seal at first.
    if (layout === 'sealed') this.#layout = layout
    return yield* decodeRecords(
      source,
      layout,
      options,
      false,
      async () => options.follow || !(await isAtRest(file))
    )
  }

  async *decodePacked(file: OpenFile, options: ScanOptions): AsyncGenerator<RecordBatch, number, undefined> {
    const unpacked = await UnpackedSource.open(file, options.reuseBuffers, options.signal, options.progress)
    const source = Object.assign(unpacked, { maxRecordBytes: this.#maxRecordBytes })
    try {
      const layout = await settle(source, layoutOf(source))
      const isDoubtful = isInDoubt(file.path, unpacked.damage, layout)
      const quiet = { ...options, progress: () => {} }
      const end = yield* decodeRecords(source, isDoubtful ? 'sealed' : layout, quiet, isDoubtful)
      if (unpacked.damage !== undefined && !options.signal.aborted) {
        const { message: reason, unusedBytes: bytes } = unpacked.damage
        options.damaged({ file: options.file, offset: unpacked.size, bytes, reason })
      }
      return end
    } finally {
      unpacked.close()
    }
  }
}

/** Whether nobody has written to a file for a moment. */
async function isAtRest({ handle }: OpenFile): Promise<boolean> {
  const before = await handle.stat({ bigint: true })
  await sleep(SETTLE_MS)
  const after = await handle.stat({ bigint: true })
  return before.size === after.size && before.mtimeNs === after.mtimeNs
}

/**
 * Whether what was decompressed may be other bytes than were compressed: gzip has a checksum, which says nothing only
 * where the data is damaged other than by a cut. The others need have none, so that only seals vouch for their content;
 * files without seals are not ours, and their names tell.
 */
function isInDoubt(
  path: string,
  damage: SourceDamage | undefined,
  layout: DirectLayout | undefined
): boolean {
  if (path.endsWith('.gz')) return damage?.isCut === false
  return damage !== undefined || layout === 'sealed' || backupBase(basename(path)) !== undefined
}

async function* decodeRecords(
  source: AwaitedSource,
  layout: DirectLayout | undefined,
  options: ScanOptions,
  isDoubtful = false,
  isBeingWritten: () => Promise<boolean> = async () => false
): AsyncGenerator<RecordBatch, number, undefined> {
  const isSealed = layout === 'sealed'
  let position =
    layout === undefined ? options.position : await settle(source, flushAt(source, options.position, layout))
  const sealedOnly = !options.final && (isSealed || layout === undefined)
  for (const item of decodeSteps(source, { from: position, layout, sealedOnly, isDoubtful })) {
    if (options.signal.aborted) break
    if (item.type === 'wanted') await source.fetch(item.offset, item.length)
    else if (item.type === 'entries') {
      const wanted = isSealed ? item : entriesFrom(item, options.position)
      const copy = !options.reuseBuffers && item.bytes.length <= SMALL_READ_BYTES
      if (wanted !== undefined) yield new EntryRecords(options.file, wanted, copy)
      if (!isSealed) position = item.position + item.bytes.length
    } else if (item.type === 'damage') {
      const { offset, bytes, reason } = item
      if (item.mayBeCompleted === true && (await isBeingWritten())) continue
      options.damaged({ file: options.file, offset, bytes, reason })
      // Nothing that is appended makes a file of another format one of ours.
      if (layout === undefined) position = source.size
    } else {
      options.progress(item.end - position)
      position = item.end
    }
  }
  return options.final ? source.size : position
}

/** The result of steps that wait for nothing but bytes. */
async function settle<T>(source: AwaitedSource, steps: Steps<T>): Promise<T> {
  for (;;) {
    const { done, value } = steps.next()
    if (done === true) return value
    await source.fetch(value.offset, value.length)
  }
}

/** The entries that begin at `offset` or later. */
function entriesFrom(batch: EntryBatch, offset: number): EntryBatch | undefined {
  const { bounds, position } = batch
  if (position >= offset) return batch
  let first = 0
  while (first < bounds.length && position + bounds[first] - ENTRY_HEADER_BYTES < offset) first += 2
  return first === bounds.length ? undefined : { ...batch, bounds: bounds.slice(first) }
}

/** Where the flush begins that holds `offset`; the start of the file where no seal in its place tells. */
function* flushAt(source: RandomSource, offset: number, layout: DirectLayout | undefined): Steps<number> {
  if (offset === 0 || layout !== 'sealed') return 0
  const found = yield* findSeal(source, Math.floor(offset / BLOCK_BYTES) * BLOCK_BYTES)
  if (found !== undefined) {
    const begin = Number(found.seal.flushOffset)
    const isInPlace = found.at % BLOCK_BYTES === 0 && begin <= offset
    return isInPlace && (yield* isFlush(source, begin, found)) ? begin : 0
  }
  if (offset % BLOCK_BYTES !== 0) return 0
  return isSealIntact(yield* bytesAt(source, offset - SEAL_BYTES, SEAL_BYTES)) ? offset : 0
}

function* isFlush(source: RandomSource, begin: number, { at, seal }: FoundSeal): Steps<boolean> {
  return begin < at && (yield* checksum(source, begin, at)) === seal.checksum
}

/** Goes back from seal to seal, so the end of a large file costs no more than that of a small one. */
async function lastRecords(
  file: OpenFile,
  size: number,
  count: number
): Promise<{ offset: number; count: number } | undefined> {
  const source = new OpenFileSource(file, size, true)
  const from = await settle(source, lastFlushes(source, count))
  return from === undefined ? undefined : await lastOf(source, from, count)
}

/**
 * Where the flushes begin that hold the last `count` records. Undefined unless all of them are intact: then only reading
 * from the start tells, which also meets the damage.
 */
function* lastFlushes(source: RandomSource, count: number): Steps<number | undefined> {
  let begin = source.size
  if (begin % BLOCK_BYTES !== 0) return undefined
  for (let found = 0; begin > 0 && found < count; ) {
    const at = begin - SEAL_BYTES
    const block = yield* bytesAt(source, at, SEAL_BYTES)
    if (!isSealIntact(block)) return undefined
    const seal = decodeSeal(block)
    const start = Number(seal.flushOffset)
    if (!(yield* isFlush(source, start, { at, seal }))) return undefined
    begin = start
    found += Number(seal.records)
  }
  return begin
}

/** The last `count` records at or behind `from`; the start of the file if there are no more before them. */
async function lastOf(
  source: OpenFileSource,
  from: number,
  count: number
): Promise<{ offset: number; count: number }> {
  let offsets: number[] = []
  let found = 0
  for (const item of decodeSteps(source, { from, layout: 'sealed' })) {
    if (item.type === 'wanted') await source.fetch()
    if (item.type !== 'entries') continue
    found += item.bounds.length / 2
    for (let index = 0; index < item.bounds.length; index += 2) {
      offsets.push(item.position + item.bounds[index] - ENTRY_HEADER_BYTES)
    }
    if (offsets.length > 2 * count + 1024) offsets = offsets.slice(-count)
  }
  if (count === 0) return { offset: source.size, count: 0 }
  if (from === 0 && found <= count) return { offset: 0, count: found }
  offsets = offsets.slice(-count)
  return { offset: offsets[0] ?? source.size, count: offsets.length }
}

/** What the last seal tells, and which layout it is. */
async function describeSeals(path: string): Promise<LogInfo['details']> {
  const file = compressionOf(basename(path)) === '' ? await openFile(path) : undefined
  if (file === undefined) return {}
  try {
    const { size } = await file.handle.stat()
    const source = new OpenFileSource(file, size, true)
    const layout = await settle(source, layoutOf(source))
    if (layout === undefined) return {}
    const details: Record<string, string | number> = { layout }
    const end = size - (size % BLOCK_BYTES)
    const block = end > 0 ? await settle(source, bytesAt(source, end - SEAL_BYTES, SEAL_BYTES)) : undefined
    if (block !== undefined && isSealIntact(block)) {
      const { sequence, unixNs, writerId } = decodeSeal(block)
      details['last flush'] = `number ${sequence} at ${new Date(Number(unixNs / 1_000_000n)).toISOString()}`
      details.writer = writerId.toString(16).padStart(16, '0')
    } else if (layout === 'sealed') details['last flush'] = 'not complete: being written, or torn'
    return details
  } finally {
    await file.handle.close()
  }
}

// The reader of direct files of every layout: ours, full capacity and compact.
import { readSync } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import {
  BLOCK_BYTES,
  decodeSeal,
  decodeU32,
  FRAME_HEADER_BYTES,
  isSealIntact,
  SEAL_BYTES,
  SEAL_START
} from '../../formats/direct-file.ts'
import { decodeDirectFile, type EntryBatch } from '../../formats/direct-file-decoder.ts'
import {
  type DirectLayout,
  detectLayout,
  findSeal,
  headerOf,
  type RandomSource
} from '../../formats/direct-file-layout.ts'
import type { FileDecoder } from '../engine/file-format.ts'
import { createFileReader } from '../engine/file-reader.ts'
import { findRotatedFiles, rotatedBackups } from '../engine/log-files.ts'
import { isMissing, type OpenFile, readError } from '../engine/open-file.ts'
import type { ScanOptions } from '../engine/scan.ts'
import type { LogInfo, Probe, RecordBatch } from '../reader.ts'

const ENTRY_HEADER_BYTES = 4
/** No writer uses buffers so large; the length of a record of another format often looks like it. */
const MAX_PLAUSIBLE_BYTES = 1 << 29
const SMALL_READ_BYTES = 4096
/** A frame header and the length of the first entry. */
const MIN_HEAD_BYTES = 12

export const directFileReader = createFileReader({
  format: 'direct-file',
  files: {
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

/** The bytes of an open file up to `end`. Small pieces share one buffer, large ones another if they may. */
class OpenFileSource implements RandomSource {
  readonly size: number
  readonly maxRecordBytes: number
  readonly #file: OpenFile
  readonly #reuse: boolean
  readonly #small = Buffer.allocUnsafeSlow(SMALL_READ_BYTES)
  #large: Buffer | undefined

  constructor(file: OpenFile, end: number, reuse: boolean, maxRecordBytes = Number.POSITIVE_INFINITY) {
    this.#file = file
    this.maxRecordBytes = maxRecordBytes
    this.size = end
    this.#reuse = reuse
  }

  read(offset: number, length: number): Buffer {
    const wanted = Math.max(0, Math.min(length, this.size - offset))
    const buffer = this.#room(wanted)
    let at = 0
    try {
      while (at < wanted) {
        const count = readSync(this.#file.handle.fd, buffer, at, wanted - at, offset + at)
        if (count === 0) break
        at += count
      }
    } catch (error) {
      throw readError(this.#file.path, error)
    }
    return buffer.subarray(0, at)
  }

  #room(bytes: number): Buffer {
    if (bytes <= SMALL_READ_BYTES) return this.#small
    if (!this.#reuse) return Buffer.allocUnsafeSlow(bytes)
    if (this.#large === undefined || this.#large.length < bytes) this.#large = Buffer.allocUnsafeSlow(bytes)
    return this.#large
  }
}

/** A batch whose offsets are worked out when somebody asks. */
class EntryRecords implements RecordBatch {
  readonly file: string
  readonly bytes: Buffer
  readonly position: number
  readonly bounds: ArrayLike<number>
  event: string | undefined
  #offsets: number[] | undefined

  constructor(file: string, { bytes, position, bounds }: EntryBatch, copy: boolean) {
    this.file = file
    // Pieces that were small enough share a buffer with the next.
    this.bytes = copy ? Buffer.from(bytes) : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    this.position = position
    this.bounds = bounds
  }

  get offsets(): number[] {
    this.#offsets ??= Array.from(
      { length: this.bounds.length / 2 },
      (_, index) => this.position + this.bounds[2 * index] - ENTRY_HEADER_BYTES
    )
    return this.#offsets
  }
}

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
    const layout = this.#layout ?? detectLayout(source)
    if (layout === undefined && !options.final) return options.position
    const isSealed = layout === 'sealed'
    // Other layouts are found out anew each time: the first flush of a file of ours has no seal at first.
    if (isSealed) this.#layout = layout
    let position = flushAt(source, options.position, layout)
    const items = decodeDirectFile(source, {
      from: position,
      layout,
      sealedOnly: isSealed && !options.final
    })
    for (const item of items) {
      if (options.signal.aborted) break
      if (item.type === 'entries') {
        const wanted = isSealed ? item : entriesFrom(item, options.position)
        const copy = !options.reuseBuffers && item.bytes.length <= SMALL_READ_BYTES
        if (wanted !== undefined) yield new EntryRecords(options.file, wanted, copy)
        if (!isSealed) position = item.position + item.bytes.length
      } else if (item.type === 'damage') {
        const { offset, bytes, reason } = item
        options.damaged({ file: options.file, offset, bytes, reason })
      } else {
        options.progress(item.end - position)
        position = item.end
      }
    }
    return options.final ? end : position
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

/** Where the flush begins that holds `offset`; the start of the file where no seal tells. */
function flushAt(source: RandomSource, offset: number, layout: DirectLayout | undefined): number {
  if (offset === 0 || layout !== 'sealed') return 0
  const block = Math.floor(offset / BLOCK_BYTES) * BLOCK_BYTES
  const sealAt = findSeal(source, block)
  if (sealAt !== -1) {
    const { flushOffset } = decodeSeal(source.read(sealAt, SEAL_BYTES))
    return flushOffset <= BigInt(offset) ? Number(flushOffset) : offset
  }
  return offset % BLOCK_BYTES === 0 && isSealIntact(source.read(offset - SEAL_BYTES, SEAL_BYTES)) ? offset : 0
}

/** Goes back from seal to seal, so the end of a large file costs no more than that of a small one. */
async function lastRecords(
  file: OpenFile,
  size: number,
  count: number
): Promise<{ offset: number; count: number }> {
  const source = new OpenFileSource(file, size, true)
  let start = size - (size % BLOCK_BYTES)
  let found = 0
  while (start > 0 && found < count) {
    const block = source.read(start - SEAL_BYTES, SEAL_BYTES)
    const { flushOffset, records } = isSealIntact(block) ? decodeSeal(block) : NO_SEAL
    // Anything else than a flush of ours: only reading from the start tells.
    if (flushOffset >= BigInt(start)) return await lastByReading(source, count)
    start = Number(flushOffset)
    found += Number(records)
  }
  return await offsetOfLast(source, start, size, count)
}

const NO_SEAL = { flushOffset: BigInt(Number.MAX_SAFE_INTEGER), records: 0n }

async function lastByReading(source: RandomSource, count: number) {
  return await offsetOfLast(source, 0, source.size, count)
}

async function offsetOfLast(source: RandomSource, from: number, size: number, count: number) {
  let last: number[] = []
  const layout = from > 0 ? 'sealed' : detectLayout(source)
  for (const item of decodeDirectFile(source, { from, layout })) {
    if (item.type !== 'entries') continue
    for (let index = 0; index < item.bounds.length; index += 2) {
      last.push(item.position + item.bounds[index] - ENTRY_HEADER_BYTES)
    }
    if (last.length > 2 * count + 1024) last = last.slice(-count)
  }
  last = count === 0 ? [] : last.slice(-count)
  return { offset: last[0] ?? size, count: last.length }
}

/** What the last seal tells, and which layout it is. */
async function describeSeals(path: string): Promise<LogInfo['details']> {
  let handle: OpenFile['handle']
  try {
    if (!(await stat(path)).isFile()) return {}
    handle = await open(path)
  } catch (error) {
    if (isMissing(error)) return {}
    throw readError(path, error)
  }
  try {
    const { size } = await handle.stat()
    const source = new OpenFileSource({ handle, path, dev: 0n, ino: 0n }, size, true)
    const layout = detectLayout(source)
    if (layout === undefined) return {}
    const details: Record<string, string | number> = { layout }
    const end = size - (size % BLOCK_BYTES)
    const block = end > 0 ? source.read(end - SEAL_BYTES, SEAL_BYTES) : Buffer.alloc(0)
    if (isSealIntact(block)) {
      const { sequence, unixNs, writerId } = decodeSeal(block)
      details['last flush'] = `number ${sequence} at ${new Date(Number(unixNs / 1_000_000n)).toISOString()}`
      details.writer = writerId.toString(16).padStart(16, '0')
    } else if (layout === 'sealed') details['last flush'] = 'not complete: being written, or torn'
    return details
  } finally {
    await handle.close()
  }
}

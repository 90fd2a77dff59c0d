// The reader of plain lines, as the rotating file writes them.
import type { FileFormat } from '../engine/file-format.ts'
import { createFileReader, type FileCheck } from '../engine/file-reader.ts'
import { findRotatedFiles, rotatedBackups } from '../engine/log-files.ts'
import type { OpenFile } from '../engine/open-file.ts'
import type { Scan, Scanner } from '../engine/scan.ts'
import { describeWriter } from '../engine/writer-state.ts'
import type { RecordBatch } from '../reader.ts'

const NEWLINE = 10
const CHUNK_BYTES = 64 * 1024

const lineFiles: FileFormat = {
  name: 'text',
  find: findRotatedFiles,
  scanner: (maxRecordBytes) => new LineScanner(maxRecordBytes),
  // From the byte before, so that a line is told from the rest of one.
  scanFrom: (offset) => Math.max(0, offset - 1),
  lastRecords: lastLines
}

/** Lines end with LF; a CR before it is part of the record. Anything can be text, so this reader is asked last. */
export const textReader = createFileReader({
  format: 'text',
  files: lineFiles,
  detect: ({ kind }) => kind === 'file' || kind === 'stream',
  backups: rotatedBackups,
  takesAnything: true,
  check: checkLines,
  details: describeWriter
})

/** Whole lines; where they begin and end is found when somebody asks. */
class Lines {
  readonly lines: Buffer
  readonly areLines = true
  readonly #start: number
  #bounds: number[] | undefined

  constructor(bytes: Buffer, start: number, end: number) {
    this.lines = bytes.subarray(start, end)
    this.#start = start
  }

  get bounds(): number[] {
    this.#bounds ??= lineBounds(this.lines, this.#start)
    return this.#bounds
  }
}

/** Start and end of each line, without its line end; `base` is where `lines` begins. */
function lineBounds(lines: Buffer, base: number): number[] {
  const bounds: number[] = []
  let start = 0
  for (let end = lines.indexOf(NEWLINE); end !== -1; end = lines.indexOf(NEWLINE, start)) {
    bounds.push(base + start, base + end)
    start = end + 1
  }
  if (start < lines.length) bounds.push(base + start, base + lines.length)
  return bounds
}

class LineScanner implements Scanner {
  readonly #maxBytes: number
  /** Inside a line that is too long: where it began, and its length so far. */
  #longAt = -1
  #longBytes = 0

  constructor(maxRecordBytes: number) {
    this.#maxBytes = maxRecordBytes
  }

  scan(bytes: Buffer, position: number, final: boolean): Scan {
    const damage: NonNullable<Scan['damage']>[number][] = []
    let start = 0
    if (this.#longAt !== -1) {
      const end = bytes.indexOf(NEWLINE)
      this.#longBytes += end === -1 ? bytes.length : end
      if (end === -1 && !final) return { consumed: bytes.length }
      damage.push(this.#endLong())
      if (end === -1) return { consumed: bytes.length, damage }
      start = end + 1
    }
    const end = final ? bytes.length : bytes.lastIndexOf(NEWLINE) + 1
    const records = end > start ? this.#lines(bytes, start, end, position, damage) : undefined
    const rest = bytes.length - Math.max(start, end)
    if (rest <= this.#maxBytes) return { records, consumed: Math.max(start, end), damage }
    this.#longAt = position + bytes.length - rest
    this.#longBytes = rest
    return { records, consumed: bytes.length, damage }
  }

  #endLong(): { offset: number; bytes: number; reason: string } {
    const found = { offset: this.#longAt, bytes: this.#longBytes, reason: this.#reason() }
    this.#longAt = -1
    return found
  }

  #reason(): string {
    return `a line longer than the limit of ${this.#maxBytes} bytes`
  }

  #lines(
    bytes: Buffer,
    start: number,
    end: number,
    position: number,
    damage: { offset: number; bytes: number; reason: string }[]
  ): Scan['records'] {
    const all = new Lines(bytes, start, end)
    if (end - start <= this.#maxBytes) return all
    const { bounds } = all
    const kept: number[] = []
    for (let at = 0; at < bounds.length; at += 2) {
      const length = bounds[at + 1] - bounds[at]
      if (length <= this.#maxBytes) kept.push(bounds[at], bounds[at + 1])
      else damage.push({ offset: position + bounds[at], bytes: length, reason: this.#reason() })
    }
    if (kept.length === bounds.length) return all
    return kept.length === 0 ? undefined : { bounds: kept, areLines: true }
  }
}

/** Looks backwards for line ends, so the end of a large file costs no more than that of a small one. */
async function lastLines(
  file: OpenFile,
  size: number,
  count: number,
  unterminated: boolean
): Promise<{ offset: number; count: number }> {
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
  let ends = 0
  let wantedEnds = count + 1
  for (let chunkEnd = size; chunkEnd > 0; ) {
    const chunkStart = Math.max(0, chunkEnd - CHUNK_BYTES)
    const { bytesRead } = await file.handle.read(chunk, 0, chunkEnd - chunkStart, chunkStart)
    if (chunkEnd === size && unterminated && count > 0 && chunk[bytesRead - 1] !== NEWLINE) wantedEnds--
    for (let at = bytesRead; at > 0; ) {
      at = chunk.lastIndexOf(NEWLINE, at - 1)
      if (at === -1) break
      ends++
      if (ends === wantedEnds) return { offset: chunkStart + at + 1, count }
    }
    chunkEnd = chunkStart
  }
  const tail = size > 0 && wantedEnds === count ? 1 : 0
  return { offset: 0, count: Math.min(count, ends + tail) }
}

/** NUL bytes are what a hole leaves: a crash of the machine, or a writer that did not notice a truncation. */
function checkLines(batch: RecordBatch, live: boolean): FileCheck {
  const lines = batch.lines ?? batch.bytes.subarray(batch.bounds[0], batch.bounds[batch.bounds.length - 1])
  const linesAt = batch.position + batch.bounds[0]
  const damage: FileCheck['damage'] = []
  const notes: string[] = []
  const first = lines.indexOf(0)
  if (first !== -1) {
    let zeros = 0
    for (let at = first; at !== -1; at = lines.indexOf(0, at + 1)) zeros++
    damage.push({ offset: linesAt + first, bytes: zeros, reason: 'NUL bytes' })
  }
  if (batch.lines !== undefined && lines[lines.length - 1] !== NEWLINE) {
    const tail = lines.length - lines.lastIndexOf(NEWLINE) - 1
    const offset = linesAt + lines.length - tail
    if (live) notes.push(`the last ${tail} bytes have no line end: still being written, or torn`)
    else damage.push({ offset, bytes: tail, reason: 'no line end at the end of the file' })
  }
  return { damage, notes }
}

// Turns bytes into batches of records: reads into a buffer, lets the scanner of a format find the records in it,
// and carries what is left over to the next read.

import type { Damage, RecordBatch } from '../reader.ts'
import { type ByteSource, SourceDamage } from './byte-source.ts'

/** What a scanner found at the start of the bytes it was given. */
export interface Scan {
  /** The complete records, or undefined if there is none. */
  readonly records?: Pick<RecordBatch, 'bounds' | 'offsets' | 'indexes' | 'lines' | 'areLines'>
  /** How many bytes are dealt with; the others are offered again, with more bytes behind them. */
  readonly consumed: number
  readonly damage?: readonly Omit<Damage, 'file'>[]
  /** Nothing behind `consumed` will hold a record (unused space): stop. */
  readonly ended?: boolean
}

/** Finds the records of one format in one file. May keep state from one call to the next. */
export interface Scanner {
  /**
   * Finds the complete records at the start of `bytes`, which begin at `position` of the file, where the last
   * scan stopped consuming. `final`: no bytes follow, what is incomplete now stays so. A scanner that is given
   * more than `maxRecordBytes` must consume something.
   */
  scan(bytes: Buffer, position: number, final: boolean): Scan
}

export interface ScanOptions {
  readonly file: string
  /** Where in the file the source begins. */
  readonly position: number
  /** Nothing will be appended to the file: what is left at its end is its last record, or damage. */
  readonly final: boolean
  /** The file is looked at again when it has grown. */
  readonly follow: boolean
  readonly maxRecordBytes: number
  readonly reuseBuffers: boolean
  readonly signal: AbortSignal
  readonly damaged: (damage: Damage) => void
  /** Counts bytes as stored, for progress. */
  readonly progress: (bytes: number) => void
}

const CHUNK_BYTES = 256 * 1024
const MIN_READ_BYTES = 16 * 1024

/** The records of `source` in batches. Returns where in the file the last complete record ends. */
export async function* scan(
  source: ByteSource,
  scanner: Scanner,
  options: ScanOptions
): AsyncGenerator<RecordBatch, number, undefined> {
  let { position } = options
  const buffer = new ScanBuffer(options.maxRecordBytes, options.reuseBuffers)
  for (let eof = false; !eof && !options.signal.aborted; ) {
    const bytesRead = await readOrReport(source, buffer.room(), position, options)
    if (bytesRead === undefined) break
    eof = bytesRead === 0
    if (eof && !options.final) break
    buffer.add(bytesRead)
    for (let again = true; again; ) {
      const bytes = buffer.rest()
      const found = scanner.scan(bytes, position, eof)
      for (const damage of found.damage ?? []) options.damaged({ file: options.file, ...damage })
      if (found.records !== undefined) yield new ScannedBatch(options.file, bytes, position, found.records)
      position += found.consumed
      if (found.ended === true) return position
      buffer.consume(found.consumed, found.records !== undefined)
      // A scan may end behind a damage, with records at hand that no further read would bring up.
      const isPastDamage = (found.damage?.length ?? 0) > 0
      again = isPastDamage && found.consumed > 0 && found.consumed < bytes.length
    }
  }
  return position
}

/** Undefined if the source is damaged from here on. */
async function readOrReport(
  source: ByteSource,
  target: Buffer,
  position: number,
  options: ScanOptions
): Promise<number | undefined> {
  try {
    return await source.read(target)
  } catch (error) {
    if (!(error instanceof SourceDamage)) throw error
    options.damaged({ file: options.file, offset: position, bytes: error.unusedBytes, reason: error.message })
    return undefined
  }
}

type Found = NonNullable<Scan['records']>

/** A batch that leaves `bounds` to the moment somebody asks, because copying lines needs none. */
class ScannedBatch implements RecordBatch {
  readonly file: string
  readonly bytes: Buffer
  readonly position: number
  event: string | undefined
  place: RecordBatch['place']
  readonly #found: Found

  constructor(file: string, bytes: Buffer, position: number, found: Found) {
    this.file = file
    this.bytes = bytes
    this.position = position
    this.#found = found
  }

  get bounds(): ArrayLike<number> {
    return this.#found.bounds
  }

  get offsets(): ArrayLike<number> | undefined {
    return this.#found.offsets
  }

  get indexes(): ArrayLike<bigint> | undefined {
    return this.#found.indexes
  }

  get lines(): Buffer | undefined {
    return this.#found.lines
  }

  get areLines(): boolean | undefined {
    return this.#found.areLines
  }
}

/** The bytes read and not yet consumed, in one piece, with room behind them. */
class ScanBuffer {
  readonly #maxBytes: number
  readonly #reuse: boolean
  #buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES)
  #start = 0
  #end = 0
  /** Records were handed out that lie before `#end`: those bytes may not be written to again. */
  #handedOut = false

  constructor(maxRecordBytes: number, reuse: boolean) {
    this.#maxBytes = maxRecordBytes + CHUNK_BYTES
    this.#reuse = reuse
  }

  /** Where to read to. */
  room(): Buffer {
    return this.#buffer.subarray(this.#end)
  }

  /** `length` bytes were read. */
  add(length: number): void {
    this.#end += length
  }

  /** All that is not consumed. */
  rest(): Buffer {
    return this.#buffer.subarray(this.#start, this.#end)
  }

  consume(length: number, handedOut: boolean): void {
    this.#start += length
    this.#handedOut ||= handedOut && !this.#reuse
    const rest = this.#end - this.#start
    if (rest === 0 && !this.#handedOut && this.#buffer.length === CHUNK_BYTES) {
      this.#start = 0
      this.#end = 0
    } else if (this.#buffer.length - this.#end < MIN_READ_BYTES) {
      this.#move(rest)
    }
  }

  /** Moves the rest to the front, into a larger buffer if it fills more than half: doubling is linear in time. */
  #move(rest: number): void {
    const source = this.#buffer.subarray(this.#start, this.#end)
    const length = Math.max(CHUNK_BYTES, Math.min(rest * 2, this.#maxBytes), rest + MIN_READ_BYTES)
    if (this.#handedOut || length !== this.#buffer.length) this.#buffer = Buffer.allocUnsafeSlow(length)
    source.copy(this.#buffer)
    this.#start = 0
    this.#end = rest
    this.#handedOut = false
  }
}

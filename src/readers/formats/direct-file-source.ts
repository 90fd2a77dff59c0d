// The bytes of an open direct file for its decoder, and its entries as batches of records.
import { readSync } from 'node:fs'
import { setImmediate as turnOfLoop } from 'node:timers/promises'
import { ENTRY_HEADER_BYTES } from '../../formats/direct-file.ts'
import type { EntryBatch } from '../../formats/direct-file-frames.ts'
import type { RandomSource } from '../../formats/direct-file-source.ts'
import { type OpenFile, readError } from '../engine/open-file.ts'
import type { RecordBatch } from '../reader.ts'

/** Pieces up to this size share one buffer. */
export const SMALL_READ_BYTES = 4096
/** After so many bytes read at one go, others get their turn. */
const BYTES_PER_TURN = 32 * 1024 * 1024

/** A source and how to wait for what it has not at hand. */
export interface AwaitedSource extends RandomSource {
  fetch(offset: number, length: number): Promise<void>
}

/** The bytes of an open file up to `size`. Small pieces share one buffer, large ones another if they may. */
export class OpenFileSource implements AwaitedSource {
  readonly size: number
  readonly maxRecordBytes: number
  readonly #file: OpenFile
  readonly #reuse: boolean
  readonly #small = Buffer.allocUnsafeSlow(SMALL_READ_BYTES)
  #large: Buffer | undefined
  #readThisTurn = 0

  constructor(file: OpenFile, size: number, reuse: boolean, maxRecordBytes = Number.POSITIVE_INFINITY) {
    this.#file = file
    this.maxRecordBytes = maxRecordBytes
    this.size = size
    this.#reuse = reuse
  }

  read(offset: number, length: number): Buffer | undefined {
    const wanted = Math.max(0, Math.min(length, this.size - offset))
    if (this.#readThisTurn > BYTES_PER_TURN) return undefined
    this.#readThisTurn += wanted
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

  async fetch(): Promise<void> {
    await turnOfLoop()
    this.#readThisTurn = 0
  }

  #room(bytes: number): Buffer {
    if (bytes <= SMALL_READ_BYTES) return this.#small
    if (!this.#reuse) return Buffer.allocUnsafeSlow(bytes)
    if (this.#large === undefined || this.#large.length < bytes) this.#large = Buffer.allocUnsafeSlow(bytes)
    return this.#large
  }
}

/** A batch whose offsets are worked out when somebody asks. */
export class EntryRecords implements RecordBatch {
  readonly file: string
  readonly bytes: Buffer
  readonly position: number
  readonly bounds: ArrayLike<number>
  event: string | undefined
  place: RecordBatch['place']
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

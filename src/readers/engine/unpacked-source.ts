// Random access to what a compressed file holds, for formats that look around in a file: a window that moves on with the
// reading, so memory is bounded; what lies before it is decompressed again.
import { basename } from 'node:path'
import { SourceDamage } from './byte-source.ts'
import { compressionOf, DecompressedSource } from './decompress.ts'
import { type OpenFile, readError } from './open-file.ts'

/** Larger than what writers flush at once unless told otherwise, which is looked at two or three times. */
const WINDOW_BYTES = 64 * 1024 * 1024
const CHUNK_BYTES = 256 * 1024

export class UnpackedSource {
  /** Of the intact part, decompressed. */
  readonly size: number
  /** Why there is no more than `size`, if something is wrong with the compressed data. */
  readonly damage: SourceDamage | undefined
  readonly #file: OpenFile
  #stream: DecompressedSource | undefined
  /** Consecutive pieces; the first begins at `#start`. */
  #pieces: Buffer[] = []
  #start = 0
  #end = 0
  readonly #reuse: boolean
  /** Memory of pieces that were dropped, if it may be used again. */
  #spare: Buffer[] = []
  #joined: Buffer = Buffer.alloc(0)

  private constructor(file: OpenFile, reuse: boolean, size: number, damage: SourceDamage | undefined) {
    this.#file = file
    this.#reuse = reuse
    this.size = size
    this.damage = damage
  }

  /**
   * Reads the file once to learn how much it holds; `onInput` is told of compressed bytes as they are used. `reuse`:
   * nobody needs what was read once he asks for what lies behind it.
   */
  static async open(
    file: OpenFile,
    reuse: boolean,
    signal: AbortSignal,
    onInput: (bytes: number) => void
  ): Promise<UnpackedSource> {
    const stream = unpack(file, onInput)
    const piece = Buffer.allocUnsafe(CHUNK_BYTES)
    let size = 0
    try {
      for (let count = 1; count > 0 && !signal.aborted; size += count) count = await stream.read(piece)
      return new UnpackedSource(file, reuse, size, undefined)
    } catch (error) {
      if (error instanceof SourceDamage) return new UnpackedSource(file, reuse, size, error)
      throw readError(file.path, error)
    } finally {
      stream.close()
    }
  }

  /** May be overwritten by the next call. Undefined if they are not in the window; then `fetch` brings them there. */
  read(offset: number, length: number): Buffer | undefined {
    const end = Math.min(offset + length, this.size)
    if (end <= offset) return Buffer.alloc(0)
    if (offset < this.#start || end > this.#end) return undefined
    let at = this.#start
    const parts: Buffer[] = []
    for (const piece of this.#pieces) {
      const from = Math.max(offset, at) - at
      const to = Math.min(end, at + piece.length) - at
      if (from < to) parts.push(piece.subarray(from, to))
      at += piece.length
    }
    return parts.length === 1 ? parts[0] : this.#join(parts, end - offset)
  }

  #join(parts: readonly Buffer[], length: number): Buffer {
    if (!this.#reuse) return Buffer.concat(parts, length)
    if (this.#joined.length < length) this.#joined = Buffer.allocUnsafeSlow(length)
    let at = 0
    for (const part of parts) at += part.copy(this.#joined, at)
    return this.#joined.subarray(0, length)
  }

  async fetch(offset: number, length: number): Promise<void> {
    const end = Math.min(offset + length, this.size)
    if (this.#stream === undefined || offset < this.#start) this.#restart()
    const stream = this.#stream as DecompressedSource
    while (this.#end < end) {
      const piece = this.#spare.pop() ?? Buffer.allocUnsafeSlow(CHUNK_BYTES)
      const count = await stream.read(piece)
      if (count === 0) throw new Error(`${this.#file.path} has become shorter while it was read`)
      this.#pieces.push(piece.subarray(0, count))
      this.#end += count
      while (this.#end - this.#start > WINDOW_BYTES && this.#start + this.#pieces[0].length <= offset) {
        const dropped = this.#pieces.shift() as Buffer
        this.#start += dropped.length
        if (this.#reuse) this.#spare.push(Buffer.from(dropped.buffer))
      }
    }
  }

  close(): void {
    this.#stream?.close()
  }

  #restart(): void {
    this.#stream?.close()
    this.#stream = unpack(this.#file, () => {})
    this.#pieces = []
    this.#start = 0
    this.#end = 0
  }
}

function unpack(file: OpenFile, onInput: (bytes: number) => void): DecompressedSource {
  const compression = compressionOf(basename(file.path))
  if (compression === '') throw new Error(`${file.path} is not compressed`)
  return new DecompressedSource(file.path, file.handle, compression, onInput)
}

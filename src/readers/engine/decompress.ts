// Decompression of backups as a byte source: bounded memory, and of a damaged file every byte before the damage.
import type { FileHandle } from 'node:fs/promises'
import type { Transform } from 'node:stream'
import * as zlib from 'node:zlib'
import { errorMessage, LogboomError, systemCode } from '../../base/errors.ts'
import type { BackupCompression } from '../../formats/backup-name.ts'
import { type ByteSource, SourceDamage } from './byte-source.ts'
import { readError } from './open-file.ts'
import { isWholeZstd } from './zstd-frames.ts'

// What the damage of one step can hide is what that step would have produced, so after a failure the file is
// decompressed again up to the failing step and from there byte by byte.
const STEP_BYTES = 16 * 1024
const OUTPUT_BYTES = 128 * 1024

type Compression = Exclude<BackupCompression, ''>

/** What a compressed file holds. `read` throws `SourceDamage` where the intact part ends. */
export class DecompressedSource implements ByteSource {
  readonly #path: string
  readonly #handle: FileHandle
  readonly #compression: Compression
  readonly #onInput: (bytes: number) => void
  readonly #input = Buffer.allocUnsafe(STEP_BYTES)
  #engine: Transform
  /** Compressed bytes given to the engine, and where the step began in which it last failed. */
  #fed = 0
  #failedAt: number | undefined
  #stepAt = 0
  /** Decompressed bytes returned, and how many of them are still to be dropped after starting again. */
  #returned = 0
  #drop = 0
  #rest: Buffer | undefined
  #state: 'ready' | 'busy' | 'fed' = 'ready'
  #ended = false
  #error: unknown
  #wake: (() => void) | undefined

  /** `onInput` is told of compressed bytes as they are used. Throws `ERR_UNSUPPORTED` for zstd on an old Node. */
  constructor(path: string, handle: FileHandle, compression: Compression, onInput: (bytes: number) => void) {
    this.#path = path
    this.#handle = handle
    this.#compression = compression
    this.#onInput = onInput
    this.#engine = this.#start()
  }

  async read(target: Buffer): Promise<number> {
    const chunk = this.#rest ?? (await this.#next())
    if (chunk === undefined) return 0
    const length = chunk.copy(target)
    this.#rest = length < chunk.length ? chunk.subarray(length) : undefined
    this.#returned += length
    return length
  }

  close(): void {
    this.#engine.destroy()
  }

  #start(): Transform {
    const engine = createEngine(this.#path, this.#compression)
    const wake = () => this.#wake?.()
    engine.on('readable', wake)
    engine.on('end', () => {
      this.#ended = true
      wake()
    })
    engine.on('error', (error) => {
      this.#error = error
      wake()
    })
    return engine
  }

  async #next(): Promise<Buffer | undefined> {
    for (;;) {
      const chunk = this.#engine.read() as Buffer | null
      if (chunk !== null) {
        const useful = chunk.subarray(this.#drop)
        this.#drop = Math.max(0, this.#drop - chunk.length)
        if (useful.length > 0) return useful
      } else if (this.#error !== undefined) {
        await this.#fail()
      } else if (this.#ended) {
        await this.#checkEnd()
        return undefined
      } else if (this.#state === 'ready') {
        await this.#feed()
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      }
    }
  }

  /** Gives one step of input to the engine; all output of the step before has been taken. */
  async #feed(): Promise<void> {
    const careful = this.#failedAt !== undefined && this.#fed >= this.#failedAt
    const bytesRead = await this.#readInput(careful ? 1 : STEP_BYTES)
    // The engine ends by itself where the compressed data does.
    if (this.#ended) return
    this.#stepAt = this.#fed
    this.#fed += bytesRead
    if (this.#failedAt === undefined) this.#onInput(bytesRead)
    if (bytesRead === 0) {
      this.#state = 'fed'
      this.#engine.end()
      return
    }
    this.#state = 'busy'
    this.#engine.write(this.#input.subarray(0, bytesRead), () => {
      if (this.#state === 'busy') this.#state = 'ready'
      this.#wake?.()
    })
  }

  async #readInput(length: number): Promise<number> {
    try {
      return (await this.#handle.read(this.#input, 0, length, this.#fed)).bytesRead
    } catch (error) {
      throw readError(this.#path, error)
    }
  }

  async #fail(): Promise<void> {
    const { size } = await this.#handle.stat()
    const error = this.#error
    // Cut short: the engine has seen and returned everything there is. In a careful pass: nothing more to gain.
    if (this.#state === 'fed' || this.#failedAt !== undefined) {
      const isCut = systemCode(error) === 'Z_BUF_ERROR'
      const reason = isCut ? 'compressed data is cut short' : errorMessage(error)
      const used = this.#returned === 0 ? 0 : this.#state === 'fed' ? size : this.#stepAt
      throw new SourceDamage(reason, Math.max(0, size - used), isCut)
    }
    this.#failedAt = this.#stepAt
    this.#drop = this.#returned
    this.#fed = 0
    this.#error = undefined
    this.#ended = false
    this.#state = 'ready'
    this.#engine.destroy()
    this.#engine = this.#start()
  }

  /** Nothing may be missing, and bytes behind the end of the compressed data were not written by the compressor. */
  async #checkEnd(): Promise<void> {
    const used = (this.#engine as Transform & { bytesWritten: number }).bytesWritten
    const { size } = await this.#handle.stat()
    if (this.#compression === 'zst' && !(await isWholeZstd(this.#handle, size))) {
      throw new SourceDamage('compressed data is cut short', 0)
    }
    if (size > used) throw new SourceDamage('foreign bytes after the compressed data', size - used)
  }
}

function createEngine(path: string, compression: Compression): Transform {
  const options = { chunkSize: OUTPUT_BYTES }
  if (compression === 'gz') return zlib.createGunzip(options)
  if (compression === 'br') return zlib.createBrotliDecompress(options)
  // Not in the types of Node 20.
  const { createZstdDecompress } = zlib as { createZstdDecompress?: (options: object) => Transform }
  if (createZstdDecompress === undefined) {
    throw new LogboomError('ERR_UNSUPPORTED', `${path}: zstd needs Node 22.15 or newer`, { path })
  }
  return createZstdDecompress(options)
}

/** How a file is compressed, by its name. */
export function compressionOf(name: string): BackupCompression {
  const match = /.\.(gz|br|zst)$/.exec(name)
  return (match?.[1] ?? '') as BackupCompression
}

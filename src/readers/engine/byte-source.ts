// Where scanned bytes come from: a stretch of a file, or any stream of chunks. Decompression is in
// decompress.ts.
import type { FileHandle } from 'node:fs/promises'
import { readError } from './open-file.ts'

/** Bytes in order. */
export interface ByteSource {
  /**
   * Fills `target` from its start as far as bytes are at hand. Returns how many; 0 at the end. Throws
   * `SourceDamage` where no further byte can be had because the file is damaged.
   */
  read(target: Buffer): Promise<number>
}

/** The bytes from here on are lost. */
export class SourceDamage extends Error {
  /** How many bytes, as stored, could not be used. */
  readonly unusedBytes: number
  /** The end is missing: what was returned is as it was written. Otherwise nothing vouches for it. */
  readonly isCut: boolean

  constructor(reason: string, unusedBytes: number, isCut = false) {
    super(reason)
    this.unusedBytes = unusedBytes
    this.isCut = isCut
  }
}

/** The bytes of `handle` from `position` up to `end`, or to the end of the file. Does not close the handle. */
export function fileSource(
  path: string,
  handle: FileHandle,
  position: number,
  end = Number.POSITIVE_INFINITY
): ByteSource {
  let at = position
  return {
    async read(target) {
      const length = Math.min(target.length, end - at)
      if (length <= 0) return 0
      try {
        const { bytesRead } = await handle.read(target, 0, length, at)
        at += bytesRead
        return bytesRead
      } catch (error) {
        throw readError(path, error)
      }
    }
  }
}

/** The chunks of `stream`, copied. */
export function streamSource(path: string, stream: AsyncIterable<Uint8Array>): ByteSource {
  const iterator = stream[Symbol.asyncIterator]()
  let rest: Uint8Array = Buffer.alloc(0)
  return {
    async read(target) {
      try {
        while (rest.length === 0) {
          const { done, value } = await iterator.next()
          if (done === true) return 0
          rest = value
        }
      } catch (error) {
        throw readError(path, error)
      }
      const length = Math.min(target.length, rest.length)
      target.set(rest.subarray(0, length))
      rest = rest.subarray(length)
      return length
    }
  }
}

// The bytes of a direct file for its decoder, which looks around in it: at hand, or to be fetched first. Everything that
// reads is a generator of the pieces it has to wait for, so that one decoder serves files and compressed files.
import { native } from '../native/index.ts'

/** Random access to the bytes of a file. */
export interface RandomSource {
  readonly size: number
  /**
   * The bytes from `offset` on, as many as the file has, at most `length`; undefined if they have to be fetched first.
   * May be overwritten by the next call.
   */
  read(offset: number, length: number): Uint8Array | undefined
  /** Longer records are reported in place of being read. */
  readonly maxRecordBytes?: number
}

/** Bytes that have to be fetched before the decoder can go on. */
export interface BytesWanted {
  readonly type: 'wanted'
  readonly offset: number
  readonly length: number
}

export type Steps<T> = Generator<BytesWanted, T, undefined>

/** Most bytes read at once, unless a single record is longer. */
export const CHUNK_BYTES = 1 << 20

/** The bytes at `offset`, as `RandomSource.read` gives them, after waiting for them. */
export function* bytesAt(source: RandomSource, offset: number, length: number): Steps<Uint8Array> {
  const atHand = source.read(offset, length)
  if (atHand !== undefined) return atHand
  yield { type: 'wanted', offset, length }
  const fetched = source.read(offset, length)
  if (fetched === undefined) throw new Error(`${length} bytes at ${offset} were fetched and are not there`)
  return fetched
}

/** The result of steps over a source that has all bytes at hand. */
export function withoutWaiting<T>(steps: Steps<T>): T {
  const { done, value } = steps.next()
  if (done !== true) throw new Error('this source has to be waited for')
  return value
}

/** CRC-32C of the bytes in `[from, end)`. */
export function* checksum(source: RandomSource, from: number, end: number): Steps<number> {
  let crc = 0
  for (let at = from; at < end; at += CHUNK_BYTES) {
    const bytes = yield* bytesAt(source, at, Math.min(CHUNK_BYTES, end - at))
    crc = native.crc32c(bytes, crc, 0, bytes.length)
  }
  return crc
}

export function* allZero(source: RandomSource, from: number, end: number): Steps<boolean> {
  for (let at = from; at < end; at += CHUNK_BYTES) {
    const bytes = yield* bytesAt(source, at, Math.min(CHUNK_BYTES, end - at))
    for (let i = 0; i < bytes.length; i++) if (bytes[i] !== 0) return false
  }
  return true
}

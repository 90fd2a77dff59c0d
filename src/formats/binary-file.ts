// Byte layout of binary-file: length-prefixed records. No I/O.
//
//   record  0  u32 BE  length of the payload (0 is a valid, empty record)
//           4  payload: UTF-8 or raw bytes
//   repeated to the end of the file. Fewer bytes than a record announces = the torn rest of an interrupted write.
import { writeUtf8 } from './utf8.ts'

export const LENGTH_BYTES = 4

/** The longest payload a u32 length can announce, in bytes. */
export const MAX_PAYLOAD_BYTES = 0xffff_ffff

/** Bytes a UTF-16 text can need at most in UTF-8, per code unit. */
const MAX_BYTES_PER_UNIT = 3

/** Writes the length prefix of a payload of `length` bytes at `offset`. */
export function encodeLength(target: Uint8Array, offset: number, length: number): void {
  target[offset] = length >>> 24
  target[offset + 1] = length >>> 16
  target[offset + 2] = length >>> 8
  target[offset + 3] = length
}

/** The payload length announced at `offset`, where at least 4 bytes must be left. */
export function decodeLength(source: Uint8Array, offset: number): number {
  return (
    ((source[offset] << 24) | (source[offset + 1] << 16) | (source[offset + 2] << 8) | source[offset + 3]) >>>
    0
  )
}

/** How many bytes `encodeRecord` needs at most for `payload`. */
export function maxRecordBytes(payload: string | Uint8Array): number {
  return LENGTH_BYTES + payload.length * (typeof payload === 'string' ? MAX_BYTES_PER_UNIT : 1)
}

/**
 * Writes one record at `offset` and returns its end. `target` must have room for it.
 * Lone surrogates become U+FFFD.
 */
export function encodeRecord(target: Buffer, offset: number, payload: string | Uint8Array): number {
  const start = offset + LENGTH_BYTES
  let length = payload.length
  if (typeof payload === 'string') length = writeUtf8(target, payload, start)
  else target.set(payload, start)
  encodeLength(target, offset, length)
  return start + length
}

/**
 * The end of the last complete record in `bytes[start, end)`, which begins with a record; stops before a payload of more
 * than `maxPayloadBytes`. `bounds` is given start and end of each payload in turn. The one loop that decodes records.
 */
export function completeEnd(
  bytes: Uint8Array,
  start: number,
  end: number,
  maxPayloadBytes = MAX_PAYLOAD_BYTES,
  bounds?: number[]
): number {
  let at = start
  while (end - at >= LENGTH_BYTES) {
    const length = decodeLength(bytes, at)
    const next = at + LENGTH_BYTES + length
    if (next > end || length > maxPayloadBytes) break
    bounds?.push(at + LENGTH_BYTES, next)
    at = next
  }
  return at
}

/**
 * Where the last whole record of a file of `size` bytes ends. `read` gives bytes from a position on, some at least as
 * long as there are any. Only lengths matter, so long payloads are skipped, not read.
 */
export function wholeEnd(size: number, read: (position: number) => Uint8Array): number {
  for (let at = 0; at < size; ) {
    const bytes = read(at)
    if (bytes.length < LENGTH_BYTES) return at
    const end = completeEnd(bytes, 0, bytes.length)
    const next = at + (end > 0 ? end : LENGTH_BYTES + decodeLength(bytes, 0))
    if (next > size) return at
    at = next
  }
  return size
}

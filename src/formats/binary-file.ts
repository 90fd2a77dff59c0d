// Byte layout of binary-file: length-prefixed records, and the names of its numbered backups. No I/O.
//
//   record  0  u32 BE  length of the payload (0 is a valid, empty record)
//           4  payload: UTF-8 or raw bytes
//   repeated to the end of the file. Fewer bytes than a record announces = the torn rest of an interrupted write.
//
//   backup of <stem><ext>: <stem>.<n><ext>, n counted from 0 without leading zeros (events.bin → events.0.bin)

import { parse } from 'node:path'
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

/** The end of the last complete record in `bytes[start, end)`, which begins with a record. */
export function completeEnd(bytes: Uint8Array, start: number, end: number): number {
  let at = start
  while (end - at >= LENGTH_BYTES) {
    const next = at + LENGTH_BYTES + decodeLength(bytes, at)
    if (next > end) break
    at = next
  }
  return at
}

/** A complete record and the file offset of its length prefix. The data is valid until the next `push`. */
export interface BinaryRecord {
  readonly data: Buffer
  readonly offset: number
}

const NOTHING: Buffer = Buffer.alloc(0)

/**
 * Splits a file given in pieces into records: `push` a piece, then call `next` until it returns undefined.
 * It holds at most one unfinished record and one piece, and never more than the bytes really given: an absurd
 * length announces memory, it does not get it.
 */
export class BinaryFileDecoder {
  /** Bytes given and not yet returned; whole records only as long as `next` finds any. */
  #bytes: Buffer = NOTHING
  #at = 0
  /** Later pieces of a record that is longer than `#bytes`. */
  #more: Buffer[] = []
  #moreBytes = 0
  #offset: number

  /** `offset`: where in the file the first piece starts. */
  constructor(offset = 0) {
    this.#offset = offset
  }

  /** File offset of the first byte that is not part of a returned record. */
  get offset(): number {
    return this.#offset
  }

  /** Bytes given that are not part of a returned record. */
  get pendingBytes(): number {
    return this.#bytes.length - this.#at + this.#moreBytes
  }

  /** Bytes that the record at `offset` takes, its prefix included; 4 as long as the prefix is not complete. */
  get neededBytes(): number {
    if (this.#bytes.length - this.#at < LENGTH_BYTES) return LENGTH_BYTES
    return LENGTH_BYTES + decodeLength(this.#bytes, this.#at)
  }

  /** Takes the next piece of the file. Its memory may be used again once `next` has returned undefined. */
  push(piece: Uint8Array): void {
    const view = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)
    if (this.pendingBytes === 0) {
      this.#bytes = view
      this.#at = 0
      return
    }
    this.#more.push(view)
    this.#moreBytes += view.length
  }

  /** The next complete record, or undefined when more bytes are needed. */
  next(): BinaryRecord | undefined {
    if (this.#moreBytes > 0 && !this.#join()) return undefined
    const length = this.neededBytes
    if (this.#bytes.length - this.#at < length) {
      this.#keep()
      return undefined
    }
    const data = this.#bytes.subarray(this.#at + LENGTH_BYTES, this.#at + length)
    const record = { data, offset: this.#offset }
    this.#at += length
    this.#offset += length
    return record
  }

  // Pieces are joined only once the record is complete: joining at every piece would cost the square of its length.
  #join(): boolean {
    if (this.#bytes.length - this.#at < LENGTH_BYTES || this.pendingBytes >= this.neededBytes) {
      this.#bytes = Buffer.concat([this.#bytes.subarray(this.#at), ...this.#more])
      this.#at = 0
      this.#more = []
      this.#moreBytes = 0
      return true
    }
    const last = this.#more.length - 1
    this.#more[last] = Buffer.from(this.#more[last])
    return false
  }

  /** Copies what is left of the piece, so that the caller may use its memory again. */
  #keep(): void {
    this.#bytes = this.#at === this.#bytes.length ? NOTHING : Buffer.from(this.#bytes.subarray(this.#at))
    this.#at = 0
  }
}

/** The name of backup number `number` of the file named `name`, both without folder. */
export function formatNumberedName(name: string, number: number): string {
  const { name: stem, ext } = parse(name)
  return `${stem}.${number}${ext}`
}

/** The number of `candidate` if it is a backup of the file named `name`, else undefined. Both without folder. */
export function parseNumberedName(name: string, candidate: string): number | undefined {
  const { name: stem, ext } = parse(name)
  if (!candidate.startsWith(`${stem}.`) || !candidate.endsWith(ext)) return undefined
  const digits = candidate.slice(stem.length + 1, candidate.length - ext.length)
  // At most 15 digits, so that the number is an exact integer; one spelling for each number.
  return /^(?:0|[1-9]\d{0,14})$/.test(digits) ? Number(digits) : undefined
}

/** The name of the file that `name` would be a backup of, else undefined. */
export function numberedBase(name: string): string | undefined {
  const { name: rest, ext } = parse(name)
  const match = /^(.+)\.(?:0|[1-9]\d{0,14})$/s.exec(rest)
  return match === null ? undefined : `${match[1]}${ext}`
}

/** The backups of `name` among the names of its folder, oldest first. */
export function numberedBackups(
  name: string,
  candidates: Iterable<string>
): { name: string; number: number }[] {
  const backups: { name: string; number: number }[] = []
  for (const candidate of candidates) {
    const number = parseNumberedName(name, candidate)
    if (number !== undefined) backups.push({ name: candidate, number })
  }
  return backups.sort((a, b) => a.number - b.number)
}

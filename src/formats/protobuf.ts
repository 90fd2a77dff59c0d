// The little of the protobuf wire format that etcd's files need: varints and a tolerant walk over fields.

const MAX_VARINT_BYTES = 10
const U64_MASK = 0xffff_ffff_ffff_ffffn

/** Wire types that occur: varint, 8 bytes, length-delimited, 4 bytes. */
export const VARINT = 0
export const FIXED64 = 1
export const BYTES = 2
export const FIXED32 = 5

/** Bytes a varint takes. `value` is an integer ≥ 0, as a number at most 2^53 - 1. */
export function varintBytes(value: number | bigint): number {
  let bytes = 1
  if (typeof value === 'bigint') {
    for (let rest = value >> 7n; rest > 0n; rest >>= 7n) bytes++
    return bytes
  }
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) bytes++
  return bytes
}

/** Writes a varint at `at`; returns the offset behind it. */
export function writeVarint(buffer: Uint8Array, at: number, value: number | bigint): number {
  if (typeof value === 'bigint') {
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
      // Seven whole groups of seven bits leave at most 15 bits for the slow part.
      let rest = value & U64_MASK
      while (rest > 127n) {
        buffer[at++] = Number(rest & 127n) | 128
        rest >>= 7n
      }
      buffer[at++] = Number(rest)
      return at
    }
    value = Number(value)
  }
  while (value > 0x7fff_ffff) {
    buffer[at++] = (value % 128) | 128
    value = Math.floor(value / 128)
  }
  while (value > 127) {
    buffer[at++] = (value & 127) | 128
    value >>>= 7
  }
  buffer[at++] = value
  return at
}

/**
 * Walks over the fields of a message in `buffer[start, end)`. After `next()` returned true, `field` and `wire`
 * say what was found: `value` holds a varint, `start` and `end` the range of anything else. A message that
 * does not follow the wire format ends the walk with `malformed` set.
 */
export class FieldWalk {
  malformed = false
  field = 0
  wire = 0
  value = 0n
  start = 0
  end = 0
  readonly #buffer: Uint8Array
  readonly #limit: number
  #at: number

  constructor(buffer: Uint8Array, start: number, end: number) {
    this.#buffer = buffer
    this.#at = start
    this.#limit = end
  }

  next(): boolean {
    if (this.malformed || this.#at >= this.#limit) return false
    const tag = this.#varint()
    if (tag === undefined || tag > 0xffff_ffffn || tag < 8n) return this.#fail()
    this.field = Number(tag >> 3n)
    this.wire = Number(tag & 7n)
    if (this.wire === VARINT) {
      const value = this.#varint()
      if (value === undefined) return this.#fail()
      this.value = value
      return true
    }
    const length = this.#length()
    if (length === undefined || length > BigInt(this.#limit - this.#at)) return this.#fail()
    this.start = this.#at
    this.#at += Number(length)
    this.end = this.#at
    return true
  }

  #length(): bigint | undefined {
    if (this.wire === FIXED64) return 8n
    if (this.wire === FIXED32) return 4n
    return this.wire === BYTES ? this.#varint() : undefined
  }

  #varint(): bigint | undefined {
    let value = 0n
    for (let group = 0; group < MAX_VARINT_BYTES && this.#at < this.#limit; group++) {
      const byte = this.#buffer[this.#at++]
      value |= BigInt(byte & 127) << BigInt(7 * group)
      if (byte < 128) return value & U64_MASK
    }
    return undefined
  }

  #fail(): false {
    this.malformed = true
    return false
  }
}

// Writes a protobuf message from its end to its beginning: when the length of an inner message has to be said, it is known.
// So the last field is written first. https://protobuf.dev/programming-guides/encoding/

const VARINT = 0
const FIXED64 = 1
const DELIMITED = 2
const FIXED32 = 5
const MAX_VARINT_BYTES = 10

export class ProtobufWriter {
  #bytes = Buffer.allocUnsafeSlow(64 * 1024)
  /** Where what is written begins. */
  #start = this.#bytes.length

  /** How much is written: what `message` begins with. */
  get length(): number {
    return this.#bytes.length - this.#start
  }

  /** Back to an earlier length, without what was written since. */
  cut(length: number): void {
    this.#start = this.#bytes.length - length
  }

  finish(): Buffer {
    return Buffer.from(this.#bytes.subarray(this.#start))
  }

  string(field: number, text: string): void {
    const length = Buffer.byteLength(text)
    this.#reserve(length)
    this.#start -= length
    this.#bytes.write(text, this.#start, 'utf8')
    this.#prefix(field, length)
  }

  bytes(field: number, bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#start -= bytes.length
    this.#bytes.set(bytes, this.#start)
    this.#prefix(field, bytes.length)
  }

  /** Makes a message of what was written since the writer was `lengthBefore` long. */
  message(field: number, lengthBefore: number): void {
    this.#prefix(field, this.length - lengthBefore)
  }

  bool(field: number, value: boolean): void {
    this.#varint(value ? 1 : 0)
    this.#tag(field, VARINT)
  }

  uint(field: number, value: number): void {
    this.#varint(value)
    this.#tag(field, VARINT)
  }

  /** A negative number takes ten bytes. */
  int64(field: number, value: number): void {
    if (value >= 0) this.#varint(value)
    else this.#bigVarint(BigInt.asUintN(64, BigInt(value)))
    this.#tag(field, VARINT)
  }

  double(field: number, value: number): void {
    this.#reserve(8)
    this.#start -= 8
    this.#bytes.writeDoubleLE(value, this.#start)
    this.#tag(field, FIXED64)
  }

  fixed64(field: number, value: bigint): void {
    this.#reserve(8)
    this.#start -= 8
    this.#bytes.writeBigUInt64LE(value, this.#start)
    this.#tag(field, FIXED64)
  }

  fixed32(field: number, value: number): void {
    this.#reserve(4)
    this.#start -= 4
    this.#bytes.writeUInt32LE(value, this.#start)
    this.#tag(field, FIXED32)
  }

  #prefix(field: number, length: number): void {
    this.#varint(length)
    this.#tag(field, DELIMITED)
  }

  #tag(field: number, type: number): void {
    this.#varint(field * 8 + type)
  }

  #varint(value: number): void {
    if (value > 0xffffffff) {
      this.#bigVarint(BigInt(value))
      return
    }
    this.#reserve(MAX_VARINT_BYTES)
    let bytes = 1
    for (let rest = value >>> 7; rest > 0; rest >>>= 7) bytes++
    this.#start -= bytes
    let rest = value
    for (let at = this.#start; at < this.#start + bytes - 1; at++) {
      this.#bytes[at] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    this.#bytes[this.#start + bytes - 1] = rest
  }

  #bigVarint(value: bigint): void {
    this.#reserve(MAX_VARINT_BYTES)
    const groups: number[] = []
    for (let rest = value; rest > 0n || groups.length === 0; rest >>= 7n) groups.push(Number(rest & 0x7fn))
    for (const [at, group] of groups.entries()) if (at < groups.length - 1) groups[at] = group | 0x80
    this.#start -= groups.length
    this.#bytes.set(groups, this.#start)
  }

  #reserve(bytes: number): void {
    if (this.#start >= bytes) return
    const { length } = this
    const grown = Buffer.allocUnsafeSlow(Math.max(2 * this.#bytes.length, length + bytes))
    this.#bytes.copy(grown, grown.length - length, this.#start)
    this.#bytes = grown
    this.#start = grown.length - length
  }
}

/** A field of a message as it is on the wire: a number, or the bytes of a string or message. */
export type ProtobufField = readonly [field: number, value: bigint | Buffer]

/** The fields of a message. Throws `RangeError` for bytes that are none. */
export function* protobufFields(bytes: Buffer): Generator<ProtobufField, void, undefined> {
  let at = 0
  const varint = (): bigint => {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      if (at >= bytes.length) throw new RangeError('a protobuf message that ends too early')
      const byte = bytes[at++]
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
    throw new RangeError('a number of more than ten bytes in a protobuf message')
  }
  const take = (length: number): Buffer => {
    if (length > bytes.length - at) throw new RangeError('a protobuf message that ends too early')
    at += length
    return bytes.subarray(at - length, at)
  }
  while (at < bytes.length) {
    const tag = varint()
    const [field, type] = [Number(tag >> 3n), Number(tag & 7n)]
    if (type === VARINT) yield [field, varint()]
    else if (type === FIXED64) yield [field, take(8).readBigUInt64LE()]
    else if (type === DELIMITED) yield [field, take(Number(varint()))]
    else if (type === FIXED32) yield [field, BigInt(take(4).readUInt32LE())]
    else throw new RangeError(`a field of type ${type} in a protobuf message`)
  }
}

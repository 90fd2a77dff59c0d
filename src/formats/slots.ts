// A small record that is overwritten in place and is never without a whole one: two slots that are written in turn. Their room
// on the disk is taken when the file is made, so that a full disk keeps nobody from writing it.
//
//    0   8 bytes  "LBSLOT1\n"
//    8   u64 LE   sequence: of two sound slots the one with the higher counts
//   16   u32 LE   n, length of the content
//   20   u32 LE   CRC-32C of bytes 0..19 and of the content
//   24   n bytes  content: JSON
//
// What follows in a slot is what was there before.
import { assert } from '../base/assert.ts'
import { native } from '../native/index.ts'

const MAGIC = Buffer.from('LBSLOT1\n')
const SEQUENCE_AT = 8
const LENGTH_AT = 16
const CRC_AT = 20
const CONTENT_AT = 24

export interface Slot {
  readonly sequence: bigint
  readonly content: unknown
}

/** The bytes of a slot up to the end of its content. Throws `RangeError` for a content that does not fit. */
export function encodeSlot({ sequence, content }: Slot, slotBytes: number): Buffer {
  const text = Buffer.from(JSON.stringify(content))
  if (CONTENT_AT + text.length > slotBytes) {
    throw new RangeError(`${text.length} bytes do not fit into a slot of ${slotBytes} bytes`)
  }
  const bytes = Buffer.alloc(CONTENT_AT + text.length)
  MAGIC.copy(bytes)
  bytes.writeBigUInt64LE(sequence, SEQUENCE_AT)
  bytes.writeUInt32LE(text.length, LENGTH_AT)
  text.copy(bytes, CONTENT_AT)
  bytes.writeUInt32LE(checksum(bytes, text.length), CRC_AT)
  return bytes
}

/** Where a slot belongs, from the first of the two on: not where the one before it is. */
export function slotOffset(sequence: bigint, slotBytes: number): number {
  return Number(sequence % 2n) * slotBytes
}

/** The newest sound slot of the two that `bytes` begins with; undefined if there is none. */
export function decodeSlots(bytes: Buffer, slotBytes: number): Slot | undefined {
  const found = [0, slotBytes].map((at) => decodeSlot(bytes.subarray(at, at + slotBytes)))
  const [first, second] = found
  if (first === undefined || second === undefined) return first ?? second
  return first.sequence > second.sequence ? first : second
}

/**
 * Whether `bytes`, those of a whole file, are slots of ours, however damaged, or room for them: what is neither is somebody
 * else's.
 */
export function areSlots(bytes: Buffer, slotBytes: number): boolean {
  for (let at = 0; at < bytes.length; at += slotBytes) {
    const slot = bytes.subarray(at, at + slotBytes)
    const length = Math.min(slot.length, MAGIC.length)
    const isOurs = slot.subarray(0, length).equals(MAGIC.subarray(0, length))
    if (!isOurs && slot.some((byte) => byte !== 0)) return false
  }
  return true
}

function decodeSlot(bytes: Buffer): Slot | undefined {
  if (bytes.length < CONTENT_AT || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) return undefined
  const length = bytes.readUInt32LE(LENGTH_AT)
  if (length > bytes.length - CONTENT_AT) return undefined
  if (bytes.readUInt32LE(CRC_AT) !== checksum(bytes, length)) return undefined
  try {
    const content: unknown = JSON.parse(bytes.toString('utf8', CONTENT_AT, CONTENT_AT + length))
    return { sequence: bytes.readBigUInt64LE(SEQUENCE_AT), content }
  } catch {
    return undefined
  }
}

function checksum(bytes: Buffer, length: number): number {
  assert(CONTENT_AT + length <= bytes.length)
  return native.crc32c(bytes, native.crc32c(bytes, 0, 0, CRC_AT), CONTENT_AT, CONTENT_AT + length)
}

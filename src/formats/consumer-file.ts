// How far a consumer of a write-ahead log has come: `consumers/<name>` beside the segments, 1 024 bytes in two slots of
// 512 that are written in turn, so that a cut through one leaves the other. All numbers are little endian.
//
//   0   8 bytes   "LBCONS1\n"
//   8   u64       sequence: of two sound slots the one with the higher counts
//  16   16 bytes  identity of the log, zeros where it had none
//  32   u64       index of the last entry acknowledged, 0 for none
//  40   u32       its length in bytes         \  both 0xffffffff where it was not seen: the consumer
//  44   u32       its CRC-32C                 /  began behind it
//  48   u64       when, ms since 1970
//  56   u32       process id
//  60   u32       CRC-32C of bytes 0..59
//
// The rest of a slot is zeros: they are its room on the disk.
import { native } from '../native/index.ts'

export const SLOT_BYTES = 512
export const CONSUMER_FILE_BYTES = 2 * SLOT_BYTES
/** The folder of the files within that of the log. */
export const CONSUMERS_FOLDER = 'consumers'

const MAGIC = Buffer.from('LBCONS1\n')
const CRC_AT = 60
const UNSEEN = 0xffffffff
const NAME = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$/

export interface ConsumerState {
  readonly sequence: bigint
  /** 32 hexadecimal digits, or undefined. */
  readonly identity: string | undefined
  readonly index: bigint
  /** Of the entry at `index`, if the consumer has seen it. */
  readonly entry: { readonly length: number; readonly crc: number } | undefined
  readonly timeMs: number
  readonly pid: number
}

/** Letters, digits, `_`, `-` and, not at the start, `.`; at most 64. */
export function isConsumerName(name: string): boolean {
  return NAME.test(name) && !name.endsWith('.tmp')
}

export function encodeSlot({ sequence, identity, index, entry, timeMs, pid }: ConsumerState): Buffer {
  const bytes = Buffer.alloc(SLOT_BYTES)
  MAGIC.copy(bytes)
  bytes.writeBigUInt64LE(sequence, 8)
  if (identity !== undefined) bytes.write(identity, 16, 'hex')
  bytes.writeBigUInt64LE(index, 32)
  bytes.writeUInt32LE(entry?.length ?? UNSEEN, 40)
  bytes.writeUInt32LE(entry?.crc ?? UNSEEN, 44)
  bytes.writeBigUInt64LE(BigInt(Math.max(0, Math.floor(timeMs))), 48)
  bytes.writeUInt32LE(pid, 56)
  bytes.writeUInt32LE(native.crc32c(bytes, 0, 0, CRC_AT), CRC_AT)
  return bytes
}

/** Where a state belongs: the slot that the one before it is not in. */
export function slotOffset(sequence: bigint): number {
  return Number(sequence % 2n) * SLOT_BYTES
}

/** The newest sound state in the bytes of a file; undefined if there is none. */
export function decodeConsumerFile(bytes: Buffer): ConsumerState | undefined {
  const [first, second] = [0, SLOT_BYTES].map((at) => decodeSlot(bytes.subarray(at, at + SLOT_BYTES)))
  if (first === undefined || second === undefined) return first ?? second
  return first.sequence > second.sequence ? first : second
}

/** Whether `bytes`, fewer than there are in a file, are what was written of one: what is not is somebody else's. */
export function isBegun(bytes: Buffer): boolean {
  const length = Math.min(bytes.length, MAGIC.length)
  return bytes.subarray(0, length).equals(MAGIC.subarray(0, length)) || bytes.every((byte) => byte === 0)
}

function decodeSlot(bytes: Buffer): ConsumerState | undefined {
  if (bytes.length < CRC_AT + 4 || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) return undefined
  if (bytes.readUInt32LE(CRC_AT) !== native.crc32c(bytes, 0, 0, CRC_AT)) return undefined
  const identity = bytes.toString('hex', 16, 32)
  const [length, crc] = [bytes.readUInt32LE(40), bytes.readUInt32LE(44)]
  return {
    sequence: bytes.readBigUInt64LE(8),
    identity: /^0+$/.test(identity) ? undefined : identity,
    index: bytes.readBigUInt64LE(32),
    entry: length === UNSEEN ? undefined : { length, crc },
    timeMs: Number(bytes.readBigUInt64LE(48)),
    pid: bytes.readUInt32LE(56)
  }
}

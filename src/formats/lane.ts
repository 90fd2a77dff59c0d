// The bytes of a lane's ring: records that were logged and are not safe in the log yet, in shared memory or in a mapped
// file. No I/O. Numbers are little-endian; positions are bytes since the ring was made and only grow.
//
//   0          header, a multiple of 4096 bytes long, written once before anybody else sees the ring
//     0   8    "LBRING1\n"
//     8   u32  bytes of the header, H
//     12  u32  flags: 1 each record carries a checksum
//     16  u64  capacity, C: bytes of the data
//     24  u32  length n of the description
//     28  n    the description: JSON, UTF-8 (see lane-folder.ts)
//     H-4 u32  CRC-32C of bytes 0..H-5
//   H          what changes
//     0   u64  written: the position behind the last whole record; the producer's
//     64  u64  drained: the position before which the producer may overwrite; the consumer's
//     128      two note slots of 64 bytes, written in turn so that a torn one leaves the one before it; the consumer's
//       0   u64  generation, from 1; the intact slot with the higher one counts
//       8   u64  position of a record
//       16  u64  bytes that are being appended to a file, with what the file adds to payloads; 0: nothing is under way
//       24  u64  device, 32 u64 inode of that file
//       40  u64  its size before (of a write-ahead log: the first index)
//       48  u32  payload bytes of the record at that position that were safe before
//       52  u32  1: a note; 0: none
//       56  u32  0
//       60  u32  CRC-32C of bytes 0..59
//   H+4096     data: C bytes; the byte of position p is at p modulo C
//
// A record begins at a multiple of 8 and lies in one piece:
//   0     u32  bit 31: whole; bits 29 and 30: 0 a record, 1 unused up to the end of the data, 2 a record that is in a
//              file of its own; bits 0..28: length n of the payload
//   4     u32  CRC-32C of position (u64), the word before (u32) and the payload (not if unused); where records carry no
//              checksum, bits 3..34 of the position XOR the word before XOR 0x626d6f62
//   8     n    payload
//   8+n        zeros up to the next multiple of 8, at least one
import { assert } from '../base/assert.ts'
import { native } from '../native/index.ts'

const MAGIC = Buffer.from('LBRING1\n')
const DESCRIPTION_AT = 28
const PAGE_BYTES = 4096
/** A header is never believed to be longer. */
export const MAX_HEADER_BYTES = 1024 * 1024
export const MIN_CAPACITY_BYTES = 256
export const MAX_CAPACITY_BYTES = 1024 * 1024 * 1024
/** What a capacity is a multiple of. */
export const CAPACITY_STEP_BYTES = 64

/** Behind the header. */
export const WRITTEN_AT = 0
export const DRAINED_AT = 64
export const NOTES_AT = 128
export const NOTE_BYTES = 64
export const DATA_AT = PAGE_BYTES

export const RECORD_HEADER_BYTES = 8
export const WHOLE = 0x8000_0000
export const LENGTH_MASK = 0x1fff_ffff
export const TYPE_SHIFT = 29
export const recordType = { record: 0, unused: 1, large: 2 } as const
const CHECK_MARK = 0x626d_6f62
const CHECKED_FLAG = 1

export interface RingHeader {
  readonly headerBytes: number
  readonly capacityBytes: number
  /** Whether each record carries a checksum: where the memory is a disk's. */
  readonly isChecked: boolean
  readonly description: string
}

/** What the consumer is doing with the records of a ring: how far they are in a file. */
export interface AppendNote {
  /** Position of the first record that is not safe, … */
  readonly from: number
  /** … and how much of its payload is. */
  readonly skip: number
  /** Bytes that are being appended to a file from there on, as they are in the file; 0: nothing is under way. */
  readonly bytes: number
  /** The file they are appended to, … */
  readonly dev: bigint
  readonly ino: bigint
  /** … and its size before; of a write-ahead log the first index. */
  readonly offset: bigint
}

/** Bytes of the whole ring. */
export function ringBytes(headerBytes: number, capacityBytes: number): number {
  return headerBytes + DATA_AT + capacityBytes
}

/** Bytes that a record of so many payload bytes takes. */
export function recordBytes(length: number): number {
  // A byte behind the payload is always free, because Node-API ends every text with a zero.
  return length + RECORD_HEADER_BYTES + 8 - (length & 7)
}

/** The longest payload that always finds room in an empty ring; what is longer goes to a file of its own. */
export function maxPayloadBytes(capacityBytes: number): number {
  return capacityBytes / 2 - RECORD_HEADER_BYTES - 8
}

export function isCapacity(bytes: number): boolean {
  return bytes >= MIN_CAPACITY_BYTES && bytes <= MAX_CAPACITY_BYTES && bytes % CAPACITY_STEP_BYTES === 0
}

export function encodeRingHeader(capacityBytes: number, isChecked: boolean, description: string): Buffer {
  assert(isCapacity(capacityBytes), 'a capacity that no reader accepts')
  const text = Buffer.from(description)
  const headerBytes = Math.ceil((DESCRIPTION_AT + text.length + 4) / PAGE_BYTES) * PAGE_BYTES
  assert(headerBytes <= MAX_HEADER_BYTES, 'a description that no reader accepts')
  const bytes = Buffer.alloc(headerBytes)
  MAGIC.copy(bytes)
  bytes.writeUInt32LE(headerBytes, 8)
  bytes.writeUInt32LE(isChecked ? CHECKED_FLAG : 0, 12)
  bytes.writeBigUInt64LE(BigInt(capacityBytes), 16)
  bytes.writeUInt32LE(text.length, 24)
  text.copy(bytes, DESCRIPTION_AT)
  bytes.writeUInt32LE(native.crc32c(bytes, 0, 0, headerBytes - 4), headerBytes - 4)
  return bytes
}

/** How long the header is that begins with `head` (at least 28 bytes), undefined if it is none. */
export function ringHeaderBytes(head: Buffer): number | undefined {
  if (head.length < DESCRIPTION_AT || !head.subarray(0, MAGIC.length).equals(MAGIC)) return undefined
  const bytes = head.readUInt32LE(8)
  return bytes > 0 && bytes % PAGE_BYTES === 0 && bytes <= MAX_HEADER_BYTES ? bytes : undefined
}

/** The header at the start of `bytes`, undefined if it is not intact. */
export function decodeRingHeader(bytes: Buffer): RingHeader | undefined {
  const headerBytes = ringHeaderBytes(bytes)
  if (headerBytes === undefined || bytes.length < headerBytes) return undefined
  if (bytes.readUInt32LE(headerBytes - 4) !== native.crc32c(bytes, 0, 0, headerBytes - 4)) return undefined
  const capacityBytes = Number(bytes.readBigUInt64LE(16))
  const flags = bytes.readUInt32LE(12)
  const end = DESCRIPTION_AT + bytes.readUInt32LE(24)
  // A flag that is not known may change the meaning of everything.
  if (!isCapacity(capacityBytes) || flags > CHECKED_FLAG || end > headerBytes - 4) return undefined
  const description = bytes.toString('utf8', DESCRIPTION_AT, end)
  return { headerBytes, capacityBytes, isChecked: flags === CHECKED_FLAG, description }
}

/** A record that is in a file of its own, as the payload of the record that names it. */
export interface LargeReference {
  /** Of the file. */
  readonly number: number
  /** CRC-32C of the payload. */
  readonly crc: number
  readonly length: number
}

export const REFERENCE_BYTES = 16

/** References from this number on are to records that were in memory of the process, and are gone with it. */
export const MEMORY_NUMBER = 0x8000_0000

export function isInMemory(number: number): boolean {
  return number >= MEMORY_NUMBER
}

//   0  u32  number
//   4  u32  CRC-32C of the payload
//   8  u64  its length
export function encodeReference({ number, crc, length }: LargeReference): Buffer {
  const bytes = Buffer.alloc(REFERENCE_BYTES)
  bytes.writeUInt32LE(number, 0)
  bytes.writeUInt32LE(crc, 4)
  bytes.writeBigUInt64LE(BigInt(length), 8)
  return bytes
}

export function decodeReference(bytes: Buffer): LargeReference {
  return {
    number: bytes.readUInt32LE(0),
    crc: bytes.readUInt32LE(4),
    length: Number(bytes.readBigUInt64LE(8))
  }
}

const prefix = Buffer.alloc(12)

/**
 * The second word of a record with first word `word`, at `position`. Its payload lies in `data[start, end)`, which is
 * looked at only if the ring is checked.
 */
export function checkWord(
  isChecked: boolean,
  position: number,
  word: number,
  data: Uint8Array,
  start: number,
  end: number
): number {
  if (!isChecked) return (((position / 8) >>> 0) ^ word ^ CHECK_MARK) >>> 0
  prefix.writeUInt32LE(position >>> 0, 0)
  prefix.writeUInt32LE(Math.floor(position / 0x1_0000_0000), 4)
  prefix.writeUInt32LE(word, 8)
  return native.crc32c(data, native.crc32c(prefix, 0, 0, prefix.length), start, end)
}

/** Whether two positions, as found, can be those of a ring. */
export function arePositions(written: bigint, drained: bigint, capacityBytes: number): boolean {
  return (
    drained <= written &&
    written - drained <= BigInt(capacityBytes) &&
    written <= BigInt(Number.MAX_SAFE_INTEGER) &&
    written % 8n === 0n &&
    drained % 8n === 0n
  )
}

/** Encodes into the first `NOTE_BYTES` of `slot`. */
export function encodeNote(slot: Buffer, generation: bigint, note: AppendNote | undefined): void {
  slot.fill(0, 0, NOTE_BYTES)
  slot.writeBigUInt64LE(generation, 0)
  if (note !== undefined) {
    slot.writeBigUInt64LE(BigInt(note.from), 8)
    slot.writeBigUInt64LE(BigInt(note.bytes), 16)
    slot.writeBigUInt64LE(BigInt.asUintN(64, note.dev), 24)
    slot.writeBigUInt64LE(BigInt.asUintN(64, note.ino), 32)
    slot.writeBigUInt64LE(note.offset, 40)
    slot.writeUInt32LE(note.skip, 48)
    slot.writeUInt32LE(1, 52)
  }
  slot.writeUInt32LE(native.crc32c(slot, 0, 0, NOTE_BYTES - 4), NOTE_BYTES - 4)
}

export interface NoteState {
  /** 0: there never was one. */
  readonly generation: bigint
  readonly note: AppendNote | undefined
}

/** What counts of the two slots in `slots`. */
export function decodeNotes(slots: Buffer): NoteState {
  const first = decodeNote(slots.subarray(0, NOTE_BYTES))
  const second = decodeNote(slots.subarray(NOTE_BYTES, 2 * NOTE_BYTES))
  return first.generation > second.generation ? first : second
}

function decodeNote(slot: Buffer): NoteState {
  const none = { generation: 0n, note: undefined }
  if (slot.length < NOTE_BYTES) return none
  if (native.crc32c(slot, 0, 0, NOTE_BYTES - 4) !== slot.readUInt32LE(NOTE_BYTES - 4)) return none
  const generation = slot.readBigUInt64LE(0)
  if (slot.readUInt32LE(52) !== 1) return { generation, note: undefined }
  const from = Number(slot.readBigUInt64LE(8))
  const bytes = Number(slot.readBigUInt64LE(16))
  if (!Number.isSafeInteger(from + bytes)) return none
  const note = {
    from,
    skip: slot.readUInt32LE(48),
    bytes,
    dev: slot.readBigUInt64LE(24),
    ino: slot.readBigUInt64LE(32),
    offset: slot.readBigUInt64LE(40)
  }
  return { generation, note }
}

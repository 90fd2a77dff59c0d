// Bytes of the direct-file format: frames of length-prefixed entries, closed by seal frames. No I/O.
//
//   frame   0  u32 LE  capacity   bytes from this frame's start to the next frame's start
//           4  u32 LE  valid      bytes of entries that follow
//           8  entries, then zeros up to the frame's end
//   entry   0  u32 LE  length (≥ 1)
//           4  the record
//   seal    0  u32 512    4  u32 504    8  u32 0      12  "LBSEAL1\n"   20  u32 flags (0)
//          24  u64 writer id            32  u64 sequence number         40  u64 offset of the flush
//          48  u64 records              56  u64 dropped                 64  u64 unix time, ns
//          72  u32 CRC-32C of the flush up to the seal                  76  u32 CRC-32C of bytes 0..75
import { native } from '../native/index.ts'

/** A frame starts at a multiple of this, in bytes. */
export const BLOCK_BYTES = 512
export const FRAME_HEADER_BYTES = 8
export const ENTRY_HEADER_BYTES = 4
export const SEAL_BYTES = BLOCK_BYTES
/** The part of a seal frame that is not zero. */
export const SEAL_USED_BYTES = 80
/** The longest record: its frame's capacity must fit in a u32. */
export const MAX_RECORD_BYTES = 0xffff_ffff - 4096 - FRAME_HEADER_BYTES - ENTRY_HEADER_BYTES

/** How every seal frame begins: header, an entry of length 0, and the magic. Nothing else does. */
export const SEAL_START: Buffer = Buffer.from('00020000f8010000000000004c425345414c310a', 'hex')

const MAGIC = [0x4c, 0x42, 0x53, 0x45, 0x41, 0x4c, 0x31, 0x0a]
const MAGIC_AT = 12

/** What closes a flush: enough to notice damage and to count what is missing. */
export interface Seal {
  /** Random per open. */
  readonly writerId: bigint
  /** From 1, without gaps per writer, across the files of a rotation. */
  readonly sequence: bigint
  /** File offset of the first frame of this flush. */
  readonly flushOffset: bigint
  readonly records: bigint
  /** Records dropped since the last seal. */
  readonly dropped: bigint
  readonly unixNs: bigint
  /** CRC-32C of all bytes from `flushOffset` to the seal. */
  readonly checksum: number
}

/** `bytes` rounded up to a multiple of `alignment` (a power of two). */
export function roundUp(bytes: number, alignment: number): number {
  return Math.ceil(bytes / alignment) * alignment
}

/** Size on disk of a frame with `validBytes` of entries. */
export function frameBytes(validBytes: number, alignment: number): number {
  return roundUp(FRAME_HEADER_BYTES + validBytes, alignment)
}

export function encodeU32(target: Uint8Array, at: number, value: number): void {
  target[at] = value
  target[at + 1] = value >>> 8
  target[at + 2] = value >>> 16
  target[at + 3] = value >>> 24
}

export function decodeU32(bytes: Uint8Array, at: number): number {
  return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0
}

/** Writes header and padding of the frame at `at`, whose entries are in place; returns its size on disk. */
export function encodeFrame(target: Uint8Array, at: number, validBytes: number, alignment: number): number {
  const capacity = frameBytes(validBytes, alignment)
  encodeU32(target, at, capacity)
  encodeU32(target, at + 4, validBytes)
  target.fill(0, at + FRAME_HEADER_BYTES + validBytes, at + capacity)
  return capacity
}

/**
 * Writes a filler frame that covers `[at, at + gapBytes)`: where the alignment is larger than 512 it stands
 * before the seal, so that the seal ends at a multiple of the alignment.
 */
export function encodeFiller(target: Uint8Array, at: number, gapBytes: number): void {
  if (gapBytes === 0) return
  target.fill(0, at, at + gapBytes)
  encodeU32(target, at, gapBytes)
  encodeU32(target, at + 4, gapBytes - FRAME_HEADER_BYTES)
}

/** Writes the 512 bytes of a seal frame. */
export function encodeSeal(target: Uint8Array, at: number, seal: Seal): void {
  const view = new DataView(target.buffer, target.byteOffset + at, SEAL_BYTES)
  target.fill(0, at, at + SEAL_BYTES)
  view.setUint32(0, SEAL_BYTES, true)
  view.setUint32(4, SEAL_BYTES - FRAME_HEADER_BYTES, true)
  target.set(MAGIC, at + MAGIC_AT)
  view.setBigUint64(24, seal.writerId, true)
  view.setBigUint64(32, seal.sequence, true)
  view.setBigUint64(40, seal.flushOffset, true)
  view.setBigUint64(48, seal.records, true)
  view.setBigUint64(56, seal.dropped, true)
  view.setBigUint64(64, seal.unixNs, true)
  view.setUint32(72, seal.checksum, true)
  view.setUint32(76, native.crc32c(target, 0, at, at + 76), true)
}

/** Whether the block at `at` was written as a seal, even if it is damaged now. */
export function looksLikeSeal(bytes: Uint8Array, at = 0): boolean {
  if (bytes.length - at < SEAL_USED_BYTES) return false
  for (let i = 0; i < MAGIC.length; i++) if (bytes[at + MAGIC_AT + i] !== MAGIC[i]) return false
  return true
}

/** The fields of the block at `at`, whether or not its own checksum is right (`isSealIntact`). */
export function decodeSeal(bytes: Uint8Array, at = 0): Seal {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, SEAL_USED_BYTES)
  return {
    writerId: view.getBigUint64(24, true),
    sequence: view.getBigUint64(32, true),
    flushOffset: view.getBigUint64(40, true),
    records: view.getBigUint64(48, true),
    dropped: view.getBigUint64(56, true),
    unixNs: view.getBigUint64(64, true),
    checksum: view.getUint32(72, true)
  }
}

/** Whether at `at` is a seal whose own checksum is right. Its padding, which is zero, is not covered by it. */
export function isSealIntact(bytes: Uint8Array, at = 0): boolean {
  return (
    bytes.length - at >= SEAL_USED_BYTES &&
    looksLikeSeal(bytes, at) &&
    decodeU32(bytes, at) === SEAL_BYTES &&
    decodeU32(bytes, at + 4) === SEAL_BYTES - FRAME_HEADER_BYTES &&
    decodeU32(bytes, at + 8) === 0 &&
    decodeU32(bytes, at + 76) === native.crc32c(bytes, 0, at, at + 76)
  )
}

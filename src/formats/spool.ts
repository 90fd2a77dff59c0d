// Names and bytes of spool: published files, temp files, and the manifest that says how much of a temp file is
// complete. No I/O.
//
// Published: <prefix><worker>_<unix nanoseconds>.log        the records as given, back to back
// Temp:      .<prefix><worker>-<pid>-<instance><file>.tmp   instance: 16 hex digits; file: 8 hex digits, counted
// Manifest:  .spool-<pid>-<instance>.note                  in the folder of the temp files, one per open spool
//
// The manifest is created before the first temp file and locked by its spool as long as it lives (byte 0), so a manifest
// whose lock is free belongs to a dead one. Numbers are little-endian.
//
//   0     8   "LBSPOOL1"
//   8     u32 permission of the published files
//   12    u32 workers
//   16    u64 device, 24 u64 inode of the folder to publish in
//   32    u32 length n of its absolute path (0: too long to be noted)
//   36    n   the path, UTF-8
//   4092  u32 CRC-32C of bytes 0..4091
//   4096  two slots of 512 bytes per worker, written in turn so that a torn one leaves the one before it:
//     0   u32 "SLOT"
//     4   u32 place: 0 the temp file is in the folder of the manifest, 1 it was moved to the folder to publish in
//     8   u64 generation, from 1; the valid slot with the higher one counts
//     16  u64 number of the temp file (the last 8 digits of its name)
//     24  u64 end of its last complete record
//     32  u64 records up to there
//     40  u32 CRC-32C of the file up to there
//     44  u32 CRC-32C of bytes 0..43 of this slot
import { native } from '../native/index.ts'

const MANIFEST_MAGIC = 'LBSPOOL1'
const SLOT_MAGIC = 0x544f4c53
const HEADER_BYTES = 4096
const HEADER_CRC_AT = 4092
const PATH_AT = 36
export const SLOT_BYTES = 512
/** Of each worker, written in turns. */
export const SLOTS = 2
const SLOT_CRC_AT = 44
/** The number of a temp file is 8 hex digits of its name. */
const MAX_FILE = 0xffff_ffff
/** A manifest is never read beyond the slots of so many workers. */
export const MAX_WORKERS = 256

/** Which of the two folders holds a temp file. */
export const PLACE_TEMP = 0
export const PLACE_TARGET = 1

export function publishedName(base: string, unixNanoseconds: bigint): string {
  return `${base}_${unixNanoseconds}.log`
}

export function tempName(base: string, pid: number, instance: string, file: number): string {
  return `.${base}-${pid}-${instance}${file.toString(16).padStart(8, '0')}.tmp`
}

export function manifestName(pid: number, instance: string): string {
  return `.spool-${pid}-${instance}.note`
}

export interface TempName {
  /** Prefix and worker number: how the names of its published files begin. */
  readonly base: string
  readonly pid: number
  readonly instance: string
  readonly file: number
}

// The id of a process has 32 bits.
const TEMP = /^\.(.*\d)-(\d{1,10})-([0-9a-f]{16})([0-9a-f]{8})\.tmp$/s
const MANIFEST = /^\.spool-(\d{1,10})-([0-9a-f]{16})\.note$/
// Times of this century have 19 digits.
const PUBLISHED = /^(.*\d)_(\d{19})\.log$/s

export function parseTempName(name: string): TempName | undefined {
  const match = TEMP.exec(name)
  if (match === null) return undefined
  return { base: match[1], pid: Number(match[2]), instance: match[3], file: Number.parseInt(match[4], 16) }
}

/** The instance a manifest belongs to. */
export function parseManifestName(name: string): string | undefined {
  return MANIFEST.exec(name)?.[2]
}

/** The time in a published name, in nanoseconds since 1970. */
export function parsePublishedName(name: string): bigint | undefined {
  const match = PUBLISHED.exec(name)
  return match === null ? undefined : BigInt(match[2])
}

export interface ManifestHeader {
  readonly permission: number
  readonly workers: number
  readonly dev: bigint
  readonly ino: bigint
  /** Absolute path of the folder to publish in. */
  readonly path: string
}

/** How much of a worker's temp file is complete. */
export interface ManifestSlot {
  readonly place: number
  readonly generation: number
  readonly file: number
  readonly end: number
  readonly records: number
  readonly crc: number
}

export function manifestBytes(workers: number): number {
  return HEADER_BYTES + workers * SLOTS * SLOT_BYTES
}

/** Where the slot of `generation` of a worker is in the manifest. */
export function slotOffset(worker: number, generation: number): number {
  return HEADER_BYTES + (worker * SLOTS + (generation % SLOTS)) * SLOT_BYTES
}

export function encodeManifestHeader(header: ManifestHeader): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES)
  bytes.write(MANIFEST_MAGIC, 0, 'latin1')
  bytes.writeUInt32LE(header.permission, 8)
  bytes.writeUInt32LE(header.workers, 12)
  bytes.writeBigUInt64LE(header.dev, 16)
  bytes.writeBigUInt64LE(header.ino, 24)
  const path = Buffer.from(header.path)
  if (path.length <= HEADER_CRC_AT - PATH_AT) {
    bytes.writeUInt32LE(path.length, 32)
    path.copy(bytes, PATH_AT)
  }
  bytes.writeUInt32LE(native.crc32c(bytes, 0, 0, HEADER_CRC_AT), HEADER_CRC_AT)
  return bytes
}

/** The header of a manifest, or undefined if it is not intact. */
export function decodeManifestHeader(manifest: Buffer): ManifestHeader | undefined {
  if (manifest.length < HEADER_BYTES || manifest.toString('latin1', 0, 8) !== MANIFEST_MAGIC) return undefined
  if (native.crc32c(manifest, 0, 0, HEADER_CRC_AT) !== manifest.readUInt32LE(HEADER_CRC_AT)) return undefined
  const pathEnd = PATH_AT + manifest.readUInt32LE(32)
  const workers = manifest.readUInt32LE(12)
  if (pathEnd > HEADER_CRC_AT || workers > MAX_WORKERS) return undefined
  return {
    permission: manifest.readUInt32LE(8),
    workers,
    dev: manifest.readBigUInt64LE(16),
    ino: manifest.readBigUInt64LE(24),
    path: manifest.toString('utf8', PATH_AT, pathEnd)
  }
}

/** Writes a slot to the first bytes of `target`, which has `SLOT_BYTES`. */
export function encodeSlot(target: Buffer, slot: ManifestSlot): void {
  target.writeUInt32LE(SLOT_MAGIC, 0)
  target.writeUInt32LE(slot.place, 4)
  target.writeBigUInt64LE(BigInt(slot.generation), 8)
  target.writeBigUInt64LE(BigInt(slot.file), 16)
  target.writeBigUInt64LE(BigInt(slot.end), 24)
  target.writeBigUInt64LE(BigInt(slot.records), 32)
  target.writeUInt32LE(slot.crc, 40)
  target.writeUInt32LE(native.crc32c(target, 0, 0, SLOT_CRC_AT), SLOT_CRC_AT)
}

/** The intact slots of a worker, the valid one first. */
export function decodeSlots(manifest: Buffer, worker: number): ManifestSlot[] {
  const slots = [0, 1].map((turn) => decodeSlot(manifest, slotOffset(worker, turn)))
  return slots.filter((slot) => slot !== undefined).sort((a, b) => b.generation - a.generation)
}

function decodeSlot(manifest: Buffer, at: number): ManifestSlot | undefined {
  if (manifest.length < at + SLOT_BYTES || manifest.readUInt32LE(at) !== SLOT_MAGIC) return undefined
  if (native.crc32c(manifest, 0, at, at + SLOT_CRC_AT) !== manifest.readUInt32LE(at + SLOT_CRC_AT))
    return undefined
  const numberAt = (from: number) => Number(manifest.readBigUInt64LE(at + from))
  const [generation, file, end, records] = [8, 16, 24, 32].map(numberAt)
  // What no spool can have counted was not written by one.
  if (![generation, end, records].every(Number.isSafeInteger) || file > MAX_FILE) return undefined
  const place = manifest.readUInt32LE(at + 4)
  return { place, generation, file, end, records, crc: manifest.readUInt32LE(at + 40) }
}

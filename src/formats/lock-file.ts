// The lock and state file of a log shared by processes: `.<name>.lock`, created once, never renamed or deleted.
//
//   0   8 bytes  "LBLOCK1\n"
//   8   u32 LE   1 while a write is under way, else 0
//  12   u32 LE   process id of the last writer
//  16   u64 LE   device   \  identity of the file written to
//  24   u64 LE   inode    /
//  32   u64 LE   its size before the last write
//  40   u64 LE   bytes of the last write
//  48   u64 LE   time of the newest backup, seconds since 1970 (0: none known)
//  56   u32 LE   number of the newest backup
//  60   u32 LE   CRC-32C of bytes 0..59
//
// From version 0.2 on a second block says from which lane the records under way come; zeros if from none:
//
//  64   16 bytes owner of the lane
//  80   u32 LE   its number with that owner
//  84   u32 LE   CRC-32C of bytes 0..59 and 64..83
//
// Its checksum covers the first block, too: a writer that knows nothing of lanes and announces a write of its own
// makes the lane void. 88 bytes lie in one page, so a kill cannot tear them.
//
//  88   u48 LE   token of a claim (claim-name.ts); 0, or no such bytes: none was ever noted
//  96   64 bytes which machine has the log, on file systems that several have mounted (machine-note.ts)
//
// Kernel locks on single bytes of this file exclude writers (`writeSlot`) and those who compress and remove backups
// (`upkeepSlot`). Each user of these locks holds one byte more as long as it has the file open (`firstUserSlot`), for
// those to see who cannot take locks. These in turn note their claim here, for everybody to see who reads the state
// anyway; only the owner of the claim writes there.
import { assert } from '../base/assert.ts'
import { native } from '../native/index.ts'
import { MAX_BACKUP_NUMBER, MAX_BACKUP_STAMP } from './backup-name.ts'

/** The first block, which is all that some files have. */
export const lockFileBytes = 64
/** Both blocks. */
export const lockStateBytes = 88
export const writeSlot = 0
export const upkeepSlot = 1

/** So much is read to learn state and claim. */
export const lockFileReadBytes = 94
export const claimNoteAt = 88
export const claimNoteBytes = 6

/** Far behind all content, and so many per device. */
const USER_SLOTS_AT = 2 ** 40
export const userSlots = 4096
const DEVICES = 1n << 20n

/**
 * The first of the bytes of which users of a lock file hold one each. It depends on the device, because others may see of a
 * lock no more than the number of the file, which is unique on a device only.
 */
export function firstUserSlot(dev: bigint): number {
  return USER_SLOTS_AT + Number(dev % DEVICES) * userSlots
}

/** What each lock file begins with. */
export const lockFileHead = Buffer.from('LBLOCK1\n')
const CRC_AT = 60
const OWNER_AT = 64
const OWNER_BYTES = 16
const NUMBER_AT = 80
const LANE_CRC_AT = 84
const MAX_LANE_NUMBER = 0xffffffff

/** A lane of records: who owns it, 32 hexadecimal digits, and which of its owner's it is. */
export interface LaneId {
  readonly owner: string
  readonly number: number
}

export interface LockState {
  /** A write is announced and not yet confirmed. Found under the lock, it tells of a writer that died. */
  writing: boolean
  pid: number
  dev: bigint
  ino: bigint
  offset: number
  length: number
  backupStamp: number
  backupNumber: number
  /** Where the records of the announced write come from, if from a lane. */
  lane: LaneId | undefined
}

export function emptyLockState(): LockState {
  return {
    writing: false,
    pid: 0,
    dev: 0n,
    ino: 0n,
    offset: 0,
    length: 0,
    backupStamp: 0,
    backupNumber: 0,
    lane: undefined
  }
}

export function lockFileName(base: string): string {
  return `.${base}.lock`
}

/** Whether `head`, the first bytes of a file, is that of a lock file of ours, or one that was just created. */
export function isLockFile(head: Uint8Array): boolean {
  const length = Math.min(head.length, lockFileHead.length)
  return lockFileHead.subarray(0, length).equals(head.subarray(0, length))
}

function isRepresentable({ offset, length, backupStamp, backupNumber }: LockState): boolean {
  return (
    Number.isSafeInteger(offset) &&
    Number.isSafeInteger(offset + length) &&
    backupStamp <= MAX_BACKUP_STAMP &&
    backupNumber <= MAX_BACKUP_NUMBER
  )
}

/** The token of the claim that was noted in a lock file's first bytes; 0 if none was. */
export function notedClaim(bytes: Buffer): number {
  return bytes.length < claimNoteAt + claimNoteBytes ? 0 : bytes.readUIntLE(claimNoteAt, claimNoteBytes)
}

/** Encodes into the first bytes of `bytes`: both blocks, or the first one if there is no room for more. */
export function encodeLockState(state: LockState, bytes: Buffer): void {
  assert(isRepresentable(state), 'a state with numbers that cannot be read back')
  lockFileHead.copy(bytes)
  bytes.writeUInt32LE(state.writing ? 1 : 0, 8)
  bytes.writeUInt32LE(state.pid, 12)
  bytes.writeBigUInt64LE(BigInt.asUintN(64, state.dev), 16)
  bytes.writeBigUInt64LE(BigInt.asUintN(64, state.ino), 24)
  bytes.writeBigUInt64LE(BigInt(state.offset), 32)
  bytes.writeBigUInt64LE(BigInt(state.length), 40)
  bytes.writeBigUInt64LE(BigInt(state.backupStamp), 48)
  bytes.writeUInt32LE(state.backupNumber, 56)
  bytes.writeUInt32LE(native.crc32c(bytes, 0, 0, CRC_AT), CRC_AT)
  if (bytes.length >= lockStateBytes) encodeLane(state.lane, bytes)
}

/** The state in `bytes`, or undefined if they are not a whole, undamaged one with numbers that can be used. */
export function decodeLockState(bytes: Buffer): LockState | undefined {
  if (bytes.length < lockFileBytes || !bytes.subarray(0, lockFileHead.length).equals(lockFileHead))
    return undefined
  if (bytes.readUInt32LE(CRC_AT) !== native.crc32c(bytes, 0, 0, CRC_AT)) return undefined
  const writing = bytes.readUInt32LE(8) === 1
  const state: LockState = {
    writing,
    pid: bytes.readUInt32LE(12),
    dev: bytes.readBigUInt64LE(16),
    ino: bytes.readBigUInt64LE(24),
    offset: Number(bytes.readBigUInt64LE(32)),
    length: Number(bytes.readBigUInt64LE(40)),
    backupStamp: Number(bytes.readBigUInt64LE(48)),
    backupNumber: bytes.readUInt32LE(56),
    // Of a write that was confirmed nobody needs it, and this is read for every batch.
    lane: writing ? decodeLane(bytes) : undefined
  }
  return isRepresentable(state) ? state : undefined
}

function encodeLane(lane: LaneId | undefined, bytes: Buffer): void {
  if (lane === undefined) {
    bytes.fill(0, OWNER_AT, lockStateBytes)
    return
  }
  const { owner, number } = lane
  assert(number <= MAX_LANE_NUMBER, 'a lane whose number cannot be noted')
  const length = bytes.write(owner, OWNER_AT, OWNER_BYTES, 'hex')
  assert(length === OWNER_BYTES, 'a lane whose owner cannot be noted')
  bytes.writeUInt32LE(number, NUMBER_AT)
  bytes.writeUInt32LE(laneChecksum(bytes), LANE_CRC_AT)
}

function decodeLane(bytes: Buffer): LaneId | undefined {
  if (bytes.length < lockStateBytes) return undefined
  if (bytes.readUInt32LE(LANE_CRC_AT) !== laneChecksum(bytes)) return undefined
  const owner = bytes.toString('hex', OWNER_AT, OWNER_AT + OWNER_BYTES)
  return { owner, number: bytes.readUInt32LE(NUMBER_AT) }
}

/** Without the checksum between: behind that the CRC of everything before is the same, whatever it was. */
function laneChecksum(bytes: Buffer): number {
  return native.crc32c(bytes, native.crc32c(bytes, 0, 0, CRC_AT), OWNER_AT, LANE_CRC_AT)
}

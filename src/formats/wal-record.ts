// Decodes the protobuf messages inside WAL frames. Fields in any order, absent fields and unknown fields are
// accepted; the layouts in the comments are the ones that are written.
import { BYTES, FieldWalk, VARINT } from './protobuf.ts'
import { TERM, type WalSnapshot, type WalState } from './wal.ts'

export interface RawRecord {
  type: number
  crc: number
  /** Range of the data in the buffer; empty if the record has none. */
  dataStart: number
  dataEnd: number
}

/** Record { type = 1; crc = 2; data = 3 }; undefined if the bytes do not parse. */
export function decodeRecord(buffer: Uint8Array, start: number, end: number): RawRecord | undefined {
  const record: RawRecord = { type: 0, crc: 0, dataStart: end, dataEnd: end }
  const walk = new FieldWalk(buffer, start, end)
  while (walk.next()) {
    if (walk.field > 3) continue
    if (walk.wire !== (walk.field === 3 ? BYTES : VARINT)) return undefined
    if (walk.field === 1) record.type = Number(BigInt.asIntN(64, walk.value))
    else if (walk.field === 2) record.crc = Number(BigInt.asUintN(32, walk.value))
    else {
      record.dataStart = walk.start
      record.dataEnd = walk.end
    }
  }
  return walk.malformed ? undefined : record
}

/** Entry { Type = 1; Term = 2; Index = 3; Data = 4 }: term comes before index. Used again for every entry. */
export class WalEntry {
  /** 0 is a normal entry; etcd also writes 1 and 2 (changes of the membership). */
  type = 0
  term = 0n
  index = 0n
  /** Range of the data in the buffer that was decoded. */
  dataStart = 0
  dataEnd = 0
  #buffer: Buffer = Buffer.alloc(0)

  /** A view of the buffer that was decoded: copy it to keep it. */
  get data(): Buffer {
    return this.#buffer.subarray(this.dataStart, this.dataEnd)
  }

  /** False if the bytes do not parse. */
  decode(buffer: Buffer, start: number, end: number): boolean {
    this.#buffer = buffer
    return decodePlain(this, buffer, start, end) || decodeTolerant(this, buffer, start, end)
  }
}

/** HardState { term = 1; vote = 2; commit = 3 } */
export function decodeState(buffer: Uint8Array, start: number, end: number): WalState | undefined {
  const fields = decodeVarints(buffer, start, end)
  return fields && { term: fields[1], vote: fields[2], commit: fields[3] }
}

/** walpb.Snapshot { index = 1; term = 2; conf_state = 3 }: index comes before term. */
export function decodeSnapshot(buffer: Uint8Array, start: number, end: number): WalSnapshot | undefined {
  const fields = decodeVarints(buffer, start, end, 3)
  return fields && { index: fields[1], term: fields[2] }
}

// The order and widths in which etcd and we write entries, with numbers below 2^49; anything else goes the
// tolerant way. This is the hot path of reading and verifying.
function decodePlain(entry: WalEntry, buffer: Uint8Array, start: number, end: number): boolean {
  if (end - start < 6 || buffer[start] !== 0x08 || buffer[start + 1] > 127 || buffer[start + 2] !== 0x10) {
    return false
  }
  let at = start + 3
  const term = smallVarint(buffer, at, end)
  if (term < 0) return false
  at = varintAfter(buffer, at)
  if (at >= end || buffer[at] !== 0x18) return false
  const index = smallVarint(buffer, at + 1, end)
  if (index < 0) return false
  at = varintAfter(buffer, at + 1)
  if (at < end) {
    if (buffer[at] !== 0x22) return false
    const length = smallVarint(buffer, at + 1, end)
    at = varintAfter(buffer, at + 1)
    if (length < 0 || length !== end - at) return false
  }
  entry.type = buffer[start + 1]
  entry.term = term === 1 ? TERM : BigInt(term)
  entry.index = BigInt(index)
  entry.dataStart = at
  entry.dataEnd = end
  return true
}

function smallVarint(buffer: Uint8Array, at: number, end: number): number {
  let value = 0
  let scale = 1
  const limit = Math.min(end, at + 7)
  for (; at < limit; at++) {
    const byte = buffer[at]
    value += (byte & 127) * scale
    if (byte < 128) return value
    scale *= 128
  }
  return -1
}

function varintAfter(buffer: Uint8Array, at: number): number {
  while (buffer[at] > 127) at++
  return at + 1
}

function decodeTolerant(entry: WalEntry, buffer: Uint8Array, start: number, end: number): boolean {
  entry.type = 0
  entry.term = 0n
  entry.index = 0n
  entry.dataStart = end
  entry.dataEnd = end
  const walk = new FieldWalk(buffer, start, end)
  while (walk.next()) {
    if (walk.field > 4) continue
    if (walk.wire !== (walk.field === 4 ? BYTES : VARINT)) return false
    if (walk.field === 1) entry.type = Number(BigInt.asIntN(32, walk.value))
    else if (walk.field === 2) entry.term = walk.value
    else if (walk.field === 3) entry.index = walk.value
    else {
      entry.dataStart = walk.start
      entry.dataEnd = walk.end
    }
  }
  return !walk.malformed
}

/** The varints 1 to 3 of a message; field `bytesField`, if given, must be length-delimited. */
function decodeVarints(
  buffer: Uint8Array,
  start: number,
  end: number,
  bytesField = 0
): [bigint, bigint, bigint, bigint] | undefined {
  const fields: [bigint, bigint, bigint, bigint] = [0n, 0n, 0n, 0n]
  const walk = new FieldWalk(buffer, start, end)
  while (walk.next()) {
    if (walk.field > 3) continue
    if (walk.wire !== (walk.field === bytesField ? BYTES : VARINT)) return undefined
    if (walk.wire === VARINT) fields[walk.field] = walk.value
  }
  return walk.malformed ? undefined : fields
}

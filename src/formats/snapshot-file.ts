// Byte layout of etcd's snapshot files. Ours carry no state of their own: they mark how far a log was consumed.
import { native } from '../native/index.ts'
import { BYTES, FieldWalk, VARINT, varintBytes, writeVarint } from './protobuf.ts'
import { hex16, type WalSnapshot } from './wal.ts'
import { CONF_STATE } from './wal-encoder.ts'

// file                snappb.Snapshot { crc = 1 varint; data = 2 bytes }, crc = CRC-32C of data from 0
// data                raftpb.Snapshot { data = 1 bytes; metadata = 2 }
// metadata            { conf_state = 1; index = 2; term = 3 }

export interface SnapshotFile extends WalSnapshot {
  data: Uint8Array | undefined
}

/** Term before index, unlike in the names of segments. */
export function snapshotName(snapshot: WalSnapshot): string {
  return `${hex16(snapshot.term)}-${hex16(snapshot.index)}.snap`
}

const SNAPSHOT_NAME = /^([0-9a-f]{16})-([0-9a-f]{16})\.snap$/

export function parseSnapshotName(name: string): WalSnapshot | undefined {
  const match = SNAPSHOT_NAME.exec(name)
  return match === null ? undefined : { term: BigInt(`0x${match[1]}`), index: BigInt(`0x${match[2]}`) }
}

export function encodeSnapshotFile(snapshot: WalSnapshot): Uint8Array {
  const metadataBytes = 4 + CONF_STATE.length + varintBytes(snapshot.index) + varintBytes(snapshot.term)
  const data = Buffer.alloc(1 + varintBytes(metadataBytes) + metadataBytes)
  data[0] = 0x12
  let at = writeVarint(data, 1, metadataBytes)
  data[at++] = 0x0a
  at = writeVarint(data, at, CONF_STATE.length)
  data.set(CONF_STATE, at)
  at += CONF_STATE.length
  data[at++] = 0x10
  at = writeVarint(data, at, snapshot.index)
  data[at++] = 0x18
  writeVarint(data, at, snapshot.term)
  const crc = native.crc32c(data, 0, 0, data.length)
  const head = Buffer.alloc(2 + varintBytes(crc) + varintBytes(data.length))
  head[0] = 0x08
  at = writeVarint(head, 1, crc)
  head[at++] = 0x12
  writeVarint(head, at, data.length)
  return Buffer.concat([head, data])
}

/** Undefined if the file does not parse or its checksum differs. */
export function decodeSnapshotFile(file: Uint8Array): SnapshotFile | undefined {
  let crc = 0
  let data: [number, number] = [file.length, file.length]
  const walk = new FieldWalk(file, 0, file.length)
  while (walk.next()) {
    if (walk.field === 1 && walk.wire === VARINT) crc = Number(BigInt.asUintN(32, walk.value))
    else if (walk.field === 2 && walk.wire === BYTES) data = [walk.start, walk.end]
    else if (walk.field <= 2) return undefined
  }
  if (walk.malformed || data[0] === data[1]) return undefined
  return native.crc32c(file, 0, data[0], data[1]) === crc ? decodeSnapshot(file, data[0], data[1]) : undefined
}

function decodeSnapshot(file: Uint8Array, start: number, end: number): SnapshotFile | undefined {
  const snapshot: SnapshotFile = { index: 0n, term: 0n, data: undefined }
  const walk = new FieldWalk(file, start, end)
  while (walk.next()) {
    if (walk.field > 2) continue
    if (walk.wire !== BYTES) return undefined
    if (walk.field === 1) snapshot.data = file.subarray(walk.start, walk.end)
    else if (!decodeMetadata(file, walk.start, walk.end, snapshot)) return undefined
  }
  return walk.malformed ? undefined : snapshot
}

function decodeMetadata(file: Uint8Array, start: number, end: number, snapshot: SnapshotFile): boolean {
  const walk = new FieldWalk(file, start, end)
  while (walk.next()) {
    if (walk.field !== 2 && walk.field !== 3) continue
    if (walk.wire !== VARINT) return false
    if (walk.field === 2) snapshot.index = walk.value
    else snapshot.term = walk.value
  }
  return !walk.malformed
}

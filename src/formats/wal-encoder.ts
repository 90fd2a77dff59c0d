// Encodes WAL records into one growing buffer, in one pass, chaining the rolling checksum.
import { native } from '../native/index.ts'
import { varintBytes, writeVarint } from './protobuf.ts'
import {
  CRC,
  ENTRY,
  FRAME_HEADER_BYTES,
  MEMBER,
  METADATA,
  SNAPSHOT,
  STATE,
  TERM,
  type WalSnapshot,
  type WalState
} from './wal.ts'

// Frame header, record type, crc, data tag and length, entry fields, padding: never more than this.
const MAX_OVERHEAD_BYTES = 80
// A crc of 2^28 or more, which 15 in 16 are, takes 5 bytes; the data is placed for that and moved otherwise.
const CRC_VARINT_BYTES = 5
const FIRST_BUFFER_BYTES = 16 * 1024

/** ConfState of a group with the one voter `MEMBER`: { voters = 1 [1]; auto_leave = 5 false }. */
export const CONF_STATE = Uint8Array.of(0x08, Number(MEMBER), 0x28, 0x00)

export class WalEncoder {
  /** Rolling checksum after the last record. */
  crc: number
  /** Bytes used in `buffer`. */
  length = 0
  #buffer: Buffer

  constructor(crc = 0, capacityBytes = FIRST_BUFFER_BYTES) {
    this.crc = crc
    this.#buffer = Buffer.allocUnsafe(capacityBytes)
  }

  /** The encoded bytes; valid until the next call. */
  get bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.length)
  }

  /** The seed that opens a segment: the checksum so far. */
  writeCrc(): void {
    this.#reserve(0)
    this.#frame(CRC, -1)
  }

  /** Opaque metadata; undefined writes a record without data, as etcd does. */
  writeMetadata(metadata: Uint8Array | undefined): void {
    this.#reserve(metadata?.length ?? 0)
    if (metadata !== undefined) this.#buffer.set(metadata, this.#dataStart(metadata.length))
    this.#frame(METADATA, metadata?.length ?? -1)
  }

  writeState(state: WalState): void {
    this.#reserve(0)
    const bytes = 3 + varintBytes(state.term) + varintBytes(state.vote) + varintBytes(state.commit)
    let at = this.#dataStart(bytes)
    at = this.#field(at, 0x08, state.term)
    at = this.#field(at, 0x10, state.vote)
    this.#field(at, 0x18, state.commit)
    this.#frame(STATE, bytes)
  }

  writeSnapshot(snapshot: WalSnapshot, confState?: Uint8Array): void {
    const conf = confState === undefined ? 0 : 2 + confState.length
    this.#reserve(conf)
    const bytes = 2 + varintBytes(snapshot.index) + varintBytes(snapshot.term) + conf
    let at = this.#dataStart(bytes)
    at = this.#field(at, 0x08, snapshot.index)
    at = this.#field(at, 0x10, snapshot.term)
    if (confState !== undefined) {
      at = this.#field(at, 0x1a, confState.length)
      this.#buffer.set(confState, at)
    }
    this.#frame(SNAPSHOT, bytes)
  }

  /** An entry of type 0. An undefined `data` is left out, an empty one is written. */
  writeEntry(index: bigint, term: bigint, data: Uint8Array | string | undefined): void {
    const small = index <= Number.MAX_SAFE_INTEGER ? Number(index) : index
    this.#entry(small, term === TERM ? 1 : term, data)
  }

  /** Entries from `firstIndex` on, then the state record that commits them all. Returns the last index. */
  writeBatch(firstIndex: bigint, records: readonly (Uint8Array | string)[]): bigint {
    const lastIndex = firstIndex + BigInt(records.length - 1)
    if (lastIndex <= Number.MAX_SAFE_INTEGER) {
      const first = Number(firstIndex)
      for (let i = 0; i < records.length; i++) this.#entry(first + i, 1, records[i])
    } else {
      for (let i = 0; i < records.length; i++) this.#entry(firstIndex + BigInt(i), 1, records[i])
    }
    this.writeState({ term: TERM, vote: MEMBER, commit: lastIndex })
    return lastIndex
  }

  /** A record of any type but crc, with its data as it is. */
  writeRecord(type: number, data: Uint8Array): void {
    this.#reserve(data.length)
    this.#buffer.set(data, this.#dataStart(data.length))
    this.#frame(type, data.length)
  }

  /** Forgets what was encoded after `length`, when the checksum was `crc`. */
  rewind(length: number, crc: number): void {
    this.length = length
    this.crc = crc
  }

  #entry(index: number | bigint, term: number | bigint, data: Uint8Array | string | undefined): void {
    const length = data === undefined ? 0 : typeof data === 'string' ? Buffer.byteLength(data) : data.length
    this.#reserve(length)
    const payload = data === undefined ? 0 : 1 + varintBytes(length) + length
    const bytes = 4 + varintBytes(term) + varintBytes(index) + payload
    let at = this.#dataStart(bytes)
    this.#buffer[at++] = 0x08
    this.#buffer[at++] = 0
    at = this.#field(at, 0x10, term)
    at = this.#field(at, 0x18, index)
    if (data !== undefined) {
      at = this.#field(at, 0x22, length)
      if (typeof data === 'string') this.#buffer.write(data, at)
      else this.#buffer.set(data, at)
    }
    this.#frame(ENTRY, bytes)
  }

  #field(at: number, tag: number, value: number | bigint): number {
    this.#buffer[at] = tag
    return writeVarint(this.#buffer, at + 1, value)
  }

  /** Where the data of the next record belongs if its crc takes five bytes. */
  #dataStart(dataBytes: number): number {
    return this.length + FRAME_HEADER_BYTES + 3 + CRC_VARINT_BYTES + 1 + varintBytes(dataBytes)
  }

  /** Puts frame, type, crc, length and padding around data already in place; -1 is a record without data. */
  #frame(type: number, dataBytes: number): void {
    const buffer = this.#buffer
    const start = this.length
    if (dataBytes >= 0) {
      const from = this.#dataStart(dataBytes)
      this.crc = native.crc32c(buffer, this.crc, from, from + dataBytes)
      const missing = CRC_VARINT_BYTES - varintBytes(this.crc)
      if (missing > 0) buffer.copyWithin(from - missing, from, from + dataBytes)
    }
    let at = start + FRAME_HEADER_BYTES
    buffer[at++] = 0x08
    buffer[at++] = type
    buffer[at++] = 0x10
    at = writeVarint(buffer, at, this.crc)
    if (dataBytes >= 0) {
      buffer[at++] = 0x1a
      at = writeVarint(buffer, at, dataBytes) + dataBytes
    }
    const recordBytes = at - start - FRAME_HEADER_BYTES
    const padding = -recordBytes & 7
    for (let i = 0; i < padding; i++) buffer[at++] = 0
    buffer.writeUInt32LE(recordBytes, start)
    buffer.writeUInt32LE(padding === 0 ? 0 : ((0x80 | padding) << 24) >>> 0, start + 4)
    this.length = at
  }

  #reserve(dataBytes: number): void {
    const needed = this.length + dataBytes + MAX_OVERHEAD_BYTES
    if (needed <= this.#buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2))
    this.#buffer.copy(larger, 0, 0, this.length)
    this.#buffer = larger
  }
}

// Encodes WAL records into one growing buffer, in one pass, chaining the rolling checksum.

import { native } from '../native/index.ts'
import { WAL_BLANK_BYTES } from '../native/wal-scan.ts'
import { varintBytes, writeVarint } from './protobuf.ts'
import { writeUtf8 } from './utf8.ts'
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
const FIRST_BUFFER_BYTES = 16 * 1024
/** A larger buffer is given back when it is empty. */
const KEPT_BUFFER_BYTES = 8 * 1024 * 1024

/** ConfState of a group with the one voter `MEMBER`: { voters = 1 [1]; auto_leave = 5 false }. */
export const CONF_STATE = Uint8Array.of(0x08, Number(MEMBER), 0x28, 0x00)

/** In and out of `walSeal`: the rolling checksum. */
const sealed = new Uint32Array(1)

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
    this.#frameSealed(CRC, -1)
  }

  /** Opaque metadata; undefined writes a record without data, as etcd does. */
  writeMetadata(metadata: Uint8Array | undefined): void {
    this.#reserve(metadata?.length ?? 0)
    if (metadata !== undefined) this.#buffer.set(metadata, this.#dataStart(metadata.length))
    this.#frameSealed(METADATA, metadata?.length ?? -1)
  }

  writeState(state: WalState): void {
    const start = this.length
    this.#state(state)
    this.#seal(start)
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
    this.#frameSealed(SNAPSHOT, bytes)
  }

  /** An entry of type 0. An undefined `data` is left out, an empty one is written. */
  writeEntry(index: bigint, term: bigint, data: Uint8Array | string | undefined): void {
    const small = index <= Number.MAX_SAFE_INTEGER ? Number(index) : index
    const start = this.length
    this.#entry(small, term === TERM ? 1 : term, data)
    this.#seal(start)
  }

  /** Entries from `firstIndex` on, then the state record that commits them all. Returns the last index. */
  writeBatch(firstIndex: bigint, records: readonly (Uint8Array | string)[]): bigint {
    const start = this.length
    const lastIndex = firstIndex + BigInt(records.length - 1)
    if (lastIndex <= Number.MAX_SAFE_INTEGER) {
      const first = Number(firstIndex)
      for (let i = 0; i < records.length; i++) this.#entry(first + i, 1, records[i])
    } else {
      for (let i = 0; i < records.length; i++) this.#entry(firstIndex + BigInt(i), 1, records[i])
    }
    this.#state({ term: TERM, vote: MEMBER, commit: lastIndex })
    this.#seal(start)
    return lastIndex
  }

  /** A record of any type but crc, with its data as it is. */
  writeRecord(type: number, data: Uint8Array): void {
    this.#reserve(data.length)
    this.#buffer.set(data, this.#dataStart(data.length))
    this.#frameSealed(type, data.length)
  }

  /** Forgets everything, to be used again behind checksum `crc`. */
  reset(crc: number): void {
    this.rewind(0, crc)
    if (this.#buffer.length > KEPT_BUFFER_BYTES) this.#buffer = Buffer.allocUnsafe(FIRST_BUFFER_BYTES)
  }

  /** Forgets what was encoded after `length`, when the checksum was `crc`. */
  rewind(length: number, crc: number): void {
    this.length = length
    this.crc = crc
  }

  #state(state: WalState): void {
    this.#reserve(0)
    const bytes = 3 + varintBytes(state.term) + varintBytes(state.vote) + varintBytes(state.commit)
    let at = this.#dataStart(bytes)
    at = this.#field(at, 0x08, state.term)
    at = this.#field(at, 0x10, state.vote)
    this.#field(at, 0x18, state.commit)
    this.#frame(STATE, bytes)
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
      if (typeof data === 'string') writeUtf8(this.#buffer, data, at)
      else this.#buffer.set(data, at)
    }
    this.#frame(ENTRY, bytes)
  }

  #field(at: number, tag: number, value: number | bigint): number {
    this.#buffer[at] = tag
    return writeVarint(this.#buffer, at + 1, value)
  }

  /** Where the data of the next record belongs. */
  #dataStart(dataBytes: number): number {
    return this.length + FRAME_HEADER_BYTES + WAL_BLANK_BYTES + 1 + varintBytes(dataBytes)
  }

  /** Puts frame, type and length in front of data already in place; -1 is a record without data. */
  #frame(type: number, dataBytes: number): void {
    const buffer = this.#buffer
    const start = this.length
    const record = start + FRAME_HEADER_BYTES
    buffer[record + 1] = type
    let end = record + WAL_BLANK_BYTES
    if (dataBytes >= 0) {
      buffer[end] = 0x1a
      end = writeVarint(buffer, end + 1, dataBytes) + dataBytes
    }
    const bytes = end - record
    buffer[start] = bytes
    buffer[start + 1] = bytes >>> 8
    buffer[start + 2] = bytes >>> 16
    buffer[start + 3] = bytes >>> 24
    this.length = end + (-bytes & 7)
  }

  #frameSealed(type: number, dataBytes: number): void {
    const start = this.length
    this.#frame(type, dataBytes)
    this.#seal(start)
  }

  /** Completes the frames from `start` on: their checksums, and all that depends on these. */
  #seal(start: number): void {
    sealed[0] = this.crc
    const end = native.walSeal(this.#buffer, start, this.length, sealed)
    if (end === 0) throw new Error('frames cannot be sealed')
    this.length = end
    this.crc = sealed[0]
  }

  #reserve(dataBytes: number): void {
    const needed = this.length + dataBytes + MAX_OVERHEAD_BYTES
    if (needed <= this.#buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2))
    this.#buffer.copy(larger, 0, 0, this.length)
    this.#buffer = larger
  }
}

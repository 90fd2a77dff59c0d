// Builds direct files in memory from the encoding functions, and reads them back, for tests of the decoder.
import {
  ENTRY_HEADER_BYTES,
  encodeFiller,
  encodeFrame,
  encodeSeal,
  encodeU32,
  FRAME_HEADER_BYTES,
  frameBytes,
  roundUp,
  SEAL_BYTES
} from '../../src/formats/direct-file.ts'
import { type DirectItem, decodeDirectFile } from '../../src/formats/direct-file-decoder.ts'
import type { RandomSource } from '../../src/formats/direct-file-source.ts'
import { native } from '../../src/native/index.ts'

/** Flushes of frames of records. */
export type Flushes = readonly (readonly (readonly Uint8Array[])[])[]

export function buildDirectFile(flushes: Flushes, alignment = 512): Buffer {
  const parts: Buffer[] = []
  let offset = 0
  flushes.forEach((frames, index) => {
    const body = Buffer.concat(frames.map((records) => buildFrame(records, alignment)))
    const gapBytes = roundUp(body.length + SEAL_BYTES, alignment) - body.length - SEAL_BYTES
    const flush = Buffer.alloc(body.length + gapBytes + SEAL_BYTES)
    body.copy(flush)
    encodeFiller(flush, body.length, gapBytes)
    encodeSeal(flush, flush.length - SEAL_BYTES, {
      writerId: 0x1122334455667788n,
      sequence: BigInt(index + 1),
      flushOffset: BigInt(offset),
      records: BigInt(frames.reduce((sum, records) => sum + records.length, 0)),
      dropped: 0n,
      unixNs: 1_700_000_000_000_000_000n,
      checksum: native.crc32c(flush, 0, 0, flush.length - SEAL_BYTES)
    })
    parts.push(flush)
    offset += flush.length
  })
  return Buffer.concat(parts)
}

function buildFrame(records: readonly Uint8Array[], alignment: number): Buffer {
  const validBytes = records.reduce((sum, record) => sum + ENTRY_HEADER_BYTES + record.length, 0)
  const frame = Buffer.alloc(frameBytes(validBytes, alignment))
  let at = FRAME_HEADER_BYTES
  for (const record of records) {
    encodeU32(frame, at, record.length)
    frame.set(record, at + ENTRY_HEADER_BYTES)
    at += ENTRY_HEADER_BYTES + record.length
  }
  encodeFrame(frame, 0, validBytes, alignment)
  return frame
}

/** A source over `bytes` that counts the longest read and refuses reads outside the file. */
export function memorySource(bytes: Uint8Array): RandomSource & { longestRead: number } {
  return {
    size: bytes.length,
    longestRead: 0,
    read(offset, length) {
      if (offset < 0 || length < 0) throw new RangeError(`read(${offset}, ${length})`)
      this.longestRead = Math.max(this.longestRead, Math.min(length, bytes.length - offset))
      return Buffer.from(bytes.subarray(offset, offset + length))
    }
  }
}

export interface Decoded {
  records: string[]
  damage: Extract<DirectItem, { type: 'damage' }>[]
  seals: number
}

/** Everything in a direct file; records as latin1 text. */
export function decodeAll(bytes: Uint8Array, options: Parameters<typeof decodeDirectFile>[1] = {}): Decoded {
  const decoded: Decoded = { records: [], damage: [], seals: 0 }
  for (const item of decodeDirectFile(memorySource(bytes), options)) {
    if (item.type === 'damage') decoded.damage.push(item)
    else if (item.type === 'seal') decoded.seals++
    else {
      for (let i = 0; i < item.bounds.length; i += 2) {
        decoded.records.push(
          Buffer.from(item.bytes.subarray(item.bounds[i], item.bounds[i + 1])).toString('latin1')
        )
      }
    }
  }
  return decoded
}

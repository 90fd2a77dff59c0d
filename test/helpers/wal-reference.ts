// A second reading of formats.md §2.7 for one segment, written for clearness and not for speed: what the decoder
// of the package must agree with on every damaged file.

export interface ReferenceResult {
  verdict: 'end' | 'torn' | 'corrupt'
  /** End of the last sound record. */
  offset: number
  records: number
}

/** Judges a segment whose checksum chain starts with it. */
export function referenceDecode(file: Uint8Array, last: boolean): ReferenceResult {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  let rolling = 0
  let records = 0
  for (let at = 0; ; ) {
    const left = file.length - at
    if (left === 0) return { verdict: 'end', offset: at, records }
    const unexpected = (): ReferenceResult => {
      const rest = whatFollows(file, at)
      const torn =
        last && (rest.batchAt === undefined || rest.lostSectors.some((sector) => sector < rest.batchAt!))
      return { verdict: torn ? 'torn' : 'corrupt', offset: at, records }
    }
    if (left < 8) return unexpected()
    const header = view.getBigUint64(at, true)
    if (header === 0n) {
      if (isZero(file, at, file.length)) return { verdict: 'end', offset: at, records }
      const { batchAt, lostSectors } = whatFollows(file, at)
      const torn =
        batchAt === undefined ? lostSectors[0] === at : lostSectors.some((sector) => sector < batchAt)
      return { verdict: last && torn ? 'torn' : 'corrupt', offset: at, records }
    }
    const length = header & 0xff_ffff_ffff_ffffn
    const padding = (8n - (length % 8n)) % 8n
    if (length + padding > BigInt(left - 8)) return unexpected()
    const start = at + 8
    const end = start + Number(length)
    const wrong = (): ReferenceResult => {
      const { batchAt, lostSectors } = whatFollows(file, at)
      const torn =
        last &&
        (batchAt === undefined
          ? pieces(file, start, end).some((piece) => piece.every((byte) => byte === 0)) ||
            isZero(file, end - 1, file.length)
          : lostSectors.some((sector) => sector < batchAt))
      return { verdict: torn ? 'torn' : 'corrupt', offset: at, records }
    }
    if (header >> 56n !== (padding === 0n ? 0n : 0x80n | padding)) return wrong()
    const fields = message(file.subarray(start, end))
    if (fields === undefined) return wrong()
    const typed = [1, 2].every((n) => typeof (fields.get(n) ?? 0n) === 'bigint')
    const data = fields.get(3) ?? new Uint8Array()
    if (!typed || typeof data === 'bigint') return wrong()
    const type = BigInt.asIntN(64, (fields.get(1) ?? 0n) as bigint)
    const crc = Number(BigInt.asUintN(32, (fields.get(2) ?? 0n) as bigint))
    const corrupt: ReferenceResult = { verdict: 'corrupt', offset: at, records }
    if (type === 4n) {
      if (rolling !== 0 && rolling !== crc) return corrupt
      rolling = crc
    } else {
      const expected = checksum(rolling, data)
      if (expected !== crc) return wrong()
      if (type < 1n || type > 5n || at === 0) return corrupt
      rolling = expected
    }
    at = end + Number(padding)
    records++
  }
}

/** The first whole batch behind a break, and the sectors from the break on that are all zeros. */
function whatFollows(file: Uint8Array, from: number): { batchAt: number | undefined; lostSectors: number[] } {
  const lostSectors: number[] = []
  for (let at = from; at < file.length; ) {
    const stop = (Math.floor(at / 512) + 1) * 512
    if (stop <= file.length && isZero(file, at, stop)) lostSectors.push(at)
    at = stop
  }
  let batchAt: number | undefined
  for (let first = from + 1; first < file.length && batchAt === undefined; first++) {
    let entry = frameAt(file, first)
    if (entry?.type !== 2) continue
    for (;;) {
      const next = frameAt(file, entry.next)
      if (next?.type === 2) entry = next
      else {
        const isMark = next?.type === 3 && next.crc === checksum(entry.crc, next.data)
        if (isMark && ((message(next.data)?.get(3) ?? 0n) as bigint) > 0n) batchAt = first
        break
      }
    }
  }
  return { batchAt, lostSectors }
}

/** A frame in the form the package writes; undefined if there is none. */
function frameAt(
  file: Uint8Array,
  at: number
): { type: number; crc: number; data: Uint8Array; next: number } | undefined {
  if (at + 16 > file.length || file[at + 8] !== 8 || file[at + 10] !== 16) return undefined
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  const length = view.getUint32(at, true)
  const padding = (8 - (length % 8)) % 8
  const next = at + 8 + length + padding
  if (view.getUint32(at + 4, true) !== (padding === 0 ? 0 : (0x80 | padding) * 2 ** 24)) return undefined
  if (next > file.length) return undefined
  const fields = message(file.subarray(at + 8, at + 8 + length))
  const [type, crc, data] = [1, 2, 3].map((field) => fields?.get(field))
  if (typeof type !== 'bigint' || typeof crc !== 'bigint' || !(data instanceof Uint8Array)) return undefined
  return { type: Number(type), crc: Number(crc), data, next }
}

function isZero(file: Uint8Array, start: number, end: number): boolean {
  return file.subarray(start, end).every((byte) => byte === 0)
}

function pieces(file: Uint8Array, start: number, end: number): Uint8Array[] {
  const result: Uint8Array[] = []
  for (let at = start; at < end; ) {
    const stop = Math.min(end, (Math.floor(at / 512) + 1) * 512)
    result.push(file.subarray(at, stop))
    at = stop
  }
  return result
}

function message(bytes: Uint8Array): Map<number, bigint | Uint8Array> | undefined {
  const fields = new Map<number, bigint | Uint8Array>()
  let at = 0
  const varint = (): bigint | undefined => {
    let value = 0n
    for (let i = 0n; i < 10n; i++) {
      if (at >= bytes.length) return undefined
      const byte = bytes[at++]
      value += BigInt(byte & 127) << (7n * i)
      if (byte < 128) return BigInt.asUintN(64, value)
    }
    return undefined
  }
  while (at < bytes.length) {
    const tag = varint()
    if (tag === undefined || tag < 8n || tag > 0xffff_ffffn) return undefined
    const wire = Number(tag & 7n)
    const field = Number(tag >> 3n)
    if (wire === 0) {
      const value = varint()
      if (value === undefined) return undefined
      fields.set(field, value)
      continue
    }
    const length = wire === 2 ? varint() : wire === 1 ? 8n : wire === 5 ? 4n : undefined
    if (length === undefined || length > BigInt(bytes.length - at)) return undefined
    if (wire !== 2 && field <= 3) return undefined
    fields.set(field, bytes.subarray(at, at + Number(length)))
    at += Number(length)
  }
  return fields
}

/** CRC-32C bit by bit. */
export function checksum(seed: number, bytes: Uint8Array): number {
  let crc = ~seed
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  }
  return ~crc >>> 0
}

// The portable twin of wal-scan.c: the same rows, runs and frames for the same bytes.

/** Columns of a row: type, start of the frame, start and end of the data, start of the next frame, checksum. */
export const WAL_ROW = 6

/** Type, crc tag and a blank of five bytes for the checksum: how a record begins before it is sealed. */
export const WAL_BLANK_BYTES = 8

/**
 * Columns that tell of a run. In and out: checksum, index of the last entry, index up to which batches are whole. In: the
 * last index that may be gone over. Out: end of the last record, numbers of entries and of commit marks; end (-1 if there
 * is none), checksum and index of the last record at which every entry was committed.
 */
export const walRun = {
  crc: 0,
  index: 1,
  commit: 2,
  limit: 3,
  end: 4,
  entries: 5,
  states: 6,
  committedEnd: 7,
  committedCrc: 8,
  committedIndex: 9
} as const

export const WAL_RUN = 10

const HEADER_BYTES = 8
const ENTRY = 2
const STATE = 3

type Checksum = (data: Uint8Array, seed: number, start: number, end: number) => number

export function walScan(
  checksum: Checksum,
  bytes: Uint8Array,
  start: number,
  end: number,
  seed: number,
  rows: Uint32Array
): number {
  const maxRows = Math.floor(rows.length / WAL_ROW)
  let crc = seed
  let count = 0
  let at = start
  for (; count < maxRows && end - at >= HEADER_BYTES; count++) {
    const length = readU32(bytes, at)
    const padding = -length & 7
    const top = padding === 0 ? 0 : 0x80 | padding
    if (length < 4 || bytes[at + 4] !== 0 || bytes[at + 5] !== 0 || bytes[at + 6] !== 0) break
    if (bytes[at + 7] !== top || length + padding > end - at - HEADER_BYTES) break
    const from = at + HEADER_BYTES
    const to = from + length
    const type = bytes[from + 1]
    if (bytes[from] !== 0x08 || type < 1 || type > 5 || type === 4 || bytes[from + 2] !== 0x10) break
    const stored = readVarint(bytes, from + 3, to)
    if (stored === undefined) break
    let data = varintEnd(bytes, from + 3)
    if (data < to) {
      if (bytes[data] !== 0x1a) break
      const dataLength = readVarint(bytes, data + 1, to)
      data = varintEnd(bytes, data + 1)
      if (dataLength !== to - data) break
    }
    const after = checksum(bytes, crc, data, to)
    if (after !== stored) break
    crc = after
    rows.set([type, at, data, to, to + padding, crc], count * WAL_ROW)
    at = to + padding
  }
  return count
}

const oneRow = new Uint32Array(WAL_ROW)

export function walFollow(
  checksum: Checksum,
  bytes: Uint8Array,
  start: number,
  end: number,
  run: Float64Array,
  bounds?: Int32Array,
  frames?: Int32Array
): void {
  const room = bounds === undefined ? 0 : Math.min(Math.floor(bounds.length / 2), frames?.length ?? 0)
  const { crc, index, commit, limit, committedEnd } = walRun
  let at = start
  let entries = 0
  let states = 0
  run[committedEnd] = -1
  while (walScan(checksum, bytes, at, end, run[crc], oneRow) === 1) {
    const [type, frame, data, to, next, after] = oneRow
    if (type === ENTRY) {
      if (run[index] >= run[limit] || (bounds !== undefined && entries === room)) break
      const content = entryContent(bytes, data, to, run[index] + 1)
      if (content === -1) break
      if (bounds !== undefined && frames !== undefined) {
        bounds[2 * entries] = content
        bounds[2 * entries + 1] = to
        frames[entries] = frame
      }
      entries++
      run[index]++
    } else if (type === STATE) {
      const marked = startsWith(bytes, data, to, 1) ? readIndex(bytes, data + 5, to) : -1
      if (marked === -1 || varintEnd(bytes, data + 5) !== to) break
      run[commit] = marked
      states++
    } else break
    run[crc] = after
    at = next
    if (run[index] > run[commit]) continue
    run[committedEnd] = at
    run[walRun.committedCrc] = after
    run[walRun.committedIndex] = run[index]
  }
  run[walRun.end] = at
  run[walRun.entries] = entries
  run[walRun.states] = states
}

/** Where the content begins of an entry of type 0 and term 1 that has this index, or -1. */
function entryContent(bytes: Uint8Array, start: number, end: number, wanted: number): number {
  if (!startsWith(bytes, start, end, 0) || readIndex(bytes, start + 5, end) !== wanted) return -1
  const at = varintEnd(bytes, start + 5)
  if (at === end) return at
  if (bytes[at] !== 0x22) return -1
  const length = readIndex(bytes, at + 1, end)
  const content = varintEnd(bytes, at + 1)
  return length === end - content ? content : -1
}

/** Two fields, of the values `first` and 1, and the tag of a third one. */
function startsWith(bytes: Uint8Array, at: number, end: number, first: number): boolean {
  if (end - at < 6 || bytes[at] !== 0x08 || bytes[at + 1] !== first) return false
  return bytes[at + 2] === 0x10 && bytes[at + 3] === 1 && bytes[at + 4] === 0x18
}

export function walSeal(
  checksum: Checksum,
  bytes: Uint8Array,
  start: number,
  end: number,
  crc: Uint32Array
): number {
  let out = start
  for (let at = start; end - at >= HEADER_BYTES + WAL_BLANK_BYTES; ) {
    const length = readU32(bytes, at)
    const next = at + HEADER_BYTES + length + (-length & 7)
    if (length < WAL_BLANK_BYTES || next > end) return 0
    const rest = at + HEADER_BYTES + WAL_BLANK_BYTES
    const restEnd = at + HEADER_BYTES + length
    if (rest < restEnd) {
      const dataLength = readVarint(bytes, rest + 1, restEnd)
      const data = varintEnd(bytes, rest + 1)
      if (dataLength !== restEnd - data) return 0
      crc[0] = checksum(bytes, crc[0], data, restEnd)
    }
    const type = bytes[at + HEADER_BYTES + 1]
    const prefixBytes = 3 + varintBytes(crc[0])
    // The frame gets shorter or keeps its place, so nothing is overwritten that is still to be read.
    bytes.copyWithin(out + HEADER_BYTES + prefixBytes, rest, restEnd)
    out = writeHead(bytes, out, type, crc[0], prefixBytes + restEnd - rest)
    at = next
  }
  return out
}

/** Frame header, type and checksum in front of the rest of a record, and the padding behind it. */
function writeHead(bytes: Uint8Array, out: number, type: number, crc: number, length: number): number {
  const padding = -length & 7
  for (let i = 0; i < 4; i++) bytes[out + i] = length >>> (8 * i)
  bytes.fill(0, out + 4, out + 7)
  bytes[out + 7] = padding === 0 ? 0 : 0x80 | padding
  bytes[out + HEADER_BYTES] = 0x08
  bytes[out + HEADER_BYTES + 1] = type
  bytes[out + HEADER_BYTES + 2] = 0x10
  let at = out + HEADER_BYTES + 3
  let value = crc
  for (; value > 127; value >>>= 7) bytes[at++] = (value & 127) | 128
  bytes[at] = value
  const end = out + HEADER_BYTES + length
  bytes.fill(0, end, end + padding)
  return end + padding
}

function varintBytes(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : value < 0x1000_0000 ? 4 : 5
}

function readU32(bytes: Uint8Array, at: number): number {
  return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0
}

/** A varint below 2^49, or -1. */
function readIndex(bytes: Uint8Array, at: number, end: number): number {
  let value = 0
  let scale = 1
  for (let group = 0; group < 7 && at < end; group++) {
    const byte = bytes[at++]
    value += (byte & 127) * scale
    if (byte < 128) return value
    scale *= 128
  }
  return -1
}

/** A varint of at most 32 bits, or undefined. */
function readVarint(bytes: Uint8Array, at: number, end: number): number | undefined {
  let value = 0
  let scale = 1
  for (let group = 0; group < 5 && at < end; group++) {
    const byte = bytes[at++]
    value += (byte & 127) * scale
    if (byte < 128) return value > 0xffff_ffff ? undefined : value
    scale *= 128
  }
  return undefined
}

function varintEnd(bytes: Uint8Array, at: number): number {
  while (bytes[at] > 127) at++
  return at + 1
}

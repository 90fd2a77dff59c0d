// The same functions as the addon in portable JavaScript, with the same results. What cannot be done safely
// without the kernel's locks is refused.
import {
  type BigIntStats,
  fchmodSync,
  fdatasync,
  fdatasyncSync,
  fstatSync,
  fsync,
  fsyncSync,
  lstatSync,
  statSync,
  writeSync,
  writevSync
} from 'node:fs'
import { promisify } from 'node:util'
import { LogboomError } from '../base/errors.ts'
import type { Native } from './index.ts'
import { joinRecords } from './join.ts'
import { renameNoReplace } from './rename.ts'
import { walFollow, walScan, walSeal } from './wal-scan.ts'

const NEWLINE = 10

/** The eight tables of the slicing-by-8 method for the reflected Castagnoli polynomial 0x82f63b78. */
function crcTables(): Uint32Array[] {
  const first = new Uint32Array(256)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
    first[byte] = crc >>> 0
  }
  const tables = [first]
  for (let slice = 1; slice < 8; slice++) {
    const previous = tables[slice - 1]
    tables.push(first.map((_, byte) => (previous[byte] >>> 8) ^ first[previous[byte] & 255]))
  }
  return tables
}

let tables: Uint32Array[] | undefined

function crc32c(data: Uint8Array, seed: number, start: number, end: number): number {
  tables ??= crcTables()
  const [t0, t1, t2, t3, t4, t5, t6, t7] = tables
  let crc = ~seed >>> 0
  let at = start
  for (; at + 8 <= end; at += 8) {
    const low = crc ^ (data[at] | (data[at + 1] << 8) | (data[at + 2] << 16) | (data[at + 3] << 24))
    crc =
      t7[low & 255] ^
      t6[(low >>> 8) & 255] ^
      t5[(low >>> 16) & 255] ^
      t4[low >>> 24] ^
      t3[data[at + 4]] ^
      t2[data[at + 5]] ^
      t1[data[at + 6]] ^
      t0[data[at + 7]]
  }
  for (; at < end; at++) crc = (crc >>> 8) ^ t0[(crc ^ data[at]) & 255]
  return ~crc >>> 0
}

function countLines(data: Uint8Array, start: number, end: number): number {
  let lines = 0
  for (let at = data.indexOf(NEWLINE, start); at !== -1 && at < end; at = data.indexOf(NEWLINE, at + 1))
    lines++
  return lines
}

function framedLength(source: Uint8Array, start: number, end: number): number {
  let length = 0
  for (let line = start; line < end; ) {
    let stop = source.indexOf(NEWLINE, line)
    if (stop === -1 || stop > end) stop = end
    if (stop > line) length += 4 + stop - line
    line = stop + 1
  }
  return length
}

function frameLines(source: Uint8Array, start: number, end: number, target: Uint8Array, at: number): number {
  if (framedLength(source, start, end) > target.length - at) throw new RangeError('no room for the lines')
  let out = at
  for (let line = start; line < end; ) {
    let stop = source.indexOf(NEWLINE, line)
    if (stop === -1 || stop > end) stop = end
    const length = stop - line
    if (length > 0) {
      target[out] = length
      target[out + 1] = length >>> 8
      target[out + 2] = length >>> 16
      target[out + 3] = length >>> 24
      target.set(source.subarray(line, stop), out + 4)
      out += 4 + length
    }
    line = stop + 1
  }
  return out - at
}

function entryLength(data: Uint8Array, at: number): number {
  return (data[at] | (data[at + 1] << 8) | (data[at + 2] << 16) | (data[at + 3] << 24)) >>> 0
}

function countEntries(data: Uint8Array, start: number, end: number): number {
  let count = 0
  let at = start
  for (; end - at >= 4; count++) {
    const length = entryLength(data, at)
    if (length === 0 || length > end - at - 4) return -1
    at += 4 + length
  }
  return at === end ? count : -1
}

function stat(file: string | number, follow: boolean, fields: BigInt64Array): boolean {
  const options = { bigint: true, throwIfNoEntry: false } as const
  let found: BigIntStats | undefined
  if (typeof file === 'number') found = fstatSync(file, { bigint: true })
  else found = follow ? statSync(file, options) : lstatSync(file, options)
  if (found === undefined) return false
  const { dev, ino, size, mtimeNs, nlink, mode, uid } = found
  fields.set([dev, ino, size, mtimeNs, nlink, mode, uid])
  return true
}

function writevHashed(
  fd: number,
  pieces: readonly Uint8Array[],
  position: number,
  crc: Uint32Array,
  entries: Uint32Array | undefined
): number {
  const written = writevSync(fd, pieces, position)
  pieces.forEach((piece, index) => {
    crc[0] = crc32c(piece, crc[0], 0, piece.length)
    if (entries !== undefined) entries[index] = countEntries(piece, 8, 8 + entryLength(piece, 4))
  })
  return written
}

function entryBounds(data: Uint8Array, start: number, end: number, bounds: Int32Array): number {
  let count = 0
  for (let at = start; 2 * count + 1 < bounds.length && end - at >= 4; count++) {
    const length = entryLength(data, at)
    if (length === 0 || length > end - at - 4) break
    bounds[2 * count] = at + 4 - start
    at += 4 + length
    bounds[2 * count + 1] = at - start
  }
  return count
}

// JSON.parse is the reference the addon's scanner is proved against; -1 leaves the line to the caller's own
// JSON.parse, which is what a string with escapes or a nested text needs anyway.
function scanLines(data: Uint8Array, start: number, end: number, _key: Uint8Array, out: Int32Array): number {
  let lines = 0
  for (let at = start; at < end && 3 * lines + 2 < out.length; lines++) {
    const stop = data.indexOf(NEWLINE, at)
    at = stop === -1 || stop >= end ? end : stop + 1
    out[3 * lines] = at
    out[3 * lines + 1] = 0
    out[3 * lines + 2] = -1
  }
  return lines
}

/** The length of the entry at `at`, whose record begins with a number below `tags`. */
function taggedLength(data: Uint8Array, at: number, end: number, tags: number): number {
  const length = end - at < 8 ? 0 : entryLength(data, at)
  if (length < 5 || length > end - at - 4 || entryLength(data, at + 4) >= tags) {
    throw new RangeError('entries are not whole')
  }
  return length
}

function tallyTags(
  data: Uint8Array,
  start: number,
  end: number,
  sizes: Uint32Array,
  counts: Uint32Array
): void {
  for (let at = start; at < end; ) {
    const length = taggedLength(data, at, end, sizes.length)
    const tag = entryLength(data, at + 4)
    sizes[tag] += length
    counts[tag]++
    at += 4 + length
  }
}

function scatterTags(
  data: Uint8Array,
  start: number,
  end: number,
  target: Uint8Array,
  places: Float64Array
): void {
  for (let at = start; at < end; ) {
    const length = taggedLength(data, at, end, places.length)
    const tag = entryLength(data, at + 4)
    const to = places[tag]
    if (to + length > target.length) throw new RangeError('entries are not whole')
    const record = length - 4
    target[to] = record
    target[to + 1] = record >>> 8
    target[to + 2] = record >>> 16
    target[to + 3] = record >>> 24
    target.set(data.subarray(at + 8, at + 4 + length), to + 4)
    places[tag] = to + length
    at += 4 + length
  }
}

function noLocks(): never {
  throw new LogboomError('ERR_UNSUPPORTED', 'kernel file locks need the native addon')
}

function noLanes(): never {
  throw new LogboomError('ERR_UNSUPPORTED', 'mapped files need the native addon')
}

// EOPNOTSUPP is what a file system without the call answers, so callers have one case to handle.
function noFallocate(): never {
  throw Object.assign(new Error('EOPNOTSUPP: fallocate needs the native addon'), { code: 'EOPNOTSUPP' })
}

export const fallback: Native = {
  backend: 'fallback',
  canLock: false,
  lock: noLocks,
  unlock: noLocks,
  closeAtExit: () => {},
  forget: () => {},
  renameNoReplace,
  publishFile: () => undefined,
  settlePublication: () => false,
  abandonPublication: () => true,
  stat,
  sync: (fd, dataOnly) => (dataOnly ? fdatasyncSync(fd) : fsyncSync(fd)),
  syncAsync: (fd, dataOnly) => (dataOnly ? promisify(fdatasync)(fd) : promisify(fsync)(fd)),
  setMode: fchmodSync,
  crc32c,
  writevHashed,
  writeSynced: (fd, data, start, end, position) => {
    const written = writeSync(fd, data, start, end - start, position)
    fdatasyncSync(fd)
    return written
  },
  copy: (source, start, end, target, at) => target.set(source.subarray(start, end), at),
  countLines,
  directAlignment: () => 0,
  preallocate: () => false,
  hugePages: () => false,
  frameLines,
  countEntries,
  entryBounds,
  joinRecords,
  scanLines,
  tallyTags,
  scatterTags,
  replaceAtExit: () => undefined,
  cancelReplace: () => {},
  walScan: (data, start, end, seed, rows) => walScan(crc32c, data, start, end, seed, rows),
  walFollow: (data, start, end, run, bounds, frames) =>
    walFollow(crc32c, data, start, end, run, bounds, frames),
  walSeal: (data, start, end, crc) => walSeal(crc32c, data, start, end, crc),
  fallocate: noFallocate,
  laneAvailable: () => false,
  laneMap: noLanes,
  laneUnmap: noLanes,
  laneAppend: noLanes,
  laneAppendReference: noLanes,
  laneWritten: noLanes,
  laneDrained: noLanes,
  laneRelease: noLanes,
  laneRead: noLanes,
  laneNotes: noLanes,
  laneNote: noLanes
}

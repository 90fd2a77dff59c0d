// The same functions as the addon in portable JavaScript, with the same results. What cannot be done safely
// without the kernel's locks is refused.
import { linkSync, unlinkSync } from 'node:fs'
import { LogboomError } from '../core/errors.ts'
import type { Native } from './index.ts'
import { walScan } from './wal-scan.ts'

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

function noLocks(): never {
  throw new LogboomError('ERR_UNSUPPORTED', 'kernel file locks need the native addon')
}

// link(2) fails with EEXIST where rename(2) would replace.
function renameNoReplace(from: string, to: string): void {
  linkSync(from, to)
  unlinkSync(from)
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
  crc32c,
  countLines,
  walScan: (data, start, end, seed, rows) => walScan(crc32c, data, start, end, seed, rows),
  fallocate: noFallocate
}

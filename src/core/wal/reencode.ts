// Writes encoded records again behind another checksum: what a failed segment held goes to the next one.
import type { WalEncoder } from '../../formats/wal-encoder.ts'
import { native } from '../../native/index.ts'
import { WAL_ROW } from '../../native/wal-scan.ts'

const ROWS = 1024

/** Appends the records in `bytes`, which follow checksum `seed`, to `target`. Returns their last checksum. */
export function reencode(bytes: Uint8Array, seed: number, target: WalEncoder): number {
  const rows = new Uint32Array(ROWS * WAL_ROW)
  let crc = seed
  for (let at = 0; at < bytes.length; ) {
    const count = native.walScan(bytes, at, bytes.length, crc, rows)
    if (count === 0) throw new Error(`unreadable record at ${at} of those that were kept`)
    for (let row = 0; row < count * WAL_ROW; row += WAL_ROW) {
      target.writeRecord(rows[row], bytes.subarray(rows[row + 2], rows[row + 3]))
    }
    at = rows[(count - 1) * WAL_ROW + 4]
    crc = rows[(count - 1) * WAL_ROW + 5]
  }
  return crc
}

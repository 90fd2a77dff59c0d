// The last resort: saves records that were not acknowledged to a file elsewhere, which is a WAL segment of its own.
import { constants } from 'node:fs'
import { MEMBER, TERM } from '../../formats/wal.ts'
import { WalEncoder } from '../../formats/wal-encoder.ts'
import type { Disk } from '../../io/disk.ts'
import { openFile } from '../../io/open-file.ts'
import { writeAll } from '../../io/write-all.ts'
import { reencode } from './reencode.ts'
import type { WalRecords } from './writer-contract.ts'

/** Beyond that an existing file is refused rather than another name looked for. */
const MAX_DUMPS = 10_000

export interface DumpContent {
  metadata: Uint8Array | undefined
  /** Index of the last acknowledged entry: the dump begins behind it. */
  durableIndex: bigint
  /** Encoded records, the first one following checksum `crc`. */
  encoded: readonly Uint8Array[]
  crc: number
  /** Batches behind them, the first one with index `nextIndex`. */
  nextIndex: bigint
  batches: readonly WalRecords[]
}

/** Writes and syncs the dump. An existing file is kept: `.1`, `.2`, … is appended. Returns the path. */
export function writeDump(disk: Disk, path: string, mode: number, content: DumpContent): string {
  const bytes = encodeDump(content)
  let target = path
  for (let number = 1; number < MAX_DUMPS && disk.exists(target); number++) target = `${path}.${number}`
  if (disk.exists(target)) throw new Error(`${path} and ${MAX_DUMPS - 1} more with numbers exist`)
  const file = openFile(disk, target, constants.O_RDWR, { mode, dirMode: 0o700, mkdir: true })
  try {
    writeAll(disk, file.fd, bytes, 0)
    disk.fsync(file.fd)
  } finally {
    file.release()
  }
  return target
}

function encodeDump(content: DumpContent): Uint8Array {
  const encoder = new WalEncoder()
  encoder.writeCrc()
  encoder.writeMetadata(content.metadata)
  // Stands for what is in the log itself, so that readers take the first index for no gap.
  encoder.writeSnapshot({ index: content.durableIndex, term: TERM })
  encoder.writeState({ term: TERM, vote: MEMBER, commit: content.durableIndex })
  let crc = content.crc
  for (const bytes of content.encoded) crc = reencode(bytes, crc, encoder)
  let index = content.nextIndex
  for (const batch of content.batches) index = encoder.writeBatch(index, batch) + 1n
  return encoder.bytes
}

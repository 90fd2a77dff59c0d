// What a flusher that ended in the middle of a flush left behind the last seal it could note.
import { constants } from 'node:fs'
import { decodeSeal, isSealIntact, SEAL_BYTES, type Seal } from '../../../formats/direct-file.ts'
import type { Disk } from '../../../io/disk.ts'
import { type OpenOptions, openFile } from '../../../io/open-file.ts'
import type { FlushAccount } from './flush-account.ts'
import type { FileJournal } from './flush-journal.ts'

/** Notes what an earlier flusher has on disk and could not note any more; takes back half a flush of its. */
export function takeOver(
  disk: Disk,
  path: string,
  options: OpenOptions,
  journal: FileJournal,
  writerId: bigint,
  account: FlushAccount
): void {
  const { size } = journal
  const found = findTail(disk, path, size, writerId)
  if (found === undefined) return
  const { seal, endsAt } = found
  if (seal !== undefined && seal.sequence === BigInt(journal.sequence + 1)) {
    const { flushOffset, records, dropped } = seal
    journal.endFlush({
      start: Number(flushOffset),
      end: endsAt,
      records: Number(records),
      dropped: Number(dropped),
      ms: 0
    })
    account.progress()
  } else cutTail(disk, path, size, options)
}

interface FileTail {
  readonly endsAt: number
  /** The seal at the end, if the flush became whole. */
  readonly seal: Seal | undefined
}

/**
 * What is behind `size` in the file of the writer; undefined if nothing is, or if it is not the file whose first `size`
 * bytes that writer sealed.
 */
function findTail(disk: Disk, path: string, size: number, writerId: bigint): FileTail | undefined {
  const found = disk.lstat(path)
  if (found === undefined || !found.isFile || found.size <= size) return undefined
  const file = openFile(disk, path, constants.O_RDONLY, { mode: 0, dirMode: 0, mkdir: false })
  try {
    const last = sealBefore(disk, file.fd, found.size)
    if (last !== undefined && last.writerId === writerId) return { endsAt: found.size, seal: last }
    const isOurs = size === 0 || sealBefore(disk, file.fd, size)?.writerId === writerId
    return isOurs ? { endsAt: found.size, seal: undefined } : undefined
  } finally {
    file.release()
  }
}

function cutTail(disk: Disk, path: string, size: number, options: OpenOptions): void {
  const file = openFile(disk, path, constants.O_WRONLY, options)
  try {
    disk.truncate(file.fd, size)
  } finally {
    file.release()
  }
}

function sealBefore(disk: Disk, fd: number, end: number): Seal | undefined {
  const bytes = Buffer.alloc(SEAL_BYTES)
  if (end < SEAL_BYTES) return undefined
  const length = disk.read(fd, bytes, 0, SEAL_BYTES, end - SEAL_BYTES)
  return length === SEAL_BYTES && isSealIntact(bytes) ? decodeSeal(bytes) : undefined
}

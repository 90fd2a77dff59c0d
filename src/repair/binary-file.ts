// The explicit repair of binary files: cuts off what is no whole record, after keeping a copy of the file.
import { constants, readSync } from 'node:fs'
import { copyFile, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { LogboomError, systemCode } from '../base/errors.ts'
import { createLock } from '../core/shared-file/create-lock.ts'
import type { Lock } from '../core/shared-file/lock.ts'
import { wholeEnd } from '../formats/binary-file.ts'
import { realDisk } from '../io/disk.ts'
import { syncFolderIfPossible } from '../io/open-file.ts'
import { isMissing, readError } from '../readers/engine/open-file.ts'
import type { RepairReport } from '../readers/reader.ts'

const SCAN_BYTES = 256 * 1024
const LOCK_WAIT_MS = 5_000
/** Of one file. */
const MAX_COPIES = 1_000

/** Repairs each of the files that is damaged. Throws `ERR_LOCK_TIMEOUT` while somebody writes to it. */
export async function repairBinaryFile(files: readonly string[]): Promise<RepairReport[]> {
  const reports: RepairReport[] = []
  for (const file of files) {
    const lock = lockOf(file)
    try {
      const report = await repairFile(file)
      if (report !== undefined) reports.push(report)
    } finally {
      lock?.release()
      lock?.close()
    }
  }
  return reports
}

/** Writers of the live file, if it has a lock file, are kept out. */
function lockOf(file: string): Lock | undefined {
  const lock = createLock(realDisk, file, { mode: 0o600, dirMode: 0o750, mkdir: false })
  if (!realDisk.exists(lock.path)) return undefined
  if (lock.acquire(LOCK_WAIT_MS) !== undefined) return lock
  lock.close()
  throw new LogboomError('ERR_LOCK_TIMEOUT', `${file} is being written to`, { path: file })
}

async function repairFile(file: string): Promise<RepairReport | undefined> {
  let handle: Awaited<ReturnType<typeof open>>
  try {
    handle = await open(file, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (error) {
    if (isMissing(error)) return undefined
    throw readError(file, error)
  }
  try {
    const stats = await handle.stat()
    if (!stats.isFile())
      throw new LogboomError('ERR_NOT_FILE', `${file} is not a regular file`, { path: file })
    const { size } = stats
    const buffer = Buffer.allocUnsafe(SCAN_BYTES)
    const { fd } = handle
    const end = wholeEnd(size, (at) => buffer.subarray(0, readSync(fd, buffer, 0, buffer.length, at)))
    if (end === size) return undefined
    const copy = await keepCopy(file)
    await handle.truncate(end)
    await handle.sync()
    return { file, copy, removedBytes: size - end }
  } finally {
    await handle.close()
  }
}

async function keepCopy(file: string): Promise<string> {
  for (let number = 0; number < MAX_COPIES; number++) {
    const copy = number === 0 ? `${file}.broken` : `${file}.broken.${number}`
    try {
      await copyFile(file, copy, constants.COPYFILE_EXCL)
      const handle = await open(copy, 'r')
      await handle.sync().finally(() => handle.close())
      // The copy must have its name before the file is cut.
      syncFolderIfPossible(realDisk, dirname(file))
      return copy
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw readError(file, error)
    }
  }
  const text = `${file}: there are ${MAX_COPIES} copies of it already; remove those that are not needed`
  throw new LogboomError('ERR_LIMIT', text, { path: file })
}

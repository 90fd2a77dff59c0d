// Who wrote to a shared log last, read from its lock file.
import { readdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { errorMessage, LogboomError, systemCode } from '../../base/errors.ts'
import { isAlive } from '../../base/process.ts'
import { claimFolderName, decodeClaim } from '../../formats/claim-name.ts'
import { decodeLockState, lockFileBytes, lockFileName } from '../../formats/lock-file.ts'
import { lifeOf } from '../../io/thread-life.ts'
import { openFile } from './open-file.ts'

/** Labels and values for `LogInfo.details`; empty if the log has no lock file. */
export async function describeWriter(path: string): Promise<Record<string, string | number>> {
  const lockPath = join(dirname(path), lockFileName(basename(path)))
  let bytes: Buffer | undefined
  try {
    bytes = await readState(lockPath)
  } catch (error) {
    // Whatever lies there, it keeps nobody from looking at the log.
    return { 'lock file': `${lockPath} (${reasonOf(error)})` }
  }
  if (bytes === undefined) return {}
  const claim = await describeClaim(path)
  const state = decodeLockState(bytes)
  if (state === undefined) return { 'lock file': `${lockPath} (nothing written yet)`, ...claim }
  const alive = isAlive(state.pid)
  const details = {
    'last writer': `process ${state.pid} (${alive ? 'running' : 'not running here'})`,
    'lock file': lockPath,
    ...claim
  }
  if (!state.writing) return { ...details, state: 'at rest' }
  const what = `a write of ${state.length} bytes at offset ${state.offset}`
  return {
    ...details,
    state: alive ? `${what} is under way` : `${what} was cut short; the next writer repairs it`
  }
}

/** Who has the log without kernel locks. */
async function describeClaim(path: string): Promise<Record<string, string>> {
  const folder = join(dirname(path), claimFolderName(basename(path)))
  const names = await readdir(folder).catch(() => [])
  for (const name of names) {
    const claim = decodeClaim(name)
    const life = claim === undefined ? 'ended' : lifeOf(claim)
    if (claim === undefined || life === 'ended') continue
    const where = life === 'running' ? 'running' : 'in another container or on another machine'
    return { 'claimed by': `process ${claim.pid} (${where})` }
  }
  return {}
}

/** The bytes of the state. Writers never make the lock file a link, so one was planted, and leads who knows where. */
async function readState(lockPath: string): Promise<Buffer | undefined> {
  const file = await openFile(lockPath, { followLinks: false })
  if (file === undefined) return undefined
  try {
    const { buffer, bytesRead } = await file.handle.read(Buffer.alloc(lockFileBytes), 0, lockFileBytes, 0)
    return buffer.subarray(0, bytesRead)
  } finally {
    await file.handle.close()
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof LogboomError && error.code === 'ERR_NOT_FILE') return 'not a regular file'
  const code = systemCode((error as Error).cause)
  if (code === 'EACCES') return 'not readable'
  return code === 'ELOOP' ? 'a symbolic link, not followed' : errorMessage(error)
}

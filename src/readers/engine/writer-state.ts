// Who wrote to a shared log last, read from its lock file.
import { readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { systemCode } from '../../base/errors.ts'
import { decodeLockState, lockFileName } from '../../formats/lock-file.ts'
import { isMissing, readError } from './open-file.ts'

/** Labels and values for `LogInfo.details`; empty if the log has no lock file. */
export async function describeWriter(path: string): Promise<Record<string, string | number>> {
  const lockPath = join(dirname(path), lockFileName(basename(path)))
  let bytes: Buffer
  try {
    bytes = await readFile(lockPath)
  } catch (error) {
    if (isMissing(error)) return {}
    if (systemCode(error) === 'EACCES') return { 'lock file': `${lockPath} (not readable)` }
    throw readError(lockPath, error)
  }
  const state = decodeLockState(bytes)
  if (state === undefined) return { 'lock file': `${lockPath} (nothing written yet)` }
  const alive = isAlive(state.pid)
  const details = {
    'last writer': `process ${state.pid} (${alive ? 'running' : 'not running here'})`,
    'lock file': lockPath
  }
  if (!state.writing) return { ...details, state: 'at rest' }
  const what = `a write of ${state.length} bytes at offset ${state.offset}`
  return {
    ...details,
    state: alive ? `${what} is under way` : `${what} was cut short; the next writer repairs it`
  }
}

/** Processes of other containers and machines look as if they were not running. */
function isAlive(pid: number): boolean {
  if (pid === 0) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return systemCode(error) === 'EPERM'
  }
}

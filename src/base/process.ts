// Other processes of this machine.
import { systemCode } from './errors.ts'

/**
 * Whether process `pid` runs here. Processes of other containers and machines look as if they did not. Numbers come from
 * files, so anything is possible: those that kill(2) takes for groups are no process.
 */
export function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return systemCode(error) === 'EPERM'
  }
}

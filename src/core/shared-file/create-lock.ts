// The lock there is here: the kernel's, or a claim.
import type { Disk } from '../../io/disk.ts'
import type { OpenOptions } from '../../io/open-file.ts'
import { native } from '../../native/index.ts'
import { ClaimLock } from './claim-lock.ts'
import { KernelLock } from './kernel-lock.ts'
import type { Lock } from './lock.ts'

/**
 * `use`: whether it is held as long as the sink is open, or taken for each turn; then one machine at a time has a log that
 * several have mounted.
 */
export function createLock(
  disk: Disk,
  logPath: string,
  options: OpenOptions,
  use: 'turns' | 'held' = 'turns'
): Lock {
  return native.canLock
    ? new KernelLock(disk, logPath, options, use === 'turns')
    : new ClaimLock(disk, logPath, options)
}

// The lock there is here: the kernel's, or a claim.
import type { Disk } from '../../io/disk.ts'
import type { OpenOptions } from '../../io/open-file.ts'
import { native } from '../../native/index.ts'
import { ClaimLock } from './claim-lock.ts'
import { KernelLock } from './kernel-lock.ts'
import type { Lock } from './lock.ts'

export function createLock(disk: Disk, logPath: string, options: OpenOptions): Lock {
  return native.canLock ? new KernelLock(disk, logPath, options) : new ClaimLock(disk, logPath, options)
}

// Writes all of some bytes, however many calls that takes: a write may be short or be interrupted by a signal.
import { systemCode } from '../base/errors.ts'
import type { Disk } from './disk.ts'

const MAX_INTERRUPTS = 100

/** Writes `bytes` at `position`. `onCall` is told of every system call. Throws the error of the system. */
export function writeAll(
  disk: Disk,
  fd: number,
  bytes: Uint8Array,
  position: number,
  how: 'write' | 'writeSynced' = 'write',
  onCall: () => void = () => {}
): void {
  let interrupts = 0
  for (let at = 0; at < bytes.length; ) {
    onCall()
    try {
      const written = disk[how](fd, bytes, at, bytes.length - at, position + at)
      if (written === 0) throw Object.assign(new Error('ENOSPC: nothing was written'), { code: 'ENOSPC' })
      at += written
    } catch (error) {
      if (systemCode(error) !== 'EINTR' || ++interrupts > MAX_INTERRUPTS) throw error
    }
  }
}

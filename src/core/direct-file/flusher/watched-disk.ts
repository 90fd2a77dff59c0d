// A disk that tells other threads when a call is under way, so that whoever waits can tell a disk that does not answer
// from a thread that gets no processor. After `giveUp` it makes no more changes.
import type { Disk } from '../../../io/disk.ts'
import { activity, control } from '../memory/shared-memory.ts'

/** Calls that only give back what is held. */
const RELEASING = new Set(['close', 'unlock'])

export function watchDisk(disk: Disk, words: Int32Array): Disk {
  const watched = (name: string, call: (...args: unknown[]) => unknown) => {
    const isReleasing = RELEASING.has(name)
    return (...args: unknown[]): unknown => {
      if (!isReleasing && Atomics.load(words, control.giveUp) !== 0) {
        throw new Error('nothing more may be written: the file was closed')
      }
      Atomics.store(words, control.activity, activity.inCall)
      try {
        return call(...args)
      } finally {
        Atomics.store(words, control.activity, activity.working)
      }
    }
  }
  const names = Object.keys(disk) as (keyof Disk)[]
  return Object.fromEntries(
    names.map((name) => [name, watched(name, disk[name] as (...args: unknown[]) => unknown)])
  ) as unknown as Disk
}

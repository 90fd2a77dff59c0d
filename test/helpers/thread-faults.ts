// Faults of the disk in the thread of a flusher, which a test on the main thread sets and takes back while it runs.
import type { DiskModule } from '../../src/core/sink/internals.ts'
import { realDisk } from '../../src/io/disk.ts'
import type { Operation } from './faulty-disk.ts'

const faults = [
  'EIO',
  'EINVAL',
  'ENOSPC',
  'EINTR',
  'EMFILE',
  'EACCES',
  'EROFS',
  'EDQUOT',
  // Waits until the fault is taken back; takes a fifth of a second; the thread ends before the call, and behind it.
  'HANG',
  'SLOW',
  'EXIT',
  'EXIT-AFTER'
] as const
export type ThreadFault = (typeof faults)[number]

const operations = Object.keys(realDisk) as Operation[]

export interface ThreadFaults {
  /** For `withInternals({ threadDisk })`. */
  readonly threadDisk: DiskModule
  /** How often a fault was met. */
  readonly hits: number
  /** Fails the `nth` call of `operation` ('any': of each) from now on, and with `isPersistent` all that follow. */
  fail(operation: Operation | 'any', fault: ThreadFault, nth?: number, isPersistent?: boolean): void
  /** The disk works again. */
  heal(): void
}

/** Only calls that concern a path with `match` in it fail, if it is given. */
export function createThreadFaults(match?: string): ThreadFaults {
  const words = new Int32Array(new SharedArrayBuffer(4 * (5 + operations.length)))
  words[0] = -1
  return {
    threadDisk: {
      url: new URL('./thread-disk.mjs', import.meta.url).href,
      data: { words, operations, faults, match }
    },
    get hits() {
      return Atomics.load(words, 4)
    },
    fail(operation, fault, nth = 1, isPersistent = true) {
      words.fill(0, 4)
      words[1] = nth
      words[2] = isPersistent ? 1 : 0
      words[3] = faults.indexOf(fault)
      Atomics.store(words, 0, operation === 'any' ? operations.length : operations.indexOf(operation))
    },
    heal() {
      Atomics.store(words, 0, -1)
      Atomics.notify(words, 0)
    }
  }
}

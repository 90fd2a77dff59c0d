// Whether other threads live, for one that blocks and gets no events. The addon notes the end of a thread in shared
// memory; without it the system has to be asked, which can be done on Linux.
import { existsSync, readlinkSync } from 'node:fs'
import { basename } from 'node:path'
import { native } from '../../../native/index.ts'
import { deadWriter, MAX_WRITERS, type SharedMemory, slot } from './shared-memory.ts'

/** The system's number of this thread; 0 if nobody needs it, or there is none. */
export function systemThread(): number {
  if (native.backend === 'addon') return 0
  try {
    return Number(basename(readlinkSync('/proc/thread-self')))
  } catch {
    return 0
  }
}

/** False if the thread of this process with that number has ended. Of number 0 nothing is known. */
export function mayLive(thread: number): boolean {
  return thread === 0 || existsSync(`/proc/self/task/${thread}`)
}

/** Notes in the lines of writers which of their threads have ended, where the addon does not. */
export function noteDeadWriters(memory: SharedMemory): void {
  if (native.backend === 'addon') return
  const { words } = memory
  for (let writer = 0; writer < MAX_WRITERS; writer++) {
    const line = memory.writerLine(writer)
    const owner = Atomics.load(words, line + slot.owner)
    if (owner === 0 || owner === deadWriter) continue
    if (mayLive(Atomics.load(words, line + slot.systemThread))) continue
    Atomics.compareExchange(words, line + slot.owner, owner, deadWriter)
  }
}

// The threads in which all outputs of this process, or of this thread of it, are written: one for each device, because
// what waits for a disk holds up only those who write to the same one.
import { dirname } from 'node:path'
import { realDisk } from '../../io/disk.ts'
import { PoolWorker } from './pool-worker.ts'

const MAX_WORKERS = 4
/** A path has no more parts. */
const MAX_PARENTS = 4_096

const workers = new Map<bigint | number | undefined, PoolWorker>()

/** The thread for an output at `path`. */
export function workerFor(path: string): PoolWorker {
  const device = deviceOf(path)
  const present = workers.get(device)
  if (present !== undefined) return present
  if (workers.size >= MAX_WORKERS) {
    return [...workers.values()].reduce((least, worker) => (worker.size < least.size ? worker : least))
  }
  const worker = new PoolWorker(() => {
    if (workers.get(device) === worker) workers.delete(device)
  })
  workers.set(device, worker)
  return worker
}

/** The device of what is there of `path`. */
function deviceOf(path: string): bigint | number | undefined {
  let at = path
  for (let parents = 0; parents < MAX_PARENTS; parents++) {
    try {
      return realDisk.stat(at).dev
    } catch {
      const parent = dirname(at)
      if (parent === at) break
      at = parent
    }
  }
  return undefined
}

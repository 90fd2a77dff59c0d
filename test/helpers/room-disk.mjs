// A file system whose size a test says, in KiB in shared memory, and of which the files of one folder use theirs; for the thread
// of a test and, loaded there, for that of a flusher.
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'

export function createDisk(realDisk, { words, folder }) {
  const used = () => {
    let bytes = 0
    for (const name of readdirSync(folder)) {
      bytes += statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0
    }
    return bytes
  }
  return { ...realDisk, freeBytes: () => Atomics.load(words, 0) * 1024 - used() }
}

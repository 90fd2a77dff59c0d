// A folder of its own for a test, removed when the test ends.
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { atTestEnd } from './at-test-end.ts'
import { removeLanes } from './leftovers.ts'
import { ownFolders } from './run-folders.ts'
import { isLong } from './sized.ts'

/** Where folders on a memory file system are made: for `createFolder`; undefined where there is none. */
export const memoryRoot = ownFolders.memory

export function createFolder(parent = tmpdir()): string {
  // Of a log that is a folder something stays beside it: locks, positions of consumers.
  const around = mkdtempSync(join(parent, 't'))
  atTestEnd(() => rmSync(around, { recursive: true, force: true }))
  // What a test starts as another user has to come through.
  chmodSync(around, 0o755)
  const folder = join(around, 'logboom-test')
  mkdirSync(folder, { mode: 0o700 })
  return folder
}

/** The same in memory, where there is such a place, for tests that sync often and that no disk needs to be real for. */
export function createMemoryFolder(): string {
  return createFolder(isLong ? tmpdir() : (memoryRoot ?? tmpdir()))
}

/** A folder for logs whose writers die, or never can write: what they leave in their lanes goes with it. */
export function createFolderOfDying(): string {
  const folder = createFolder()
  atTestEnd(() => removeLanes([folder]))
  return folder
}

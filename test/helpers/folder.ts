// A folder of its own for a test, removed when the test ends.
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { atTestEnd } from './at-test-end.ts'
import { isLong } from './sized.ts'

const MEMORY = '/dev/shm'

export function createFolder(parent = tmpdir()): string {
  const folder = mkdtempSync(join(parent, 'logboom-test-'))
  atTestEnd(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** The same in memory, where there is such a place, for tests that sync often and that no disk needs to be real for. */
export function createMemoryFolder(): string {
  return createFolder(!isLong && existsSync(MEMORY) ? MEMORY : tmpdir())
}

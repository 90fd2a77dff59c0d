// The folders that one test file, and all that it starts, keep their files in: what is left there is its own.
import { chmodSync, mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { inject } from 'vitest'

export interface RunFolders {
  readonly temporary: string
  /** On a memory file system; undefined where there is none. */
  readonly memory: string | undefined
}

declare module 'vitest' {
  interface ProvidedContext {
    /** Of the whole run: made and removed by global-setup.ts. */
    runFolders: RunFolders
  }
}

const run = inject('runFolders')

export const ownFolders: RunFolders = {
  temporary: makeOwn(run.temporary),
  memory: run.memory === undefined ? undefined : makeOwn(run.memory)
}
// What `os.tmpdir()` gives, here and in the processes that are started from here.
for (const name of ['TMPDIR', 'TMP', 'TEMP']) process.env[name] = ownFolders.temporary
// What npm and others keep there of their own code since Node.js 22 is nothing that a test has left.
process.env.NODE_DISABLE_COMPILE_CACHE = '1'

function makeOwn(parent: string): string {
  const folder = mkdtempSync(join(parent, 'f'))
  // What is started as another user has to come through.
  chmodSync(folder, 0o755)
  return folder
}

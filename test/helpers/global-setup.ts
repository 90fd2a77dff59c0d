// Runs once before all test files, and once after them: the folders of the run, beside those of others.
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'

const MEMORY = '/dev/shm'

export function setup(project: TestProject): () => void {
  const temporary = make(tmpdir())
  const memory = existsSync(MEMORY) ? make(MEMORY) : undefined
  project.provide('runFolders', { temporary, memory })
  // Each test file has found its own folders empty when it ended (leftovers.ts), unless its process has died before.
  return () => {
    for (const folder of [temporary, memory]) {
      if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
    }
  }
}

function make(parent: string): string {
  const folder = mkdtempSync(join(parent, 'logboom-'))
  // What is started as another user has to come through.
  chmodSync(folder, 0o755)
  return folder
}

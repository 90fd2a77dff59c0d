import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { takeSnapshot } from '../../src/readers/engine/snapshot.ts'
import { createFolder } from '../helpers/folder.ts'

test.skipIf(process.platform !== 'linux')('a folder that cannot be listed leaves no file open', async () => {
  const path = join(createFolder(), 'app.log')
  writeFileSync(path, 'line\n')
  const openFiles = (): number => readdirSync('/proc/self/fd').length
  const before = openFiles()
  for (let turn = 0; turn < 10; turn++) {
    const failing = takeSnapshot(() => Promise.reject(new Error('EACCES')), path)
    await expect(failing).rejects.toThrow('EACCES')
  }
  expect(openFiles()).toBe(before)
})

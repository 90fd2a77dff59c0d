// What a test file leaves makes it fail, and is cleared away.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createFolder, memoryRoot } from './helpers/folder.ts'
import { clearLeftovers } from './helpers/leftovers.ts'
import { ownFolders } from './helpers/run-folders.ts'

test('nothing is left by a test that has only made folders of its own', async () => {
  expect(await clearLeftovers(0)).toEqual([])
})

test('a file in a folder for temporary files is found and removed', async () => {
  const folders = [tmpdir(), memoryRoot].filter((folder) => folder !== undefined)
  expect(tmpdir()).toBe(ownFolders.temporary)
  const paths = folders.map((folder) => join(folder, '.left'))
  for (const path of paths) writeFileSync(path, '')
  expect(await clearLeftovers(0)).toEqual(paths)
  expect(paths.filter((path) => existsSync(path))).toEqual([])
})

test.runIf(existsSync('/proc/self/environ'))('a process that goes on is found and ended', async () => {
  const child = spawn(process.execPath, ['-e', 'console.log(1); setInterval(() => {}, 1000)'], {
    stdio: ['ignore', 'pipe', 'ignore']
  })
  await once(child.stdout, 'data')
  const exited = once(child, 'exit')
  expect(await clearLeftovers(0)).toEqual([expect.stringContaining(`process ${child.pid}: `)])
  expect(await exited).toEqual([null, 'SIGKILL'])
})

test.runIf(existsSync('/dev/shm'))(
  'the lane of a log in such a folder is found, with its owner, and removed',
  async () => {
    const lanes = '/dev/shm/logboom-4294967294'
    const id = 'f'.repeat(32)
    const ring = join(lanes, `${'0'.repeat(16)}.${id}-1.ring`)
    const owner = join(lanes, `${id}.owner`)
    const leave = (folder: string): void => {
      writeFileSync(ring, `header ${JSON.stringify({ path: join(folder, 'app.log') })}`)
      writeFileSync(owner, '')
    }
    mkdirSync(lanes)
    try {
      leave(tmpdir())
      expect(await clearLeftovers(0)).toEqual([ring, owner])
      leave('/somewhere/else')
      expect(await clearLeftovers(0)).toEqual([])
      expect([existsSync(ring), existsSync(owner)]).toEqual([true, true])
      leave(createFolder())
      expect((await clearLeftovers(0)).slice(-2)).toEqual([ring, owner])
    } finally {
      leave(tmpdir())
      await clearLeftovers(0)
      rmdirSync(lanes)
    }
  }
)

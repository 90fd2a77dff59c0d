// Who lives and who is dead: a process that is stopped is not robbed, and a thread that ends is dead although its process
// lives.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { RotatingFile } from '../../../src/core/rotating-file/rotating-file.ts'
import { createFolder, memoryRoot } from '../../helpers/folder.ts'
import { built, startThread } from '../../helpers/script.ts'
import { until } from '../../helpers/until.ts'
import { faultsIn, LaneWriter, noLanes, readRecords } from './writers.ts'

describe.skipIf(noLanes)('the owner of a lane (needs the addon and /dev/shm)', () => {
  test('that is stopped keeps it, however long, and goes on', { timeout: 60_000 }, async () => {
    const folder = createFolder()
    const lane = { dir: join(createFolder(memoryRoot), 'lane'), maxBytes: 256 * 1024 }
    const options = { path: join(folder, 'a.log'), lane, maxBytes: 1_000_000, flushInterval: 3_600_000 }
    const settings = { kind: 'rotating-file', options } as const
    const writer = new LaneWriter('w', folder, { ...settings, count: 500, death: 'idle' })
    await until(() => writer.returned === 500, { timeoutMs: 30_000 })
    writer.child.kill('SIGSTOP')
    const sibling = new RotatingFile(options)
    // Longer than siblings wait before they look again.
    await sleep(3_000)
    expect(sibling.stats().recovered).toBe(0)
    expect(readFileSync(options.path, 'utf8')).toBe('')
    writer.child.kill('SIGCONT')
    writer.child.kill('SIGKILL')
    await writer.exited
    await until(() => sibling.stats().recovered === 500)
    await sibling.close()
    expect(faultsIn(await readRecords(settings), [writer])).toEqual([])
  })

  test('a thread that is ended leaves it to the others of its process', async () => {
    const folder = createFolder()
    const path = join(folder, 'a.log')
    const lane = { dir: join(createFolder(memoryRoot), 'lane') }
    const { worker } = await startThread(`
      import { parentPort } from 'node:worker_threads'
      import { RotatingFile } from ${built('index.js')}
      const file = new RotatingFile(${JSON.stringify({ path, lane, flushInterval: 3_600_000 })})
      for (let i = 0; i < 1000; i++) file.write(i + '\\n')
      parentPort.postMessage('logged')
      setInterval(() => {}, 1000)
    `)
    const file = new RotatingFile({ path, lane })
    await sleep(100)
    expect(file.stats().recovered).toBe(0)
    await worker.terminate()
    await until(() => file.stats().recovered === 1_000)
    await file.close()
    expect(readFileSync(path, 'utf8')).toBe(Array.from({ length: 1_000 }, (_, i) => `${i}\n`).join(''))
    expect(existsSync(lane.dir)).toBe(true)
  })
})

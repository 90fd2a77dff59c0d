// A consumer that is killed between createSnapshot and release sees every entry again, until it has released it.
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { WriteAheadLog } from '../../../src/core/wal/write-ahead-log.ts'
import { createMemoryFolder } from '../../helpers/folder.ts'
import { random } from '../../helpers/random.ts'
import { startProcess } from '../../helpers/script.ts'
import { sized } from '../../helpers/sized.ts'

const kills = sized(100, 25)

test(`killed ${kills} times between createSnapshot and release, it loses nothing`, {
  timeout: 300_000
}, async () => {
  const folder = createMemoryFolder()
  const options = { walDir: join(folder, 'wal'), segmentBytes: 4096, fallback: false as const }
  const seenPath = join(folder, 'seen')
  let released = 0n
  for (let kill = 0; kill < kills; kill++) {
    rmSync(seenPath, { force: true })
    // Every third life releases and logs on before it is killed within its next snapshot.
    const code = `import { WriteAheadLog } from 'logboom'
      import { appendFileSync } from 'node:fs'
      const log = await WriteAheadLog.open(${JSON.stringify(options)})
      await log.log(['life ${kill} ' + 'x'.repeat(${kill * 7}), 'second'])
      if (${kill} % 3 === 2) {
        await (await log.createSnapshot()).release()
        await log.log(['after the release'])
      }
      const snapshot = await log.createSnapshot()
      const seen = []
      for await (const { index } of snapshot.entries) seen.push(index)
      appendFileSync(${JSON.stringify(seenPath)}, [snapshot.prevIndex, snapshot.currentIndex, ...seen].join(' '))
      console.log('between')
      setInterval(() => {}, 1000)`
    const child = await startProcess(code)
    if (kill % 2 === 0) await delay(random() * 10)
    const exited = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await exited
    const [prev, current, ...seen] = readFileSync(seenPath, 'utf8').split(' ').map(BigInt)
    if (kill % 3 !== 2) expect(prev).toBe(released)
    released = prev
    expect(seen.length).toBe(Number(current - prev))
    expect(seen.every((index, i) => index === prev + BigInt(i) + 1n)).toBe(true)
  }
  const log = await WriteAheadLog.open(options)
  expect(log.snapshotIndex).toBe(released)
  await log.close()
})

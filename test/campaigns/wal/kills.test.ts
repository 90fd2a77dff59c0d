// SIGKILL at random moments: the log opens by itself, and nothing that was acknowledged is missing.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { walFailpoints } from '../../../src/io/failpoint.ts'
import { createFolder } from '../../helpers/folder.ts'
import { random } from '../../helpers/random.ts'
import { sized } from '../../helpers/sized.ts'
import { checkAfterCrash, startWalWriter } from '../../helpers/wal-crash.ts'

const kills = sized(1000, 50)

test(`${kills} kills of a writer with several callers`, { timeout: 1_800_000 }, async () => {
  const folder = createFolder()
  const options = { walDir: join(folder, 'wal'), segmentBytes: 100_000, fallback: false as const }
  let entries = 0
  for (let kill = 0; kill < kills; kill++) {
    const acks = join(folder, 'acks')
    rmSync(acks, { force: true })
    const settings = { options, acks, session: `s${kill}`, callers: 4, snapshots: kill % 3 === 0 }
    const { child, exited, stderr } = await startWalWriter(settings)
    await delay(random() * 60)
    child.kill('SIGKILL')
    await exited
    expect(stderr()).toBe('')
    entries += await checkAfterCrash(options, acks, kill % 2 === 0)
  }
  expect(entries).toBeGreaterThan(kills)
})

test.each(walFailpoints)(
  'a kill at %s, at the first and at later passes',
  { timeout: 120_000 },
  async (point) => {
    const folder = createFolder()
    const options = { walDir: join(folder, 'wal'), segmentBytes: 30_000, fallback: false as const }
    for (const pass of [1, 2, 5, 20]) {
      const acks = join(folder, `acks-${pass}`)
      process.env.LOGBOOM_FAILPOINT = `${point}:kill:${pass}`
      try {
        const settings = { options, acks, session: `p${pass}`, callers: 4, snapshots: true }
        const writer = await startWalWriter(settings).catch(() => undefined)
        await Promise.race([writer?.exited, delay(700)])
        // Not every point is passed so often, and sealing needs a failure.
        writer?.child.kill('SIGKILL')
        await writer?.exited
      } finally {
        delete process.env.LOGBOOM_FAILPOINT
      }
      await checkAfterCrash(options, acks, false)
    }
  }
)

// Power cuts while several callers log: what was acknowledged is on the disk.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { tally } from '../../helpers/counts.ts'
import { createFolder } from '../../helpers/folder.ts'
import type { LoopKind } from '../../helpers/mount.ts'
import { createPoweredDisk, powerUnavailable } from '../../helpers/power.ts'
import { random } from '../../helpers/random.ts'
import { sized } from '../../helpers/sized.ts'
import { checkAfterCrash, startWalWriter } from '../../helpers/wal-crash.ts'

const cuts = sized(100, 5)
/** The mounting and checking of file systems, a few times longer than it takes. */
const CUT_LIMIT_MS = 20_000

describe.each<LoopKind>(['ext4', 'xfs'])('%s', (kind) => {
  const reason = powerUnavailable(kind)
  const title = `${cuts} power cuts${reason === undefined ? '' : ` (skipped: ${reason})`}`
  test.skipIf(reason !== undefined)(title, { timeout: 60_000 + cuts * CUT_LIMIT_MS }, async () => {
    const disk = createPoweredDisk(kind)
    const acks = join(createFolder(), 'acks')
    const options = { walDir: join(disk.folder, 'data/wal'), segmentBytes: 300_000, fallback: false as const }
    let entries = 0
    for (let cut = 0; cut < cuts; cut++) {
      rmSync(acks, { force: true })
      const settings = { options, acks, session: `c${cut}`, callers: 4, snapshots: cut % 3 === 0 }
      const { child, exited } = await startWalWriter(settings)
      await delay(random() * 150)
      // What is noted later is from a machine that would be dead: there ext4 may let a sync end well although its
      // journal was just aborted.
      const noted = existsSync(acks) ? readFileSync(acks, 'utf8') : ''
      disk.cut()
      child.kill('SIGKILL')
      await exited
      disk.on()
      tally('power cuts')
      writeFileSync(acks, noted.slice(0, noted.lastIndexOf('\n') + 1))
      entries += await checkAfterCrash(options, acks, cut % 2 === 0)
    }
    expect(entries).toBeGreaterThan(cuts)
  })
})

// Power cuts again and again under a log of every kind with durability 'disk': what was acknowledged before one of them is
// there after all of them.
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { tally } from '../../helpers/counts.ts'
import { createFolder } from '../../helpers/folder.ts'
import type { LoopKind } from '../../helpers/mount.ts'
import { createPoweredDisk, type PoweredDisk, powerUnavailable } from '../../helpers/power.ts'
import { random } from '../../helpers/random.ts'
import { sized } from '../../helpers/sized.ts'
import { faultsIn, readStorm, reopen, type StormKind, StormWriter, stormKinds } from '../../helpers/storm.ts'

const cuts = sized(100, 1)
/** So many happen to one log; then a new one begins, so that the disk is not filled. */
const CUTS_PER_LOG = 10
const CUT_LIMIT_MS = 30_000

describe.each<LoopKind>(['ext4', 'xfs'])('on %s', (fileSystem) => {
  const reason = powerUnavailable(fileSystem)
  const chosen = sized(stormKinds, fileSystem === 'ext4' ? stormKinds.slice(0, 1) : [])
  if (chosen.length === 0) {
    test.skip('only in the long run: npm run test:long -- power-cut', () => {})
    return
  }
  test.skipIf(reason !== undefined).each(chosen.map((kind) => ({ ...kind, kind })))(
    `${cuts} power cuts under $name lose no acknowledged record${reason === undefined ? '' : ` (skipped: ${reason})`}`,
    { timeout: 60_000 + cuts * CUT_LIMIT_MS },
    async ({ kind }) => {
      const disk = createPoweredDisk(fileSystem)
      for (let done = 0; done < cuts; done += CUTS_PER_LOG) {
        await cutOften(kind, disk, Math.min(CUTS_PER_LOG, cuts - done), done)
      }
    }
  )
})

async function cutOften(kind: StormKind, disk: PoweredDisk, times: number, first: number): Promise<void> {
  const folder = join(disk.folder, `log-${first}`)
  const notes = createFolder()
  mkdirSync(folder)
  const acknowledged = new Map<string, number>()
  for (let cut = 0; cut < times; cut++) {
    const writers = Array.from(
      { length: kind.writers },
      (_, index) => new StormWriter(kind, folder, notes, `c${cut}-${index}`, { durability: 'disk' })
    )
    for (const writer of writers) await writer.until(1)
    await delay(random() * 300)
    // What is noted later is from a machine that would be dead: there the kernel may let a sync end well although its
    // journal was just aborted.
    for (const writer of writers) acknowledged.set(writer.name, writer.acknowledged)
    disk.cut()
    for (const writer of writers) await writer.kill()
    disk.on()
    tally('power cuts')
    await reopen(kind, folder)
    // What was under way may be torn; everything that was acknowledged is not.
    const found = await readStorm(kind, folder, true)
    expect(faultsIn(kind, found, acknowledged, { mayHaveGaps: true })).toEqual([])
    if (cut === times - 1) tally('records', found.records)
  }
  rmSync(folder, { recursive: true, force: true })
}

// A disk that is full and has space again, for every kind of sink: nothing is lost, nothing is there twice, and the process
// lives on.
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { tally } from '../../helpers/counts.ts'
import { createFolder } from '../../helpers/folder.ts'
import { canMount, fill, mountTmpfs } from '../../helpers/mount.ts'
import { random } from '../../helpers/random.ts'
import { sized } from '../../helpers/sized.ts'
import { faultsIn, readStorm, reopen, StormWriter, stormKinds } from '../../helpers/storm.ts'
import { until } from '../../helpers/until.ts'

const times = sized(20, 1)
const chosen = sized(stormKinds, stormKinds.slice(2, 3))
const RECOVER_MS = 20_000

test.skipIf(!canMount).each(chosen.map((kind) => ({ ...kind, kind })))(
  `${times} times full and empty again, the disk under $name costs nothing (needs root)`,
  { timeout: 60_000 + times * RECOVER_MS },
  async ({ kind }) => {
    for (let round = 0; round < times; round++) {
      const root = mountTmpfs('24m')
      const folder = join(root, 'log')
      const notes = createFolder()
      const writer = new StormWriter(kind, folder, notes, 'w', {
        durability: random() < 0.5 ? 'os' : 'disk',
        paceMs: 10
      })
      await writer.until(1)
      await delay(random() * 100)
      const makeSpace = fill(root)
      await delay(random() * 600)
      const before = writer.acknowledged
      makeSpace()
      await until(() => !writer.isRunning || writer.acknowledged > before, {
        timeoutMs: RECOVER_MS,
        what: 'it goes on where there is space again'
      })
      expect(writer.isRunning, writer.stderr).toBe(true)
      await writer.kill()
      await reopen(kind, folder)
      const found = await readStorm(kind, folder)
      expect(faultsIn(kind, found, new Map([[writer.name, writer.acknowledged]]))).toEqual([])
      expect(found.foreign).toEqual([])
      tally('full disks')
      tally('records', found.records)
    }
  }
)

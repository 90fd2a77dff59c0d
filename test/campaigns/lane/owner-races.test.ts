// Processes that come and go in one lane folder while others look for the dead: nobody who lives is taken for dead, and
// nothing is left in the end.
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { expect, onTestFinished, test } from 'vitest'
import { MappedRing } from '../../../src/core/lane/mapped-ring.ts'
import { createLaneFolder } from '../../helpers/lane.ts'
import { built } from '../../helpers/script.ts'
import { sized } from '../../helpers/sized.ts'

const PROCESSES = 4

test.skipIf(!MappedRing.isAvailable)(
  'an owner keeps its place among others that begin, end and look for the dead (needs the addon)',
  async () => {
    const folder = createLaneFolder()
    // Each removes what dead owners have left, and is one with a ring.
    const code = `import { existsSync } from 'node:fs'
      import { LaneFolder, LaneOwner, realDisk, sweepOwners } from ${built('core/lane/internals.js')}
      const folder = LaneFolder.open(realDisk, ${JSON.stringify(folder.path)})
      const end = performance.now() + ${sized(20_000, 1_500)}
      let turns = 0
      for (; performance.now() < end; turns++) {
        const owner = LaneOwner.create(folder)
        sweepOwners(folder)
        const ring = owner.createRing({ path: '/x.log', kind: 'test', options: {} }, 4096)
        ring.append('x')
        sweepOwners(folder)
        if (!existsSync(folder.pathOf(owner.id + '.owner'))) throw new Error('taken for dead')
        if (owner.rings.length !== 1) throw new Error('robbed of its ring')
        ring.close()
        folder.removeRing(owner.rings[0])
        owner.close()
      }
      console.log(turns)`
    const children = Array.from({ length: PROCESSES }, () =>
      spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'pipe'] })
    )
    onTestFinished(() => {
      for (const child of children) child.kill('SIGKILL')
    })
    const outputs = children.map((child) => Promise.all([text(child.stdout), text(child.stderr)]))
    for (const [stdout, stderr] of await Promise.all(outputs)) {
      expect(stderr).toBe('')
      expect(Number(stdout)).toBeGreaterThan(10)
    }
    expect(readdirSync(folder.path)).toEqual([])
  }
)

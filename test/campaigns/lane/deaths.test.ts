// However a process dies, what it has logged before is in the log: 10 000 records in one turn of the event loop, then
// the death, in the same turn.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createFolder, memoryRoot } from '../../helpers/folder.ts'
import { inMemoryGroup, noMemoryGroup } from '../../helpers/memory-group.ts'
import { sized } from '../../helpers/sized.ts'
import {
  faultsIn,
  type LaneKind,
  LaneWriter,
  type LaneWriterSettings,
  noLanes,
  readRecords,
  recoverAll
} from './writers.ts'

const COUNT = 10_000

type Death = Pick<LaneWriterSettings, 'death' | 'nodeArgs' | 'wrapper'>

const deaths: Death[] = [
  { death: 'SIGTERM' },
  { death: 'SIGKILL' },
  { death: 'SIGSEGV' },
  { death: 'SIGBUS' },
  { death: 'abort' },
  { death: 'heap', nodeArgs: ['--max-old-space-size=64'] },
  { death: 'exception' },
  { death: 'exit' }
]

const kinds: LaneKind[] = ['rotating-file', 'binary-file']
/** What a process of Node needs, the ring, and some more. */
const MEBIBYTES = 200

describe.skipIf(noLanes)('a process that dies by (needs the addon and /dev/shm)', () => {
  test.each(deaths)('$death leaves every record in the log', { timeout: 120_000 }, async (death) => {
    for (const kind of sized(kinds, [kinds[deaths.indexOf(death) % 2]])) await dies(kind, death)
  })

  test.skipIf(noMemoryGroup !== undefined)(
    `the kernel, for want of memory, leaves every record in the log (${noMemoryGroup ?? 'in a cgroup'})`,
    { timeout: 120_000 },
    async () => {
      for (const kind of sized(kinds, kinds.slice(0, 1))) {
        const { signal } = await dies(kind, { death: 'memory', wrapper: inMemoryGroup(MEBIBYTES) })
        expect(signal).toBe('SIGKILL')
      }
    }
  )
})

async function dies(kind: LaneKind, death: Death): Promise<Awaited<LaneWriter['exited']>> {
  const folder = createFolder()
  const laneDir = join(createFolder(memoryRoot), 'lane')
  const lane = { dir: laneDir, maxBytes: 8 * 1024 * 1024 }
  const settings = {
    kind,
    options: { path: join(folder, 'a.log'), lane, maxBytes: 10_000_000, flushInterval: 3_600_000 }
  }
  const writer = new LaneWriter('w', folder, {
    ...settings,
    ...death,
    count: COUNT,
    burst: COUNT * 1_000,
    bytes: [50, 60]
  })
  const { code, signal } = await writer.exited
  expect(code).not.toBe(0)
  const isClean = death.death === 'exception' || death.death === 'exit'
  if (!isClean) expect(signal ?? code).not.toBe(1)
  // These two write all they have by themselves.
  expect(readdirSync(laneDir).length === 0).toBe(isClean)
  await recoverAll(settings)
  expect(await readRecords(settings)).toHaveLength(COUNT)
  expect(faultsIn(await readRecords(settings), [writer])).toEqual([])
  expect(readdirSync(laneDir)).toEqual([])
  return { code, signal }
}

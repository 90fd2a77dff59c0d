// A process that appends to a ring is killed at a random moment. Whoever comes next finds every record whose append had
// returned, whole and in order. What had returned is counted in a file by a write(2) after each append.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { MappedRing } from '../../../src/core/lane/mapped-ring.ts'
import { LaneOwner } from '../../../src/core/lane/owner.ts'
import { tally } from '../../helpers/counts.ts'
import { createFolder } from '../../helpers/folder.ts'
import { createLaneFolder, takeAll } from '../../helpers/lane.ts'
import { random } from '../../helpers/random.ts'
import { recordOf } from '../../helpers/ring-record.mjs'
import { sized } from '../../helpers/sized.ts'

const writer = fileURLToPath(new URL('../../helpers/ring-writer.mjs', import.meta.url))

interface Run {
  readonly capacityBytes: number
  readonly drain: boolean
  readonly isMixed: boolean
}

/** Records in batches, as the thread of the writer has written them; the last batch may be cut. */
function takenOut(path: string): string[] {
  const bytes = existsSync(path) ? readFileSync(path) : Buffer.alloc(0)
  const records: string[] = []
  for (let at = 0; at + 4 <= bytes.length; ) {
    const count = bytes.readUInt32LE(at)
    let from = at + 4 + 4 * count
    for (let i = 0; i < count; i++) {
      if (at + 8 + 4 * i > bytes.length) return records
      const to = from + bytes.readUInt32LE(at + 4 + 4 * i)
      if (to > bytes.length) return records
      records.push(bytes.toString('utf8', from, to))
      from = to
    }
    at = from
  }
  return records
}

async function killed(child: ChildProcess, afterMs: number): Promise<void> {
  onTestFinished(() => void child.kill('SIGKILL'))
  await once(child.stdout!, 'data')
  await delay(afterMs)
  child.kill('SIGKILL')
  await once(child, 'exit')
}

async function runOnce({ capacityBytes, drain, isMixed }: Run): Promise<number> {
  const folder = createLaneFolder()
  const files = createFolder()
  const countPath = join(files, 'count')
  const outPath = join(files, 'out')
  const options = { folder: folder.path, capacityBytes, drain, isMixed, countPath, outPath }
  const child = spawn(process.execPath, [writer, JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  await killed(child, random() * 120)
  tally('kills')
  const owner = LaneOwner.adopt(folder, folder.list().owners[0])!
  const ring = folder.openRing(owner.rings[0])!
  const left = takeAll(ring, 64 * 1024).map(String)
  const out = takenOut(outPath)
  const count = readFileSync(countPath)
  const returned = count.length < 8 ? 0 : count.readDoubleLE()
  // A batch that was written and not released yet is in both.
  const first = left.length === 0 ? out.length : Number.parseInt(left[0], 10)
  expect(first).toBeLessThanOrEqual(out.length)
  const all = [...out.slice(0, first), ...left]
  all.forEach((record, n) => {
    if (record !== recordOf(n, isMixed)) expect(record, `record ${n}`).toBe(recordOf(n, isMixed))
  })
  // One more may be there: whose append was under way.
  expect(all.length).toBeGreaterThanOrEqual(returned)
  expect(all.length).toBeLessThanOrEqual(returned + 1)
  ring.close()
  folder.removeRing(owner.rings[0])
  owner.close()
  expect(folder.list()).toEqual({ rings: [], owners: [] })
  return all.length
}

const runs: readonly (Run & { what: string; times: number })[] = [
  {
    what: 'that nobody takes out',
    capacityBytes: 16 * 1024 * 1024,
    drain: false,
    isMixed: false,
    times: sized(60, 3)
  },
  {
    what: 'that a thread takes out of a small ring',
    capacityBytes: 16 * 1024,
    drain: true,
    isMixed: false,
    times: sized(100, 4)
  },
  {
    what: 'of which some are larger than the ring',
    capacityBytes: 4 * 1024,
    drain: true,
    isMixed: true,
    times: sized(100, 4)
  }
]

test.skipIf(!MappedRing.isAvailable).each(runs)(
  'a kill loses no record whose append had returned, among those $what (needs the addon)',
  { timeout: 600_000 },
  async ({ times, ...run }) => {
    let records = 0
    for (let i = 0; i < times; i++) records += await runOnce(run)
    // Else nothing was shown.
    expect(records).toBeGreaterThan(10 * times)
  }
)

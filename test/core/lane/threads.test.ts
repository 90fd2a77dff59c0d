// Both ends of a small ring at work at the same time, in two threads.
import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { MappedRing } from '../../../src/core/lane/mapped-ring.ts'
import { LaneOwner } from '../../../src/core/lane/owner.ts'
import type { Ring } from '../../../src/core/lane/ring.ts'
import { SharedRing } from '../../../src/core/lane/shared-ring.ts'
import { createLaneFolder, description } from '../../helpers/lane.ts'
import { recordOf } from '../../helpers/ring-record.mjs'
import { built, startThread } from '../../helpers/script.ts'
import { sized } from '../../helpers/sized.ts'

/** Large ones are waited for one by one. */
const count = (isMixed: boolean) => (isMixed ? sized(50_000, 2_000) : sized(2_000_000, 30_000))
const recordModule = JSON.stringify(new URL('../../helpers/ring-record.mjs', import.meta.url).href)

/** A thread that takes records out and compares them; says how many were right when it has seen `-` or a wrong one. */
function consumerScript(open: string, isMixed: boolean): string {
  return `import { parentPort } from 'node:worker_threads'
    import { LaneFolder, SharedRing, realDisk } from ${built('core/lane/internals.js')}
    import { recordOf } from ${recordModule}
    const consume = (ring) => {
      const target = Buffer.alloc(64 * 1024)
      const ends = new Uint32Array(64)
      for (let n = 0; ; ) {
        const read = ring.read(ring.drained, target, ends)
        if (read.isDamaged || read.needs > 0 || read.lost > 0) return JSON.stringify({ n, read })
        for (let i = 0; i < read.records; i++) {
          const text = target.toString('utf8', i === 0 ? 0 : ends[i - 1], ends[i])
          if (text === '-') return n
          if (text !== recordOf(n, ${isMixed})) return JSON.stringify({ n, text })
          n++
        }
        ring.release(read.next)
      }
    }
    parentPort.once('message', (given) => parentPort.postMessage(consume(${open})))
    parentPort.postMessage('ready')`
}

async function appendAll(ring: Ring, isMixed: boolean): Promise<void> {
  const last = count(isMixed)
  for (let n = 0; n <= last; n++) {
    const record = n === last ? '-' : recordOf(n, isMixed)
    while (!ring.append(n % 3 === 0 ? Buffer.from(record) : record)) await turn()
  }
}

test.each([
  { what: 'small records', isMixed: false },
  { what: 'records of which some are larger than the ring', isMixed: true }
])('shared memory between two threads keeps $what whole and in order', async ({ isMixed }) => {
  const ring = SharedRing.create(4096)
  const { worker } = await startThread(consumerScript('new SharedRing(given)', isMixed))
  const result = new Promise((resolve) => worker.once('message', resolve))
  worker.postMessage(ring.buffer)
  await appendAll(ring, isMixed)
  expect(await result).toBe(count(isMixed))
  ring.close()
})

test.skipIf(!MappedRing.isAvailable)(
  'a mapped file between two threads keeps small and large records whole and in order',
  async () => {
    const folder = createLaneFolder()
    const owner = LaneOwner.create(folder)
    const ring = owner.createRing(description, 4096)
    const open = `LaneFolder.open(realDisk, given.path).openRing(given.name)`
    const { worker } = await startThread(consumerScript(open, true))
    const result = new Promise((resolve) => worker.once('message', resolve))
    worker.postMessage({ path: folder.path, name: owner.rings[0] })
    await appendAll(ring, true)
    expect(await result).toBe(count(true))
    ring.close()
    owner.close()
  }
)

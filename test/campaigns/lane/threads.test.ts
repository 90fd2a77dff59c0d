// The thread that writes is ended at any moment, and another one goes on with the same ring: nothing is lost, repeated
// or out of order.
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { expect, test } from 'vitest'
import { SharedRing } from '../../../src/core/lane/shared-ring.ts'
import { native } from '../../../src/native/index.ts'
import { tally } from '../../helpers/counts.ts'
import { createFolder } from '../../helpers/folder.ts'
import { laneId } from '../../helpers/lane-sink.ts'
import { random } from '../../helpers/random.ts'
import { sized } from '../../helpers/sized.ts'
import { type LaneKind, readRecords } from './writers.ts'

const ends = sized(500, 6)

test.each<[LaneKind, boolean]>([
  ['rotating-file', true],
  ['rotating-file', false],
  ['binary-file', true]
])(
  `${ends} writing threads of one %s, lock %s, each ended at any moment, write every record once`,
  { timeout: 600_000 },
  async (kind, lock) => {
    if (lock && !native.canLock) return
    const path = join(createFolder(), 'a.log')
    const options = { path, lock, maxBytes: 50_000, flushInterval: 0, fallback: false } as const
    const ring = SharedRing.create(64 * 1024)
    const data = { buffer: ring.buffer, id: laneId(), kind, options }
    const expected: string[] = []
    const fill = (): void => {
      for (;;) {
        const count = 1 + Math.floor(random() * 3)
        const lines = Array.from(
          { length: count },
          (_, i) => `${expected.length + i} ${'x'.repeat(random() * 300)}`
        )
        if (!ring.append(`${lines.join('\n')}\n`)) return
        expected.push(...lines)
      }
    }
    const filling = setInterval(fill, 1)
    for (let ended = 0; ended < ends; ended++) {
      const worker = new Worker(new URL('ring-worker.mjs', import.meta.url), {
        workerData: { ...data, isLast: false }
      })
      // Some are ended before they have opened the log.
      if (random() < 0.9) await once(worker, 'message')
      await sleep(random() * 15)
      await worker.terminate()
      tally('lives')
    }
    clearInterval(filling)
    const last = new Worker(new URL('ring-worker.mjs', import.meta.url), {
      workerData: { ...data, isLast: true }
    })
    for (let message = ''; message !== 'done'; ) [message] = await once(last, 'message')
    await last.terminate()
    expect(ring.drained).toBe(ring.written)
    const records = await readRecords({ kind, options: { path, lane: { dir: '' } } })
    expect(records.length).toBe(expected.length)
    expect(records.findIndex((record, i) => record !== expected[i])).toBe(-1)
    expect(records.length).toBeGreaterThan(ends * 20)
  }
)

// Every call of every operation fails once, and from then on: a promise that resolves tells the truth, none stays
// open, and the log opens again by itself.
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { withInternals } from '../../../src/core/sink/internals.ts'
import { WriteAheadLog } from '../../../src/core/wal/write-ahead-log.ts'
import type { IndexRange } from '../../../src/core/wal/writer-contract.ts'
import { native } from '../../../src/native/index.ts'
import {
  createFaultyDisk,
  type Fault,
  type FaultyDisk,
  failNth,
  type Operation
} from '../../helpers/faulty-disk.ts'
import { createMemoryFolder } from '../../helpers/folder.ts'
import { stride } from '../../helpers/sized.ts'
import { readLog } from '../../helpers/wal-log.ts'

const operations: Operation[] = [
  'open',
  'write',
  'writeSynced',
  'fdatasync',
  'fdatasyncAsync',
  'fsync',
  'renameNoReplace',
  'rename',
  'fallocate',
  'truncate',
  'unlink',
  'lstat',
  'readdir',
  'read'
]
const callers = 3
const batchesEach = 8

const rejections: unknown[] = []
const onRejection = (reason: unknown): void => {
  rejections.push(reason)
}
beforeAll(() => {
  process.on('unhandledRejection', onRejection)
})
afterAll(async () => {
  await delay(0)
  process.off('unhandledRejection', onRejection)
  expect(rejections).toEqual([])
})

interface Outcome {
  resolved: { range: IndexRange; id: string; count: number }[]
  rejected: number
}

async function work(log: WriteAheadLog): Promise<Outcome> {
  const outcome: Outcome = { resolved: [], rejected: 0 }
  const call = async (caller: number): Promise<void> => {
    for (let number = 0; number < batchesEach; number++) {
      const id = `${caller}-${number}`
      const count = 1 + (number % 3)
      const batch = Array.from({ length: count }, (_, i) => `${id} ${i} ${count} ${'x'.repeat(number * 60)}`)
      try {
        const range = number === 5 ? log.logSync(batch) : await log.log(batch)
        outcome.resolved.push({ range, id, count })
      } catch {
        outcome.rejected++
      }
    }
  }
  const consume = async (): Promise<void> => {
    const snapshot = await log.createSnapshot().catch(() => undefined)
    await snapshot?.release().catch(() => {})
  }
  await Promise.all([...Array.from({ length: callers }, (_, caller) => call(caller)), consume()])
  for (let number = 0; number < 3; number++) {
    const id = `sync-${3 * number}`
    try {
      outcome.resolved.push({ range: log.logSync([`${id} 0 1 `]), id, count: 1 })
    } catch {
      outcome.rejected++
    }
  }
  return outcome
}

async function oneRun(faulty: FaultyDisk): Promise<{ walDir: string; outcome: Outcome }> {
  const walDir = join(createMemoryFolder(), 'wal')
  const options = { walDir, segmentBytes: 4096, fallback: false as const, keepSegments: 1000 }
  // There is something to recover.
  const before = await WriteAheadLog.open(options)
  await before.log(['before-0 0 1 '])
  await before.close()
  const patience = { passingMs: 120, failingMs: 60 }
  const log = withInternals({ disk: faulty.disk, patience }, () => new WriteAheadLog(options))
  const outcome = await work(log)
  await log.close().catch(() => {})
  return { walDir, outcome }
}

async function check(walDir: string, outcome: Outcome, label: string): Promise<void> {
  const log = await WriteAheadLog.open({ walDir, segmentBytes: 65_536, fallback: false })
  await log.close()
  const { entries } = readLog(walDir)
  const found = new Map(entries.map(({ index, text }) => [index, text]))
  expect([...found.keys()], label).toEqual(entries.map((_, i) => BigInt(i + 1)))
  for (const { range, id, count } of outcome.resolved) {
    for (let i = 0; i < count; i++) {
      expect(
        found.get(range.firstIndex + BigInt(i))?.startsWith(`${id} ${i} ${count} `),
        `${label}: ${id}`
      ).toBe(true)
    }
  }
  const batches = new Set(entries.map(({ text }) => text.split(' ')[0]))
  const records = [...batches].reduce((sum, id) => sum + 1 + (Number(id.split('-')[1]) % 3), 0)
  expect(entries.length, `${label}: whole batches, none twice`).toBe(records)
}

describe.each(operations)('%s fails', (operation) => {
  const faults: Fault[] = operation.startsWith('write') ? ['EIO', 'ENOSPC', 'SHORT'] : ['EIO', 'ENOSPC']
  it.each(faults)('with %s: any call, once and from then on', { timeout: 600_000 }, async (fault) => {
    const faulty = createFaultyDisk()
    for (const persistent of fault === 'SHORT' ? [false] : [false, true]) {
      for (let nth = 1; ; nth += stride(nth, 12)) {
        failNth(faulty, operation, nth, fault, persistent)
        const { walDir, outcome } = await oneRun(faulty)
        const reached = (faulty.calls.get(operation) ?? 0) >= nth
        if (!reached) {
          // Zeros are only written ahead where the addon can reserve blocks for them.
          const isReachable = operation !== 'writeSynced' || native.backend === 'addon'
          if (isReachable) expect(nth, `${operation} is called`).toBeGreaterThan(1)
          expect(outcome.rejected).toBe(0)
          break
        }
        await check(walDir, outcome, `${operation} ${fault} ${nth} ${persistent}`)
      }
    }
  })
})

describe.each(['EIO', 'ENOSPC'] as const)(
  'a caller that awaits each record, synced on its own thread',
  (fault) => {
    it(`${fault}: what resolves is on disk, in order, also after a failure`, async () => {
      const faulty = createFaultyDisk()
      const walDir = join(createMemoryFolder(), 'wal')
      const patience = { passingMs: 120, failingMs: 60 }
      const log = await withInternals(
        { disk: faulty.disk, patience, shortSyncMs: Number.POSITIVE_INFINITY },
        () => WriteAheadLog.open({ walDir, segmentBytes: 65_536, fallback: false })
      )
      let syncsHere = 0
      // Without the addon no blocks are filled ahead, and then it takes two calls.
      const syncs = () => (faulty.calls.get('writeSynced') ?? 0) + (faulty.calls.get('fdatasync') ?? 0)
      for (let number = 0; number < 400; number++) {
        const before = syncs()
        if (number % 100 === 99) failNth(faulty, number > 200 ? 'fdatasync' : 'writeSynced', 1, fault)
        const { firstIndex } = await log.log([`record ${number}`])
        expect(firstIndex).toBe(BigInt(number + 1))
        expect(log.durableIndex).toBe(firstIndex)
        syncsHere += Number(syncs() > before)
      }
      faulty.fault = () => undefined
      await log.close()
      expect(syncsHere).toBeGreaterThan(0)
      expect(readLog(walDir).entries.map(({ text }) => text)).toEqual(
        Array.from({ length: 400 }, (_, number) => `record ${number}`)
      )
    })
  }
)

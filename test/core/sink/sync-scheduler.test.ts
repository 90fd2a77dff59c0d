import { expect, test } from 'vitest'
import type { Durability } from '../../../src/core/sink/contract.ts'
import { type SyncHost, SyncScheduler } from '../../../src/core/sink/sync-scheduler.ts'
import { DataSyncError, type SyncLevel } from '../../../src/core/sink/target.ts'

interface RunningSync {
  to: SyncLevel
  end: () => void
  fail: (error: unknown) => void
}

/** A host whose syncs end when a test says so. */
class ManualHost implements SyncHost {
  hasQueued = false
  writtenTotal = 0
  running: RunningSync[] = []
  begun: SyncLevel[] = []
  told: string[] = []
  isOwing = false
  nowFails: unknown

  sync(to: SyncLevel): Promise<void> {
    this.begun.push(to)
    return new Promise((resolve, reject) => this.running.push({ to, end: resolve, fail: reject }))
  }

  syncNow(to: SyncLevel): void {
    this.begun.push(to)
    if (this.nowFails !== undefined) throw this.nowFails
  }

  synced(to: SyncLevel, total: number): void {
    this.told.push(`${to} ${total}`)
  }

  syncFailed(error: unknown): void {
    this.told.push((error as Error).message)
  }

  unproven(): void {
    this.told.push('unproven')
  }

  isOwed(): boolean {
    return this.isOwing
  }
}

function create(writingReaches: Durability = 'os', ownLevel: SyncLevel = 'os') {
  const host = new ManualHost()
  return { host, syncs: new SyncScheduler(host, writingReaches, ownLevel) }
}

/** What has become of a flush, looked at after all that is due has run. */
async function outcomes(...flushes: Promise<void>[]): Promise<string[]> {
  const found = flushes.map(() => 'waits')
  for (const [index, flush] of flushes.entries()) {
    flush.then(
      () => (found[index] = 'done'),
      () => (found[index] = 'rejected')
    )
  }
  await new Promise((resolve) => setImmediate(resolve))
  return found
}

const dataSyncError = (): DataSyncError => new DataSyncError('/memory', new Error('EIO'))

test("'os' is reached by writing, 'disk' by a sync", async () => {
  const { host, syncs } = create()
  const [os, disk] = [syncs.add('os'), syncs.add('disk')]
  expect(await outcomes(os, disk)).toEqual(['waits', 'waits'])
  host.writtenTotal = 10
  syncs.written()
  expect(await outcomes(os, disk)).toEqual(['done', 'waits'])
  expect(host.begun).toEqual(['disk'])
  host.running[0].end()
  expect(await outcomes(disk)).toEqual(['done'])
  expect(host.told).toEqual(['disk 10'])
  expect([syncs.isSynced('disk'), syncs.isAwaited]).toEqual([true, false])
})

test("a target that stages is asked for 'os', too", async () => {
  const { host, syncs } = create('none')
  const os = syncs.add('os')
  host.writtenTotal = 10
  expect(syncs.isSynced('os')).toBe(false)
  syncs.written()
  expect(await outcomes(os)).toEqual(['waits'])
  expect(host.begun).toEqual(['os'])
  host.running[0].end()
  expect(await outcomes(os)).toEqual(['done'])
  expect([syncs.isSynced('os'), syncs.isSynced('disk')]).toEqual([true, false])
})

test('who comes while a sync runs is covered by the next one, however many they are', async () => {
  const { host, syncs } = create()
  const first = syncs.add('disk')
  syncs.written()
  const later = [syncs.add('disk'), syncs.add('disk'), syncs.add('disk')]
  host.writtenTotal = 50
  for (const _ of later) syncs.written()
  host.running[0].end()
  expect(await outcomes(first, ...later)).toEqual(['done', 'waits', 'waits', 'waits'])
  expect(host.begun).toHaveLength(2)
  host.running[1].end()
  expect(await outcomes(...later)).toEqual(['done', 'done', 'done'])
  expect(host.begun).toHaveLength(2)
})

test('nobody is covered by a sync while records of theirs may still be queued', async () => {
  const { host, syncs } = create('os', 'disk')
  const flush = syncs.add('disk')
  host.writtenTotal = 10
  host.hasQueued = true
  syncs.syncSoon()
  host.running[0].end()
  expect(await outcomes(flush)).toEqual(['waits'])
  host.hasQueued = false
  host.writtenTotal = 20
  syncs.written()
  host.running[1].end()
  expect(await outcomes(flush)).toEqual(['done'])
})

test('after a sync that failed everybody waits on, and the next one covers them', async () => {
  const { host, syncs } = create()
  const flush = syncs.add('disk')
  host.writtenTotal = 10
  syncs.written()
  host.running[0].fail(new Error('EACCES'))
  expect(await outcomes(flush)).toEqual(['waits'])
  expect(host.told).toEqual(['EACCES'])
  expect(syncs.isAwaited).toBe(true)
  // When to try again is not its decision.
  expect(host.begun).toHaveLength(1)
  syncs.written()
  host.running[1].end()
  expect(await outcomes(flush)).toEqual(['done'])
})

test('a sync that ends after another one lost data proves nothing', async () => {
  const { host, syncs } = create()
  const flush = syncs.add('disk')
  host.writtenTotal = 10
  syncs.written()
  host.nowFails = dataSyncError()
  expect(syncs.syncNow('disk', 0)).toBe(false)
  host.running[0].end()
  expect(await outcomes(flush)).toEqual(['waits'])
  expect(host.told.at(-1)).toBe('unproven')
  expect(syncs.isSynced('disk')).toBe(false)
})

test('a sync that ends after another one only could not be made is as good as ever', async () => {
  const { host, syncs } = create()
  const flush = syncs.add('disk')
  host.writtenTotal = 10
  syncs.written()
  host.nowFails = new Error('EACCES')
  syncs.syncNow('disk', 0)
  host.running[0].end()
  expect(await outcomes(flush)).toEqual(['done'])
})

test('a sink of durability disk is synced behind what is written, until nothing is left', async () => {
  const { host, syncs } = create('os', 'disk')
  host.writtenTotal = 10
  syncs.syncSoon()
  host.writtenTotal = 20
  syncs.syncSoon()
  host.running[0].end()
  await outcomes()
  expect(host.begun).toEqual(['disk', 'disk'])
  host.running[1].end()
  await outcomes()
  expect(host.told).toEqual(['disk 10', 'disk 20'])
  expect(host.begun).toHaveLength(2)
  expect(syncs.syncedTotal).toBe(20)
})

test("a 'drain' that is owed asks for one more sync", async () => {
  const { host, syncs } = create()
  host.isOwing = true
  syncs.syncSoon()
  host.running[0].end()
  await outcomes()
  expect(host.begun).toHaveLength(2)
  host.isOwing = false
  host.running[1].end()
  await outcomes()
  expect(host.begun).toHaveLength(2)
})

test('on this thread nothing is asked for that is reached already', () => {
  const { host, syncs } = create()
  expect(syncs.syncNow('os', 0)).toBe(true)
  expect(host.begun).toEqual([])
  host.writtenTotal = 10
  expect(syncs.syncNow('disk', 0)).toBe(true)
  expect(syncs.syncNow('disk', 0)).toBe(true)
  expect(host.begun).toEqual(['disk'])
})

test('what has to be written again is not synced', () => {
  const { host, syncs } = create('none', 'disk')
  host.writtenTotal = 10
  syncs.syncNow('disk', 0)
  syncs.forget(4)
  expect(syncs.syncedTotal).toBe(4)
  expect([syncs.isSynced('os'), syncs.isSynced('disk')]).toEqual([false, false])
})

test('those who wait for one level can be told that it will not come, the others wait on', async () => {
  const { host, syncs } = create('none')
  const [os, disk] = [syncs.add('os'), syncs.add('disk')]
  syncs.rejectAll(dataSyncError(), 'disk')
  expect(await outcomes(os, disk)).toEqual(['waits', 'rejected'])
  syncs.written()
  expect(host.begun).toEqual(['os'])
  syncs.rejectAll(dataSyncError())
  host.running[0].end()
  expect(await outcomes(os)).toEqual(['done'])
})

test('who waits for a sync that is under way is told, too, when nobody can be answered any more', async () => {
  const { host, syncs } = create('none')
  const os = syncs.add('os')
  syncs.written()
  expect(host.begun).toEqual(['os'])
  await syncs.close(dataSyncError())
  expect(await outcomes(os)).toEqual(['rejected'])
  host.running[0].end()
})

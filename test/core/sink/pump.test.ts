import { EventEmitter } from 'node:events'
import { expect, test } from 'vitest'
import { LineQueue } from '../../../src/core/queue/line-queue.ts'
import { Account } from '../../../src/core/sink/account.ts'
import type { SinkEvents } from '../../../src/core/sink/contract.ts'
import { Pump, type PumpOptions } from '../../../src/core/sink/pump.ts'
import {
  DataSyncError,
  NotSyncableError,
  nothingDropped,
  PermanentError,
  type Target
} from '../../../src/core/sink/target.ts'
import { until } from '../../helpers/until.ts'

/** A target in memory whose every step a test can make fail. */
class MemoryTarget implements Target {
  lockTimeoutMs = 5_000
  isStaging = false
  lines: string[] = []
  syncs = 0
  quarantines = 0
  probes = 0
  isClosed = false
  fail: Partial<Record<'open' | 'write' | 'sync' | 'quarantine' | 'probe', unknown>> = {}
  isBusy = false

  open(): void {
    this.#step('open')
  }

  write(records: Buffer): number {
    this.#step('write')
    if (this.isBusy) return 0
    this.lines.push(...records.toString().split('\n').slice(0, -1))
    return records.length
  }

  async sync(): Promise<void> {
    this.syncs++
    this.#step('sync')
  }

  syncNow(): void {
    this.syncs++
    this.#step('sync')
  }

  quarantine(): void {
    this.#step('quarantine')
    this.quarantines++
  }

  probe(): void {
    this.probes++
    this.#step('probe')
  }

  async close(): Promise<{ lines: number; bytes: number }> {
    this.isClosed = true
    return nothingDropped
  }

  #step(name: keyof MemoryTarget['fail']): void {
    if (this.fail[name] !== undefined) throw this.fail[name]
  }
}

function create(options: Partial<PumpOptions> = {}) {
  const emitter = new EventEmitter<SinkEvents>()
  const events: string[] = []
  for (const name of ['degraded', 'recovered', 'drain', 'warning', 'dropped'] as const) {
    emitter.on(name, () => events.push(name))
  }
  const account = new Account(emitter, '/memory', false)
  const target = new MemoryTarget()
  const pump = new Pump(
    account,
    { durability: 'os', flushInterval: 1, maxBufferBytes: 1_000_000, overflow: 'block', ...options },
    new LineQueue(),
    target
  )
  pump.open()
  return { pump, target, events, account }
}

const dataSyncError = (): DataSyncError => new DataSyncError('/memory', new Error('EIO: injected'))

test('a sync that keeps failing is probed, not answered with ever more files and copies', async () => {
  const { pump, target, events } = create({ durability: 'disk' })
  target.fail = { sync: dataSyncError(), probe: new Error('EIO: probe') }
  pump.write('one\n')
  const flushed = pump.flush()
  await until(() => target.probes >= 3, { what: 'three probes' })
  expect(target.lines).toEqual(['one'])
  expect(target.quarantines).toBe(0)
  expect(pump.isSyncFailing).toBe(true)
  expect(pump.stats().state).toBe('degraded')
  target.fail = {}
  await flushed
  expect(target.quarantines).toBe(1)
  expect(target.lines).toEqual(['one', 'one'])
  await pump.close()
  await until(() => events.includes('recovered'))
  expect(events.filter((name) => name === 'degraded' || name === 'recovered')).toEqual([
    'degraded',
    'recovered'
  ])
})

test('only a sync that succeeds resets the pauses after one that failed', async () => {
  const { pump, target } = create({ durability: 'disk' })
  target.fail = { sync: dataSyncError() }
  pump.write('one\n')
  const flushed = pump.flush()
  const startMs = performance.now()
  await until(() => target.syncs >= 5, { what: 'five syncs' })
  // 50 + 100 + 200 + 400 ms; with a reset after each write it would be 4 × 50.
  expect(performance.now() - startMs).toBeGreaterThan(600)
  target.fail = {}
  await flushed
  await pump.close()
})

test('an error that is no failed data sync makes the sync be asked again, and nothing be written again', async () => {
  const { pump, target } = create({ durability: 'disk' })
  target.fail = { sync: Object.assign(new Error('EACCES: folder'), { code: 'EACCES' }) }
  pump.write('one\n')
  const flushed = pump.flush()
  await until(() => target.syncs >= 3, { what: 'three syncs' })
  expect(pump.stats().state).toBe('degraded')
  target.fail = {}
  await flushed
  expect(target.lines).toEqual(['one'])
  expect(target.quarantines).toBe(0)
  await pump.close()
})

test('what comes while a sync is tried again is written, although another sync ends the trouble', async () => {
  const { pump, target } = create({ durability: 'disk' })
  let endSync = (): void => {}
  target.sync = () => new Promise((resolve) => (endSync = resolve))
  pump.write('one\n')
  const flushed = pump.flush()
  await until(() => target.lines.length === 1)
  // A folder that cannot be synced, on the thread, while the other sync is under way.
  target.syncNow = () => {
    throw Object.assign(new Error('EACCES: folder'), { code: 'EACCES' })
  }
  pump.commit('two\n')
  expect(pump.stats().state).toBe('degraded')
  pump.write('three\n')
  endSync()
  target.sync = async () => {}
  await flushed
  await until(() => target.lines.length === 3, { what: 'all lines to be written' })
  await pump.flush()
  expect(pump.stats().state).toBe('open')
  await pump.close()
})

test('a sync that began before another one failed ends no trouble, so that nothing is said twice', async () => {
  const { pump, target, events } = create({ durability: 'disk' })
  let endSync = (): void => {}
  target.sync = () => new Promise((resolve) => (endSync = resolve))
  pump.write('one\n')
  const flushed = pump.flush()
  await until(() => target.lines.length === 1)
  const failure = Object.assign(new Error('EIO: injected'), { code: 'EIO' })
  target.fail.sync = failure
  pump.commit('two\n')
  target.sync = () => Promise.reject(failure)
  endSync()
  await flushed
  expect(pump.stats().state).toBe('degraded')
  target.fail = {}
  target.sync = async () => {}
  await pump.flush()
  await until(() => events.includes('recovered'))
  await pump.close()
  expect(events.filter((name) => name === 'degraded' || name === 'recovered')).toEqual([
    'degraded',
    'recovered'
  ])
})

test("'drain' follows a commit only when its records have the sink's durability, whoever writes them", async () => {
  const { pump, target, events } = create({ durability: 'disk' })
  target.isBusy = true
  expect(pump.commit('one\n')).toBe(false)
  target.isBusy = false
  let syncsAtDrain = -1
  const seen = new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      if (!events.includes('drain')) return
      syncsAtDrain = target.syncs
      clearInterval(timer)
      resolve()
    }, 1)
  })
  pump.flushSync('os')
  expect(target.lines).toEqual(['one'])
  await seen
  expect(syncsAtDrain).toBeGreaterThan(0)
  await pump.close()
})

test("at 'os' a failed sync is told to those who asked for it, and writing goes on in the same file", async () => {
  const { pump, target } = create()
  target.fail = { sync: dataSyncError(), probe: new Error('EIO: probe') }
  pump.write('one\n')
  await expect(pump.flush('disk')).rejects.toThrow('ERR_SYNC')
  pump.write('two\n')
  await pump.flush()
  await expect(pump.flush('disk')).rejects.toThrow('ERR_SYNC')
  expect(target.quarantines).toBe(0)
  expect(pump.stats().state).toBe('open')
  // Once the disk works, what is in the file is still not known to be on disk: it is left, and only then is 'disk' true.
  target.fail = {}
  await expect(pump.flush('disk')).rejects.toThrow('ERR_SYNC')
  expect(target.quarantines).toBe(1)
  pump.write('three\n')
  await pump.flush('disk')
  expect(target.lines).toEqual(['one', 'two', 'three'])
  await pump.close()
})

test('a file system that cannot sync fails a sink of durability disk for good', async () => {
  const { pump, target } = create({ durability: 'disk' })
  target.fail = { sync: new NotSyncableError('/memory', new Error('EINVAL')) }
  pump.write('one\n')
  await expect(pump.flush()).rejects.toThrow('ERR_UNSUPPORTED')
  expect(pump.stats().state).toBe('failed')
  await pump.close()
})

test('a permanent error ends every wait, and what comes is dropped and counted', async () => {
  const { pump, target, events } = create({ maxBufferBytes: 1_000 })
  target.fail = { write: new Error('EIO') }
  pump.write('one\n')
  const flushed = pump.flush()
  await until(() => pump.stats().state === 'degraded', { what: 'trouble' })
  target.fail = { write: new PermanentError('ERR_IO', 'gone for good') }
  await expect(flushed).rejects.toThrow('gone for good')
  expect(pump.stats()).toMatchObject({ state: 'failed', dropped: 1 })
  for (let i = 0; i < 3_000; i++) expect(pump.write(`${'x'.repeat(100)}\n`)).toBe(true)
  expect(pump.commit('last\n')).toBe(true)
  expect(pump.stats().dropped).toBe(3_002)
  expect(() => pump.flushSync()).toThrow('gone for good')
  await expect(pump.flush()).rejects.toThrow('gone for good')
  await expect(pump.close()).rejects.toThrow(/3002 records .*ERR_LOST/)
  expect(events).toContain('warning')
  expect(target.isClosed).toBe(true)
})

test('a caller that is blocked for room is let go when the target fails for good', () => {
  const { pump, target } = create({ maxBufferBytes: 100 })
  let attempts = 0
  target.write = () => {
    if (++attempts > 3) throw new PermanentError('ERR_IO', 'gone for good')
    throw new Error('EIO')
  }
  for (let i = 0; i < 10; i++) pump.write(`${'x'.repeat(50)}\n`)
  expect(pump.stats()).toMatchObject({ state: 'failed', dropped: 10 })
})

test('close waits as long as something gets done, however long that takes', async () => {
  const { pump, target } = create({ flushInterval: 60_000 })
  const writeAll = target.write.bind(target)
  let batches = 0
  target.write = (records) => {
    // One record in each turn, with a pause that is longer than closing may stand still when added up.
    const end = records.indexOf(10) + 1
    if (++batches % 2 === 0) return 0
    return writeAll(records.subarray(0, end))
  }
  for (let i = 0; i < 200; i++) pump.write(`line ${i}\n`)
  await pump.close()
  expect(target.lines).toHaveLength(200)
})

test('close rejects with exact numbers when nothing can be written, and nothing is written afterwards', async () => {
  const { pump, target, events } = create()
  target.fail = { write: new Error('ENOSPC') }
  for (let i = 0; i < 7; i++) pump.write(`line ${i}\n`)
  const startMs = performance.now()
  await expect(pump.close()).rejects.toThrow(/7 records \(49 bytes\).*ERR_LOST/)
  expect(performance.now() - startMs).toBeGreaterThan(7_000)
  target.fail = {}
  expect(pump.stats()).toMatchObject({ dropped: 7, state: 'closed' })
  expect(events).toContain('dropped')
  expect(() => pump.write('late\n')).toThrow('ERR_CLOSED')
  expect(() => pump.flushSync()).toThrow('ERR_CLOSED')
  await expect(pump.flush()).rejects.toThrow('ERR_CLOSED')
  expect(target.lines).toEqual([])
})

test.each([
  5,
  {},
  null,
  undefined,
  true,
  Symbol('s'),
  () => 'x',
  ['a'],
  new ArrayBuffer(4),
  new DataView(new ArrayBuffer(4)),
  new Uint16Array([1, 2]),
  new String('boxed')
])('write and commit refuse %s, and nobody else notices', async (value) => {
  const { pump, target } = create()
  pump.write('before\n')
  for (const entry of ['write', 'commit', 'writeWhole'] as const) {
    expect(() => pump[entry](value as string)).toThrow(expect.objectContaining({ code: 'ERR_ARGUMENT' }))
  }
  pump.write('after\n')
  await pump.close()
  expect(target.lines).toEqual(['before', 'after'])
  expect(pump.stats()).toMatchObject({ dropped: 0, queuedBytes: 0 })
})

test.each(['everything', 5, null, {}])('flush refuses the level %s', async (level) => {
  const { pump } = create()
  await expect((async () => pump.flush(level as 'os'))()).rejects.toThrow('ERR_ARGUMENT')
  expect(() => pump.flushSync(level as 'os')).toThrow('ERR_ARGUMENT')
  await pump.close()
})

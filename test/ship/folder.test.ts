// A folder of logs, such as files of events, is shipped log by log: all of them, also those that appear later, each once and in
// order, and the trouble of one is not that of the others.
import { appendFileSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { EventFiles } from '../../src/core/event-files/event-files.ts'
import { RotatingFile } from '../../src/core/rotating-file/rotating-file.ts'
import { native } from '../../src/native/index.ts'
import { readConsumers } from '../../src/readers/log-consumers.ts'
import { readCheckpoint } from '../../src/ship/checkpoint.ts'
import { FolderShipper, type FolderShipperOptions } from '../../src/ship/folder-shipper.ts'
import { RefusedError, RetryLaterError, type ShipBatch, type ShipTarget } from '../../src/ship/target.ts'
import { startBulkIndex } from '../helpers/bulk-index.ts'
import { startCli } from '../helpers/cli.ts'
import { createFolder } from '../helpers/folder.ts'
import { sized } from '../helpers/sized.ts'
import { until } from '../helpers/until.ts'

const fallback = false
const outputs = ['rotating-file', 'direct-file', 'binary-file', 'wal'] as const

/** Takes everything, by event; `answer` may throw. */
function createStore(answer: (batch: ShipBatch) => unknown = () => {}) {
  const taken = new Map<string, string[]>()
  const target: ShipTarget = {
    name: 'test',
    guarantee: 'none',
    splits: true,
    maxInFlight: 1,
    async send(batch) {
      await answer(batch)
      const event = batch.event ?? 'none'
      const texts = taken.get(event) ?? []
      taken.set(event, [...texts, ...batch.records.map(({ data }) => String(data))])
      return []
    }
  }
  return { target, taken }
}

function start(source: string, target: ShipTarget, options: Partial<FolderShipperOptions> = {}) {
  const shipper = new FolderShipper({ batchAge: 50, ...options, source, target: () => target })
  const seen: string[] = []
  shipper
    .on('degraded', ({ message }) => seen.push(`degraded ${message}`))
    .on('recovered', () => seen.push('recovered'))
    .on('failed', ({ message }) => seen.push(`failed ${message}`))
    .on('lost', ({ message }) => seen.push(`lost ${message}`))
    .on('warning', ({ message }) => seen.push(`warning ${message}`))
  onTestFinished(() => shipper.stop())
  const running = shipper.run()
  running.catch(() => {})
  return { shipper, running, seen }
}

const numbered = (event: string, from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => `${event} ${from + i}`)

describe.skipIf(!native.canLock).each(outputs)('events over %s', (output) => {
  test('are all shipped, those that appear later, too, while they rotate', async () => {
    const dir = createFolder()
    const bounds =
      output === 'wal' ? { segmentBytes: 4096 } : { maxBytes: output === 'direct-file' ? '128k' : 1000 }
    const backups = output === 'wal' ? {} : { maxBackups: 1, compress: 'gzip' as const }
    const files = new EventFiles({ dir, output, fallback, ...bounds, ...backups } as never)
    let isClosed = false
    onTestFinished(async () => {
      if (!isClosed) await files.close()
    })
    const events = ['login', 'payment.done', 'zoë']
    let written = 0
    const write = async (names: readonly string[], count: number) => {
      for (let i = 0; i < count; i++) for (const event of names) files.log(event, `${event} ${written + i}`)
      written += count
      await files.flush()
    }
    const { target, taken } = createStore()
    await write(events.slice(0, 1), 20)
    const { shipper, running, seen } = start(dir, target)
    await until(() => taken.get('login')?.length === 20)
    // The second one appears, and has rotated many times before anybody can have looked at it.
    for (let turn = 0; turn < sized(30, 5); turn++) await write(events, 20)
    isClosed = true
    await files.close()
    const expected = (event: string) => numbered(event, event === 'login' ? 0 : 20, written)
    await until(() => events.every((event) => taken.get(event)?.length === expected(event).length), {
      timeoutMs: 20_000
    })
    for (const event of events) expect(taken.get(event)).toEqual(expected(event))
    expect(shipper.stats()).toMatchObject({ logs: 3, failedLogs: 0, retries: 0 })
    await shipper.stop()
    await running
    expect(seen).toEqual([])
  })
})

describe.skipIf(!native.canLock)('a folder of logs', () => {
  test('is shipped to its end, and goes on behind that the next time', async () => {
    const dir = createFolder()
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f'])
      writeFileSync(join(dir, `${name}.log`), `${name} 0\n${name} 1\n`)
    const first = createStore()
    await start(dir, first.target, { follow: false }).running
    expect([...first.taken.keys()].sort()).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
    appendFileSync(join(dir, 'c.log'), 'c 2\n')
    const second = createStore()
    await start(dir, second.target, { follow: false }).running
    expect([...second.taken]).toEqual([['c', ['c 2']]])
    expect(readCheckpoint(join(dir, '.c.log.ship-test')).records).toBe(3)
  })

  test('keeps what a new log rotates away before it is seen, as long as its shipper lives', async () => {
    const dir = createFolder()
    writeFileSync(join(dir, 'old.log'), 'old 0\n')
    const { target, taken } = createStore()
    // It looks once a second.
    const { shipper, running, seen } = start(dir, target, { batchAge: '1h', batchBytes: 1 })
    await until(() => taken.has('old'))
    const file = new RotatingFile({ path: join(dir, 'new.log'), maxBytes: 0, maxBackups: 1, fallback })
    for (let i = 0; i < 8; i++) {
      file.writeLine(`new ${i}`)
      await file.rotate()
    }
    await file.close()
    await until(() => taken.get('new')?.length === 8)
    expect(taken.get('new')).toEqual(numbered('new', 0, 8))
    await shipper.stop()
    await running
    expect(seen).toEqual([])
  })

  test('the trouble of one log is not that of the others, and is told once', async () => {
    const dir = createFolder()
    const names = ['good', 'held', 'bad']
    for (const name of names) writeFileSync(join(dir, `${name}.log`), `${name} 0\n`)
    let isHeld = true
    let asked = 0
    const { target, taken } = createStore(({ event }) => {
      if (event === 'bad') throw new RefusedError('never')
      if (event === 'held' && isHeld) {
        asked++
        throw new RetryLaterError('not now', 10)
      }
    })
    const { shipper, running, seen } = start(dir, { ...target, splits: false })
    await until(() => taken.has('good') && asked > 1)
    appendFileSync(join(dir, 'good.log'), 'good 1\n')
    await until(() => taken.get('good')?.length === 2)
    isHeld = false
    await until(() => taken.has('held') && seen.includes('recovered'))
    expect(seen.sort()).toEqual([
      'degraded held.log: not now',
      expect.stringMatching(/^failed bad\.log: test refuses what is shipped: never \[ERR_TARGET\]/),
      'recovered'
    ])
    expect(shipper.stats()).toMatchObject({ logs: 3, failedLogs: 1, lagLogs: 1 })
    await shipper.stop()
    await expect(running).rejects.toMatchObject({ code: 'ERR_TARGET' })
  })

  test('that is removed and made again is shipped again; a log that goes before it was shipped is told', async () => {
    const parent = createFolder()
    const dir = join(parent, 'logs')
    mkdirSync(dir)
    writeFileSync(join(dir, 'a.log'), 'a 0\n')
    const { target, taken } = createStore(({ event }) => {
      if (event === 'b') throw new Error('away')
    })
    const { seen } = start(dir, target)
    await until(() => taken.get('a')?.length === 1)
    writeFileSync(join(dir, 'b.log'), 'b 0\n')
    await until(() => seen.some((each) => each.startsWith('degraded')))
    rmSync(join(dir, 'b.log'))
    await until(() => seen.some((each) => /^lost b\.log: .*removed before/.test(each)), { timeoutMs: 10_000 })
    rmSync(dir, { recursive: true })
    await sleep(100)
    mkdirSync(dir)
    writeFileSync(join(dir, 'a.log'), 'a 1\na 2\n')
    await until(() => taken.get('a')?.length === 3, { timeoutMs: 10_000 })
    expect(taken.get('a')).toEqual(numbered('a', 0, 3))
    await until(() => readdirSync(dir).includes('..consumer-ship-test'))
  })

  test('has one shipper of a name; what is no folder of logs, or not for one, is refused', async () => {
    const dir = createFolder()
    writeFileSync(join(dir, 'a.log'), 'a 0\n')
    const { target, taken } = createStore()
    start(dir, target)
    await until(() => taken.has('a'))
    await expect(start(dir, target).running).rejects.toMatchObject({ code: 'ERR_LOCKED' })
    await expect(start(join(dir, 'nothing'), target, { follow: false }).running).rejects.toMatchObject({
      code: 'ERR_NOT_FOUND'
    })
    await expect(start(join(dir, 'a.log'), target).running).rejects.toMatchObject({ code: 'ERR_OPTION' })
    const make = () => target
    for (const wrong of [
      undefined,
      {},
      { source: '', target: make },
      { source: dir },
      { source: dir, target },
      { source: dir, target: make, checkpoint: 'x' },
      { source: dir, target: make, removeShipped: true },
      { source: dir, target: make, consumer: '.' }
    ] as never[])
      expect(() => new FolderShipper(wrong)).toThrow(/ERR_OPTION/)
    const broken = new FolderShipper({ source: dir, target: () => 5 as never })
    await expect(broken.run()).rejects.toMatchObject({ code: 'ERR_OPTION' })
  })

  test('shows its logs as those of a shipper that lives, also while none of them is read', async () => {
    const dir = createFolder()
    const path = join(dir, 'a.log')
    writeFileSync(path, 'a 0\n')
    const { target } = createStore()
    const { shipper, running } = start(dir, target)
    await until(async () => (await readConsumers(path))[0]?.records === 1)
    await sleep(200)
    expect(await readConsumers(path)).toMatchObject([{ name: 'ship-test', state: 'open', isAlive: true }])
    await shipper.stop()
    await running
    expect(await readConsumers(path)).toMatchObject([{ isAlive: false }])
  })

  test('of many logs is shipped with few descriptors, and quiet logs cost nothing', async () => {
    const dir = createFolder()
    const count = sized(2_000, 150)
    for (let i = 0; i < count; i++) writeFileSync(join(dir, `event-${i}.log`), `${i}\n`)
    const { target, taken } = createStore()
    const { shipper } = start(dir, target)
    let most = 0
    await until(
      () => {
        most = Math.max(most, readdirSync('/proc/self/fd').length)
        return taken.size === count
      },
      { timeoutMs: 60_000 }
    )
    expect(most).toBeLessThan(150)
    await until(() => shipper.stats().lagLogs === 0, { timeoutMs: 20_000 })
    const checkpoint = join(dir, '.event-7.log.ship-test')
    const { mtimeMs } = statSync(checkpoint)
    await sleep(300)
    expect(statSync(checkpoint).mtimeMs).toBe(mtimeMs)
  })

  test('is taken by the command, and each document has its event', async () => {
    const dir = createFolder()
    writeFileSync(join(dir, 'login.log'), '{"n":1}\nno json\n{"event":"mine"}\n')
    const index = await startBulkIndex()
    const args = ['ship', dir, '--to', 'elasticsearch', '--url', index.url, '--batch-age', '50ms']
    const child = startCli(args)
    let said = ''
    child.stderr.on('data', (text) => {
      said += text
    })
    await until(() => index.documents.size === 3)
    appendFileSync(join(dir, 'later.log'), '{"n":2}\n')
    await until(() => index.documents.size === 4)
    child.kill('SIGTERM')
    await new Promise((resolve) => child.once('close', resolve))
    expect(child.exitCode).toBe(0)
    expect(said).toMatch(/of each log in the folder, every record is sent at least once/)
    expect(said).toMatch(/4 records in 2 batches, 0 of them refused/)
    const found = [...index.documents.values()].map(({ event, n, message }) => [event, n ?? message])
    expect(found).toEqual([
      ['login', 1],
      ['login', 'no json'],
      ['mine', undefined],
      ['later', 2]
    ])
  })
})

// A log whose disk fails for longer than it waits: transports come back by themselves, and the class can be started again.
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { withInternals } from '../../../src/core/sink/internals.ts'
import { WriteAheadLog } from '../../../src/core/wal/write-ahead-log.ts'
import { createFaultyDisk } from '../../helpers/faulty-disk.ts'
import { createFolder } from '../../helpers/folder.ts'
import { readLog } from '../../helpers/wal-log.ts'

const writing = /^(write|fdatasync|fsync)/

describe.each(['EIO', 'ENOSPC'] as const)('%s', (fault) => {
  it('for longer than callers are patient: the log of a transport is degraded, then recovered, and loses nothing', async () => {
    const faulty = createFaultyDisk()
    const walDir = join(createFolder(), 'wal')
    const log = withInternals({ disk: faulty.disk }, () =>
      WriteAheadLog.openSync({ walDir, segmentBytes: 65_536, fallback: false })
    )
    const events: string[] = []
    for (const name of ['degraded', 'recovered'] as const) log.on(name, () => events.push(name))
    log.write('before\n')
    await log.flush()
    faulty.fault = (operation) => (writing.test(operation) ? fault : undefined)
    for (let i = 0; i < 28; i++) {
      log.write(`meanwhile ${i}\n`)
      await delay(100)
    }
    expect(log.stats().state).toBe('degraded')
    faulty.fault = () => undefined
    log.write('late\n')
    await log.flush()
    expect(log.stats()).toMatchObject({ state: 'open', dropped: 0 })
    await log.close()
    expect(events).toEqual(['degraded', 'recovered'])
    const found = readLog(walDir).entries.map(({ text }) => text)
    expect(found).toEqual(['before', ...Array.from({ length: 28 }, (_, i) => `meanwhile ${i}`), 'late'])
  })
})

it('a log of the class that has failed is started again with the same object', async () => {
  const faulty = createFaultyDisk()
  const walDir = join(createFolder(), 'wal')
  const patience = { passingMs: 60, failingMs: 60 }
  const log = await withInternals({ disk: faulty.disk, patience }, () =>
    WriteAheadLog.open({ walDir, segmentBytes: 65_536, fallback: false })
  )
  await log.log(['one'])
  for (let round = 0; round < 3; round++) {
    faulty.fault = (operation) => (writing.test(operation) ? 'EIO' : undefined)
    await expect(log.log(['lost'])).rejects.toThrow(/ERR_WAL_FAILED/)
    expect(log.stats().state).toBe('failed')
    await expect(log.log(['refused'])).rejects.toThrow(/ERR_WAL_FAILED/)
    expect(() => log.logSync(['refused'])).toThrow(/ERR_WAL_FAILED/)
    await expect(log.flush()).rejects.toThrow(/ERR_WAL_FAILED/)
    faulty.fault = () => undefined
    await Promise.all([log.start(), log.start()])
    expect(log.stats().state).toBe('open')
    log.write('line\n')
    await log.flush()
    await log.log(['again'])
  }
  await log.close()
  await expect(log.start()).rejects.toThrow(/ERR_CLOSED/)
  const found = readLog(walDir).entries.map(({ text }) => text)
  expect(found.filter((text) => text !== 'lost')).toEqual([
    'one',
    ...Array.from({ length: 3 }, () => ['line', 'again']).flat()
  ])
})

it('a folder that cannot be made at first is waited for by the log of a transport', async () => {
  const faulty = createFaultyDisk()
  const walDir = join(createFolder(), 'wal')
  faulty.fault = (operation) => (operation === 'mkdir' ? 'ENOSPC' : undefined)
  const log = withInternals({ disk: faulty.disk }, () =>
    WriteAheadLog.openSync({ walDir, segmentBytes: 65_536, fallback: false })
  )
  log.write('waits\n')
  await expect.poll(() => log.stats().state).toBe('degraded')
  faulty.fault = () => undefined
  await log.flush()
  expect(readLog(walDir).entries.map(({ text }) => text)).toEqual(['waits'])
  await log.close()
})

it('a disk with room for some of the batches that wait takes those', async () => {
  const faulty = createFaultyDisk()
  const walDir = join(createFolder(), 'wal')
  const patience = { passingMs: 2_000, failingMs: 0 }
  const log = await withInternals({ disk: faulty.disk, patience }, () =>
    WriteAheadLog.open({ walDir, segmentBytes: 65_536, fallback: false })
  )
  faulty.fault = (operation, _call, args) =>
    operation === 'write' && (args[3] as number) > 100_000 ? 'ENOSPC' : undefined
  const texts = Array.from({ length: 100 }, (_, i) => `${i} ${'x'.repeat(10_000)}`)
  const ranges = await Promise.all(texts.map((text) => log.log([text])))
  expect(ranges.map(({ firstIndex }) => firstIndex)).toEqual(texts.map((_, i) => BigInt(i + 1)))
  await log.close()
  expect(readLog(walDir).entries.map(({ text }) => text)).toEqual(texts)
})

import { mkdirSync, readdirSync, rmdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { EventFiles, withInternals } from '../../helpers/built.ts'
import { directFiles, readDirectFile, readTexts } from '../../helpers/direct-file-reader.ts'
import { createFolder } from '../../helpers/folder.ts'
import { createThreadFaults, type ThreadFaults } from '../../helpers/thread-faults.ts'
import { until } from '../../helpers/until.ts'

type Options = Record<string, unknown>

function open(options: Options = {}, faults: ThreadFaults = createThreadFaults()) {
  const dir = createFolder()
  const events = withInternals(
    { threadDisk: faults.threadDisk },
    () => new EventFiles({ dir, output: 'direct-file', fallback: false, ...options })
  )
  onTestFinished(async () => {
    faults.heal()
    await events.close().catch(() => {})
  })
  const codes: string[] = []
  events.on('warning', ({ code }) => codes.push(code))
  return { events, dir, faults, codes }
}

const read = (dir: string, event: string): string[] => {
  const names = new Set(readdirSync(dir))
  return directFiles(join(dir, `${event}.log`))
    .filter((path) => names.has(path.slice(dir.length + 1)))
    .flatMap((path) => readTexts(path))
}

describe('an event whose file cannot be had', () => {
  const obstacles: Record<string, [string, (path: string) => void]> = {
    folder: ['ERR_NOT_FILE', (path) => mkdirSync(path)],
    link: ['ERR_SYMLINK', (path) => symlinkSync(`${path}.target`, path)],
    'file of others': ['ERR_FORMAT', (path) => writeFileSync(path, 'text of somebody else\n')]
  }
  test.each(Object.entries(obstacles))(
    '%s: its records are counted as dropped, with one warning, and no flush says otherwise',
    async (_, [code, make]) => {
      const { events, dir, codes } = open()
      make(join(dir, 'bad.log'))
      for (let round = 0; round < 3; round++) {
        for (let index = 0; index < 5; index++) events.log('bad', `${round} ${index}`)
        events.log('good', `${round}`)
        await events.flush('disk')
        expect(events.stats().dropped).toBe(5 * (round + 1))
        expect(read(dir, 'good').length).toBe(round + 1)
      }
      expect(codes).toEqual([code])
      expect(events.stats('bad')).toMatchObject({ totalLogs: 15, droppedLogs: 15, recordsWritten: 0 })
      rmSync(join(dir, 'bad.log'), { recursive: true })
      events.log('bad', 'after')
      await events.close()
      expect(read(dir, 'bad')).toEqual(['after'])
      // The first seal says what is missing.
      expect(readDirectFile(join(dir, 'bad.log')).sealedDropped).toBe(15)
      expect(events.stats().dropped).toBe(15)
    }
  )
})

describe.each(['EACCES', 'EIO', 'ENOSPC'] as const)('an event whose file fails with %s', (fault) => {
  test('waits, keeps no other event from being written, and keeps a flush of all from resolving', async () => {
    const faults = createThreadFaults('/bad.log')
    const { events, dir } = open({ flushInterval: 20 }, faults)
    events.log('bad', 'before')
    await events.flush()
    faults.fail('writev', fault)
    let isFlushed = false
    for (let round = 0; round < 20; round++) {
      events.log('bad', `bad ${round}`)
      events.log('good', `good ${round}`)
      if (round === 10)
        void events.flush().then(() => {
          isFlushed = true
        })
    }
    await until(() => read(dir, 'good').length === 20)
    await until(() => events.stats().state === 'degraded')
    await events.close('good')
    expect(isFlushed).toBe(false)
    expect(events.stats()).toMatchObject({ dropped: 0 })
    expect(events.stats().queuedBytes).toBeGreaterThan(0)
    faults.heal()
    await until(() => isFlushed)
    await until(() => events.stats().state === 'open')
    await events.close()
    const expected = Array.from({ length: 20 }, (_, round) => `bad ${round}`)
    expect(read(dir, 'bad')).toEqual(['before', ...expected])
    expect(events.stats()).toMatchObject({ dropped: 0, records: 41, queuedBytes: 0 })
  })
})

test('what waits for one event is bounded, and beyond that costs that event alone', async () => {
  const faults = createThreadFaults('/bad.log')
  const { events, dir } = open({ maxBufferBytes: '1m', bufferSize: '1m', flushInterval: 10 }, faults)
  faults.fail('writev', 'EIO')
  const count = 3_000
  for (let index = 0; index < count; index++) {
    events.log('bad', `${index} ${'x'.repeat(1_000)}`)
    events.log('good', `${index} ${'x'.repeat(1_000)}`)
    if (index % 100 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  await until(() => read(dir, 'good').length === count)
  await until(() => events.stats('bad').droppedLogs > 0)
  expect(events.stats('good').droppedLogs).toBe(0)
  faults.heal()
  await events.close()
  const { dropped } = events.stats()
  expect(read(dir, 'bad').length + dropped).toBe(count)
  expect(events.stats('bad').droppedLogs).toBe(dropped)
})

test('large records of an event that waits do not keep those of others waiting', async () => {
  const faults = createThreadFaults('/bad.log')
  const { events, dir } = open({ maxBufferBytes: '16m', bufferSize: '1m', flushInterval: 10 }, faults)
  faults.fail('writev', 'EIO')
  for (let index = 0; index < 3; index++) events.log('bad', `${index}`.repeat(1_000_000))
  for (let index = 0; index < 20; index++) events.log('good', `${index % 10}`.repeat(1_000_000))
  await until(() => read(dir, 'good').length === 20)
  faults.heal()
  await events.flush()
  expect(read(dir, 'bad').map((text) => text[0])).toEqual(['0', '1', '2'])
  expect(events.stats()).toMatchObject({ dropped: 0, queuedBytes: 0 })
})

test('no file of an event gets larger than maxBytes, unless it holds a single record that is', async () => {
  const { events, dir } = open({ maxBytes: '128k' })
  const texts: string[] = []
  for (let index = 0; index < 3_000; index++) {
    const text = `${index} ${'x'.repeat(index % 500 === 250 ? 200_000 : (index * 37) % 2_000)}`
    texts.push(text)
    events.log('a', text)
    if (index % 10 === 0) events.log('b', text)
  }
  await events.close()
  expect(read(dir, 'a')).toEqual(texts)
  expect(read(dir, 'b')).toEqual(texts.filter((_, index) => index % 10 === 0))
  for (const name of readdirSync(dir).filter((each) => !each.startsWith('.'))) {
    const path = join(dir, name)
    const { records, damage, size } = readDirectFile(path)
    expect(damage).toEqual([])
    expect(statSync(path).size).toBe(size)
    if (size > 131_072) expect(records).toBe(1)
  }
})

test('with fewer descriptors than files some are closed, and all records are written', async () => {
  const faults = createThreadFaults('.log')
  const { events, dir } = open({ maxOpenFiles: 64 }, faults)
  for (let event = 0; event < 40; event++) events.log(`e${event}`, 'before')
  await events.flush()
  faults.fail('open', 'EMFILE', 1, false)
  for (let event = 0; event < 60; event++) events.log(`e${event}`, 'after')
  await events.flush()
  for (let event = 0; event < 60; event++) {
    expect(read(dir, `e${event}`)).toEqual(event < 40 ? ['before', 'after'] : ['after'])
  }
  expect(events.stats().dropped).toBe(0)
})

test('flushInterval 0 writes when asked only, and an idle sink costs no processor', async () => {
  const { events, dir } = open({ flushInterval: 0 })
  events.log('a', 'one')
  await events.flush()
  events.log('a', 'two')
  const before = process.cpuUsage()
  await new Promise((resolve) => setTimeout(resolve, 1_000))
  const { user, system } = process.cpuUsage(before)
  expect(user + system).toBeLessThan(300_000)
  expect(read(dir, 'a')).toEqual(['one'])
  await events.close()
  expect(read(dir, 'a')).toEqual(['one', 'two'])
})

test('backups of events are removed and compressed as options say', async () => {
  const { events, dir } = open({ maxBytes: '128k', maxBackups: 2, compress: 'gzip' })
  for (let round = 0; round < 8; round++) {
    for (let index = 0; index < 100; index++) events.log('a', `${round} ${'x'.repeat(1_000)}`)
    await events.flush()
  }
  await until(() => {
    const names = readdirSync(dir).filter((name) => name.startsWith('a.log.'))
    return names.length === 2 && names.every((name) => name.endsWith('.gz'))
  })
})

test('an obstacle that goes away while records wait for nothing else is no reason to lose them', async () => {
  const { events, dir } = open({ flushInterval: 20 })
  events.log('a', 'one')
  await events.flush()
  rmSync(join(dir, 'a.log'))
  mkdirSync(join(dir, 'a.log'))
  events.log('b', 'two')
  await events.flush()
  rmdirSync(join(dir, 'a.log'))
  events.log('a', 'three')
  await events.close()
  expect(read(dir, 'a')).toEqual(['three'])
})

// Files of events that are sinks of their own: one event's trouble is its own, and nothing is lost uncounted.
import { mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { EventFiles } from '../../../src/core/event-files/event-files.ts'
import type { EventFilesOptions } from '../../../src/core/event-files/options.ts'
import { withInternals } from '../../../src/core/sink/internals.ts'
import { native } from '../../../src/native/index.ts'
import { readRecords } from '../../../src/readers/read-records.ts'
import { createFaultyDisk, type Fault, type FaultyDisk } from '../../helpers/faulty-disk.ts'
import { createFolder } from '../../helpers/folder.ts'
import { openBelow } from '../../helpers/open-below.ts'

const outputs = ['rotating-file', 'binary-file', 'wal'] as const
type Output = (typeof outputs)[number]

interface Bed {
  readonly dir: string
  readonly faulty: FaultyDisk
  readonly sink: EventFiles
  readonly warnings: string[]
}

/** How long closing waits while nothing gets done; eight seconds would only be waited for. */
const STALL_MS = 1_000

function create(output: Output, options: Record<string, unknown> = {}): Bed {
  const dir = createFolder()
  const faulty = createFaultyDisk()
  const own = output === 'wal' ? {} : { lock: native.canLock, maxBytes: '10m' }
  const sink = withInternals(
    { disk: faulty.disk, stallMs: STALL_MS },
    () =>
      new EventFiles({
        dir,
        output,
        fallback: false,
        flushInterval: 5,
        ...own,
        ...options
      } as EventFilesOptions)
  )
  const warnings: string[] = []
  sink.on('warning', ({ code }) => warnings.push(code))
  onTestFinished(() => {
    faulty.fault = () => undefined
    return sink.close().catch(() => {})
  })
  return { dir, faulty, sink, warnings }
}

/** Where the log of an event is. */
function placeOf(output: Output, dir: string, event: string): string {
  return output === 'wal' ? join(dir, event, 'wal') : join(dir, `${event}.log`)
}

async function read(output: Output, dir: string, event: string): Promise<string[]> {
  const texts: string[] = []
  const format = output === 'rotating-file' ? 'text' : output
  for await (const { data } of readRecords(placeOf(output, dir, event), { format }))
    texts.push(data.toString())
  return texts
}

async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadlineMs = performance.now() + 10_000
  while (!(await condition())) {
    if (performance.now() > deadlineMs) throw new Error(`not so after 10 s: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** Fails every call that has to do with the files of one event. */
function failEvent(faulty: FaultyDisk, event: string, fault: Fault): void {
  const isOurs = (argument: unknown): boolean =>
    typeof argument === 'string' && new RegExp(`^\\.?${event}(\\.|$)`).test(basename(argument))
  faulty.fault = (operation, _call, args) => (operation === 'open' && args.some(isOurs) ? fault : undefined)
}

test.each(outputs)(
  'output %s: an obstacle in place of one event costs it its records, counted, and goes away with it',
  async (output) => {
    const { dir, sink, warnings } = create(output)
    const obstacle = output === 'wal' ? join(dir, 'bad') : placeOf(output, dir, 'bad')
    if (output === 'wal') writeFileSync(obstacle, 'in the way')
    else mkdirSync(obstacle)
    for (let index = 0; index < 5; index++) {
      sink.log('bad', `bad ${index}`)
      sink.log('good', `good ${index}`)
    }
    await sink.flush()
    expect(await read(output, dir, 'good')).toEqual([0, 1, 2, 3, 4].map((index) => `good ${index}`))
    expect(sink.stats('bad')).toMatchObject({ totalLogs: 5, droppedLogs: 5, recordsWritten: 0 })
    expect(sink.stats('good')).toMatchObject({ totalLogs: 5, droppedLogs: 0, recordsWritten: 5 })
    expect(sink.stats().dropped).toBe(5)
    expect(warnings.length).toBeGreaterThan(0)

    rmSync(obstacle, { recursive: true })
    let offered = 5
    await until(async () => {
      sink.log('bad', `bad ${offered++}`)
      await sink.flush()
      return sink.stats('bad').recordsWritten > 0
    }, 'the event is written again')
    await sink.close()
    const found = await read(output, dir, 'bad')
    expect(found.at(-1)).toBe(`bad ${offered - 1}`)
    expect(found.length + sink.stats('bad').droppedLogs).toBe(offered)
  }
)

test.each(['rotating-file', 'binary-file'] as const)(
  'output %s: a file that cannot be opened for now holds up its own event only, and a flush waits for it',
  async (output) => {
    const { dir, faulty, sink } = create(output)
    failEvent(faulty, 'bad', 'EACCES')
    let isFlushed = false
    for (let index = 0; index < 20; index++) {
      sink.log('bad', `bad ${index}`)
      sink.log(`good ${index % 3}`, `${index}`)
    }
    const flushed = sink.flush().then(() => {
      isFlushed = true
    })
    await until(
      () => [0, 1, 2].every((n) => sink.stats(`good ${n}`).recordsWritten === (n === 2 ? 6 : 7)),
      'the other events are written'
    )
    expect(isFlushed).toBe(false)
    expect(sink.stats().state).toBe('degraded')
    expect(sink.stats().dropped).toBe(0)
    faulty.fault = () => undefined
    await flushed
    expect(await read(output, dir, 'bad')).toEqual([...Array(20).keys()].map((index) => `bad ${index}`))
    await until(() => sink.stats().state === 'open', 'recovered')
  }
)

test.each(['rotating-file', 'binary-file'] as const)(
  'output %s: what one event cannot write does not fill the memory of the others, whatever the policy',
  async (output) => {
    const { dir, faulty, sink, warnings } = create(output, { maxBufferBytes: 64_000 })
    failEvent(faulty, 'bad', 'EACCES')
    for (let round = 0; round < 40; round++) {
      for (let index = 0; index < 25; index++) sink.log('bad', `bad ${'x'.repeat(100)}`)
      sink.log('good', `good ${round}`)
      await until(() => sink.stats('good').recordsWritten === round + 1, `good ${round} is written`)
    }
    expect(warnings).toContain('ERR_OVERFLOW')
    const { totalLogs, droppedLogs } = sink.stats('bad')
    expect(totalLogs).toBe(1_000)
    expect(sink.stats().dropped).toBe(droppedLogs)
    faulty.fault = () => undefined
    await sink.close()
    expect((await read(output, dir, 'bad')).length).toBe(1_000 - sink.stats('bad').droppedLogs)
    expect(await read(output, dir, 'good')).toEqual([...Array(40).keys()].map((round) => `good ${round}`))
  }
)

test.each(outputs)(
  'output %s: close on a disk that stays full counts every record, releases everything and writes nothing later',
  { timeout: 60_000 },
  async (output) => {
    const { dir, faulty, sink } = create(output)
    const events = ['a', 'b', 'c']
    for (const event of events) sink.log(event, 'first')
    await sink.flush()
    faulty.fault = (operation) => (/^(write|append)/.test(operation) ? 'ENOSPC' : undefined)
    for (let index = 0; index < 100; index++) for (const event of events) sink.log(event, `${event} ${index}`)
    await expect(sink.close()).rejects.toMatchObject({ code: 'ERR_LOST', message: /300 records/ })
    expect(sink.stats()).toMatchObject({ dropped: 300, queuedBytes: 0, state: 'closed' })
    for (const event of events) expect(sink.stats(event)).toMatchObject({ totalLogs: 101, droppedLogs: 100 })
    // A write-ahead log may be syncing a folder at that moment.
    if (output === 'wal') await until(() => openBelow(dir).length === 0, 'nothing is open')
    expect(openBelow(dir)).toEqual([])
    const written = () => events.map((event) => statSync(placeOf(output, dir, event)).mtimeMs)
    const before = written()
    faulty.fault = () => undefined
    await new Promise((resolve) => setTimeout(resolve, 600))
    expect(written()).toEqual(before)
    expect(openBelow(dir)).toEqual([])
  }
)

test('when no descriptors are left fewer files are kept open, and every record is written', async () => {
  const { dir, faulty, sink, warnings } = create('rotating-file')
  faulty.fault = (operation) => (operation === 'open' && openBelow(dir).length >= 12 ? 'EMFILE' : undefined)
  for (let index = 0; index < 60; index++) sink.log(`e${index}`, `${index}`)
  await sink.flush()
  expect(warnings).toContain('ERR_LIMIT')
  for (let index = 0; index < 60; index++) {
    expect(readFileSync(join(dir, `e${index}.log`), 'utf8')).toBe(`${index}\n`)
  }
  await sink.close()
  expect(sink.stats()).toMatchObject({ records: 60, dropped: 0 })
})

test('a flush to disk covers files that were closed since their last record', async () => {
  const { faulty, sink, dir } = create('rotating-file', { maxOpenFiles: 5 })
  for (let index = 0; index < 10; index++) sink.log(`e${index}`, 'x')
  await sink.flush('os')
  const synced = new Set<string>()
  faulty.fault = (operation, _call, args) => {
    if (/^fdatasync/.test(operation)) synced.add(basename(readlinkSync(`/proc/self/fd/${args[0]}`)))
    return undefined
  }
  await sink.flush('disk')
  expect([...synced].sort()).toEqual(
    readdirSync(dir)
      .filter((name) => !name.startsWith('.'))
      .sort()
  )
})

test('two events whose names are one to the file system share a file and its writer', async () => {
  const dir = createFolder()
  const faulty = createFaultyDisk()
  // A file system that folds case finds a file by any spelling of its name.
  const disk = new Proxy(faulty.disk, {
    get: (target, name) =>
      name === 'exists'
        ? (path: string) =>
            readdirSync(dir).some((each) => each.toLowerCase() === basename(path).toLowerCase())
        : Reflect.get(target, name)
  })
  const sink = withInternals(
    { disk },
    () => new EventFiles({ dir, output: 'rotating-file', lock: native.canLock, fallback: false })
  )
  for (const [index, event] of ['Login', 'login', 'LOGIN', 'other'].entries()) sink.log(event, `${index}`)
  await sink.close()
  expect(
    readdirSync(dir)
      .filter((name) => !name.startsWith('.'))
      .sort()
  ).toEqual(['Login.log', 'other.log'])
  expect(readFileSync(join(dir, 'Login.log'), 'utf8')).toBe('0\n1\n2\n')
})

test('where case counts, they have a file each', async () => {
  const { dir, sink } = create('rotating-file')
  for (const event of ['Login', 'login']) sink.log(event, event)
  await sink.close()
  expect(
    readdirSync(dir)
      .filter((name) => !name.startsWith('.'))
      .sort()
  ).toEqual(['Login.log', 'login.log'])
})

test.each([5, {}, null, undefined, true, ['x'], new ArrayBuffer(3), new DataView(new ArrayBuffer(3))])(
  'data of another type (%s) is refused before an event is made of it, and nobody else notices',
  async (data) => {
    const { dir, sink } = create('rotating-file')
    sink.log('a', 'before')
    expect(() => sink.log('new', data as never)).toThrow(/ERR_ARGUMENT/)
    expect(() => sink.log('a', data as never)).toThrow(/ERR_ARGUMENT/)
    sink.log('a', Buffer.from('after'))
    await sink.close()
    expect(readFileSync(join(dir, 'a.log'), 'utf8')).toBe('before\nafter\n')
    expect(readdirSync(dir).filter((name) => !name.startsWith('.'))).toEqual(['a.log'])
    expect(sink.stats()).toMatchObject({ records: 2, dropped: 0 })
    expect(sink.events()).toEqual(['a'])
  }
)

test('events are opened, listed, counted and closed one by one', async () => {
  const { dir, sink } = create('rotating-file')
  sink.open('a')
  expect(sink.events()).toEqual(['a'])
  expect(() => sink.stats('b')).toThrow(/ERR_NO_EVENT/)
  sink.log('b', 'x')
  await sink.close('b')
  expect(readFileSync(join(dir, 'b.log'), 'utf8')).toBe('x\n')
  expect(sink.events()).toEqual(['a'])
  await expect(sink.close('')).rejects.toThrow(/ERR_EVENT_NAME/)
  await sink.close('unknown')
  await sink.close()
  expect(() => sink.log('a', 'x')).toThrow(/ERR_CLOSED/)
  expect(() => sink.open('a')).toThrow(/ERR_CLOSED/)
  expect(sink.stats('b')).toEqual({
    totalLogs: 1,
    droppedLogs: 0,
    recordsWritten: 1,
    bytesWritten: 2,
    rotations: 0
  })
})

test.each(outputs)(
  "output %s: log keeps the newest records with 'drop-oldest', and counts the others",
  async (output) => {
    const { dir, faulty, sink } = create(output, { overflow: 'drop-oldest', maxBufferBytes: 16_000 })
    const count = 400
    faulty.fault = (operation) => (/^write/.test(operation) ? 'ENOSPC' : undefined)
    for (let id = 0; id < count; id++) {
      expect(sink.log(`e${id % 3}`, `record ${id} ${'x'.repeat(200)}`)).toBe(true)
      if (id % 40 === 39) await new Promise((resolve) => setTimeout(resolve, 5))
    }
    faulty.fault = () => undefined
    await sink.flush()
    let found = 0
    let offered = 0
    for (const event of ['e0', 'e1', 'e2']) {
      const numbers = (await read(output, dir, event))
        .filter((text) => text.startsWith('record'))
        .map((text) => Number(text.split(' ')[1]))
      expect(numbers).toEqual([...numbers].sort((a, b) => a - b))
      expect(numbers.at(-1)).toBeGreaterThanOrEqual(count - 3)
      const { totalLogs, droppedLogs } = sink.stats(event)
      expect(totalLogs - droppedLogs).toBe(numbers.length)
      offered += totalLogs
      found += numbers.length
    }
    expect(offered).toBe(count)
    expect(found).toBeGreaterThan(10)
    expect(sink.stats().dropped).toBe(count - found)
  }
)

test('a burst larger than the event buffer is written to files that are not open yet, whatever the policy', async () => {
  for (const overflow of ['drop-newest', 'drop-oldest']) {
    const { dir, sink } = create('rotating-file', { overflow, maxBufferBytes: 16_000 })
    for (let id = 0; id < 200; id++) sink.log(`e${id % 3}`, 'x'.repeat(200))
    await sink.flush()
    const found = await Promise.all(['e0', 'e1', 'e2'].map((event) => read('rotating-file', dir, event)))
    expect(found.flat()).toHaveLength(200)
  }
})

test('what tells of drops goes to the default event, whatever the key of events is, and counts as no record', async () => {
  const { dir, faulty, sink } = create('rotating-file', {
    overflow: 'drop-newest',
    maxBufferBytes: 4_000,
    eventKey: 'msg'
  })
  const count = 100
  faulty.fault = (operation) => (/^write/.test(operation) ? 'ENOSPC' : undefined)
  for (let id = 0; id < count; id++) sink.log('e', 'x'.repeat(200))
  expect(sink.stats().dropped).toBeGreaterThan(0)
  faulty.fault = () => undefined
  await sink.flush()
  sink.write('{"msg":"other"}\n')
  await sink.flush()
  expect(sink.events().sort()).toEqual(['default', 'e', 'other'])
  const notices = await read('rotating-file', dir, 'default')
  expect(notices.length).toBeGreaterThan(0)
  const totals = sink.events().map((event) => sink.stats(event).totalLogs)
  expect(totals.reduce((sum, total) => sum + total, 0)).toBe(count + 1)
})

test.each(['rotating-file', 'binary-file'] as const)(
  'output %s: closing an event whose file cannot be opened, or takes no more, ends all the same',
  async (output) => {
    for (const fault of ['EACCES', 'ENOSPC'] as const) {
      const { faulty, sink } = create(output, { maxBufferBytes: 64_000 })
      if (fault === 'EACCES') failEvent(faulty, 'bad', fault)
      else faulty.fault = (operation) => (/^write/.test(operation) ? fault : undefined)
      // More than a file may hold, less than blocks.
      for (let id = 0; id < 100; id++) sink.log('bad', `${id} ${'x'.repeat(200)}`)
      await expect(sink.close('bad')).rejects.toMatchObject({ code: 'ERR_LOST', message: /100 records/ })
      expect(sink.stats('bad')).toMatchObject({ totalLogs: 100, droppedLogs: 100, recordsWritten: 0 })
      expect(sink.stats()).toMatchObject({ dropped: 100, queuedBytes: 0 })
      faulty.fault = () => undefined
      sink.log('bad', 'later')
      await sink.close()
      expect(sink.stats('bad')).toMatchObject({ totalLogs: 101, droppedLogs: 100, recordsWritten: 1 })
    }
  }
)

test('closing an event whose file cannot be written says what was lost, and the event goes on', async () => {
  const { dir, faulty, sink } = create('rotating-file')
  sink.log('e', 'kept')
  await sink.flush()
  faulty.fault = (operation) => (/^write/.test(operation) ? 'ENOSPC' : undefined)
  for (let id = 0; id < 10; id++) sink.log('e', `lost ${id}`)
  await expect(sink.close('e')).rejects.toMatchObject({ code: 'ERR_LOST', message: /10 records/ })
  expect(sink.stats('e')).toMatchObject({ totalLogs: 11, droppedLogs: 10 })
  faulty.fault = () => undefined
  sink.log('e', 'later')
  await sink.close()
  expect(await read('rotating-file', dir, 'e')).toEqual(['kept', 'later'])
}, 20_000)

test('on a file system that cannot sync log answers false, and close tells of every record', async () => {
  const { faulty, sink } = create('rotating-file', { durability: 'disk' })
  faulty.fault = (operation) => (/sync/i.test(operation) ? 'EINVAL' : undefined)
  for (let id = 0; id < 5; id++) sink.log(`e${id % 2}`, `record ${id}`)
  await expect(sink.flush()).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED' })
  expect(sink.log('e0', 'late')).toBe(false)
  await expect(sink.close()).rejects.toMatchObject({ code: 'ERR_LOST', message: /6 records/ })
  expect(sink.stats()).toMatchObject({ dropped: 6, queuedBytes: 0, state: 'closed' })
  expect(sink.stats('e0').droppedLogs + sink.stats('e1').droppedLogs).toBe(6)
})

test('a flush to disk rejects when the sync of one of its files has failed, though all others are there', async () => {
  const { faulty, sink, dir } = create('rotating-file')
  for (const event of ['good', 'bad', 'other']) sink.log(event, 'x')
  await sink.flush('os')
  faulty.fault = (operation, _call, args) => {
    if (!/^fdatasync/.test(operation)) return undefined
    return basename(readlinkSync(`/proc/self/fd/${args[0]}`)).startsWith('bad') ? 'EIO' : undefined
  }
  await expect(sink.flush('disk')).rejects.toMatchObject({ code: 'ERR_SYNC' })
  faulty.fault = () => undefined
  for (const event of ['good', 'bad', 'other']) expect(await read('rotating-file', dir, event)).toEqual(['x'])
})

test.each(['direct-file', ...outputs] as const)(
  'output %s: lines that were written and records that were logged are in the order of the calls',
  async (output) => {
    const dir = createFolder()
    const own =
      output === 'binary-file'
        ? { maxBytes: '10m' }
        : output === 'direct-file'
          ? { numShards: 1, bufferSize: '1m' }
          : {}
    const sink = new EventFiles({ dir, output, fallback: false, ...own } as EventFilesOptions)
    const line = (number: number): string => JSON.stringify({ event: 'a', number })
    sink.write(`${line(0)}\n`)
    sink.log('a', line(1))
    sink.write(`${line(2)}\n${line(3)}\n`)
    sink.log('a', line(4))
    await sink.flush()
    sink.write(`${line(5)}\n`)
    sink.log('a', line(6))
    await sink.close()
    const found: number[] = []
    for await (const { data } of readRecords(dir)) found.push(JSON.parse(data.toString()).number)
    expect(found).toEqual([0, 1, 2, 3, 4, 5, 6])
  }
)

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type EventFilesOptions, LoggerManager, readRecords, WriteAheadLog } from 'logboom'
import { EventFilesTransport } from 'logboom/winston'
import pino from 'pino'
import { describe, expect, onTestFinished, test } from 'vitest'
import winston from 'winston'
import { native } from '../../../src/native/index.ts'
import { readDirectFile, readTexts } from '../../helpers/direct-file-reader.ts'
import { createFolder } from '../../helpers/folder.ts'
import { isLong } from '../../helpers/sized.ts'

function create(options: Record<string, unknown> = {}): { manager: LoggerManager; dir: string } {
  const dir = createFolder()
  const hasLock = options.output === 'rotating-file' || options.output === 'binary-file'
  const lock = hasLock && !native.canLock ? { lock: false } : {}
  const manager = new LoggerManager({ dir, ...lock, ...options } as EventFilesOptions)
  onTestFinished(() => manager.close().catch(() => {}))
  return { manager, dir }
}

/** Log files open in this process below `dir`. */
function openFiles(dir: string): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`)
      return target.startsWith(dir) && !target.endsWith('event-files.lock') ? [target] : []
    } catch {
      return []
    }
  })
}

async function readEvent(dir: string, name: string): Promise<string[]> {
  const records: string[] = []
  for await (const { data } of readRecords(join(dir, name))) records.push(data.toString())
  return records
}

describe.each(['direct-file', 'rotating-file', 'binary-file'] as const)('output %s', (output) => {
  const extra = output === 'binary-file' ? { maxBytes: '10m' } : {}

  test('each event has its file, in order, whatever mix of calls and lines', async () => {
    const { manager, dir } = create({ output, ...extra })
    for (let id = 0; id < 500; id++) {
      manager.logWithEvent(`event ${id % 5}`, `record ${id}`)
      manager.logBytesWithEvent('bytes', Buffer.from(`bytes ${id}`))
    }
    manager.write('{"event":"event 0","id":1}\n{"id":2}\nno json\n\n{"event":7}\n{"event":"event')
    manager.write(' 0","id":3}\n')
    await manager.flush()
    const own = (event: number) => Array.from({ length: 100 }, (_, index) => `record ${event + 5 * index}`)
    expect(await readEvent(dir, 'event_1.log')).toEqual(own(1))
    expect(await readEvent(dir, 'event_0.log')).toEqual([
      ...own(0),
      '{"event":"event 0","id":1}',
      '{"event":"event 0","id":3}'
    ])
    expect(await readEvent(dir, 'default.log')).toEqual(['{"id":2}', 'no json', '{"event":7}'])
    expect((await readEvent(dir, 'bytes.log')).length).toBe(500)
    expect(manager.listEventLoggers().sort()).toEqual([
      'bytes',
      'default',
      ...[0, 1, 2, 3, 4].map((n) => `event_${n}`)
    ])
    expect(manager.getEventStats('event 0')).toMatchObject({
      totalLogs: 102,
      droppedLogs: 0,
      recordsWritten: 102
    })
    const each = manager.events().map((name) => manager.stats(name).recordsWritten)
    expect(each.reduce((sum, records) => sum + records, 0)).toBe(1_005)
    expect(manager.getStatsSnapshot()).toMatchObject({ totalLogs: 1_005, droppedLogs: 0 })
    expect(manager.stats()).toMatchObject({ records: 1_005, dropped: 0, queuedBytes: 0, state: 'open' })
    expect(manager.getAggregatedFlushMetrics().totalFlushes).toBeGreaterThan(0)
    expect(() => manager.getEventStats('unknown')).toThrow(/ERR_NO_EVENT/)
    await manager.close()
    expect(() => manager.logWithEvent('x', 'x')).toThrow(/ERR_CLOSED/)
  })

  test('events are opened, closed and opened again one by one', async () => {
    const { manager, dir } = create({ output, ...extra })
    expect(manager.hasEventLogger('a/b')).toBe(false)
    manager.initializeEventLogger('a/b')
    manager.initializeEventLogger('a/b')
    expect(manager.hasEventLogger('a/b')).toBe(true)
    manager.logWithEvent('a/b', 'one')
    await manager.closeEventLogger('a/b')
    expect(manager.hasEventLogger('a/b')).toBe(false)
    expect(manager.listEventLoggers()).toEqual([])
    expect(openFiles(dir)).toEqual([])
    expect(await readEvent(dir, 'a_b.log')).toEqual(['one'])
    manager.logWithEvent('a/b', 'two')
    expect(manager.listEventLoggers()).toEqual(['a_b'])
    await manager.close()
    expect(await readEvent(dir, 'a_b.log')).toEqual(['one', 'two'])
    expect(manager.getEventStats('a/b')).toMatchObject({ totalLogs: 2, recordsWritten: 2 })
  })

  test('never more descriptors than maxOpenFiles, and nothing is lost by closing', async () => {
    const { manager, dir } = create({ output, maxOpenFiles: 8, ...extra })
    let most = 0
    for (let round = 0; round < 10; round++) {
      for (let event = 0; event < 40; event++) manager.logWithEvent(`e${event}`, `${round}`)
      await manager.flush()
      most = Math.max(most, openFiles(dir).length)
    }
    expect(most).toBeGreaterThan(0)
    expect(most).toBeLessThanOrEqual(8)
    await manager.close()
    for (let event = 0; event < 40; event++) {
      expect(await readEvent(dir, `e${event}.log`)).toEqual(
        Array.from({ length: 10 }, (_, round) => `${round}`)
      )
    }
  })

  test('files that nothing is written to close after idleClose', async () => {
    const { manager, dir } = create({ output, idleClose: 100, flushInterval: 20, ...extra })
    manager.logWithEvent('idle', 'x')
    await manager.flush()
    expect(openFiles(dir).length).toBeGreaterThan(0)
    const deadline = Date.now() + 5_000
    while (openFiles(dir).length > 0 && Date.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 20))
    expect(openFiles(dir)).toEqual([])
    manager.logWithEvent('idle', 'y')
    await manager.close()
    expect(await readEvent(dir, 'idle.log')).toEqual(['x', 'y'])
  })

  test('more than maxEvents names: the rest goes to the default event, said once', async () => {
    const { manager, dir } = create({ output, maxEvents: 3, defaultEvent: 'other', ...extra })
    const warnings: string[] = []
    manager.on('warning', ({ message }) => warnings.push(message))
    for (let event = 0; event < 6; event++) manager.logWithEvent(`e${event}`, `${event}`)
    await manager.close()
    expect(
      readdirSync(dir)
        .filter((name) => !name.startsWith('.'))
        .sort()
    ).toEqual(['e0.log', 'e1.log', 'e2.log', 'other.log'])
    expect(await readEvent(dir, 'other.log')).toEqual(['3', '4', '5'])
    expect(warnings.length).toBe(1)
  })
})

test('output wal: each event is a log of its own', async () => {
  const { manager, dir } = create({ output: 'wal' })
  manager.logWithEvent('a', 'one')
  manager.logWithEvent('b', 'two')
  manager.logWithEvent('a', 'three')
  await manager.close()
  const records: string[] = []
  const wal = await WriteAheadLog.open({ walDir: join(dir, 'a', 'wal') })
  for await (const { data } of wal.read()) records.push(data.toString())
  await wal.close()
  expect(records).toEqual(['one', 'three'])
})

test.each(['direct-file', 'binary-file', 'wal'])(
  'output %s: a message is one record, whatever it holds',
  async (output) => {
    const { manager, dir } = create({ output, ...(output === 'binary-file' ? { maxBytes: '10m' } : {}) })
    const messages = ['two\nlines', '\n', 'one\n', 'a\r\n\nb', 'plain']
    for (const message of messages) manager.logWithEvent('a', message)
    manager.write('{"event":"a"}\n')
    await manager.close()
    const path = output === 'wal' ? join(dir, 'a', 'wal') : join(dir, 'a.log')
    const records: string[] = []
    for await (const { data } of readRecords(path)) records.push(data.toString())
    expect(records).toEqual([...messages, '{"event":"a"}'])
  }
)

test.each(['binary-file', 'wal', 'rotating-file'])(
  'output %s: no more descriptors than allowed',
  async (output) => {
    const { manager, dir } = create({
      output,
      maxOpenFiles: 20,
      flushInterval: '5ms',
      ...(output === 'binary-file' ? { maxBytes: '10m' } : {})
    })
    let most = 0
    for (let id = 0; id < 150; id++) {
      manager.logWithEvent(`e${id % 50}`, `record ${id}`)
      if (id % 10 === 9) await new Promise((resolve) => setTimeout(resolve, 10))
      most = Math.max(most, openFiles(dir).length)
    }
    await manager.close()
    expect(most).toBeGreaterThan(5)
    expect(most).toBeLessThanOrEqual(20)
  }
)

test('direct files: drops are counted for the event, on disk too', async () => {
  const { manager, dir } = create({ overflow: 'drop-newest', bufferSize: '512k', numShards: 4 })
  let accepted = 0
  for (let id = 0; id < 20_000; id++) {
    if (manager.logWithEvent(`e${id % 2}`, 'x'.repeat(400))) accepted++
  }
  await manager.close()
  const contents = ['e0', 'e1'].map((name) => readDirectFile(join(dir, `${name}.log`)))
  const dropped = contents.reduce((sum, { sealedDropped }) => sum + sealedDropped, 0)
  expect(contents.reduce((sum, { records }) => sum + records, 0)).toBe(accepted)
  expect(accepted).toBeLessThan(20_000)
  expect(dropped).toBe(20_000 - accepted)
  expect(manager.stats('e0').droppedLogs + manager.stats('e1').droppedLogs).toBe(dropped)
  expect(manager.getStatsSnapshot()).toMatchObject({ droppedLogs: dropped })
  expect(manager.stats().dropped).toBe(dropped)
})

test('direct files: a record larger than a shard keeps its place', async () => {
  const { manager, dir } = create({ bufferSize: '512k', numShards: 4 })
  const large = 'L'.repeat(400_000)
  for (const message of ['one', large, 'two']) manager.logWithEvent('e', message)
  await manager.close()
  expect(readTexts(join(dir, 'e.log'))).toEqual(['one', large, 'two'])
})

test.each(['rotating-file', 'binary-file'] as const)(
  'output %s: a planted link costs its own event its records, counted, and no other',
  async (output) => {
    const extra = output === 'binary-file' ? { maxBytes: '10m' } : {}
    const { manager, dir } = create({ output, ...extra, fallback: false })
    const target = join(createFolder(), 'target')
    writeFileSync(target, 'untouched')
    symlinkSync(target, join(dir, 'linked.log'))
    const warnings: string[] = []
    manager.on('warning', ({ code }) => warnings.push(code))
    for (let id = 0; id < 10; id++) {
      manager.logWithEvent('linked', `lost ${id}`)
      manager.logWithEvent('other', `kept ${id}`)
    }
    await manager.flush()
    expect(await readEvent(dir, 'other.log')).toEqual([...Array(10).keys()].map((id) => `kept ${id}`))
    expect(readFileSync(target, 'utf8')).toBe('untouched')
    expect(warnings).toContain('ERR_SYMLINK')
    expect(manager.getEventStats('linked')).toMatchObject({ totalLogs: 10, droppedLogs: 10 })
    expect(manager.getEventStats('other')).toMatchObject({
      totalLogs: 10,
      droppedLogs: 0,
      recordsWritten: 10
    })
    expect(manager.stats().dropped).toBe(10)
    await manager.close()
  }
)

test('many events from a caller that does not yield: written once, and the files are closed again', async () => {
  const { manager, dir } = create({ output: 'rotating-file', maxOpenFiles: 16, maxBufferBytes: '256k' })
  const count = 400
  for (let round = 0; round < 20; round++) {
    for (let event = 0; event < count; event++) {
      manager.logWithEvent(`e${event}`, `${round} ${'x'.repeat(100)}`)
    }
    // Lets a round of the manager begin, and goes on before it has ended.
    if (round % 3 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  await manager.flush()
  for (let event = 0; event < count; event++) {
    const rounds = (await readEvent(dir, `e${event}.log`)).map((line) => Number(line.split(' ')[0]))
    expect(rounds).toEqual([...Array(20).keys()])
  }
  expect(openFiles(dir).length).toBeLessThanOrEqual(16)
  expect(manager.stats()).toMatchObject({ records: 20 * count, dropped: 0 })
  await manager.close()
})

test('options of another output, of nowhere and of no use are told apart', () => {
  const dir = createFolder()
  const told = (options: object): string => {
    try {
      new LoggerManager({ dir, ...options } as EventFilesOptions)
    } catch (error) {
      expect((error as { code?: string }).code).toBe('ERR_OPTION')
      return (error as Error).message
    }
    throw new Error('nothing was thrown')
  }
  expect(told({ rotateEvery: 'daily' })).toContain("it is an option of output: 'rotating-file'")
  expect(told({ output: 'rotating-file', numShards: 4 })).toContain(
    "it is an option of output: 'direct-file'"
  )
  expect(told({ maxOpenFile: 3 })).toContain("did you mean 'maxOpenFiles'?")
  expect(told({ rotateEveri: 'daily' })).toContain("did you mean 'rotateEvery'? It is an option of output")
  expect(told({ property: 'event' })).toContain("did you mean 'eventKey'?")
  expect(told({ walDir: 'x' })).toContain("did you mean 'dir'?")
  expect(told({ maxBackups: 3 })).toContain("has no meaning without 'maxBytes'")
  expect(told({ qqqqqq: 1 })).toMatch(/known options: .*dir.*eventKey.*maxOpenFiles/)
  expect(told({ path: 'x' })).toContain('give one of them')
  expect(told({ dir: undefined })).toContain("option 'dir' is required")
})

test('wrong options are refused by name', () => {
  const dir = createFolder()
  expect(() => new LoggerManager({} as EventFilesOptions)).toThrow(/'dir'.*ERR_OPTION/)
  expect(() => new LoggerManager({ dir, path: 'x' })).toThrow(/ERR_OPTION/)
  expect(() => new LoggerManager({ dir, eventKey: '' })).toThrow(/eventKey.*ERR_OPTION/)
  expect(() => new LoggerManager({ dir, output: 'spool' } as unknown as EventFilesOptions)).toThrow(
    /output.*ERR_OPTION/
  )
  expect(() => new LoggerManager({ dir, rotateEvery: 'daily' } as EventFilesOptions)).toThrow(
    /rotateEvery.*rotating-file.*ERR_OPTION/
  )
  expect(() => new LoggerManager({ dir, output: 'rotating-file', maxBytes: -1 })).toThrow(
    /maxBytes.*ERR_OPTION/
  )
})

const EVENTS = isLong ? 10_000 : 400
const ROUNDS = isLong ? 100 : 10

/** Logs `rounds` records of each of `events` events, and prints what that took. */
const routingProgram = (options: object, events: number, rounds: number): string => `
  import { once } from 'node:events'
  import { readdirSync, readlinkSync } from 'node:fs'
  import pino from 'pino'
  const options = ${JSON.stringify(options)}
  const transport = pino.transport({ target: 'logboom/event-files', options })
  const logger = pino({ base: null, timestamp: false }, transport)
  logger.info('warm up')
  // An idle transport does not keep the process alive.
  const alive = setInterval(() => {}, 1_000)
  await once(transport, 'ready')
  // The growth that counts is that from one event to many, not that of a logger that begins to log.
  for (let id = 0; id < 100_000; id++) {
    logger.info({ id })
    if (id % 500 === 499 && transport.writableNeedDrain) await once(transport, 'drain')
  }
  await new Promise((resolve, reject) => transport.flush((error) => (error ? reject(error) : resolve())))
  const before = process.memoryUsage().rss
  let files = 0
  let bytes = 0
  const isLog = (fd) => {
    try {
      return readlinkSync('/proc/self/fd/' + fd).startsWith(options.dir)
    } catch {
      return false
    }
  }
  const look = () => {
    files = Math.max(files, readdirSync('/proc/self/fd').filter(isLog).length)
    bytes = Math.max(bytes, process.memoryUsage().rss - before)
  }
  for (let round = 0; round < ${rounds}; round++) {
    for (let event = 0; event < ${events}; event++) {
      logger.info({ event: 'event/' + event, round })
      if (event % 500 === 499) {
        look()
        if (transport.writableNeedDrain) await once(transport, 'drain')
      }
    }
  }
  await new Promise((resolve, reject) => transport.flush((error) => (error ? reject(error) : resolve())))
  look()
  transport.end()
  await once(transport, 'close')
  clearInterval(alive)
  console.log(JSON.stringify({ files, bytes }))`

describe.each(['rotating-file', 'direct-file'])(
  `pino, ${EVENTS} events × ${ROUNDS} records, output %s`,
  (output) => {
    test('every record in the right file, descriptors and memory bounded', async () => {
      const dir = createFolder()
      const lock = output === 'rotating-file' ? { lock: native.canLock } : {}
      const program = routingProgram({ dir, output, durability: 'none', ...lock }, EVENTS, ROUNDS)
      const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
        stdio: ['ignore', 'pipe', 'inherit']
      })
      onTestFinished(() => void child.kill('SIGKILL'))
      let text = ''
      child.stdout.on('data', (data) => {
        text += data
      })
      expect((await once(child, 'exit'))[0]).toBe(0)
      for (let event = 0; event < EVENTS; event++) {
        const path = join(dir, `event_${event}.log`)
        const lines =
          output === 'direct-file' ? readTexts(path) : readFileSync(path, 'utf8').split('\n').slice(0, -1)
        expect(lines.map((line) => JSON.parse(line).round)).toEqual([...Array(ROUNDS).keys()])
      }
      const { files, bytes } = JSON.parse(text)
      expect(files).toBeGreaterThan(10)
      // Files that open and close while /proc is being read are counted twice.
      expect(files).toBeLessThanOrEqual(256 + 8)
      expect(bytes).toBeLessThan(128 * 1024 * 1024)
    }, 600_000)
  }
)

test('pino: direct files, acknowledged only when written', async () => {
  const dir = createFolder()
  const transport = pino.transport({
    target: 'logboom/event-files',
    options: { dir, output: 'direct-file', eventKey: 'kind' }
  })
  const logger = pino(transport)
  for (let id = 0; id < 2_000; id++) logger.info({ kind: `k${id % 7}`, id })
  const ended = once(transport, 'close')
  transport.end()
  await ended
  const ids = [0, 1, 2, 3, 4, 5, 6].flatMap((k) =>
    readTexts(join(dir, `k${k}.log`)).map((text) => JSON.parse(text).id)
  )
  expect(ids.sort((a, b) => a - b)).toEqual([...Array(2_000).keys()])
})

test('winston: events from a field of the JSON line', async () => {
  const dir = createFolder()
  const transport = new EventFilesTransport({ dir, lock: native.canLock })
  const logger = winston.createLogger({ transports: [transport] })
  for (let id = 0; id < 300; id++) logger.info('x', { event: id % 2 === 0 ? 'even' : 'odd', id })
  const finished = once(transport, 'finish')
  logger.end()
  await finished
  const even = readFileSync(join(dir, 'even.log'), 'utf8').trimEnd().split('\n')
  expect(even.map((line) => JSON.parse(line).id)).toEqual(
    Array.from({ length: 150 }, (_, index) => 2 * index)
  )
})

// What the classes have beside the contract of all sinks: records of a `Spool`, writers of a `DirectFile` in any thread,
// and the names of `LoggerManager`.
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { realDisk } from '../../dist/io/disk.js'
import { DirectFile, LoggerManager, Spool, withInternals } from '../helpers/built.ts'
import { createFolder } from '../helpers/folder.ts'
import { clearRules, createDisk, createState, setRule } from '../helpers/shared-faulty-disk.mjs'
import { publishedNames, publishedText } from '../helpers/spool.ts'
import { outcome, values } from './arguments.ts'
import { writes } from './bed.ts'
import { readDirect } from './subjects/direct-file.ts'
import { eventFiles } from './subjects/event-files.ts'

const refused = 'ERR_ARGUMENT'
const wrongFor = (...taken: string[]): [string, unknown][] =>
  Object.entries(values).filter(([type]) => !taken.includes(type))

describe('a spool', () => {
  /** Publishes nothing by itself. */
  function create(path: string, disk: unknown = realDisk): Spool {
    const options = { path, workers: 2, fallback: false, flushInterval: 0, timeout: '60s' } as const
    return withInternals({ disk: disk as never }, () => new Spool(options))
  }

  test('takes texts, bytes and streams, whole, and refuses everything else at the cost of nobody', async () => {
    const path = createFolder()
    const spool = create(path)
    const taken: Promise<boolean>[] = []
    for (const [type, value] of wrongFor('text', 'Uint8Array')) {
      taken.push(spool.write('<text>'), spool.write(Buffer.from('<bytes>')))
      expect(await outcome(() => spool.write(value as string)), type).toBe(refused)
      taken.push(spool.write(Readable.from(['<str', Buffer.from('eam>')])))
    }
    expect(new Set(await Promise.all(taken))).toEqual(new Set([true]))
    await spool.close()
    const found = publishedText(path).match(/<\w+>/g) ?? []
    expect(found.sort()).toEqual(
      ['<bytes>', '<stream>', '<text>'].flatMap((text) => Array(taken.length / 3).fill(text))
    )
    expect(publishedText(path)).toHaveLength(found.join('').length)
    expect(spool.stats()).toMatchObject({ records: taken.length, dropped: 0, queuedBytes: 0 })
    expect(await outcome(() => spool.write('late'))).toBe('ERR_CLOSED')
  })

  test('publishes nothing of a stream that fails, and all of the others', async () => {
    const path = createFolder()
    const spool = create(path)
    const broken = (): Readable =>
      Readable.from(
        (async function* () {
          yield 'part'
          throw new Error('broken')
        })()
      )
    const outcomes = await Promise.all(
      ['a', broken(), 'b', broken(), 'c'].map((record) => outcome(() => spool.write(record)))
    )
    await spool.close()
    expect(outcomes).toEqual(['answered true', 'ERR_SOURCE', 'answered true', 'ERR_SOURCE', 'answered true'])
    expect([...publishedText(path)].sort().join('')).toBe('abc')
  })

  test('that is closed on a full disk waits for it, a stream under way included', async () => {
    const path = createFolder()
    const state = createState()
    const spool = create(path, createDisk(realDisk, { state }))
    for (const operation of writes) setRule(state, operation, 'ENOSPC', 1, 2 ** 31 - 1)
    const slow = new Readable({ read() {} })
    const taken = ['<one>', Buffer.from('<two>'), slow, '<three>'].map((record) => spool.write(record))
    slow.push('<long')
    const closing = spool.close()
    setTimeout(() => {
      clearRules(state)
      slow.push('est>')
      slow.push(null)
    }, 200)
    await closing
    expect(await Promise.all(taken)).toEqual([true, true, true, true])
    expect((publishedText(path).match(/<\w+>/g) ?? []).sort()).toEqual([
      '<longest>',
      '<one>',
      '<three>',
      '<two>'
    ])
    expect(spool.stats()).toMatchObject({ records: 4, dropped: 0, queuedBytes: 0, state: 'closed' })
  })

  test('that is closed on a disk that stays full says how many records are lost, and publishes none later', {
    timeout: 20_000
  }, async () => {
    const path = createFolder()
    const state = createState()
    const spool = create(path, createDisk(realDisk, { state }))
    for (const operation of writes) setRule(state, operation, 'ENOSPC', 1, 2 ** 31 - 1)
    const taken = ['one', 'two', 'three', 'four', 'five'].map((record) => spool.write(record))
    expect(await outcome(() => spool.close())).toBe('ERR_LOST')
    clearRules(state)
    await Promise.all(taken)
    expect(spool.stats()).toMatchObject({ records: 0, dropped: 5, queuedBytes: 0, state: 'closed' })
    expect(publishedNames(path)).toEqual([])
  })
})

describe('attached writers of a direct file', () => {
  test('share it with its own calls, each in order; a wrong type costs nobody anything', async () => {
    const path = join(createFolder(), 'app.log')
    const file = new DirectFile({ path, numShards: 2, bufferSize: '128k', maxBytes: '128k' })
    const writers = [DirectFile.attach(file.share()), DirectFile.attach(file.share()), file] as const
    for (let index = 0; index < 60; index++) {
      for (const [number, writer] of writers.entries()) {
        writer.log(`${number} ${index} ${'x'.repeat((index * 397) % 3_000)}`)
      }
    }
    for (const [type, value] of wrongFor('text')) {
      for (const writer of writers)
        expect(await outcome(() => writer.log(value as string)), type).toBe(refused)
    }
    for (const [type, value] of wrongFor('Uint8Array')) {
      for (const writer of writers)
        expect(await outcome(() => writer.logBytes(value as Buffer)), type).toBe(refused)
    }
    for (const [type, value] of Object.entries(values)) {
      expect(await outcome(() => DirectFile.attach(value as never)), type).toBe(refused)
    }
    await file.flush()
    writers[0].close()
    writers[0].close()
    expect(await outcome(() => writers[0].log('late'))).toBe('ERR_CLOSED')
    writers[1].log('1 60')
    await file.close()
    expect(await outcome(() => writers[1].log('late'))).toBe('ERR_CLOSED')
    expect(await outcome(() => DirectFile.attach(file.share()))).toBe('ERR_CLOSED')
    writers[1].close()
    const texts = readDirect(path)
    for (const number of [0, 1, 2]) {
      const own = texts
        .filter((text) => text.startsWith(`${number} `))
        .map((text) => Number(text.split(' ')[1]))
      expect(own).toEqual(Array.from({ length: number === 1 ? 61 : 60 }, (_, index) => index))
    }
    expect(file.stats()).toMatchObject({ records: 181, dropped: 0, queuedBytes: 0, state: 'closed' })
  })
})

describe.each(eventFiles.map((subject) => [subject.output as string, subject] as const))(
  'LoggerManager over %s',
  (_output, subject) => {
    test('logs under its own names what EventFiles does, and refuses the same', async () => {
      const folder = createFolder()
      const manager = new LoggerManager({ ...subject.options(folder), fallback: false } as never)
      const expected = Array.from({ length: 8 }, (_, index) => subject.line(index))
      const nameOf = (line: string): string => JSON.parse(line).event ?? 'default'
      manager.initializeEventLogger('orders')
      for (const [index, line] of expected.entries()) {
        if (index % 2 === 0) expect(manager.logWithEvent(nameOf(line), line)).toBe(true)
        else expect(manager.logBytesWithEvent(nameOf(line), Buffer.from(line))).toBe(true)
      }
      const calls: [taken: string[], call: (value: never) => unknown][] = [
        [['text'], (value) => manager.logWithEvent('orders', value)],
        [['Uint8Array'], (value) => manager.logBytesWithEvent('orders', value)],
        [['text'], (value) => manager.logWithEvent(value, 'never stored')],
        [['text'], (value) => manager.initializeEventLogger(value)],
        [['text'], (value) => manager.closeEventLogger(value)],
        [['text'], (value) => manager.getEventStats(value)]
      ]
      for (const [index, [taken, call]] of calls.entries()) {
        for (const [type, value] of wrongFor(...taken)) {
          expect(await outcome(() => call(value as never)), `${index}: ${type}`).toMatch(
            /^ERR_(ARGUMENT|EVENT_NAME)$/
          )
        }
      }
      await manager.flush()
      expect(manager.listEventLoggers().sort()).toEqual(['default', 'logins', 'orders'])
      expect(manager.hasEventLogger('orders')).toBe(true)
      expect(manager.getEventStats('orders')).toMatchObject({
        totalLogs: 4,
        recordsWritten: 4,
        droppedLogs: 0
      })
      await manager.closeEventLogger('orders')
      expect(manager.hasEventLogger('orders')).toBe(false)
      expect(manager.getStatsSnapshot()).toMatchObject({ totalLogs: 8, droppedLogs: 0 })
      await manager.close()
      expect(await outcome(() => manager.logWithEvent('orders', 'late'))).toBe('ERR_CLOSED')
      expect(await outcome(() => manager.initializeEventLogger('orders'))).toBe('ERR_CLOSED')
      expect(subject.read(folder)).toEqual(expected)
    })
  }
)

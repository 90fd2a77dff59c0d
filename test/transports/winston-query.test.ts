// logger.query: every form winston's File and winston-daily-rotate-file take, over one file, several transports, event
// files and lines that are no JSON.
import { spawnSync } from 'node:child_process'
import { appendFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { EventFilesTransport } from 'logboom/winston'
import { describe, expect, it, onTestFinished } from 'vitest'
import winston from 'winston'
import { native } from '../../src/native/index.ts'
import { createFolder } from '../helpers/folder.ts'
import { random } from '../helpers/random.ts'
import { built } from '../helpers/script.ts'
import { closeAtEnd, createLogger, type Opened, openKind, openTransport, plain } from '../helpers/winston.ts'

interface Row {
  id?: number
  message?: string
  level?: string
}

const HOUR_MS = 3_600_000

const line = (id: number, more: object = {}): string => `${JSON.stringify({ level: 'info', id, ...more })}\n`

/** A transport over a file with these lines. */
function openOver(lines: string): Opened {
  const opened = openTransport({ lazy: true })
  writeFileSync(opened.path, lines)
  return opened
}

const lines = (count: number): string => Array.from({ length: count }, (_, id) => line(id)).join('')

async function idsOf({ transport }: Pick<Opened, 'transport'>, options?: object): Promise<unknown[]> {
  return ((await transport.query(options)) as Row[]).map(({ id }) => id)
}

const queryAll = (logger: winston.Logger, options: object): Promise<Record<string, Row[]>> =>
  new Promise((resolve) => logger.query(options as never, (_error, results) => resolve(results)))

describe('query of a transport', () => {
  it('is asked with options and callback, with either alone, and with neither', async () => {
    const opened = openOver(lines(20))
    const { transport } = opened
    const newest = Array.from({ length: 10 }, (_, at) => 19 - at)
    expect(await idsOf(opened)).toEqual(newest)
    expect(await idsOf(opened, null as never)).toEqual(newest)
    expect(await idsOf(opened, { rows: 2 })).toEqual([19, 18])
    const called = (ask: (callback: (...results: unknown[]) => void) => unknown): Promise<unknown[]> =>
      new Promise((resolve) => {
        expect(ask((...results) => resolve(results))).toBeUndefined()
      })
    const [, rows] = await called((callback) => transport.query(callback))
    expect((rows as Row[]).map(({ id }) => id)).toEqual(newest)
    expect(await called((callback) => transport.query({ rows: 1 }, callback))).toEqual([
      null,
      [{ level: 'info', id: 19 }]
    ])
    const [error, ...rest] = await called((callback) => transport.query({ rows: 'many' }, callback))
    expect(error).toMatchObject({ code: 'ERR_ARGUMENT' })
    expect(rest).toEqual([])
  })

  it.each([
    [{ rows: '3' }, [19, 18, 17]],
    [{ rows: ' 3 ', order: 'asc' }, [0, 1, 2]],
    [{ rows: 2.5, order: 'asc' }, [0, 1, 2]],
    [{ limit: '2' }, [19, 18]],
    [{ rows: '', limit: 2 }, [19, 18]],
    [{ rows: 1, limit: 5 }, [19]],
    [{ rows: 0, limit: 2 }, [19, 18]],
    [{ rows: Infinity, order: 'asc', start: 15 }, [15, 16, 17, 18, 19]],
    [{ rows: 3, start: '18' }, [19, 18]],
    [{ rows: 3, start: -5, order: 'asc' }, [0, 1, 2]],
    [{ start: 20 }, []],
    [{ rows: 2, order: '' }, [19, 18]],
    [{ rows: 2, level: '', from: '', until: null, fields: '' }, [19, 18]]
  ])('takes %j as a web page passes it', async (options, ids) => {
    expect(await idsOf(openOver(lines(20)), options)).toEqual(ids)
  })

  it.each([0, '0', -1, '-1', -0.5, null, undefined, ''])(
    'gives ten rows for rows: %j, in both orders',
    async (rows) => {
      const opened = openOver(lines(20))
      for (const order of ['asc', 'desc']) expect(await idsOf(opened, { rows, order })).toHaveLength(10)
    }
  )

  it.each([
    { rows: 'many' },
    { rows: Number.NaN },
    { rows: {} },
    { rows: [] },
    { rows: true },
    { rows: 1n },
    { limit: 'x' },
    { start: 'begin' },
    { start: {} },
    { from: 'garbage' },
    { until: 'garbage' },
    { from: {} },
    { from: new Date('garbage') },
    { until: Number.NaN },
    { until: true },
    { order: 'up' },
    { order: 1 },
    { level: 3 },
    { level: ['error'] },
    { fields: 7 },
    { fields: ['id', 7] },
    { event: 1 }
  ])('refuses %o with one clear error that names the option', async (options) => {
    const { transport } = openTransport({ lazy: true })
    const [name] = Object.keys(options)
    const rule = new RegExp(`query\\(\\) takes .*'${name}', not .*\\[ERR_ARGUMENT\\]`)
    await expect(transport.query(options as never)).rejects.toThrow(rule)
  })

  it.each(['text', 7, true, ['rows']])('refuses %j in place of options', async (options) => {
    const { transport } = openTransport({ lazy: true })
    await expect(transport.query(options as never)).rejects.toThrow(/an object of options, not.*ERR_ARGUMENT/)
  })

  it('finds by time, in everything Date takes, and always what has no time', async () => {
    const now = Date.now()
    const ages = [30, 20, 2, 1, 0]
    const opened = openOver(
      ages.map((hours, id) => line(id, { timestamp: new Date(now - hours * HOUR_MS) })).join('') +
        line(9) +
        line(8, { timestamp: 'once' })
    )
    const ids = (options: object): Promise<unknown[]> => idsOf(opened, { order: 'asc', ...options })
    expect(await ids({})).toEqual([1, 2, 3, 4, 9, 8])
    expect(await ids({ from: 0 })).toEqual([0, 1, 2, 3, 4, 9, 8])
    for (const bound of [
      now - 2.5 * HOUR_MS,
      String(now - 2.5 * HOUR_MS),
      new Date(now - 2.5 * HOUR_MS),
      new Date(now - 2.5 * HOUR_MS).toISOString(),
      new Date(now - 2.5 * HOUR_MS).toString()
    ]) {
      expect(await ids({ from: bound })).toEqual([2, 3, 4, 9, 8])
      expect(await ids({ from: '1970-01-01', until: bound })).toEqual([0, 1, 9, 8])
      // A day before `until`.
      expect(await ids({ until: bound })).toEqual([1, 9, 8])
    }
    expect(await ids({ from: now, until: now - HOUR_MS })).toEqual([9, 8])
  })

  it('finds by level and gives the fields that were asked for, which no record can make up', async () => {
    const opened = openOver(
      `${line(0, { level: 'warn', text: 'a' })}${line(1)}{"__proto__":{"text":"b"},"id":2}\n`
    )
    expect(await idsOf(opened, { level: 'warn' })).toEqual([0])
    expect(await opened.transport.query({ fields: ['id', 'text'], order: 'asc' })).toEqual([
      { id: 0, text: 'a' },
      { id: 1, text: undefined },
      { id: 2, text: undefined }
    ])
    expect(await opened.transport.query({ fields: 'id', rows: 1 })).toEqual([{ id: 2 }])
  })

  it('passes over lines that are no JSON objects', async () => {
    const opened = openOver(`info: plain\n\n7\n[1,{}]\nnull\n"text"\n{"id":1\n${line(2)}`)
    expect(await idsOf(opened)).toEqual([2])
    const { transport } = openTransport()
    createLogger({ format: plain, transports: [transport] }).info('not JSON')
    expect(await transport.query()).toEqual([])
  })

  it('finds nothing where nothing is: before the first record, in an empty file, in a removed one', async () => {
    const opened = openTransport({ lazy: true })
    expect(await idsOf(opened)).toEqual([])
    writeFileSync(opened.path, '')
    expect(await idsOf(opened)).toEqual([])
    rmSync(opened.path)
    expect(await idsOf(opened)).toEqual([])
    for (const kind of ['event-files', 'wal']) {
      const folder = join(createFolder(), 'none')
      const options = kind === 'wal' ? { walDir: folder } : { dir: folder }
      expect(await openKind(kind, { ...options, lazy: true }).query()).toEqual([])
    }
  })

  it('finds what was logged just before, what other processes write, and everything after the end', async () => {
    const opened = openTransport()
    const logger = createLogger({ transports: [opened.transport] })
    for (let round = 0; round < 20; round++) {
      logger.info('x', { id: round })
      expect(await idsOf(opened, { rows: 1 })).toEqual([round])
    }
    appendFileSync(opened.path, line(77))
    expect(await idsOf(opened, { rows: 1 })).toEqual([77])
    await opened.transport.close()
    expect(await idsOf(opened, { rows: 2 })).toEqual([77, 19])
  })

  it('answers while writing fails, with what is written', async () => {
    const folder = createFolder()
    const opened = openTransport({ path: join(folder, 'missing', 'app.log'), mkdir: false })
    opened.transport.on('warn', () => {})
    const logger = createLogger({ transports: [opened.transport] })
    const degraded = new Promise((resolve) => opened.transport.once('degraded', resolve))
    logger.info('x', { id: 1 })
    expect(await idsOf(opened)).toEqual([])
    await degraded
    expect(await idsOf(opened)).toEqual([])
    mkdirSync(join(folder, 'missing'))
    await opened.transport.flush()
    expect(await idsOf(opened)).toEqual([1])
  })

  it('has no more records in memory than were asked for', () => {
    const code = `
      import { RotatingFileTransport } from ${built('transports/winston/index.js')}
      import { spawnSync } from 'node:child_process'
import { appendFileSync } from 'node:fs'
      const path = ${JSON.stringify(join(createFolder(), 'app.log'))}
      const text = (JSON.stringify({ level: 'info', message: 'x'.repeat(1000) }) + '\\n').repeat(1000)
      for (let i = 0; i < 100; i++) appendFileSync(path, text)
      const transport = new RotatingFileTransport({ path, lazy: true })
      for (const [rows, order] of [['3', 'desc'], [0, 'asc'], [-1, 'asc']]) {
        console.log((await transport.query({ rows, order })).length)
      }`
    const args = ['--max-old-space-size=40', '--input-type=module', '-e', code]
    const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
    expect([stdout, stderr]).toEqual(['3\n10\n10\n', ''])
  })

  it('makes an uncaught exception of what a callback throws, and no unhandled rejection', async () => {
    const events: string[] = []
    const listeners = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    onTestFinished(() => {
      process.removeAllListeners('uncaughtException')
      for (const listener of listeners) process.on('uncaughtException', listener)
    })
    const thrown = new Promise<void>((resolve) => {
      process.on('uncaughtException', (error, origin) => {
        events.push(`${origin}: ${error.message}`)
        if (events.length === 2) resolve()
      })
    })
    const { transport } = openOver(lines(1))
    let calls = 0
    const callback = (): void => {
      calls++
      throw new Error('mine')
    }
    transport.query({}, callback)
    transport.query({ rows: 'bad' }, callback)
    await thrown
    expect(calls).toBe(2)
    expect(events).toEqual(Array(2).fill('uncaughtException: mine'))
  })
})

describe('query of a logger', () => {
  it('has the results of each transport: of several of one kind, and by the names they are given', async () => {
    const opened = [0, 1, 2].map(() => openTransport())
    const named = openTransport({ name: 'errors', level: 'error' })
    const logger = createLogger({ transports: [...opened, named].map(({ transport }) => transport) })
    logger.info('plain')
    logger.error('bad')
    await Promise.all([...opened, named].map(({ transport }) => transport.flush()))
    const results = await queryAll(logger, {})
    expect(
      Object.entries(results)
        .map(([name, rows]) => `${name}: ${rows.length}`)
        .sort()
    ).toEqual(['errors: 1', 'rotating-file-2: 2', 'rotating-file-3: 2', 'rotating-file: 2'])
    logger.remove(opened[0].transport).add(opened[0].transport)
    expect(Object.keys(await queryAll(logger, {}))).toHaveLength(4)
  })

  it('works with the options alone, and beside winston’s own transports', async () => {
    const { transport } = openTransport()
    const file = new winston.transports.File({ filename: join(createFolder(), 'file.log') })
    const logger = createLogger({ transports: [transport, file] })
    logger.info('x')
    await transport.flush()
    const results = await new Promise<Record<string, Row[]>>((resolve) => {
      const callback = (_error: unknown, found: Record<string, Row[]>): void => resolve(found)
      logger.query(callback as never)
    })
    expect(results['rotating-file']).toEqual([{ level: 'info', message: 'x' }])
    expect(Object.keys(results)).toContain('file')
  })
})

describe('query of event files', () => {
  it.each(['rotating-file', 'direct-file', 'binary-file', 'wal'])(
    '%s: has the records of all events by time, or those of one',
    async (output) => {
      const dir = createFolder()
      const more = output === 'binary-file' ? { maxBytes: '1m' } : {}
      const transport = openKind('event-files', { dir, output, fallback: false, ...more })
      const logger = createLogger({ transports: [transport] })
      const begin = Date.now() - HOUR_MS
      const events = ['a', 'b', 'odd/name', undefined]
      const chosen = Array.from({ length: 60 }, () => events[Math.floor(random() * events.length)])
      for (const [id, event] of chosen.entries()) {
        logger.info('x', { id, ...(event && { event }), timestamp: new Date(begin + id * 1_000) })
      }
      await transport.flush()
      const all = [...chosen.keys()]
      expect(await idsOf({ transport }, { order: 'asc', rows: 100 })).toEqual(all)
      expect(await idsOf({ transport }, { order: 'asc', rows: 7 })).toEqual(all.slice(0, 7))
      expect(await idsOf({ transport }, { order: 'asc', rows: 7, start: 5 })).toEqual(all.slice(5, 12))
      expect(await idsOf({ transport }, {})).toEqual(all.slice(-10).reverse())
      expect(await idsOf({ transport }, { start: 3, rows: 4 })).toEqual(all.slice(-7, -3).reverse())
      expect(await idsOf({ transport }, { until: new Date(begin + 4_500), order: 'asc' })).toEqual(
        all.slice(0, 5)
      )
      for (const event of events) {
        const own = all.filter((id) => chosen[id] === event)
        expect(await idsOf({ transport }, { event: event ?? 'default', rows: 99, order: 'asc' })).toEqual(own)
      }
      expect(await idsOf({ transport }, { event: 'no such' })).toEqual([])
    }
  )

  it('keeps the order within an event where times are equal, or missing', async () => {
    const dir = createFolder()
    const transport = openKind('event-files', { dir, fallback: false })
    const timestamp = new Date()
    const logger = createLogger({ transports: [transport] })
    for (let id = 0; id < 40; id++)
      logger.info('x', { id, event: id < 20 ? 'timed' : 'none', ...(id < 20 && { timestamp }) })
    const [none, timed] = [20, 0].map((from) => Array.from({ length: 20 }, (_, at) => from + at))
    expect(await idsOf({ transport }, { rows: 99, order: 'asc' })).toEqual([...none, ...timed])
    expect(await idsOf({ transport }, { rows: 99 })).toEqual([...none, ...timed].reverse())
    expect(await idsOf({ transport }, { rows: Infinity })).toHaveLength(40)
  })

  it('passes over what else is in the folder', async () => {
    const dir = createFolder()
    mkdirSync(join(dir, 'folder'))
    writeFileSync(join(dir, 'readme.txt'), 'no JSON\n')
    const transport = closeAtEnd(
      new EventFilesTransport({ dir, lock: native.canLock, fallback: false } as never)
    )
    const logger = createLogger({ transports: [transport] })
    logger.info('x', { id: 1, event: 'a' })
    expect(await idsOf({ transport: transport as never })).toEqual([1])
  })
})

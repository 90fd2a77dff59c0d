// The life of a winston transport: it lives as long as a logger holds it, comes again when one takes it up, and tells of
// its end.

import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { RotatingFileTransport } from 'logboom/winston'
import { describe, expect, it } from 'vitest'
import winston from 'winston'
import { native } from '../../src/native/index.ts'
import { createFolder } from '../helpers/folder.ts'
import { random } from '../helpers/random.ts'
import { built } from '../helpers/script.ts'
import { until } from '../helpers/until.ts'
import {
  createLogger,
  endLogger,
  type Opened,
  openKind,
  openTransport,
  plain,
  readLines
} from '../helpers/winston.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Texts of the numbers from `from` up to, not including, `to`. */
const texts = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, at) => String(from + at))

function log(logger: winston.Logger, from: number, to: number): void {
  for (const text of texts(from, to)) logger.info(text)
}

/** Counts of the events that tell of the end. */
function countEnds({ transport }: Opened): Record<string, number> {
  const ends: Record<string, number> = { finish: 0, close: 0, closed: 0, flush: 0 }
  for (const name of Object.keys(ends)) transport.on(name, () => ends[name]++)
  return ends
}

describe('a transport in several loggers', () => {
  it.each(['close', 'end', 'remove'] as const)('goes on when one of them lets go by %s()', async (way) => {
    const opened = openTransport()
    const [first, second, third] = [0, 1, 2].map(() =>
      createLogger({ format: plain, transports: [opened.transport] })
    )
    const ends = countEnds(opened)
    log(first, 0, 10)
    log(second, 10, 20)
    if (way === 'remove') first.remove(opened.transport)
    else if (way === 'close') first.close()
    else await endLogger(first)
    await opened.transport.flush()
    log(second, 20, 30)
    log(third, 30, 40)
    await turn()
    second.close()
    log(third, 40, 50)
    expect(ends.close).toBe(0)
    await endLogger(third)
    expect(opened.lines()).toEqual(texts(0, 50))
    await until(() => ends.close === 1)
  })

  it('is given to a hundred of them, which end in any order, at once and one by one', async () => {
    const opened = openTransport()
    const loggers = Array.from({ length: 100 }, () =>
      createLogger({ format: plain, transports: [opened.transport] })
    )
    const expected: string[] = []
    while (loggers.length > 0) {
      const ending = loggers.splice(0, 1 + Math.floor(random() * 30))
      for (const [at, logger] of ending.entries()) {
        const text = `${loggers.length}-${at}`
        expected.push(text)
        logger.info(text)
      }
      const ended = ending.map((logger) => (random() < 0.5 ? logger.close() && undefined : endLogger(logger)))
      if (random() < 0.5) await Promise.all(ended)
    }
    await until(() => opened.lines().length === 100)
    expect(opened.lines()).toEqual(expected)
  })

  it('has written a logger’s records when that logger has finished, however many others go on', async () => {
    const opened = openTransport({ durability: 'disk' })
    const loggers = [0, 1, 2, 3].map(() => createLogger({ format: plain, transports: [opened.transport] }))
    const ended = loggers.slice(0, 3).map(async (logger, at) => {
      for (let id = 0; id < 200; id++) logger.info(`${at}-${id}`)
      await endLogger(logger)
      expect(opened.lines()).toContain(`${at}-199`)
    })
    log(loggers[3], 0, 10)
    await Promise.all(ended)
    await opened.transport.flush()
    expect(opened.lines()).toHaveLength(610)
  })

  it('is told of by the loggers of a container', async () => {
    const opened = openTransport()
    const container = new winston.Container({ format: plain, transports: [opened.transport] })
    log(container.get('one'), 0, 5)
    log(container.get('two'), 5, 10)
    container.close('one')
    await turn()
    log(container.get('two'), 10, 15)
    container.close()
    await once(opened.transport, 'close')
    log(container.get('three'), 15, 20)
    container.close()
    await once(opened.transport, 'close')
    expect(opened.lines()).toEqual(texts(0, 20))
  })

  it('takes its level from the oldest logger that is left, and tells that of trouble', async () => {
    const opened = openTransport()
    const first = createLogger({ format: plain, level: 'warn', transports: [opened.transport] })
    const second = createLogger({ format: plain, level: 'debug', transports: [opened.transport] })
    second.debug('hidden')
    first.remove(opened.transport)
    second.debug('shown')
    await opened.transport.flush()
    expect(opened.lines()).toEqual(['shown'])
    const told: string[] = []
    first.on('warn', () => told.push('first'))
    second.on('warn', () => told.push('second'))
    opened.transport.emit('warn', new Error('a trouble'))
    expect(told).toEqual(['second'])
  })
})

describe('a transport that is let go and taken again', () => {
  it.each([
    ['within one turn', () => Promise.resolve()],
    ['a turn later', () => turn()],
    ['while its worker ends', () => new Promise((resolve) => setTimeout(resolve, 5))],
    ['when its worker has ended', undefined]
  ])('%s: every record arrives, in order', async (_name, wait) => {
    const opened = openTransport()
    const logger = createLogger({ format: plain, transports: [opened.transport] })
    for (let round = 0; round < 3; round++) {
      log(logger, round * 100, round * 100 + 100)
      const closed = once(opened.transport, 'close')
      logger.remove(opened.transport)
      await (wait === undefined ? closed : wait())
      logger.add(opened.transport)
    }
    log(logger, 300, 400)
    await endLogger(logger)
    expect(opened.lines()).toEqual(texts(0, 400))
  })

  it('loses nothing of what was logged while its last worker ended, when it is closed again at once', async () => {
    const opened = openTransport()
    const logger = createLogger({ format: plain, transports: [opened.transport] })
    log(logger, 0, 100)
    logger.remove(opened.transport)
    await turn()
    logger.add(opened.transport)
    log(logger, 100, 200)
    logger.remove(opened.transport)
    await turn()
    logger.add(opened.transport)
    log(logger, 200, 300)
    await opened.transport.close()
    expect(opened.lines()).toEqual(texts(0, 300))
  })

  it('keeps its worker when the logger is configured anew with it', async () => {
    const opened = openTransport()
    const ends = countEnds(opened)
    const logger = createLogger({ format: plain, transports: [opened.transport] })
    log(logger, 0, 10)
    logger.configure({ level: 'debug', format: plain, transports: [opened.transport] })
    logger.debug('10')
    await opened.transport.flush()
    expect(opened.lines()).toEqual(texts(0, 11))
    expect(ends).toEqual({ finish: 0, close: 0, closed: 0, flush: 0 })
    expect((await opened.transport.stats()).records).toBe(11)
  })

  it('counts the pipes of a child logger and of its parent as those of one', async () => {
    const opened = openTransport()
    const logger = createLogger({ format: plain, transports: [opened.transport] })
    const child = logger.child({ request: 1 })
    child.info('0')
    logger.info('1')
    const closed = once(opened.transport, 'close')
    child.remove(opened.transport)
    await closed
    child.add(opened.transport)
    child.info('2')
    logger.remove(opened.transport)
    logger.add(opened.transport)
    logger.info('3')
    await endLogger(logger)
    expect(opened.lines()).toEqual(texts(0, 4))
  })

  it.each(['wal', 'direct-file', 'spool', 'binary-file', 'event-files'])(
    '%s: opens again only when its last worker has let go',
    async (kind) => {
      const folder = createFolder()
      const place = {
        wal: { walDir: join(folder, 'wal') },
        spool: { path: folder },
        'event-files': { dir: folder }
      }[kind] ?? { path: join(folder, 'app'), ...(kind === 'binary-file' ? { maxBytes: '1m' } : {}) }
      const transport = openKind(kind, { ...place, fallback: false })
      const troubles: unknown[] = []
      for (const name of ['warn', 'error', 'dropped']) transport.on(name, (event) => troubles.push(event))
      const logger = createLogger({ format: winston.format.json(), transports: [transport] })
      for (let round = 0; round < 3; round++) {
        log(logger, round * 100, round * 100 + 100)
        logger.remove(transport)
        await turn()
        logger.add(transport)
      }
      await endLogger(logger)
      const results = await transport.query({ rows: 1_000, order: 'asc' })
      expect(results.map(({ message }) => message)).toEqual(texts(0, 300))
      expect(troubles).toEqual([])
    }
  )
})

describe('the end of a transport', () => {
  it.each([
    ['close()', (transport: RotatingFileTransport) => void transport.close()],
    ['end()', (transport: RotatingFileTransport) => void transport.end()],
    ['destroy()', (transport: RotatingFileTransport) => void transport.destroy()],
    ['await using', async (transport: RotatingFileTransport) => transport[Symbol.asyncDispose]()]
  ])('%s: every event that tells of it comes once, when everything is written', async (_name, end) => {
    const opened = openTransport({ durability: 'disk' })
    const ends = countEnds(opened)
    const logger = createLogger({ format: plain, transports: [opened.transport] })
    log(logger, 0, 1_000)
    opened.transport.once('finish', () => expect(opened.lines()).toHaveLength(1_000))
    const closed = once(opened.transport, 'close')
    await end(opened.transport)
    await closed
    expect(ends).toEqual({ finish: 1, close: 1, closed: 1, flush: 1 })
    await opened.transport.close()
    expect(ends.close).toBe(1)
  })

  it('is waited for by close() with await and with a callback, and by end() with a record and a callback', async () => {
    const [first, second] = [openTransport(), openTransport()]
    first.transport.log({ [Symbol.for('message')]: 'x' })
    await new Promise<void>((resolve) => void first.transport.close(resolve))
    expect(first.lines()).toEqual(['x'])
    await new Promise<void>((resolve) => {
      second.transport.end({ level: 'info', [Symbol.for('message')]: 'last' }, resolve)
    })
    expect(second.lines()).toEqual(['last'])
    await new Promise<void>((resolve) => second.transport.end(resolve))
  })

  it('lets a logger finish that ends after its transport was closed', async () => {
    const { transport } = openTransport()
    const logger = createLogger({ transports: [transport] })
    await transport.close()
    await endLogger(logger)
  })

  it('passes on an error given to destroy()', async () => {
    const { transport } = openTransport()
    const failed = once(transport, 'error')
    process.nextTick(() => transport.destroy(new Error('enough')))
    expect((await failed.catch((error) => [error]))[0]).toMatchObject({ message: 'enough' })
    await transport.close()
  })

  it('makes flush(), rotate() and reopen() reject ERR_CLOSED, and unhandled ones harmless', async () => {
    const { transport } = openTransport()
    await transport.close()
    for (const name of ['flush', 'rotate', 'reopen'] as const) {
      void transport[name]()
      await expect(transport[name]()).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    }
    expect(() => transport.flushSync()).toThrow(/ERR_CLOSED/)
    await turn()
  })
})

describe('what is logged to a closed transport', () => {
  it('is told of on stderr: of the first record at once, of all at exit', () => {
    const path = join(createFolder(), 'app.log')
    const code = `
      import winston from 'winston'
      import { RotatingFileTransport } from ${built('transports/winston/index.js')}
      const transport = new RotatingFileTransport({ path: ${JSON.stringify(path)}, lock: ${native.canLock} })
      const logger = winston.createLogger({ transports: [transport] })
      await transport.close()
      for (let id = 0; id < 7; id++) logger.info('x')`
    const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', code], {
      encoding: 'utf8',
      cwd: root
    })
    const rest = `logged to the transport of ${path} after it was closed, and lost [ERR_CLOSED]`
    expect([status, stderr]).toEqual([0, `logboom: 1 record was ${rest}\nlogboom: 6 records were ${rest}\n`])
  })

  it('is told of by "warn" and "dropped" and does not stop the logger or its other transports', async () => {
    const [closed, other] = [openTransport(), openTransport()]
    const logger = createLogger({ format: plain, transports: [closed.transport, other.transport] })
    const warnings: unknown[] = []
    let dropped = 0
    logger.on('warn', (warning) => warnings.push(warning))
    closed.transport.on('dropped', ({ count }) => {
      dropped += count
    })
    await closed.transport.close()
    log(logger, 0, 100)
    expect(warnings).toMatchObject([{ name: 'LogboomError', code: 'ERR_CLOSED', path: closed.path }])
    await other.transport.flush()
    expect(other.lines()).toEqual(texts(0, 100))
    expect(closed.transport.log({ [Symbol.for('message')]: 'x' })).toBe(false)
    logger.remove(closed.transport).add(closed.transport)
    expect(dropped).toBe(101)
    log(logger, 100, 110)
    await closed.transport.flush()
    expect(closed.lines()).toEqual(texts(100, 110))
  })
})

describe('rotation and reopening on request', () => {
  it('rotate() resolves with what was done, and with undefined where there is nothing to rotate', async () => {
    const opened = openTransport()
    const logger = createLogger({ format: plain, transports: [opened.transport] })
    expect(await opened.transport.rotate()).toBeUndefined()
    logger.info('one')
    const event = await opened.transport.rotate()
    expect(event).toMatchObject({ from: opened.path, bytes: 4 })
    expect(readdirSync(join(opened.path, '..'))).toContain(event?.to.split('/').at(-1))
    logger.info('two')
    await opened.transport.reopen()
    await opened.transport.flush()
    expect(opened.lines()).toEqual(['two'])
  })

  it.each(['wal', 'event-files'])('%s: rotate() rejects ERR_UNSUPPORTED, reopen() resolves', async (kind) => {
    const folder = createFolder()
    const transport = openKind(kind, kind === 'wal' ? { walDir: join(folder, 'wal') } : { dir: folder })
    await expect(transport.rotate()).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED' })
    await transport.reopen()
  })
})

describe('a process that exits', () => {
  it.each([
    [
      'while the logger holds records back for a slow transport beside it',
      `const slow = new winston.transports.File({ filename: path + '.slow' })
      const logger = winston.createLogger({ format: winston.format.json(), transports: [slow, transport] })
      for (let id = 0; id < 2000; id++) logger.info({ id })`
    ],
    [
      'while the last worker of the transport ends and the next is wanted',
      `const logger = winston.createLogger({ transports: [transport] })
      for (let id = 0; id < 1000; id++) logger.info({ id })
      logger.remove(transport)
      await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
      logger.add(transport)
      for (let id = 1000; id < 2000; id++) logger.info({ id })`
    ]
  ])('%s: every record is in the file, in order', (_name, code) => {
    const path = join(createFolder(), 'app.log')
    const source = `
      import winston from 'winston'
      import { RotatingFileTransport } from ${built('transports/winston/index.js')}
      const path = ${JSON.stringify(path)}
      const transport = new RotatingFileTransport({ path, lock: ${native.canLock} })
      ${code}
      process.exit()`
    const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', source], {
      encoding: 'utf8',
      cwd: root
    })
    expect([status, stderr]).toEqual([0, ''])
    expect(readLines(path).map((line) => String(JSON.parse(line).id ?? JSON.parse(line).message.id))).toEqual(
      texts(0, 2_000)
    )
  })
})

describe('a logger that holds records back for a slow transport', () => {
  it.each([
    ['end()', (logger: winston.Logger) => void logger.end()],
    ['close()', (logger: winston.Logger) => void logger.close()],
    ['remove()', (logger: winston.Logger, { transport }: Opened) => void logger.remove(transport)],
    [
      'flush()',
      (_logger: winston.Logger, { transport }: Opened) => transport.flush().then(() => transport.close())
    ]
  ])('%s: all of them reach the transport', async (_name, end) => {
    for (const order of ['first', 'last']) {
      const opened = openTransport()
      const slow = new winston.transports.File({ filename: join(createFolder(), 'slow.log') })
      const transports = order === 'first' ? [opened.transport, slow] : [slow, opened.transport]
      const logger = createLogger({ format: plain, transports })
      const closed = once(opened.transport, 'close')
      // File has no room after 16 KiB. What winston says when its last transport has gone is not of interest.
      logger.silent = false
      log(logger, 0, 3_000)
      const { error } = console
      console.error = () => {}
      try {
        end(logger, opened)
      } finally {
        console.error = error
      }
      await closed
      expect(opened.lines()).toEqual(texts(0, 3_000))
    }
  })
})

import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { RotatingFileTransport, type RotatingFileTransportOptions } from 'logboom/winston'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import winston from 'winston'
import { native } from '../../src/native/index.ts'
import { createFolder } from '../helpers/folder.ts'
import { until } from '../helpers/until.ts'

interface Setup {
  logger: winston.Logger
  transport: RotatingFileTransport
  path: string
  lines(): string[]
}

function createLogger(options: Partial<RotatingFileTransportOptions> = {}): Setup {
  const path = join(createFolder(), 'app.log')
  const transport = new RotatingFileTransport({ path, lock: native.canLock, ...options })
  const logger = winston.createLogger({ format: winston.format.json(), transports: [transport] })
  onTestFinished(async () => {
    logger.close()
    if (!transport.closed) await transport.flush().catch(() => {})
  })
  return { logger, transport, path, lines: () => readFileSync(path, 'utf8').split('\n').slice(0, -1) }
}

const query = (logger: winston.Logger, options: object): Promise<Record<string, { id: number }[]>> =>
  new Promise((resolve, reject) => {
    logger.query(options as winston.QueryOptions, (error, results) =>
      error ? reject(error) : resolve(results)
    )
  })

describe('winston transport', () => {
  it('writes the formatted text of every record that passes its level, and nothing while silent', async () => {
    const { logger, transport, lines } = createLogger({ level: 'warn', format: winston.format.simple() })
    logger.info('too low')
    logger.warn('one')
    transport.silent = true
    logger.error('unseen')
    transport.silent = false
    logger.error('two')
    await transport.flush()
    expect(lines()).toEqual(['warn: one', 'error: two'])
  })

  it('has written everything when logger.end() has finished', async () => {
    const { logger, transport, lines } = createLogger()
    for (let id = 0; id < 5_000; id++) logger.info('hello', { id })
    const finished = once(transport, 'finish')
    logger.end()
    await finished
    expect(lines().map((line) => JSON.parse(line).id)).toEqual(Array.from({ length: 5_000 }, (_, id) => id))
  })

  it('emits "logged" for every record, and its sink’s events', async () => {
    const { logger, transport } = createLogger({ maxBytes: 1_000 })
    let logged = 0
    transport.on('logged', () => logged++)
    const rotated = once(transport, 'rotated')
    for (let id = 0; id < 50; id++) logger.info('hello', { id })
    const [event] = await rotated
    expect(event).toMatchObject({ from: expect.stringContaining('app.log'), bytes: expect.any(Number) })
    await transport.flush()
    await until(() => logged === 50)
    expect(logged).toBe(50)
    expect(await transport.stats()).toMatchObject({ records: 50, dropped: 0, state: 'open' })
  })

  it('rotates and reopens when asked', async () => {
    const { logger, transport, path } = createLogger()
    logger.info('first')
    await transport.flush()
    const rotated = once(transport, 'rotated')
    transport.rotate()
    await rotated
    transport.reopen()
    logger.info('second')
    await transport.flush()
    expect(readFileSync(path, 'utf8')).toContain('second')
    expect(readdirSync(join(path, '..')).filter((name) => name.startsWith('app.log.'))).toHaveLength(1)
  })

  it('does not stall its siblings while it cannot write', async () => {
    const folder = createFolder()
    mkdirSync(join(folder, 'app.log.d'))
    const blocked = new RotatingFileTransport({
      path: join(folder, 'missing', 'app.log'),
      mkdir: false,
      fallback: false,
      lock: native.canLock
    })
    blocked.on('warn', () => {})
    const seen: unknown[] = []
    const sibling = new winston.transports.Stream({
      stream: new (await import('node:stream')).Writable({
        write(chunk, _encoding, callback) {
          seen.push(chunk)
          callback()
        }
      })
    })
    const logger = winston.createLogger({ transports: [blocked, sibling] })
    for (let id = 0; id < 1_000; id++) logger.info('hello', { id })
    await until(() => seen.length === 1_000)
    expect(seen).toHaveLength(1_000)
    mkdirSync(join(folder, 'missing'))
    await blocked.flush()
    expect(await blocked.stats()).toMatchObject({ records: 1_000, dropped: 0, state: 'open' })
    logger.close()
  })

  it('drops by its overflow policy what the worker cannot take, counts it and says so in the log', async () => {
    const folder = createFolder()
    const transport = new RotatingFileTransport({
      path: join(folder, 'missing', 'app.log'),
      mkdir: false,
      fallback: false,
      overflow: 'drop-newest',
      maxBufferBytes: '64k',
      lock: native.canLock
    })
    transport.on('warn', () => {})
    let dropped = 0
    transport.on('dropped', ({ count }) => {
      dropped += count
    })
    const logger = winston.createLogger({ format: winston.format.json(), transports: [transport] })
    await once(transport, 'degraded')
    for (let id = 0; id < 20_000; id++) {
      logger.info('x'.repeat(100), { id })
      if (id % 1_000 === 999) await delay(5)
    }
    await vi.waitFor(() => expect(dropped).toBeGreaterThan(0))
    mkdirSync(join(folder, 'missing'))
    await transport.flush()
    const finished = once(transport, 'finish')
    logger.end()
    await finished
    const lines = readFileSync(join(folder, 'missing', 'app.log'), 'utf8')
      .split('\n')
      .slice(0, -1)
    const notices = lines.filter((line) => line.includes('logboom: ')).map((line) => JSON.parse(line).dropped)
    expect(dropped).toBeGreaterThan(0)
    expect(lines.length - notices.length + dropped).toBe(20_000)
    expect(notices.reduce((sum, count) => sum + count, 0)).toBe(dropped)
  })

  it('answers queries over the file and its compressed backups', async () => {
    const { logger, transport } = createLogger({ maxBytes: 2_000, compress: 'gzip' })
    for (let id = 0; id < 100; id++) {
      logger.log({ level: id % 10 === 0 ? 'error' : 'info', message: 'hello', id, timestamp: new Date() })
    }
    await transport.flush()
    const ids = async (options: object): Promise<number[]> =>
      (await query(logger, options))['rotating-file'].map(({ id }) => id)
    expect(await ids({})).toEqual([99, 98, 97, 96, 95, 94, 93, 92, 91, 90])
    expect(await ids({ order: 'asc', rows: 3, start: 5 })).toEqual([5, 6, 7])
    expect(await ids({ level: 'error', limit: 2 })).toEqual([90, 80])
    expect(await ids({ until: new Date(Date.now() - 60_000) })).toEqual([])
    expect(await query(logger, { fields: ['id'], rows: 1 })).toEqual({ 'rotating-file': [{ id: 99 }] })
  })

  it('streams records as they are written, through rotations', async () => {
    const { logger, transport } = createLogger({ maxBytes: 500 })
    logger.info('before', { id: -1 })
    await transport.flush()
    const seen: number[] = []
    const follower = logger.stream({ start: 1 })
    follower.on('log', ({ id }: { id: number }) => seen.push(id))
    for (let id = 0; id < 30; id++) {
      logger.info('hello', { id })
      if (id % 10 === 0) await transport.flush()
    }
    await until(() => seen.length >= 30)
    ;(follower as unknown as { destroy(): void }).destroy()
    expect(seen).toEqual(Array.from({ length: 30 }, (_, id) => id))
  })

  it('refuses bad options at once, and a path that is no file by "error"', async () => {
    const folder = createFolder()
    expect(() => new RotatingFileTransport({ path: join(folder, 'a'), maxByte: 1 } as never)).toThrow(
      /unknown option 'maxByte'.*ERR_OPTION/
    )
    const transport = new RotatingFileTransport({ path: folder, lock: native.canLock })
    const [error] = await once(transport, 'error')
    expect(error.message).toContain('ERR_NOT_FILE')
  })
})

// transport.log() as wrappers and test suites call it, and the options a transport has besides those of its sink.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { RotatingFileTransport } from 'logboom/winston'
import { describe, expect, it } from 'vitest'
import winston from 'winston'
import { createFolder } from '../helpers/folder.ts'
import { until } from '../helpers/until.ts'
import { createLogger, endLogger, openKind, openTransport, plain, readLines } from '../helpers/winston.ts'

const MESSAGE = Symbol.for('message')

describe('log()', () => {
  it('takes a record with and without a callback, answers true, and emits "logged"', async () => {
    const { transport, lines } = openTransport()
    const logged: unknown[] = []
    transport.on('logged', (info) => logged.push(info))
    const infos = [0, 1, 2].map((id) => ({ level: 'info', [MESSAGE]: String(id) }))
    let called = 0
    expect(transport.log(infos[0])).toBe(true)
    expect(transport.log(infos[1], () => called++)).toBe(true)
    expect(transport.log(infos[2], undefined)).toBe(true)
    await transport.flush()
    await until(() => logged.length === 3)
    expect([lines(), called, logged]).toEqual([['0', '1', '2'], 1, infos])
  })

  it('writes what winston’s File writes for records without text, and throws what it throws for none', async () => {
    const { transport, lines } = openTransport()
    const file = new winston.transports.File({ filename: join(createFolder(), 'file.log') })
    const odd = [{}, { [MESSAGE]: undefined }, { [MESSAGE]: null }, { [MESSAGE]: 7 }, { [MESSAGE]: '' }]
    const opened = new Promise((resolve) => file.once('open', resolve))
    for (const info of [...odd, { [MESSAGE]: { toString: () => 'text' } }, { [MESSAGE]: ['a', 'b'] }]) {
      transport.log(info)
      file.log?.(info, () => {})
    }
    for (const info of [undefined, null, { [MESSAGE]: Symbol('odd') }]) {
      expect(() => transport.log(info as never)).toThrow(TypeError)
      expect(() => file.log?.(info, () => {})).toThrow(TypeError)
    }
    await opened
    await transport.flush()
    await new Promise<void>((resolve) => void file.end(resolve))
    expect(lines()).toEqual(['undefined', 'undefined', 'null', '7', '', 'text', 'a,b'])
    expect(lines()).toEqual(readLines(join(file.dirname, file.filename)))
  })

  it('writes nothing while the transport is silent, whoever calls it', async () => {
    const { transport, lines } = openTransport({ silent: true })
    let called = 0
    expect(transport.log({ [MESSAGE]: 'unseen' }, () => called++)).toBe(true)
    transport.silent = false
    transport.log({ [MESSAGE]: 'seen' })
    await transport.flush()
    expect([lines(), called]).toEqual([['seen'], 1])
  })
})

describe('options of the transport', () => {
  it('lazy: the file is there with the first record, and no thread before', async () => {
    const { transport, path, lines } = openTransport({ lazy: true })
    const logger = createLogger({ format: plain, transports: [transport] })
    await transport.flush()
    transport.flushSync()
    expect(await transport.rotate()).toBeUndefined()
    await transport.reopen()
    expect(await transport.stats()).toMatchObject({ records: 0, state: 'opening' })
    expect(existsSync(path)).toBe(false)
    logger.info('one')
    await transport.flush()
    expect(lines()).toEqual(['one'])
    await transport.close()
    logger.remove(transport).add(transport)
    expect(await transport.stats()).toMatchObject({ records: 0, state: 'opening' })
    logger.info('two')
    await endLogger(logger)
    expect(lines()).toEqual(['one', 'two'])
  })

  it('lazy: a transport that never got a record ends, and leaves no file', async () => {
    const { transport, path } = openTransport({ lazy: true })
    await endLogger(createLogger({ transports: [transport] }))
    expect(existsSync(path)).toBe(false)
  })

  it("eol: '\\r\\n' ends the lines of text files", async () => {
    const { transport, lines } = openTransport({ eol: '\r\n' })
    const dir = createFolder()
    const events = openKind('event-files', { dir, eol: '\r\n', fallback: false })
    const logger = createLogger({ transports: [transport, events] })
    logger.info('x', { event: 'a' })
    logger.info('y', { event: 'a' })
    await endLogger(logger)
    const expected = ['x', 'y'].map((message) => `{"event":"a","level":"info","message":"${message}"}\r`)
    expect(lines()).toEqual(expected)
    expect(readLines(join(dir, 'a.log'))).toEqual(expected)
    expect(await transport.query({ rows: 1 })).toMatchObject([{ message: 'y' }])
  })

  it('escapeNewlines: no message can look like two records', async () => {
    const { transport, lines } = openTransport({ escapeNewlines: true })
    const logger = createLogger({ format: plain, transports: [transport] })
    for (const text of ['a\ninfo: admin', 'b\r\nc', 'd\re', '\n', 'f\\n']) logger.info(text)
    await endLogger(logger)
    expect(lines()).toEqual(['a\\ninfo: admin', 'b\\r\\nc', 'd\\re', '\\n', 'f\\n'])
  })

  it.each([
    [{ name: '' }, /option 'name' must not be empty/],
    [{ name: 7 }, /option 'name' must be a text/],
    [{ lazy: 'yes' }, /option 'lazy' must be true or false/],
    [{ escapeNewlines: 1 }, /option 'escapeNewlines' must be true or false/],
    [{ eol: '' }, /option 'eol' must be '\\n' or '\\r\\n'/],
    [{ eol: '|' }, /option 'eol' must be '\\n' or '\\r\\n'/],
    [{ flushOnSignal: 'SIGNONE' }, /must name a signal/],
    [{ maxByte: 1 }, /unknown option 'maxByte'/]
  ])('refuses %j with one clear error, and starts nothing', async (options, rule) => {
    const path = join(createFolder(), 'app.log')
    let threads = 0
    const count = () => threads++
    process.on('worker', count)
    expect(() => new RotatingFileTransport({ path, ...options } as never)).toThrow(rule)
    expect(() => new RotatingFileTransport({ path, ...options } as never)).toThrow(/\[ERR_OPTION\]$/)
    await new Promise((resolve) => setImmediate(resolve))
    process.off('worker', count)
    expect([threads, existsSync(path)]).toEqual([0, false])
  })

  it.each([undefined, null, 'app.log', 7, []])('refuses %j in place of options', (options) => {
    expect(() => new RotatingFileTransport(options as never)).toThrow(/options must be an object.*ERR_OPTION/)
  })

  it('refuses an eol where records are no lines of text', () => {
    const path = join(createFolder(), 'app.bin')
    const refusal = /option 'eol' has no meaning where records are not lines.*ERR_OPTION/
    expect(() => openKind('binary-file', { path, maxBytes: '1m', eol: '\r\n' })).toThrow(refusal)
    expect(() => openKind('event-files', { dir: path, output: 'wal', eol: '\r\n' })).toThrow(refusal)
  })
})

// logger.stream: records as they come, as text by 'data' and as objects by 'log', through rotations, of event files, and
// until destroy().
import { once } from 'node:events'
import { appendFileSync, writeFileSync } from 'node:fs'
import { Writable } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import winston from 'winston'
import { createFolder } from '../helpers/folder.ts'
import { until } from '../helpers/until.ts'
import { createLogger, openKind, openTransport, plain } from '../helpers/winston.ts'

type Follower = NodeJS.EventEmitter & { destroy(): void }

/** Everything a stream emits, in order; the stream is destroyed when the test ends. */
function collect(stream: unknown): { data: unknown[]; log: Record<string, unknown>[]; error: unknown[] } {
  const seen = { data: [] as unknown[], log: [] as Record<string, unknown>[], error: [] as unknown[] }
  const follower = stream as Follower
  follower.on('data', (line) => seen.data.push(line))
  follower.on('log', (entry) => seen.log.push(entry))
  follower.on('error', (error) => seen.error.push(error))
  onTestFinished(() => follower.destroy())
  return seen
}

const numbers = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, at) => String(from + at))

describe('stream of a transport', () => {
  it('emits every line as text by "data", and those that are JSON objects by "log"', async () => {
    const { transport, path } = openTransport({ lazy: true })
    writeFileSync(path, '{"id":1}\nplain\n7\nnull\n{"id":2\n{"id":3}\n')
    const seen = collect(transport.stream())
    await until(() => seen.data.length === 6)
    expect(seen.data).toEqual(['{"id":1}', 'plain', '7', 'null', '{"id":2', '{"id":3}'])
    expect(seen.log).toEqual([{ id: 1 }, { id: 3 }])
    expect(seen.error).toEqual([])
  })

  it.each([
    [{}, numbers(0, 8)],
    [{ start: 0 }, numbers(0, 8)],
    [{ start: 3 }, numbers(3, 8)],
    [{ start: '3' }, numbers(3, 8)],
    [{ start: '' }, numbers(0, 8)],
    [{ start: 6 }, numbers(6, 8)],
    [{ start: -1 }, numbers(5, 8)],
    [{ start: '-1' }, numbers(5, 8)]
  ])('with %j begins where it is told', async (options, expected) => {
    const { transport, path } = openTransport({ lazy: true })
    writeFileSync(path, `${numbers(0, 5).join('\n')}\n`)
    const seen = collect(transport.stream(options))
    const first = collect(transport.stream({ start: 0 }))
    await until(() => first.data.length === 5)
    // Only now is it known where the end was.
    await new Promise((resolve) => setTimeout(resolve, 50))
    appendFileSync(path, `${numbers(5, 8).join('\n')}\n`)
    await until(() => seen.data.length === expected.length)
    await turn()
    expect(seen.data).toEqual(expected)
  })

  it.each([{ start: 'first' }, { start: {} }, { start: Number.NaN }, { event: 7 }, 7, 'text'])(
    'refuses %j at once',
    (options) => {
      const { transport } = openTransport({ lazy: true })
      expect(() => transport.stream(options as never)).toThrow(/stream\(\) takes .*ERR_ARGUMENT/)
    }
  )

  it('emits nothing after destroy(), not even from the listener that called it, but "close" once', async () => {
    const { transport, path } = openTransport({ lazy: true })
    writeFileSync(path, `${numbers(0, 100).join('\n')}\n`)
    const stream = transport.stream()
    let closed = 0
    stream.on('close', () => closed++)
    const seen = collect(stream)
    stream.on('data', (line) => {
      if (line === '9') stream.destroy()
    })
    await until(() => closed === 1)
    stream.destroy()
    await turn()
    expect(seen.data).toEqual(numbers(0, 10))
    expect(closed).toBe(1)
  })

  it('waits for a file that is not there yet, and goes on through rotations and the end of the transport', async () => {
    const { transport } = openTransport({ lazy: true, maxBytes: 200 })
    const seen = collect(transport.stream())
    const logger = createLogger({ format: plain, transports: [transport] })
    for (const text of numbers(0, 50)) logger.info(text.padStart(20, '0'))
    await transport.flush()
    logger.remove(transport)
    await once(transport, 'close')
    logger.add(transport)
    for (const text of numbers(50, 100)) logger.info(text.padStart(20, '0'))
    await until(() => seen.data.length === 100)
    expect(seen.data.map(Number)).toEqual(numbers(0, 100).map(Number))
  })

  it('gives what a listener throws as "error", as winston’s File does, and goes on', async () => {
    const { transport, path } = openTransport({ lazy: true })
    writeFileSync(path, '{"id":1}\n{"id":2}\n')
    const stream = transport.stream()
    stream.on('log', ({ id }: { id: number }) => {
      if (id === 1) throw new Error('mine')
    })
    const seen = collect(stream)
    await until(() => seen.data.length === 2)
    await until(() => seen.error.length === 1)
    expect(seen.error).toMatchObject([{ message: 'mine' }])
  })

  it('can be piped, as legacy streams can', async () => {
    const { transport, path } = openTransport({ lazy: true })
    writeFileSync(path, 'a\nb\n')
    const written: string[] = []
    const target = new Writable({
      write(chunk, _encoding, callback) {
        written.push(String(chunk))
        callback()
      }
    })
    const stream = transport.stream()
    onTestFinished(() => stream.destroy())
    stream.pipe(target)
    await until(() => written.length === 2)
    expect(written).toEqual(['a', 'b'])
  })

  it.each(['wal', 'spool'])('of a %s: waits for a folder that is there before the log is', async (kind) => {
    const dir = createFolder()
    const transport = openKind(kind, { dir, lazy: true, fallback: false })
    const seen = collect(transport.stream())
    // Longer than readers wait until they look for a log again.
    await new Promise((resolve) => setTimeout(resolve, 300))
    const logger = createLogger({ format: plain, transports: [transport] })
    logger.info('first')
    await transport.flush()
    await until(() => seen.data.length === 1)
    expect(seen.data).toEqual(['first'])
  })

  it.each(['rotating-file', 'direct-file', 'binary-file', 'wal'])(
    'of event files of kind %s: has the records of all events, also of new ones, or those of one',
    async (output) => {
      const dir = createFolder()
      const more = output === 'binary-file' ? { maxBytes: '1m' } : {}
      const transport = openKind('event-files', { dir, output, fallback: false, ...more })
      const logger = createLogger({ transports: [transport] })
      const all = collect(transport.stream())
      const one = collect(transport.stream({ event: 'b/c' }))
      for (const [id, event] of ['a', 'b/c', 'a', 'new', 'b/c'].entries()) {
        logger.info('x', { id, event })
        await transport.flush()
      }
      await until(() => all.log.length === 5 && one.log.length === 2)
      expect(all.log.map(({ id }) => id).sort()).toEqual([0, 1, 2, 3, 4])
      expect(one.log.map(({ id }) => id)).toEqual([1, 4])
    }
  )
})

describe('stream of a logger', () => {
  it('has the records of all its transports, by "data" and "log", and ends with destroy()', async () => {
    const opened = [openTransport({ name: 'one' }), openTransport({ name: 'two', format: plain })]
    const logger = createLogger({ transports: opened.map(({ transport }) => transport) })
    const stream = logger.stream({ start: 0 })
    const seen = collect(stream)
    const child = logger.child({ id: 1 })
    child.info('hello')
    await until(() => seen.data.length === 2)
    expect(seen.data.sort()).toEqual(['hello', '{"id":1,"level":"info","message":"hello"}'])
    expect(seen.log).toEqual([{ id: 1, level: 'info', message: 'hello', transport: ['one'] }])
    ;(stream as unknown as Follower).destroy()
    logger.info('unseen')
    await opened[0].transport.flush()
    await turn()
    expect(seen.data).toHaveLength(2)
  })

  it('has "data" once however often a transport is added, and works beside winston’s own transports', async () => {
    const { transport } = openTransport()
    const console = new winston.transports.Console({ silent: true })
    const logger = createLogger({ format: plain, transports: [transport, console] })
    logger.remove(transport).add(transport)
    logger.configure({ format: plain, transports: [transport, console] })
    const seen = collect(logger.stream())
    logger.info('once')
    await until(() => seen.data.length > 0)
    await transport.flush()
    await turn()
    expect(seen.data).toEqual(['once'])
  })
})

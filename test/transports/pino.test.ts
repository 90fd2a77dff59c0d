import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { handleSignals, target, workerStream } from 'logboom'
import pino from 'pino'
import { describe, expect, it, onTestFinished } from 'vitest'
import { groupBackups } from '../../src/formats/backup-name.ts'
import { native } from '../../src/native/index.ts'
import { createFolder } from '../helpers/folder.ts'
import { until } from '../helpers/until.ts'

/** With what the types of thread-stream leave out. */
type Stream = ReturnType<typeof pino.transport> & { closed: boolean; ref(): void }
type Options = Record<string, unknown>

const flush = (stream: Stream): Promise<void> =>
  new Promise((resolve, reject) => {
    stream.flush((error: unknown) => (error ? reject(error) : resolve()))
  })

async function end(stream: Stream): Promise<void> {
  if (stream.closed) return
  // The stream of a worker that is ready does not keep the event loop alive.
  stream.ref()
  const closed = once(stream, 'close')
  stream.end()
  await closed
}

function createTransport(options: Parameters<typeof pino.transport>[0]): Stream {
  const stream = pino.transport(options) as Stream
  onTestFinished(() => end(stream))
  return stream
}

const rotatingFile = (path: string, options: Options = {}): { target: string; options: Options } => ({
  target: 'logboom/rotating-file',
  options: { path, lock: native.canLock, ...options }
})

const idsOf = (path: string): number[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line).id)

const count = (length: number): number[] => Array.from({ length }, (_, id) => id)

describe('pino target', () => {
  it('writes every record as the single target', async () => {
    const path = join(createFolder(), 'app.log')
    const stream = createTransport(rotatingFile(path))
    const logger = pino(stream)
    for (let id = 0; id < 3_000; id++) logger.info({ id }, 'héllo wörld 💡')
    await end(stream)
    expect(idsOf(path)).toEqual(count(3_000))
  })

  it('writes every record as one of several targets, each with its level', async () => {
    const folder = createFolder()
    const paths = [join(folder, 'all.log'), join(folder, 'errors.log')]
    const stream = createTransport({
      targets: [
        { ...rotatingFile(paths[0]), level: 'info' },
        { ...rotatingFile(paths[1]), level: 'error' }
      ]
    })
    const logger = pino(stream)
    for (let id = 0; id < 1_000; id++) logger[id % 2 === 0 ? 'info' : 'error']({ id })
    await end(stream)
    expect(idsOf(paths[0])).toEqual(count(1_000))
    expect(idsOf(paths[1])).toEqual(count(1_000).filter((id) => id % 2 === 1))
  })

  it('writes every record at the end of a pipeline', async () => {
    const path = join(createFolder(), 'app.log')
    const stream = createTransport({
      pipeline: [
        { target: new URL('../helpers/pass-transform.mjs', import.meta.url).href },
        rotatingFile(path)
      ]
    })
    const logger = pino(stream)
    for (let id = 0; id < 1_000; id++) logger.info({ id })
    await end(stream)
    expect(idsOf(path)).toEqual(count(1_000))
  })

  it('has everything in the file when flush calls back, lines that the ring cut in two included', async () => {
    const path = join(createFolder(), 'app.log')
    const stream = createTransport(rotatingFile(path))
    const logger = pino(stream)
    for (let round = 0; round < 3; round++) {
      for (let id = 0; id < 2_000; id++) logger.info({ id: round * 2_000 + id, pad: 'x'.repeat(3_000) })
      await flush(stream)
      // Rotated at 10 MiB: the last one is in the live file.
      expect(idsOf(path).at(-1)).toBe(round * 2_000 + 1_999)
    }
  })

  it('tells the application of rotations, and obeys its messages', async () => {
    const folder = createFolder()
    const path = join(folder, 'app.log')
    const stream = createTransport(rotatingFile(path, { maxBytes: 1_000 }))
    const logger = pino(stream)
    const rotated = once(stream, 'rotated')
    for (let id = 0; id < 50; id++) logger.info({ id })
    expect((await rotated)[0]).toMatchObject({ from: path, bytes: expect.any(Number) })
    await flush(stream)
    const statistics = once(stream, 'stats')
    stream.emit('message', { type: 'stats' })
    const [stats] = await statistics
    expect(stats).toMatchObject({ records: 50, dropped: 0, state: 'open' })
    const again = once(stream, 'rotated')
    stream.emit('message', { type: 'rotate' })
    await again
    stream.emit('message', { type: 'reopen' })
    stream.emit('message', { type: 'nonsense' })
    stream.emit('message', undefined)
    logger.info({ id: 50 })
    await flush(stream)
    expect(idsOf(path)).toEqual([50])
    expect(readdirSync(folder).filter((name) => name.startsWith('app.log.'))).toHaveLength(
      stats.rotations + 1
    )
  })

  it('reports bad options and refused paths to the application, with the code in the message', async () => {
    const folder = createFolder()
    const failure = async (options: Options): Promise<string> => {
      const stream = pino.transport({ target: 'logboom/rotating-file', options })
      const [error] = await once(stream, 'error')
      return (error as Error).message
    }
    expect(await failure({})).toMatch(/option 'path' is required.*ERR_OPTION/)
    expect(await failure({ path: 'a', maxBytes: -1 })).toMatch(/'maxBytes' .*-1.*ERR_OPTION/)
    expect(await failure({ path: 'a', flushOnSignal: 'SIGTERM' })).toMatch(/handleSignals.*ERR_OPTION/)
    expect(await failure({ path: folder, lock: native.canLock })).toContain('ERR_NOT_FILE')
  })

  it('is typed by the helper target()', async () => {
    const path = join(createFolder(), 'app.log')
    const stream = createTransport(target('rotating-file', { path, maxBytes: '1m', lock: native.canLock }))
    pino(stream).info({ id: 0 })
    await end(stream)
    expect(idsOf(path)).toEqual([0])
  })

  it('reopens on a signal that the application handles with handleSignals', async () => {
    const path = join(createFolder(), 'app.log')
    const stream = createTransport(rotatingFile(path))
    await once(stream, 'ready')
    const messages: unknown[] = []
    stream.on('message', (message: unknown) => messages.push(message))
    const remove = handleSignals(stream, { reopenOnSignal: 'SIGHUP' })
    process.kill(process.pid, 'SIGHUP')
    await until(() => messages.length > 0)
    remove()
    expect(messages).toEqual([{ type: 'reopen' }])
    expect(process.listenerCount('SIGHUP')).toBe(0)
    expect(() => handleSignals(stream, { flushOnSignal: 'SIGKILL' })).toThrow(/ERR_OPTION/)
  })
})

describe('worker stream for pino', () => {
  it('writes every record, tells of events, and has all of it in the file when flush resolves', async () => {
    const folder = createFolder()
    const stream = workerStream('rotating-file', {
      path: join(folder, 'app.log'),
      maxBytes: 100_000,
      lock: native.canLock
    })
    const rotated = once(stream, 'rotated')
    const logger = pino(stream)
    for (let id = 0; id < 5_000; id++) logger.info({ id })
    await stream.flush()
    expect((await rotated)[0]).toMatchObject({ from: join(folder, 'app.log') })
    expect(await stream.stats()).toMatchObject({ records: 5_000, dropped: 0 })
    const flushed = new Promise((resolve) => logger.flush(resolve))
    expect(await flushed).toBeUndefined()
    await stream.close()
    const files = groupBackups('app.log', readdirSync(folder)).map(({ name }) => name)
    expect([...files, 'app.log'].flatMap((name) => idsOf(join(folder, name)))).toEqual(count(5_000))
  })

  it('has a fatal record on disk when the call returns', async () => {
    const path = join(createFolder(), 'app.log')
    const stream = workerStream('rotating-file', { path, durability: 'disk', lock: native.canLock })
    pino(stream).fatal({ id: 0 })
    expect(idsOf(path)).toEqual([0])
    await stream.close()
  })

  it('writes at process.exit what the last turn of the event loop logged', async () => {
    const path = join(createFolder(), 'app.log')
    const code = `
      import pino from 'pino'
      import { workerStream } from 'logboom'
      const logger = pino(workerStream('rotating-file', { path: ${JSON.stringify(path)}, lock: ${native.canLock} }))
      for (let id = 0; id < 10_000; id++) logger.info({ id })
      process.exit(0)`
    execFileSync(process.execPath, ['--input-type=module', '-e', code])
    expect(idsOf(path)).toEqual(count(10_000))
  })

  it('refuses bad options at once', () => {
    expect(() => workerStream('rotating-file', { path: 'a', maxBytes: 'many' })).toThrow(/ERR_OPTION/)
  })
})

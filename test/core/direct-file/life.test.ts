import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DirectFile } from 'logboom'
import { DirectFileTransport } from 'logboom/winston'
import pino from 'pino'
import { describe, expect, onTestFinished, test } from 'vitest'
import winston from 'winston'
import { native } from '../../../src/native/index.ts'
import { readDirectFile, readTexts } from '../../helpers/direct-file-reader.ts'
import { createFolder } from '../../helpers/folder.ts'
import { random } from '../../helpers/random.ts'
import { isLong } from '../../helpers/sized.ts'
import { until } from '../../helpers/until.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))

function startProgram(code: string) {
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit']
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  return child
}

async function run(code: string): Promise<{ code: number | null; signal: string | null }> {
  const child = startProgram(code)
  const [exitCode, signal] = await once(child, 'exit')
  return { code: exitCode, signal }
}

const ids = (path: string): number[] => readTexts(path).map((text) => JSON.parse(text).id)
const count = (length: number): number[] => Array.from({ length }, (_, id) => id)

describe('ends of a process', () => {
  const logger = (path: string) => `
    import pino from 'pino'
    import { handleSignals } from 'logboom'
    const transport = pino.transport({ target: 'logboom/direct-file', options: { path: ${JSON.stringify(path)} } })
    const logger = pino(transport)
    for (let id = 0; id < 10000; id++) logger.info({ id }, 'hello')`

  test('nothing logged in the last tick is missing after process.exit', async () => {
    const path = join(createFolder(), 'app.log')
    await run(`${logger(path)}\nprocess.exit(0)`)
    expect(ids(path)).toEqual(count(10_000))
  })

  test('nor after the natural end, nor after an uncaught exception', async () => {
    const path = join(createFolder(), 'app.log')
    await run(logger(path))
    expect(ids(path)).toEqual(count(10_000))
    const other = join(createFolder(), 'app.log')
    await run(`process.on('uncaughtException', () => process.exit(3));${logger(other)}\nthrow new Error('x')`)
    expect(ids(other)).toEqual(count(10_000))
  })

  test('nor after SIGTERM with flushOnSignal', async () => {
    const path = join(createFolder(), 'app.log')
    const ended = await run(`${logger(path)}
      handleSignals(transport, { flushOnSignal: 'SIGTERM' })
      setInterval(() => {}, 1000)
      process.kill(process.pid, 'SIGTERM')`)
    expect(ended.signal).toBe('SIGTERM')
    expect(ids(path)).toEqual(count(10_000))
  })

  test('a fatal record is on disk when the call returns', async () => {
    const path = join(createFolder(), 'app.log')
    await run(`${logger(path)}
      transport.once('ready', () => { logger.fatal({ id: 10000 }, 'end'); process.kill(process.pid, 'SIGKILL') })`)
    expect(ids(path)).toEqual(count(10_001))
  })

  test('the class: records of all threads, when the process just ends', async () => {
    const path = join(createFolder(), 'app.log')
    await run(`
      import { DirectFile } from 'logboom'
      const file = new DirectFile({ path: ${JSON.stringify(path)} })
      for (let id = 0; id < 10000; id++) file.log(JSON.stringify({ id }))
      process.exit(0)`)
    expect(ids(path)).toEqual(count(10_000))
  })

  test(`SIGKILL at random moments: everything flushed before is there, undamaged`, async () => {
    for (let round = 0; round < (isLong ? 40 : 6); round++) {
      const path = join(createFolder(), 'app.log')
      const child = startProgram(`
        import { DirectFile } from 'logboom'
        const file = new DirectFile({ path: ${JSON.stringify(path)}, bufferSize: '1m', maxBytes: '20m', flushInterval: '5ms' })
        const padding = 'x'.repeat(700)
        for (let id = 0; ; ) {
          for (let n = 0; n < 500; n++) file.log(JSON.stringify({ id: id++, padding }))
          await file.flush()
          process.stdout.write(id + '\\n')
        }`)
      let output = ''
      child.stdout.on('data', (data) => {
        output += data
      })
      await once(child.stdout, 'data')
      await new Promise((resolve) => setTimeout(resolve, 30 + random() * 250))
      child.kill('SIGKILL')
      await once(child, 'exit')
      const flushed = Number(output.trimEnd().split('\n').at(-1))
      const folder = join(path, '..')
      const names = readdirSync(folder)
        .filter((name) => !/\.(lock|claim)$/.test(name))
        .sort()
      const found: number[] = []
      // Backups sort before each other by time and number; the live file is the shortest name.
      for (const name of [...names.filter((each) => each !== 'app.log'), 'app.log']) {
        if (!existsSync(join(folder, name))) continue
        readDirectFile(join(folder, name), (record) => found.push(JSON.parse(record.toString()).id))
      }
      expect(found.length).toBeGreaterThanOrEqual(flushed)
      expect(found.sort((a, b) => a - b)).toEqual(count(found.length))
    }
  }, 240_000)
})

test('a second process, or a second file in this one, is refused', async () => {
  const path = join(createFolder(), 'app.log')
  const file = new DirectFile({ path })
  if (native.canLock) expect(() => new DirectFile({ path })).toThrow(/ERR_LOCKED/)
  await file.close()
  const again = new DirectFile({ path })
  again.log('x')
  await again.close()
  expect(readTexts(path)).toEqual(['x'])
})

test('per-process files have host and process in their names', async () => {
  const folder = createFolder()
  const file = new DirectFile({ path: join(folder, 'app.log'), instance: 'per-process' })
  file.log('x')
  await file.close()
  expect(readdirSync(folder).filter((name) => !name.startsWith('.'))).toEqual([
    expect.stringMatching(new RegExp(`^app\\..+-${process.pid}\\.log$`))
  ])
})

test('a file of something else, a FIFO-like folder, wrong options: refused by the constructor', () => {
  const folder = createFolder()
  writeFileSync(join(folder, 'text.log'), 'this is a text file\n')
  expect(() => new DirectFile({ path: join(folder, 'text.log') })).toThrow(/ERR_FORMAT/)
  expect(() => new DirectFile({ path: folder })).toThrow(/ERR_NOT_FILE/)
  const path = join(folder, 'x.log')
  expect(() => new DirectFile({ path, bufferSize: '256k', numShards: 8 })).toThrow(
    /bufferSize.*64 KiB.*ERR_OPTION/
  )
  expect(() => new DirectFile({ path, maxBytes: 1000 })).toThrow(/ERR_OPTION/)
  expect(() => new DirectFile({ path, overflow: 'drop-oldest' as 'block' })).toThrow(/ERR_OPTION/)
  expect(() => new DirectFile({ path, numShards: Number.NaN })).toThrow(/ERR_OPTION/)
  expect(readFileSync(join(folder, 'text.log'), 'utf8')).toBe('this is a text file\n')
})

test('statistics: every field is what happened', async () => {
  const path = join(createFolder(), 'app.log')
  const file = new DirectFile({ path, bufferSize: '512k', numShards: 4 })
  file.log('')
  file.log('one')
  file.logBytes(Buffer.from('two'))
  file.write('three\nfour\n\nfive')
  expect(file.getShardStats()[0]).toMatchObject({ shardId: 0, writeCount: 0, capacity: 131_072 })
  await file.flush()
  // One frame and one seal, as large as the alignment demands.
  const { size } = statSync(path)
  expect(file.getStatsSnapshot()).toEqual({
    totalLogs: 5,
    droppedLogs: 0,
    bytesWritten: size,
    flushes: 1,
    flushErrors: 0,
    setSwaps: 1
  })
  const metrics = file.getFlushMetrics()
  expect(metrics).toMatchObject({ totalFlushes: 1, flushQueueDepth: 0, blockedSwaps: 0 })
  expect(metrics.avgFlushDuration).toBeGreaterThan(0)
  expect(metrics.avgFlushDuration).toBe(metrics.maxFlushDuration)
  expect(metrics.avgWriteDuration).toBeLessThanOrEqual(metrics.avgFlushDuration)
  expect(metrics.writePercent).toBeGreaterThan(0)
  expect(file.getShardStats().reduce((sum, { writeCount }) => sum + writeCount, 0)).toBe(5)
  file.log('x'.repeat(1000))
  const used = file.getShardStats()[0]
  expect(used.bytesUsed).toBe(8 + 4 + 1000)
  expect(used.utilizationPct).toBeCloseTo((1012 / 131_072) * 100)
  expect(file.stats()).toMatchObject({
    records: 5,
    bytes: size,
    writes: 1,
    syncs: 1,
    queuedBytes: 1004,
    state: 'open'
  })
  await file.close()
  expect(file.stats()).toMatchObject({ records: 6, queuedBytes: 0, state: 'closed' })
  expect(() => file.log('late')).toThrow(/ERR_CLOSED/)
  expect(readTexts(path)).toEqual(['one', 'two', 'three', 'four', 'five', 'x'.repeat(1000)])
})

test('flushInterval bounds how long a record waits', async () => {
  const path = join(createFolder(), 'app.log')
  const file = new DirectFile({ path, flushInterval: '50ms' })
  file.log('x')
  // Without anybody asking for it.
  await until(() => existsSync(path) && readTexts(path).length === 1)
  expect(readTexts(path)).toEqual(['x'])
  await file.close()
})

test('pino: the class as a stream, lines cut anywhere', async () => {
  const path = join(createFolder(), 'app.log')
  const file = new DirectFile({ path })
  const logger = pino(file)
  for (let id = 0; id < 1_000; id++) logger.info({ id }, 'héllo')
  await file.close()
  expect(ids(path)).toEqual(count(1_000))
})

test('pino: as one of several targets, and transport.flush', async () => {
  const path = join(createFolder(), 'app.log')
  const transport = pino.transport({
    targets: [
      { target: 'logboom/direct-file', options: { path } },
      { target: 'logboom/direct-file', level: 'error', options: { path: `${path}.errors` } }
    ]
  })
  const logger = pino(transport)
  for (let id = 0; id < 1_000; id++) logger[id % 10 === 0 ? 'error' : 'info']({ id }, 'x')
  const closed = once(transport, 'close')
  transport.end()
  await closed
  expect(ids(path)).toEqual(count(1_000))
  expect(ids(`${path}.errors`)).toEqual(count(100).map((id) => id * 10))
})

test('winston: every record, in order, after logger.end()', async () => {
  const path = join(createFolder(), 'app.log')
  const transport = new DirectFileTransport({ path })
  const logger = winston.createLogger({ transports: [transport] })
  for (let id = 0; id < 5_000; id++) logger.info('x', { id })
  const finished = once(transport, 'finish')
  logger.end()
  await finished
  expect(ids(path)).toEqual(count(5_000))
})

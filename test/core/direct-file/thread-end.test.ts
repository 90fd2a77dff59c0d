import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Worker } from 'node:worker_threads'
import { describe, expect, onTestFinished, test } from 'vitest'
import { DirectFile, EventFiles, withInternals } from '../../helpers/built.ts'
import { directFiles, readDirectFile, readTexts } from '../../helpers/direct-file-reader.ts'
import { createFolder } from '../../helpers/folder.ts'
import { random } from '../../helpers/random.ts'
import { startProcess } from '../../helpers/script.ts'
import { createThreadFaults, type ThreadFaults } from '../../helpers/thread-faults.ts'
import { until } from '../../helpers/until.ts'

type Options = Partial<ConstructorParameters<typeof DirectFile>[0]>

function open(faults: ThreadFaults, options: Options = {}) {
  const path = join(createFolder(), 'app.log')
  const file = withInternals(
    { threadDisk: faults.threadDisk },
    () => new DirectFile({ path, bufferSize: '512k', numShards: 4, fallback: false, ...options })
  )
  const events: string[] = []
  for (const name of ['degraded', 'recovered', 'warning', 'dropped'] as const) {
    file.on(name, (event?: { code?: string }) => events.push(event?.code ? `${name} ${event.code}` : name))
  }
  return { file, path, events }
}

const texts = (count: number, size = 100): string[] =>
  Array.from({ length: count }, (_, index) => `${index} ${'x'.repeat(size)}`)

/** Of texts that begin with numbers: how often each is there, and whether they are in order. */
function numbersOf(found: readonly string[]): { count: number; different: number; isInOrder: boolean } {
  const numbers = found.filter((text) => text !== 'before').map((text) => Number.parseInt(text, 10))
  const isInOrder = numbers.every((number, index) => index === 0 || number > numbers[index - 1])
  return { count: numbers.length, different: new Set(numbers).size, isInOrder }
}

function readAll(path: string): string[] {
  const names = readdirSync(join(path, '..'))
  return directFiles(path)
    .filter((file) => names.includes(file.slice(file.lastIndexOf('/') + 1)))
    .flatMap((file) => readTexts(file))
}

for (const fault of ['EXIT', 'EXIT-AFTER'] as const) {
  for (const operation of ['writev', 'writevHashed', 'lstat'] as const) {
    test(`a thread that ends at ${operation} (${fault}) is started again, and every record is written once`, async () => {
      const faults = createThreadFaults()
      const { file, path, events } = open(faults, { bufferSize: '8m' })
      file.log('before')
      await file.flush()
      faults.fail(operation, fault, 1, false)
      const records = texts(4_000, 700)
      for (const record of records) file.log(record)
      await file.flush()
      expect(faults.hits).toBe(1)
      expect(events).toEqual(['degraded ERR_IO', 'recovered'])
      expect(file.stats()).toMatchObject({ state: 'open', dropped: 0, records: 4_001, queuedBytes: 0 })
      await file.close()
      expect(numbersOf(readAll(path))).toEqual({
        count: records.length,
        different: records.length,
        isInOrder: true
      })
      expect(readDirectFile(path).damage).toEqual([])
    })
  }
}

test('a caller that blocks its thread sees the flusher started again', async () => {
  const faults = createThreadFaults()
  const { file, path } = open(faults, { maxBufferBytes: 100_000 })
  file.log('before')
  await file.flush()
  faults.fail('writev', 'EXIT', 1, false)
  const records = texts(20_000)
  // More than both sets hold, in one go: nothing of this thread's events is handled meanwhile.
  for (const record of records) file.log(record)
  file.flushSync()
  expect(faults.hits).toBe(1)
  await file.close()
  expect(numbersOf(readAll(path))).toEqual({
    count: records.length,
    different: records.length,
    isInOrder: true
  })
})

test('records too large for a shard are kept while their thread blocks, many times as much as may be in memory', async () => {
  const faults = createThreadFaults()
  const { file, path } = open(faults, { maxBufferBytes: '1m' })
  const records = Array.from({ length: 40 }, (_, index) => `${index} ${'x'.repeat(300_000)}`)
  for (const [index, record] of records.entries()) {
    if (index === 20) faults.fail('writev', 'EXIT', 1, false)
    file.log(record)
  }
  await file.flush()
  expect(faults.hits).toBe(1)
  expect(file.stats()).toMatchObject({ state: 'open', dropped: 0, records: 40, queuedBytes: 0 })
  await file.close()
  expect(numbersOf(readAll(path))).toEqual({ count: 40, different: 40, isInOrder: true })
})

test('a thread that ends again and again fails the file: calls drop and count, flush rejects, nothing hangs', async () => {
  const faults = createThreadFaults()
  const { file, events } = open(faults, { maxBufferBytes: 100_000 })
  faults.fail('writev', 'EXIT')
  file.log('lost')
  await expect(file.flush()).rejects.toThrow(/ended \d+ times in a row.*ERR_IO/)
  expect(file.stats()).toMatchObject({ state: 'failed', dropped: 1, records: 0 })
  let accepted = 0
  for (const record of texts(5_000)) if (file.log(record)) accepted++
  expect(accepted).toBe(0)
  for (const record of texts(5_000)) file.write(`${record}\n`)
  expect(file.stats()).toMatchObject({ state: 'failed', dropped: 10_001 })
  expect(events).toContain('degraded ERR_IO')
  await expect(file.close()).rejects.toThrow(/ERR_LOST/)
  expect(file.stats().dropped).toBe(10_001)
})

test('event files: every event has its records once after the thread has ended', async () => {
  const dir = createFolder()
  const faults = createThreadFaults()
  const events = withInternals(
    { threadDisk: faults.threadDisk },
    () => new EventFiles({ dir, output: 'direct-file', fallback: false })
  )
  for (let event = 0; event < 20; event++) events.log(`e${event}`, 'before')
  await events.flush()
  faults.fail('writev', 'EXIT', 8, false)
  for (let number = 0; number < 2_000; number++) events.log(`e${number % 20}`, `${number}`)
  await events.flush()
  expect(faults.hits).toBe(1)
  expect(events.stats()).toMatchObject({ records: 2_020, dropped: 0 })
  await events.close('e3')
  await events.close()
  for (let event = 0; event < 20; event++) {
    const expected = Array.from({ length: 100 }, (_, index) => `${event + 20 * index}`)
    expect(readTexts(join(dir, `e${event}.log`))).toEqual(['before', ...expected])
  }
})

test('a thread that cannot be started for lack of descriptors is started when there are some', async () => {
  const faults = createThreadFaults()
  const { file, path } = open(faults)
  faults.fail('open', 'EMFILE')
  file.log('one')
  await until(() => file.stats().state === 'degraded')
  faults.heal()
  await file.flush()
  await file.close()
  expect(readAll(path)).toEqual(['one'])
})

test('a thread that is terminated at random moments under load costs nothing', async () => {
  const workers: Worker[] = []
  const note = (worker: Worker): void => void workers.push(worker)
  process.on('worker', note)
  onTestFinished(() => void process.off('worker', note))
  const { file, path } = open(createThreadFaults(), { bufferSize: '2m', flushInterval: 2, maxBytes: '3m' })
  let count = 0
  for (let round = 0; round < 12; round++) {
    const batches = 1 + Math.floor(random() * 8)
    for (let batch = 0; batch < batches; batch++) {
      for (let index = 0; index < 500; index++) file.log(`${count++} ${'x'.repeat(count % 2_000)}`)
      await new Promise((resolve) => setImmediate(resolve))
    }
    await workers.at(-1)!.terminate()
  }
  await file.close()
  expect(workers.length).toBeGreaterThan(6)
  expect(numbersOf(readAll(path))).toEqual({ count, different: count, isInOrder: true })
  expect(file.stats()).toMatchObject({ records: count, dropped: 0 })
})

// Linux tells whether a thread lives; elsewhere nobody does without the addon.
describe.runIf(process.platform === 'linux')('without the addon a caller that blocks its thread', () => {
  const logs = {
    'by log()': `const sink = new DirectFile(options); const log = () => sink.log(text)`,
    'by write()': `const sink = new DirectFile(options); const log = () => sink.write(text + '\\n')`,
    'by log() of event files': `const sink = new EventFiles({ dir, output: 'direct-file', bufferSize: '512k',
      numShards: 4, overflow: 'block' }); const log = () => sink.log('e', text)`
  }
  test.each(Object.entries(logs))('%s sees that the flusher was terminated, and goes on', async (_, open) => {
    const dir = createFolder()
    const child = await startProcess(`
      import { Worker } from 'node:worker_threads'
      let flusher
      const { on } = Worker.prototype
      Worker.prototype.on = function (...args) { flusher = this; return on.apply(this, args) }
      process.env.LOGBOOM_NATIVE = '0'
      const { DirectFile, EventFiles } = await import('logboom')
      const dir = ${JSON.stringify(dir)}
      const options = { path: dir + '/e.log', bufferSize: '512k', numShards: 4, maxBufferBytes: 200_000, overflow: 'block' }
      const text = 'x'.repeat(1000)
      ${open}
      log()
      await sink.flush()
      console.log('started')
      flusher.terminate()
      for (let id = 0; id < 5_000; id++) log()
      await sink.close()
      process.exitCode = sink.stats().records === 5_001 && sink.stats().dropped === 0 ? 0 : 1`)
    if (child.exitCode === null) await once(child, 'exit')
    expect(child.exitCode).toBe(0)
    expect(readTexts(join(dir, 'e.log')).length).toBe(5_001)
  })
})

// The stream whose sink runs in a thread of the pool: bursts, synchronous flushes in the middle of them, the ends of a process,
// trouble with the file and with the thread.
import { readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { readRecords, workerStream } from 'logboom'
import { describe, expect, it, onTestFinished, test } from 'vitest'
import { native } from '../../src/native/index.ts'
import { together, togetherFor } from '../helpers/at-test-end.ts'
import { createFolderOfDying } from '../helpers/folder.ts'
import { runScript } from '../helpers/run-script.ts'
import { sized } from '../helpers/sized.ts'

const lock = native.canLock
const lanes = ['a lane', 'shared memory'] as const
const laneOption = (lane: (typeof lanes)[number]): string => (lane === 'a lane' ? 'undefined' : 'false')

const idsIn = (path: string): number[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line).id)

const count = (length: number): number[] => Array.from({ length }, (_, id) => id)

/** A script that has `pino`, if it uses it, `logboom`, `fs`, `path`, `lock` and `sleep`. */
const script = (code: string): string => `
import fs from 'node:fs'
import { join } from 'node:path'
${code.includes('pino(') ? "import pino from 'pino'" : ''}
import * as logboom from 'logboom'
const [path] = process.argv.slice(1)
const lock = ${lock}
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
${code}`

describe.concurrent.each(lanes)('through %s', (lane) => {
  const open = `logboom.workerStream('rotating-file', { path, maxBytes: 0, lock, lane: ${laneOption(lane)} })`

  it(
    'fatals in the middle of bursts of several times the memory tear, lose and reorder nothing, and the process ends by itself',
    together(async () => {
      const path = join(createFolderOfDying(), 'app.log')
      const records = sized(400_000, 60_000)
      const { code, stderr } = await runScript(
        script(`
        const logger = pino({ base: null }, ${open})
        let id = 0
        while (id < ${records}) {
          for (let i = 0; i < 15_000 && id < ${records}; i++) {
            if (id % 1_777 === 1_000) logger.fatal({ id: id++ }, 'fatal')
            else logger.info({ id: id++ }, 'x'.repeat(400))
          }
          await sleep(5)
        }`),
        [path]
      )
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      expect(idsIn(path)).toEqual(count(records))
    })
  )

  it(
    'a burst in one turn of the event loop is all there after the natural end',
    together(async () => {
      const path = join(createFolderOfDying(), 'app.log')
      const records = sized(1_000_000, 100_000)
      const { code, stderr } = await runScript(
        script(`
        const logger = pino({ base: null, timestamp: false }, ${open})
        for (let id = 0; id < ${records}; id++) logger.info({ id }, 'x'.repeat(150))`),
        [path]
      )
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      expect(idsIn(path)).toEqual(count(records))
    })
  )

  it(
    'records of any size keep their order, also those larger than the memory',
    together(async () => {
      const path = join(createFolderOfDying(), 'app.log')
      const { code, stderr } = await runScript(
        script(`
        const stream = ${open}
        for (let id = 0; id < 18; id++) {
          const bytes = [10, 70_000, 400_000, 5, 9_000_000, 30][id % 6]
          stream.write(JSON.stringify({ id, pad: 'é'.repeat(bytes / 2) }) + '\\n')
        }
        await stream.close()`),
        [path]
      )
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      expect(idsIn(path)).toEqual(count(18))
    })
  )

  it(
    'what handlers of exit log is in the file, whenever they were registered',
    together(async () => {
      const path = join(createFolderOfDying(), 'app.log')
      const { stderr } = await runScript(
        script(`
        let log = () => {}
        process.on('exit', () => log(0))
        const stream = ${open}
        log = (id) => { stream.write(JSON.stringify({ id }) + '\\n') }
        process.on('exit', () => { for (let id = 1; id < 50; id++) log(id) })
        process.on('exit', () => { log(50); stream.flushSync() })
        process.on('exit', () => { for (let id = 51; id < 150; id++) log(id) })
        setTimeout(() => process.exit(), 300)`),
        [path]
      )
      expect(stderr).toBe('')
      expect(idsIn(path)).toEqual(count(150))
    })
  )

  it(
    'ending it while the file cannot be written is no error, does not stop the event loop, and says how many records were not written',
    together(async () => {
      const folder = join(createFolderOfDying(), 'logs')
      const result = await runScript(
        script(`
        const made = []
        for (const name of ['a', 'b', 'c']) {
          const stream = logboom.workerStream('rotating-file', { path: join(path, name), lock, lane: ${laneOption(lane)} })
          stream.on('error', (error) => console.log('error', error.message))
          stream.write('first\\n')
          await stream.flush()
          made.push(stream)
        }
        fs.rmSync(path, { recursive: true })
        fs.writeFileSync(path, '')
        for (const stream of made) for (let i = 0; i < 7; i++) stream.write('lost\\n')
        await sleep(300)
        let stallMs = 0
        let lastMs = performance.now()
        setInterval(() => { stallMs = Math.max(stallMs, performance.now() - lastMs); lastMs = performance.now() }, 20).unref()
        const startMs = performance.now()
        await Promise.all(made.map((stream) => stream.close()))
        console.log(JSON.stringify({ stallMs, tookMs: performance.now() - startMs }))`),
        [folder]
      )
      const told = JSON.parse(result.stdout)
      expect(told.stallMs).toBeLessThan(1_500)
      expect(told.tookMs).toBeLessThan(9_000)
      expect(result.code).toBe(0)
      expect(result.stderr.match(/closed with 7 records \(35 bytes\) .*ERR_LOST/g)).toHaveLength(3)
    })
  )

  it(
    'the exit with several outputs that cannot write takes a moment for all of them, and says how many records were not written',
    together(async () => {
      const folder = join(createFolderOfDying(), 'logs')
      const result = await runScript(
        script(`
        const made = []
        for (const name of ['a', 'b', 'c', 'd']) {
          const stream = logboom.workerStream('rotating-file', { path: join(path, name), lock, lane: ${laneOption(lane)} })
          stream.write('first\\n')
          await stream.flush()
          made.push(stream)
        }
        fs.rmSync(path, { recursive: true })
        fs.writeFileSync(path, '')
        for (const stream of made) for (let i = 0; i < 5; i++) stream.write('lost\\n')
        await sleep(300)
        console.log(Date.now())
        process.exit(3)`),
        [folder]
      )
      expect(Date.now() - Number(result.stdout)).toBeLessThan(5_000)
      expect(result.code).toBe(3)
      expect(result.stderr.match(/closed with 5 records \(25 bytes\) .*ERR_LOST/g)).toHaveLength(4)
    })
  )

  it(
    'what handlers of exit log while the file cannot be written is kept in the lane, or told as lost, and nobody waits for each record',
    together(async () => {
      const folder = join(createFolderOfDying(), 'logs')
      const open = `logboom.workerStream('rotating-file', { path: join(path, 'app.log'), lock, lane: ${laneOption(lane)} })`
      const result = await runScript(
        script(`
        const stream = ${open}
        stream.write('{"id":0}\\n')
        await stream.flush()
        fs.renameSync(path, path + '-away')
        fs.writeFileSync(path, '')
        for (let id = 1; id < 5; id++) stream.write(JSON.stringify({ id }) + '\\n')
        await sleep(300)
        process.on('exit', () => {
          const startMs = performance.now()
          for (let id = 5; id < 305; id++) stream.write(JSON.stringify({ id }) + '\\n')
          fs.writeSync(1, String(performance.now() - startMs))
        })
        process.exit()`),
        [folder]
      )
      expect(Number(result.stdout)).toBeLessThan(5_000)
      const told = [...result.stderr.matchAll(/closed with (\d+) records/g)].map(([, lines]) => Number(lines))
      rmSync(folder)
      renameSync(`${folder}-away`, folder)
      if (lane === 'a lane' && native.laneAvailable()) {
        expect(told).toEqual([4])
        await runScript(script(`const stream = ${open}; await stream.flush(); await stream.close()`), [
          folder
        ])
        expect(idsIn(join(folder, 'app.log'))).toEqual(count(305))
      } else expect(told.reduce((sum, lines) => sum + lines)).toBe(304)
    })
  )

  test.for(['drop-newest', 'drop-oldest'])(
    '%s drops what finds no room, counts it exactly and says so in the log',
    togetherFor(async (overflow) => {
      const folder = join(createFolderOfDying(), 'logs')
      const result = await runScript(
        script(`
        const file = join(path, 'app.log')
        const options = { path: file, maxBytes: 0, lock, maxBufferBytes: '64k', overflow: '${overflow}', fallback: false }
        const stream = logboom.workerStream('rotating-file', { ...options, lane: ${lane === 'a lane' ? "{ maxBytes: '64k' }" : 'false'} })
        const alive = setInterval(() => {}, 1_000)
        let told = 0
        stream.on('dropped', ({ count }) => { told += count })
        stream.write(JSON.stringify({ id: 0 }) + '\\n')
        await stream.flush()
        fs.rmSync(path, { recursive: true })
        fs.writeFileSync(path, '')
        const degraded = new Promise((resolve) => stream.once('degraded', resolve))
        for (let id = 1; id < 4_000; id++) {
          stream.write(JSON.stringify({ id, pad: 'x'.repeat(80) }) + '\\n')
          if (id === 10) await degraded
          if (id % 100 === 0) await sleep(1)
        }
        fs.rmSync(path)
        fs.mkdirSync(path)
        await stream.flush()
        const { dropped } = await stream.stats()
        await stream.close()
        clearInterval(alive)
        console.log(JSON.stringify({ dropped, told }))`),
        [folder]
      )
      expect(result.code, result.stderr).toBe(0)
      const { dropped, told } = JSON.parse(result.stdout)
      const lines = readFileSync(join(folder, 'app.log'), 'utf8')
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line))
      const ids = lines.filter(({ id }) => id !== undefined).map(({ id }) => id)
      const noted = lines.reduce((sum, line) => sum + (line.id === undefined ? line.dropped : 0), 0)
      expect(dropped).toBeGreaterThan(1_000)
      expect({ told, noted, kept: ids.length }).toEqual({
        told: dropped,
        noted: dropped,
        kept: 3_999 - dropped
      })
      expect(ids).toEqual(ids.toSorted((a: number, b: number) => a - b))
      if (overflow === 'drop-newest') expect(ids[0]).toBe(1)
      else expect(ids.at(-1)).toBe(3_999)
    })
  )

  it(
    'a thread that is terminated, or runs out of memory, is replaced, and no record is lost or written twice',
    together(async () => {
      const path = join(createFolderOfDying(), 'app.log')
      const { code, stdout, stderr } = await runScript(
        `
      import { createRequire } from 'node:module'
      const threads = createRequire(import.meta.url)('node:worker_threads')
      const made = []
      const { Worker } = threads
      threads.Worker = class extends Worker {
        constructor(file, options) {
          super(file, { ...options, resourceLimits: { maxOldGenerationSizeMb: 40 } })
          made.push(this)
        }
      }
      const [path] = process.argv.slice(1)
      const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
      const { workerStream } = await import('logboom')
      const stream = workerStream('rotating-file', { path, maxBytes: 0, lock: ${lock}, lane: ${laneOption(lane)} })
      stream.on('error', (error) => console.log('error', error.message))
      let id = 0
      const log = (records) => { for (let i = 0; i < records; i++) stream.write(JSON.stringify({ id: id++, pad: 'x'.repeat(100) }) + '\\n') }
      for (let round = 0; round < 4; round++) {
        for (let turn = 0; turn < 10; turn++) {
          log(300)
          await sleep(1)
        }
        const worker = made.at(-1)
        if (round % 2 === 0) void worker.terminate()
        else worker.postMessage(Array.from({ length: 3e6 }, (_, index) => 'x' + index))
        while (made.at(-1) === worker) {
          log(20)
          await sleep(5)
        }
        await stream.flush()
      }
      console.log(made.length, id)
      log(500)`,
        [path]
      )
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      const [threads, logged] = stdout.trim().split(' ').map(Number)
      expect(threads).toBe(5)
      expect(idsIn(path)).toEqual(count(logged + 500))
    })
  )
})

it.runIf(native.laneAvailable())(
  'what an output leaves in its lane is written by the next one of the log',
  async () => {
    const folder = join(createFolderOfDying(), 'logs')
    const { code, stdout } = await runScript(
      script(`
      const open = () => logboom.workerStream('rotating-file', { path: join(path, 'app.log'), lock, fallback: false })
      const first = open()
      first.write('{"id":0}\\n')
      await first.flush()
      fs.renameSync(path, path + '-away')
      fs.writeFileSync(path, '')
      for (let id = 1; id < 100; id++) first.write(JSON.stringify({ id }) + '\\n')
      await first.close()
      fs.rmSync(path)
      fs.renameSync(path + '-away', path)
      const second = open()
      second.write('{"id":100}\\n')
      await second.flush()
      // At once, unless another process is looking at the owner of the ring just then: then a little later.
      const untilMs = Date.now() + 20000
      while ((await second.stats()).recovered === 0 && Date.now() < untilMs) await new Promise((done) => setTimeout(done, 50))
      console.log((await second.stats()).recovered)
      await second.close()`),
      [folder]
    )
    expect({ code, stdout }).toEqual({ code: 0, stdout: '99\n' })
    expect(idsIn(join(folder, 'app.log')).toSorted((a, b) => a - b)).toEqual(count(101))
  }
)

it('answers any number of questions for statistics at once with one answer', async () => {
  const stream = workerStream('rotating-file', { path: join(createFolderOfDying(), 'app.log'), lock })
  onTestFinished(() => stream.close())
  const asked = Array.from({ length: 100 }, () => stream.stats())
  expect(new Set(asked).size).toBe(1)
  expect(await asked[0]).toMatchObject({ records: 0, state: 'open' })
})

it('takes pieces of a text, whose last line it finishes at a flush and at the end', async () => {
  const path = join(createFolderOfDying(), 'app.log')
  const stream = workerStream('rotating-file', { path, lock })
  stream.write('{"id"')
  stream.write(':0}\n{"id":1}\n{"id"')
  stream.write(':2}')
  await stream.flush()
  expect(idsIn(path)).toEqual([0, 1, 2])
  stream.write('{"id":3}')
  await stream.close()
  expect(idsIn(path)).toEqual([0, 1, 2, 3])
})

it.runIf(native.laneAvailable())(
  'a record for which there is no room until earlier ones are flushed has them flushed, and does not wait for the interval',
  async () => {
    const folder = createFolderOfDying()
    const { code, stdout, stderr } = await runScript(
      script(`
      const options = { flushInterval: '1h', lane: { maxBytes: '64k' } }
      const streams = [
        logboom.workerStream('direct-file', { ...options, path: join(path, 'a.log') }),
        logboom.workerStream('event-files', { ...options, dir: join(path, 'events'), output: 'direct-file' })
      ]
      const longest = []
      for (const stream of streams) {
        await stream.flush()
        let longestMs = 0
        for (let id = 0; id < 30; id++) {
          const line = JSON.stringify({ id, event: 'e', pad: 'x'.repeat([10, 32_700, 20_000, 100_000][id % 4]) }) + '\\n'
          const startMs = performance.now()
          stream.write(line)
          longestMs = Math.max(longestMs, performance.now() - startMs)
        }
        longest.push(longestMs)
        await stream.close()
      }
      console.log(JSON.stringify(longest))`),
      [folder]
    )
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    // Five seconds are waited for a thread that does nothing.
    for (const ms of JSON.parse(stdout)) expect(ms).toBeLessThan(4_000)
    for (const file of [join(folder, 'a.log'), join(folder, 'events', 'e.log')]) {
      const ids: number[] = []
      for await (const { data } of readRecords(file)) ids.push(JSON.parse(data.toString()).id)
      expect(ids).toEqual(count(30))
    }
  }
)

it('takes bytes cut anywhere, also within a character, and refuses with one clear error what is neither text nor bytes', async () => {
  const path = join(createFolderOfDying(), 'app.log')
  const stream = workerStream('rotating-file', { path, lock })
  const bytes = Buffer.from('{"id":0,"text":"é€😀"}\n{"id":1,"text":"ß"}\n{"id":2,"text":"ü')
  for (let at = 0; at < bytes.length; at++) stream.write(bytes.subarray(at, at + 1))
  stream.write('"}\n')
  stream.write('')
  stream.write(new Uint8Array())
  for (const wrong of [undefined, null, 1, {}, [], Symbol('x'), 1n, new Map(), new Float64Array(1)]) {
    expect(() => stream.write(wrong as never), String(wrong)).toThrow(/^write takes a text or a Uint8Array/)
    if (wrong !== undefined) expect(() => stream.flush(wrong as never)).toThrow(/^flush takes a function/)
  }
  stream.write(Buffer.from('{"id":3}\ncut \u00e9').subarray(0, -1))
  await stream.close()
  expect(readFileSync(path, 'utf8')).toBe(
    '{"id":0,"text":"é€😀"}\n{"id":1,"text":"ß"}\n{"id":2,"text":"ü"}\n{"id":3}\ncut \ufffd\n'
  )
})

it('resolves rotate and reopen when they are done', async () => {
  const folder = createFolderOfDying()
  const stream = workerStream('rotating-file', { path: join(folder, 'app.log'), lock })
  onTestFinished(() => stream.close())
  stream.write('{"id":0}\n')
  await stream.rotate()
  expect(readdirSync(folder).filter((name) => name.startsWith('app.log.'))).toHaveLength(1)
  await stream.reopen()
  stream.write('{"id":1}\n')
  await stream.flush()
  expect(idsIn(join(folder, 'app.log'))).toEqual([1])
})

it('end writes a last piece, finishes an unfinished line, and calls back when all is in the file', async () => {
  const path = join(createFolderOfDying(), 'app.log')
  const stream = workerStream('rotating-file', { path, lock })
  stream.write('{"id":0}\n')
  await new Promise<void>((resolve) => stream.end('{"id":1}', resolve))
  expect(idsIn(path)).toEqual([0, 1])
  await new Promise<void>((resolve) => stream.end(resolve))
})

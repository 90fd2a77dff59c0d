// Processes that are killed while they write to one spool folder, and a watcher that reads and removes every file
// the moment it appears.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Spool } from '../../../src/core/spool/spool.ts'
import { spoolFailpoints } from '../../../src/io/failpoint.ts'
import { native } from '../../../src/native/index.ts'
import { tally } from '../../helpers/counts.ts'
import { createFolder, createMemoryFolder, memoryRoot } from '../../helpers/folder.ts'
import { random, randomModule } from '../../helpers/random.ts'
import { built } from '../../helpers/script.ts'
import { sized } from '../../helpers/sized.ts'
import { hiddenNames } from '../../helpers/spool.ts'
import { until } from '../../helpers/until.ts'

const KILLS = sized(200, 20)
/** Each kill waits until a new process works, most of which is its start: half a second, and on a busy machine some. */
const START_LIMIT_MS = 30_000
const timeLimitMs = (kills: number): number => 60_000 + kills * 5_000

/** Records `<writer>:<number>:<length>:<filling>\n`; prints the last number of each flush once that is done. */
const writeForEver = (path: string, temp: string, writer: string): string => `
  import { writeSync } from 'node:fs'
  import { Readable } from 'node:stream'
  import { Spool } from ${built('index.js')}
  import { createRandom } from ${randomModule}
  const random = createRandom('${writer}')
  const spool = new Spool({ path: ${JSON.stringify(path)}, temp: ${JSON.stringify(temp)}, size: 4096, workers: 4,
    timeout: '60s', flushInterval: 20, fallback: false })
  for (let number = 0; ; ) {
    const writes = []
    for (let count = random() * 40; count > 0; count--) {
      const length = random() < 0.05 ? 200_000 : Math.floor(random() * 700)
      const record = '${writer}:' + number++ + ':' + length + ':' + 'x'.repeat(length) + '\\n'
      writes.push(spool.write(random() < 0.1 ? Readable.from([record.slice(0, 3), record.slice(3)]) : record))
    }
    const taken = await Promise.all(writes)
    if (taken.includes(false)) throw new Error('discarded')
    await spool.flush()
    writeSync(1, (number - 1) + '\\n')
  }`

class Writer {
  readonly name: string
  readonly child: ChildProcess
  acknowledged = -1

  constructor(name: string, code: string, env: Record<string, string> = {}) {
    this.name = name
    this.child = spawn(process.execPath, ['--input-type=module', '-e', code], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...env }
    })
    let text = ''
    this.child.stdout!.on('data', (data) => {
      text += data
      const lines = text.split('\n')
      text = lines.pop() as string
      const last = lines.at(-1)
      if (last !== undefined) this.acknowledged = Number(last)
    })
    onTestFinished(() => {
      this.child.kill('SIGKILL')
    })
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL')
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, 'exit')
  }
}

/** Reads and removes published files as they appear; throws at an incomplete file or a name seen before. */
class Watcher {
  readonly #folder: string
  readonly #names = new Set<string>()
  /** writer → record numbers, each as often as it was seen */
  readonly seen = new Map<string, number[]>()

  constructor(folder: string) {
    this.#folder = folder
  }

  collect(): void {
    for (const name of readdirSync(this.#folder)) {
      if (name.startsWith('.')) continue
      if (this.#names.has(name)) throw new Error(`${name} was used twice`)
      this.#names.add(name)
      const text = readFileSync(join(this.#folder, name), 'utf8')
      if (!text.endsWith('\n')) throw new Error(`${name} is not complete`)
      for (const line of text.slice(0, -1).split('\n')) this.#note(name, line)
      unlinkSync(join(this.#folder, name))
    }
  }

  #note(name: string, line: string): void {
    const [writer, number, length, filling] = line.split(':')
    if (filling?.length !== Number(length)) throw new Error(`${name}: a damaged record of ${writer}`)
    const numbers = this.seen.get(writer) ?? []
    numbers.push(Number(number))
    this.seen.set(writer, numbers)
  }
}

function expectExactlyOnce(watcher: Watcher, writers: Writer[]): void {
  for (const { name, acknowledged } of writers) {
    const numbers = watcher.seen.get(name) ?? []
    const unique = new Set(numbers)
    expect(numbers.length, `${name}: records seen twice`).toBe(unique.size)
    const missing = Array.from({ length: acknowledged + 1 }, (_, number) => number).filter(
      (one) => !unique.has(one)
    )
    expect(missing, `${name}: acknowledged records missing`).toEqual([])
  }
}

async function campaign(path: string, temp: string, kills: number): Promise<void> {
  const watcher = new Watcher(path)
  const writers: Writer[] = []
  const running: Writer[] = []
  const start = (): void => {
    const name = `w${writers.length}`
    const writer = new Writer(name, writeForEver(path, temp, name))
    writers.push(writer)
    running.push(writer)
  }
  for (let index = 0; index < 4; index++) start()
  for (let kill = 0; kill < kills; kill++) {
    const [victim] = running.splice(Math.floor(random() * running.length), 1)
    // Killed at any moment of its work, but not before it works.
    const works = (): boolean => {
      watcher.collect()
      return victim.acknowledged >= 0
    }
    await until(works, { timeoutMs: START_LIMIT_MS, what: `${victim.name} writes` })
    for (const end = performance.now() + random() * 200; performance.now() < end; await delay(0)) {
      watcher.collect()
    }
    await victim.kill()
    tally('kills')
    start()
  }
  await Promise.all(running.map((writer) => writer.kill()))
  const last = new Spool({ path, temp, fallback: false })
  await expect
    .poll(() => [...hiddenNames(path), ...hiddenNames(temp)].filter((name) => name.endsWith('.tmp')), {
      timeout: 10_000
    })
    .toEqual([])
  await last.close()
  watcher.collect()
  expectExactlyOnce(watcher, writers)
  expect(hiddenNames(path)).toEqual([])
  expect(hiddenNames(temp)).toEqual([])
}

describe.skipIf(!native.canLock)('needs kernel locks', () => {
  test(`${KILLS} kills among 4 processes of 4 workers: files are complete, acknowledged records there once`, {
    timeout: timeLimitMs(KILLS)
  }, async () => {
    const path = createMemoryFolder()
    await campaign(path, path, KILLS)
  })

  test('the same with temp files on another file system', {
    timeout: timeLimitMs(KILLS / 2)
  }, async (context) => {
    const path = createFolder()
    if (memoryRoot === undefined) context.skip('there is no /dev/shm')
    await campaign(path, createFolder(memoryRoot), KILLS / 2)
  })

  test('lines that a transport acknowledged survive a kill, though they were not published yet', async () => {
    const path = createFolder()
    const watcher = new Watcher(path)
    const code = `
    import { writeSync } from 'node:fs'
    import { SpoolLines } from ${built('core/spool/spool-lines.js')}
    const sink = new SpoolLines({ path: ${JSON.stringify(path)}, size: '64k', flushInterval: '1h' })
    for (let number = 0; ; number++) {
      if (!sink.commit('w:' + number + ':4:xxxx\\n')) throw new Error('not acknowledged')
      writeSync(1, number + '\\n')
      if (number % 100 === 0) await new Promise(setImmediate)
    }`
    const writer = new Writer('w', code)
    await expect.poll(() => writer.acknowledged, { timeout: 20_000 }).toBeGreaterThan(100)
    await writer.kill()
    const spool = new Spool({ path, fallback: false })
    await expect.poll(() => hiddenNames(path).filter((name) => name.endsWith('.tmp'))).toEqual([])
    await spool.close()
    watcher.collect()
    expectExactlyOnce(watcher, [writer])
  })

  test.each(spoolFailpoints.flatMap((point) => ['kill', 'error'].map((action) => [point, action])))(
    'at failpoint %s, %s: no acknowledged record is lost or doubled',
    async (point, action) => {
      const moving = point === 'spool-copied' || point === 'spool-moved'
      const path = createFolder()
      const temp = moving ? createFolder(memoryRoot) : path
      const watcher = new Watcher(path)
      const writer = new Writer('w', writeForEver(path, temp, 'w'), {
        LOGBOOM_FAILPOINT: `${point}:${action}:7`
      })
      if (action === 'kill') await once(writer.child, 'exit')
      else await expect.poll(() => writer.acknowledged, { timeout: 30_000 }).toBeGreaterThan(500)
      await writer.kill()
      expect(writer.child.signalCode).toBe('SIGKILL')
      const spool = new Spool({ path, temp, fallback: false })
      await expect
        .poll(() => [...hiddenNames(path), ...hiddenNames(temp)].filter((name) => name.endsWith('.tmp')))
        .toEqual([])
      await spool.close()
      watcher.collect()
      expectExactlyOnce(watcher, [writer])
    }
  )
})

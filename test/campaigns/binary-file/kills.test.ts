// Processes that share one binary file and are killed at random while they write and roll it over.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, statSync, truncateSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { BinaryFile } from '../../../src/core/binary-file/binary-file.ts'
import { numberedBackups } from '../../../src/formats/numbered-name.ts'
import { failpoints } from '../../../src/io/failpoint.ts'
import { native } from '../../../src/native/index.ts'
import { tally } from '../../helpers/counts.ts'
import { createFolder } from '../../helpers/folder.ts'
import { random, randomModule } from '../../helpers/random.ts'
import { built } from '../../helpers/script.ts'
import { sized } from '../../helpers/sized.ts'

const PROCESSES = 3
const RECORDS = sized(10_000, 3_000)
const KILLS = sized(300, 15)

/** Records `<writer>:<number>:<filling>`; prints the last number of each flush once that is done. */
const writeRecords = (path: string, writer: string, count: number): string => `
  import { writeSync } from 'node:fs'
  import { BinaryFile } from ${built('index.js')}
  import { createRandom } from ${randomModule}
  const random = createRandom('${writer}')
  const file = new BinaryFile({ path: ${JSON.stringify(path)}, maxBytes: 200_000, fallback: false })
  for (let number = 0; number < ${count}; ) {
    for (let batch = random() * 60; batch > 0 && number < ${count}; batch--) {
      const length = random() < 0.02 ? 70_000 : Math.floor(random() * 400)
      file.write('${writer}:' + number++ + ':' + 'x'.repeat(length))
    }
    await file.flush()
    writeSync(1, (number - 1) + '\\n')
  }
  await file.close()`

interface Writer {
  readonly name: string
  readonly child: ChildProcess
  acknowledged: number
}

function start(path: string, name: string, count: number, env: Record<string, string> = {}): Writer {
  const child = spawn(process.execPath, ['--input-type=module', '-e', writeRecords(path, name, count)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env }
  })
  const writer: Writer = { name, child, acknowledged: -1 }
  let text = ''
  child.stdout!.on('data', (data) => {
    text += data
    const lines = text.split('\n')
    text = lines.pop() as string
    const last = lines.at(-1)
    if (last !== undefined) writer.acknowledged = Number(last)
  })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  return writer
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'close')
  else await delay(20)
}

/** Reads everything back with strict checks; returns the record numbers of each writer. */
function readBack(path: string): { seen: Map<string, number[]>; repairs: number } {
  const file = new BinaryFile({ path, maxBytes: 200_000 })
  const seen = new Map<string, number[]>()
  for (const payload of file.read()) {
    const [, writer, number, filling] = /^(\w+):(\d+):(x*)$/.exec(payload) ?? []
    if (filling === undefined) throw new Error(`a damaged record: ${payload.slice(0, 80)}`)
    const numbers = seen.get(writer) ?? []
    numbers.push(Number(number))
    seen.set(writer, numbers)
  }
  const { repairs } = file.stats()
  file[Symbol.dispose]()
  return { seen, repairs }
}

function expectExactlyOnce(seen: Map<string, number[]>, writers: readonly Writer[]): void {
  for (const { name, acknowledged } of writers) {
    const numbers = seen.get(name) ?? []
    // In order, without gap and without double, up to at least what was acknowledged.
    const wrong = numbers.findIndex((number, index) => number !== index)
    const around = wrong === -1 ? [] : numbers.slice(Math.max(0, wrong - 2), wrong + 3)
    expect(around, `${name} at ${wrong} of ${numbers.length}`).toEqual([])
    expect(numbers.length, name).toBeGreaterThan(acknowledged)
  }
}

describe.skipIf(!native.canLock)('needs kernel locks', () => {
  test(`${PROCESSES} processes × ${RECORDS} records with rollover and ${KILLS} kills`, {
    timeout: 60_000 + KILLS * 5_000
  }, async () => {
    const path = join(createFolder(), 'events.bin')
    const folder = dirname(path)
    const writers: Writer[] = []
    const started = (): Writer => {
      const writer = start(path, `w${writers.length}`, RECORDS)
      writers.push(writer)
      return writer
    }
    const running = Array.from({ length: PROCESSES }, started)
    for (let kill = 0; kill < KILLS; kill++) {
      await delay(120 + random() * 150)
      const at = kill % PROCESSES
      running[at].child.kill('SIGKILL')
      await ended(running[at].child)
      tally('kills')
      running[at] = started()
    }
    await Promise.all(running.map(({ child }) => ended(child)))
    for (const writer of running) expect(writer.acknowledged).toBe(RECORDS - 1)
    const { seen } = readBack(path)
    expectExactlyOnce(seen, writers)
    const numbers = numberedBackups(basename(path), readdirSync(folder)).map(({ number }) => number)
    expect(numbers.length).toBeGreaterThan(10)
    // A number noted by a writer that died before the rename is left out; none is used twice.
    expect(numbers.length).toBeGreaterThanOrEqual((numbers.at(-1) as number) + 1 - KILLS)
  })

  const points = failpoints.filter((point) =>
    ['turn', 'append', 'appended', 'rename', 'renamed'].includes(point)
  )
  const faults = points.flatMap((point) => ['kill', 'error'].map((action) => [point, action]))

  // Between a write and its confirmation there is nothing that can fail, only a place to die at.
  test.each(faults.filter(([point, action]) => point !== 'appended' || action === 'kill'))(
    'at failpoint %s, %s: no acknowledged record is lost or doubled',
    async (point, action) => {
      const path = join(createFolder(), 'events.bin')
      const writer = start(path, 'w', 2_000, { LOGBOOM_FAILPOINT: `${point}:${action}:5` })
      await ended(writer.child)
      expect(writer.child.signalCode).toBe(action === 'kill' ? 'SIGKILL' : null)
      if (action === 'error') expect(writer.acknowledged).toBe(1_999)
      const next = start(path, 'next', 500)
      await ended(next.child)
      expectExactlyOnce(readBack(path).seen, [writer, next])
    }
  )

  test('a tail torn by a kill is cut by the next writer, and counted', async () => {
    const path = join(createFolder(), 'events.bin')
    const writer = start(path, 'w', 2_000, { LOGBOOM_FAILPOINT: 'appended:kill:3' })
    await ended(writer.child)
    // As if the kill had cut the write itself.
    truncateSync(path, statSync(path).size - 3)
    const file = new BinaryFile({ path, maxBytes: '10m' })
    const repaired = once(file, 'repaired')
    file.write('next:0:')
    await file.flush()
    expect((await repaired)[0]).toMatchObject({ path })
    expect(file.stats().repairs).toBe(1)
    await file.close()
    expectExactlyOnce(readBack(path).seen, [{ ...writer }, { ...writer, name: 'next', acknowledged: 0 }])
  })
})

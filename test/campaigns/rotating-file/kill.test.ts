// SIGKILL at any moment: what was acknowledged is there once, and no line is torn or merged with another one.
import { appendFileSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { groupBackups } from '../../../src/formats/backup-name.ts'
import { type Failpoint, failpoints } from '../../../src/io/failpoint.ts'
import { tally } from '../../helpers/counts.ts'
import { createFolderOfDying } from '../../helpers/folder.ts'
import { random } from '../../helpers/random.ts'
import { sized } from '../../helpers/sized.ts'
import { exact, verify } from '../../helpers/verify.ts'
import { noLocks, startWriter, type Writer, type WriterSettings } from '../../helpers/writers.ts'

const MIB = 1024 * 1024
const kills = sized(300, 16)

const acknowledged = (writers: Writer[]) =>
  Object.fromEntries(writers.map(({ name, acked }) => [name, acked]))

async function end(writer: Writer): Promise<void> {
  const { code } = await writer.exited
  expect(writer.stderr).toBe('')
  expect(code).toBe(0)
}

describe.skipIf(noLocks)('writers killed at random (needs the locks of the addon)', () => {
  test(`${kills} kills lose no acknowledged record and leave no damage`, { timeout: 900_000 }, async () => {
    const path = join(createFolderOfDying(), 'app.log')
    const hosts: WriterSettings['host'][] = ['class', 'pino', 'class', 'winston', 'class', 'class']
    const writers: Writer[] = []
    const alive: Writer[] = []
    const startOne = (): void => {
      const writer = startWriter({
        host: hosts[writers.length % hosts.length],
        writer: `w${writers.length}`,
        options: { path, maxBytes: MIB, flushInterval: '1ms' },
        bytes: [100, 70_000],
        perTick: 20,
        tickMs: 5,
        acknowledge: true
      })
      writers.push(writer)
      alive.push(writer)
    }
    const started = Date.now()
    for (let killed = 0; killed < kills; killed++) {
      while (alive.length < 3) startOne()
      const victim = alive.splice(Math.floor(random() * alive.length), 1)[0]
      await victim.until(() => victim.acked > 0)
      await sleep(random() * 100)
      victim.child.kill('SIGKILL')
      await victim.exited
      tally('kills')
    }
    const seconds = (Date.now() - started) / 1000
    for (const writer of alive) writer.tell('stop')
    await Promise.all(alive.map(end))
    const events = writers.flatMap(({ events }) => events)
    const report = verify(path, { maxBytes: MIB, records: acknowledged(writers) })
    const repairs = events.filter(({ event }) => event === 'repaired').length
    tally('records', report.records)
    console.log(
      `${kills} kills in ${seconds.toFixed(0)} s, ${report.files - 1} rotations, ${report.records} records, ${repairs} repairs told`
    )
    expect(report).toMatchObject(exact)
    expect(report.files - 1).toBeGreaterThan(seconds)
    if (kills >= 300) expect(repairs).toBeGreaterThan(0)
    expect(events.filter(({ event }) => event === 'warning' || event === 'degraded')).toEqual([])
  })

  test.each([1, 100, 4095])(
    'a write cut short after %d bytes is taken back by the next writer, and counted',
    async (written) => {
      const path = join(createFolderOfDying(), 'app.log')
      const settings: WriterSettings = {
        host: 'class',
        writer: 'a',
        options: { path },
        count: 40,
        bytes: [300, 300],
        perTick: 20,
        acknowledge: true
      }
      const dead = startWriter(settings, { env: { LOGBOOM_FAILPOINT: 'append:kill:2' } })
      await dead.exited
      expect(readFileSync(path).length).toBe(20 * 301)
      // What the kernel had copied of the announced 6020 bytes when the signal came.
      const line = `#a:21:300:${'x'.repeat(289)};\n`
      appendFileSync(path, line.repeat(20).slice(0, written))
      const next = startWriter({ ...settings, writer: 'b' })
      await end(next)
      const torn = written % 301
      expect(next.stats).toMatchObject({ repairs: 1, records: 40 })
      expect(next.events).toMatchObject([{ event: 'repaired', path, bytes: torn }])
      const report = verify(path, { records: { a: 20, b: 40 } })
      expect(report).toMatchObject({ lost: 0, damaged: [], records: 60 + Math.floor(written / 301) })
    }
  )
})

describe('each named step of a write, a rotation and a compression', () => {
  const options = { maxBytes: 4096, compress: 'gzip', lock: !noLocks } as const
  const settings: WriterSettings = {
    host: 'class',
    writer: 'a',
    options: { path: '', ...options },
    count: 300,
    bytes: [100, 100],
    perTick: 10,
    tickMs: 5,
    acknowledge: true
  }

  /** Another process writes; afterwards everything must be as if nothing had happened. */
  async function nextWriter(path: string): Promise<void> {
    const next = startWriter({ ...settings, writer: 'b', options: { path, ...options } })
    await end(next)
    const names = readdirSync(join(path, '..'))
    const backups = groupBackups('app.log', names)
    expect(backups.filter(({ names, compression }) => names.length > 1 || compression !== 'gz')).toEqual([])
    expect(names.length).toBe(backups.length + (noLocks ? 1 : 2))
  }

  test.each(failpoints)('a kill at `%s` loses nothing acknowledged', async (point) => {
    const path = join(createFolderOfDying(), 'app.log')
    const env = { LOGBOOM_FAILPOINT: `${point}:kill:3` }
    const dead = startWriter({ ...settings, options: { path, ...options } }, { env })
    expect(await dead.exited).toMatchObject({ signal: 'SIGKILL' })
    await nextWriter(path)
    const report = verify(path, { maxBytes: 4096, records: { a: dead.acked, b: 300 } })
    expect(report).toMatchObject(exact)
  })

  // After the kernel took a write there is nothing left that could report an error of it.
  const failing: Failpoint[] = failpoints.filter((point) => point !== 'appended')

  test.each(failing)('an error at `%s` loses and repeats nothing', async (point) => {
    const path = join(createFolderOfDying(), 'app.log')
    const env = { LOGBOOM_FAILPOINT: `${point}:error:3` }
    const writer = startWriter({ ...settings, options: { path, ...options, fallback: false } }, { env })
    await end(writer)
    expect(writer.stats).toMatchObject({ records: 300, dropped: 0, state: 'closed' })
    expect(writer.stats!.errors).toBeGreaterThan(0)
    await nextWriter(path)
    expect(verify(path, { maxBytes: 4096, records: { a: 300, b: 300 } })).toMatchObject({
      ...exact,
      records: 600
    })
  })
})

// Somebody else holds the lock: records wait, the application goes on, and nothing is lost.
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { writeSlot } from '../../../src/formats/lock-file.ts'
import { native } from '../../../src/native/index.ts'
import { createFolder } from '../../helpers/folder.ts'
import { built, startProcess } from '../../helpers/script.ts'
import { sized } from '../../helpers/sized.ts'
import { exact, verify } from '../../helpers/verify.ts'
import { noLocks, startWriter, type Writer, type WriterSettings } from '../../helpers/writers.ts'

const lockFile = (path: string): string => join(dirname(path), '.app.log.lock')

function startSteady(path: string, more: Partial<WriterSettings> = {}): Writer {
  return startWriter({
    host: 'class',
    writer: 'a',
    options: { path, maxBytes: 100_000, lockTimeout: '400ms', fallback: false },
    bytes: [100, 300],
    perTick: 10,
    tickMs: 5,
    tellSent: true,
    acknowledge: true,
    ...more
  })
}

async function stop(writer: Writer): Promise<void> {
  writer.tell('stop')
  expect(await writer.exited).toMatchObject({ code: 0 })
  expect(writer.stderr).toBe('')
}

/** Takes the lock in this process; gives a function that gives it back. */
function takeLock(path: string): () => void {
  const fd = openSync(lockFile(path), 'r+')
  expect(native.lock(fd, writeSlot, 5_000)).toBe(true)
  return () => closeSync(fd)
}

function isLocked(path: string): boolean {
  const fd = openSync(lockFile(path), 'r+')
  const free = native.lock(fd, writeSlot, 0)
  closeSync(fd)
  return !free
}

const times = (writer: Writer) =>
  writer.events.map(({ event }) => event).filter((event) => event !== 'rotated')

describe.skipIf(noLocks)('the lock of the log (needs the locks of the addon)', () => {
  test.each(['class', 'pino', 'pino-targets', 'winston'] as const)(
    'held for longer than lockTimeout degrades %s, which goes on when it is free',
    async (host) => {
      const path = join(createFolder(), 'app.log')
      const writer = startSteady(path, { host })
      await writer.until(() => writer.acked > 0)
      const giveBack = takeLock(path)
      const takenAt = Date.now()
      await writer.until(() => writer.count('degraded') > 0)
      const { at, code } = writer.events.find(({ event }) => event === 'degraded')!
      expect(code).toBe('ERR_LOCK_TIMEOUT')
      expect(at - takenAt).toBeGreaterThanOrEqual(380)
      expect(at - takenAt).toBeLessThan(1_500)
      const sent = writer.sent
      // The application is not held up.
      await writer.until(() => writer.sent > sent)
      await sleep(500)
      giveBack()
      const freeAt = Date.now()
      await writer.until(() => writer.count('recovered') > 0)
      expect(writer.events.find(({ event }) => event === 'recovered')!.at - freeAt).toBeLessThan(1_000)
      await stop(writer)
      expect(times(writer)).toEqual(['degraded', 'recovered'])
      expect(verify(path, { maxBytes: 100_000, records: { a: writer.sent } })).toMatchObject({
        ...exact,
        records: writer.sent
      })
    }
  )

  test('held for less than lockTimeout is nothing anybody notices', async () => {
    const path = join(createFolder(), 'app.log')
    const writer = startSteady(path)
    await writer.until(() => writer.acked > 0)
    for (let i = 0; i < 5; i++) {
      const giveBack = takeLock(path)
      await sleep(150)
      giveBack()
      await sleep(50)
    }
    await stop(writer)
    expect(times(writer)).toEqual([])
    expect(verify(path, { maxBytes: 100_000, records: { a: writer.sent } })).toMatchObject(exact)
  })

  test.each(['SIGCONT', 'SIGKILL'] as const)(
    'held by a stopped process is free after its %s',
    async (signal) => {
      const path = join(createFolder(), 'app.log')
      const writer = startSteady(path)
      await writer.until(() => writer.acked > 0)
      const holder = await startProcess(`
        import { closeSync, openSync } from 'node:fs'
        import { native } from ${built('native/index.js')}
        const fd = openSync(${JSON.stringify(lockFile(path))}, 'r+')
        native.lock(fd, ${writeSlot}, 5000)
        console.log('locked')
        setTimeout(() => closeSync(fd), 300)
      `)
      holder.kill('SIGSTOP')
      await writer.until(() => writer.count('degraded') > 0)
      await sleep(sized(60_000, 500))
      expect(times(writer)).toEqual(['degraded'])
      holder.kill(signal)
      const at = Date.now()
      await writer.until(() => writer.count('recovered') > 0)
      expect(writer.events.at(-1)!.at - at).toBeLessThan(1_000)
      if (holder.exitCode === null && holder.signalCode === null) await once(holder, 'exit')
      await stop(writer)
      expect(verify(path, { maxBytes: 100_000, records: { a: writer.sent } })).toMatchObject(exact)
    },
    120_000
  )

  test.each(['turn', 'append', 'appended', 'rename', 'renamed', 'created'])(
    "held by a pino worker that is terminated at '%s' is free at once, and what it left is put right",
    async (point) => {
      const path = join(createFolder(), 'app.log')
      const env = { LOGBOOM_FAILPOINT: `${point}:pause:20` }
      const options = { path, maxBytes: 2_000, fallback: false as const }
      const victim = startSteady(path, { host: 'pino', options })
      await victim.until(() => victim.acked > 0)
      const dead = startWriter(
        {
          host: 'pino',
          writer: 'b',
          options,
          bytes: [100, 300],
          perTick: 10,
          tickMs: 5,
          acknowledge: true,
          tellSent: true
        },
        { env }
      )
      await dead.until(() => dead.sent > 0)
      // Locked all the time: it is at its failpoint.
      for (let n = 0; n < 20; n = isLocked(path) ? n + 1 : 0) await sleep(10)
      dead.tell('terminate')
      await dead.until(() => dead.count('error') > 0)
      expect(dead.child.exitCode).toBe(null)
      const sent = victim.sent
      await victim.until(() => victim.acked > sent)
      await stop(victim)
      expect(times(victim).filter((event) => event !== 'repaired')).toEqual([])
      const report = verify(path, { maxBytes: 2_000, records: { a: victim.sent, b: dead.acked } })
      expect(report).toMatchObject(exact)
    }
  )

  test('held by a writer that is stopped at any moment does not stop the others for good', async () => {
    const path = join(createFolder(), 'app.log')
    const writers = ['a', 'b', 'c'].map((writer) => startSteady(path, { writer }))
    await Promise.all(writers.map((writer) => writer.until(() => writer.acked > 0)))
    for (let round = 0; round < sized(20, 4); round++) {
      const { child } = writers[round % 3]
      child.kill('SIGSTOP')
      await sleep(sized(3_000, 700))
      child.kill('SIGCONT')
      await sleep(300)
    }
    for (const writer of writers) await stop(writer)
    const records = Object.fromEntries(writers.map(({ name, sent }) => [name, sent]))
    expect(verify(path, { maxBytes: 100_000, records })).toMatchObject(exact)
  }, 120_000)
})

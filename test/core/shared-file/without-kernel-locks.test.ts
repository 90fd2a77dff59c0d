// Shared files where there are no kernel locks: one thread of one process has the log, the others wait for it, and those
// who have the locks keep away as well.
import { spawnSync } from 'node:child_process'
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { claimFolderOf } from '../../../src/core/shared-file/claim.ts'
import { decodeLockState, encodeLockState } from '../../../src/formats/lock-file.ts'
import { native } from '../../../src/native/index.ts'
import { runCli } from '../../helpers/cli.ts'
import { createFolder } from '../../helpers/folder.ts'
import { sized } from '../../helpers/sized.ts'
import { exact, filesOf, readWhole, verify } from '../../helpers/verify.ts'
import { startWriter, type Writer, type WriterSettings } from '../../helpers/writers.ts'

const without = { env: { LOGBOOM_NATIVE: '0' } }
const withLocks = { env: { LOGBOOM_NATIVE: '' } }
const hosts = sized(['class', 'pino', 'pino-targets', 'winston'] as const, ['class', 'pino'] as const)

function start(path: string, writer: string, more: Partial<WriterSettings> = {}, options = without): Writer {
  return startWriter(
    {
      host: 'class',
      writer,
      options: { path, maxBytes: 50_000, lockTimeout: '200ms', fallback: false },
      perTick: 10,
      tickMs: 5,
      tellSent: true,
      acknowledge: true,
      ...more
    },
    options
  )
}

async function stop(writer: Writer): Promise<void> {
  writer.tell('stop')
  expect(await writer.exited).toMatchObject({ code: 0, signal: null })
}

/** Whose records are in the log, in the order of the files, each name once for records in a row. */
function blocks(path: string): string {
  const names = filesOf(path).flatMap((file) => [
    ...readWhole(file)
      .toString('latin1')
      .matchAll(/#([^:"]+):\d+:/g)
  ])
  return names
    .map(([, name]) => name)
    .filter((name, at, all) => name !== all[at - 1])
    .join('')
}

const degraded = (writer: Writer) => writer.events.find(({ event }) => event === 'degraded')
const warnings = (writer: Writer) => writer.events.filter(({ event }) => event === 'warning')

test.each(hosts)(
  'a second process (%s) is degraded, says why, and goes on when the first is closed',
  async (host) => {
    const path = join(createFolder(), 'app.log')
    const first = start(path, 'a', { host })
    await first.until(() => first.acked > 0)
    const second = start(path, 'b', { host })
    await second.until(() => degraded(second) !== undefined)
    expect(degraded(second)).toMatchObject({ code: 'ERR_LOCK_TIMEOUT' })
    expect(degraded(second)!.message).toContain(`process ${first.child.pid}`)
    const { sent } = second
    await second.until(() => second.sent > sent)
    // A member of `targets` is not asked to flush.
    if (host !== 'pino-targets') expect(second.acked).toBe(0)
    await stop(first)
    await second.until(() => second.count('recovered') > 0)
    await stop(second)
    expect(verify(path, { maxBytes: 50_000, records: { a: first.sent, b: second.sent } })).toMatchObject({
      ...exact,
      records: first.sent + second.sent
    })
    expect(blocks(path)).toBe('ab')
    expect([warnings(first).length, warnings(second).length]).toEqual([1, 1])
    expect(warnings(first)[0]).toMatchObject({ code: 'ERR_UNSUPPORTED' })
    expect(existsSync(claimFolderOf(path))).toBe(false)
  }
)

test('a stopped process keeps the log however long, and a killed one does not', async () => {
  const path = join(createFolder(), 'app.log')
  const first = start(path, 'a')
  await first.until(() => first.acked > 0)
  first.child.kill('SIGSTOP')
  const second = start(path, 'b')
  await second.until(() => degraded(second) !== undefined)
  await sleep(1_000)
  expect(second.acked).toBe(0)
  first.child.kill('SIGCONT')
  const { acked } = first
  await first.until(() => first.acked > acked)
  expect(second.acked).toBe(0)
  first.child.kill('SIGKILL')
  await second.until(() => second.acked > 0)
  await stop(second)
  const report = verify(path, { records: { a: first.acked, b: second.sent } })
  expect(report).toMatchObject(exact)
  expect(blocks(path)).toBe('ab')
})

test('what a killed process left unfinished is repaired by the next one', async () => {
  const path = join(createFolder(), 'app.log')
  const first = start(path, 'a', { count: 10 })
  expect(await first.exited).toMatchObject({ code: 0 })
  const lockFile = join(path, '..', '.app.log.lock')
  const state = decodeLockState(readFileSync(lockFile))!
  const { size } = statSync(path)
  // As if it had announced two records more, and the kill had cut the second one.
  appendFileSync(path, '#a:11:30:xxxxxxxxxxxxxxxxxxxx;\n#a:12:30:xxx')
  const bytes = readFileSync(lockFile)
  encodeLockState({ ...state, writing: true, offset: size, length: 100 }, bytes)
  writeFileSync(lockFile, bytes)
  const next = start(path, 'b', { count: 10 })
  expect(await next.exited).toMatchObject({ code: 0 })
  expect(next.count('repaired')).toBe(1)
  expect(verify(path, { records: { a: 11, b: 10 } })).toMatchObject({ ...exact, records: 21 })
})

test('rotation, retention and compression are done by who has the log', async () => {
  const path = join(createFolder(), 'app.log')
  const options = {
    path,
    maxBytes: 10_000,
    maxBackups: 3,
    compress: 'gzip',
    lockTimeout: '100ms',
    fallback: false
  } as const
  const first = start(path, 'a', { options })
  await first.until(() => first.count('rotated') > 5)
  const second = start(path, 'b', { options })
  await second.until(() => degraded(second) !== undefined)
  await stop(first)
  await second.until(() => second.count('rotated') > 5)
  await stop(second)
  const names = readdirSync(join(path, '..'))
  const backups = names.filter((name) => /^app\.log\.\d/.test(name))
  expect(backups.length).toBe(3)
  expect(backups.every((name) => name.endsWith('.gz'))).toBe(true)
  expect(verify(path, { maxBytes: 10_000, records: {} })).toMatchObject(exact)
})

test('threads of one process have it in turn, also after one that was terminated', async () => {
  const folder = createFolder()
  const path = join(folder, 'app.log')
  const script = join(folder, 'threads.mjs')
  writeFileSync(
    script,
    `import { once } from 'node:events'
     import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads'
     const { RotatingFile } = await import(process.argv[2])
     const path = process.argv[3]
     const open = () => new RotatingFile({ path, lockTimeout: '100ms', fallback: false })
     if (!isMainThread) {
       const file = open()
       file.on('degraded', ({ message }) => parentPort.postMessage(message))
       file.write(workerData + '\\n')
       file.flush().then(() => parentPort.postMessage('written'))
       parentPort.on('message', async () => { await file.close(); process.exit() })
     } else {
       const start = (name) => new Worker(new URL(import.meta.url), { workerData: name, argv: process.argv.slice(2), trackUnmanagedFds: false })
       const told = []
       const one = start('one')
       told.push(...await once(one, 'message'))
       const two = start('two')
       told.push(...await once(two, 'message'))
       await one.terminate()
       told.push(...await once(two, 'message'))
       const file = open()
       file.write('main\\n')
       const [degraded] = await once(file, 'degraded')
       told.push(degraded.message)
       two.postMessage('close')
       await file.flush()
       await file.close()
       console.log(JSON.stringify(told))
     }`
  )
  const index = new URL('../../../dist/index.js', import.meta.url).href
  const run = spawnSync(process.execPath, [script, index, path], {
    encoding: 'utf8',
    timeout: 20_000,
    env: { ...process.env, ...without.env }
  })
  expect(run.stderr).toBe('')
  const told = JSON.parse(run.stdout) as string[]
  expect(told).toHaveLength(4)
  expect([told[0], told[2]]).toEqual(['written', 'written'])
  expect(told[1]).toContain('another sink of this process')
  expect(told[3]).toContain('another sink of this process')
  expect(readFileSync(path, 'utf8')).toBe('one\ntwo\nmain\n')
})

describe.skipIf(!native.canLock || process.platform !== 'linux')(
  'with others who have kernel locks (need the addon)',
  () => {
    test('who comes without them waits until all of those are gone', async () => {
      const path = join(createFolder(), 'app.log')
      const first = start(path, 'a', {}, withLocks)
      const other = start(path, 'b', {}, withLocks)
      await first.until(() => first.acked > 0)
      await other.until(() => other.acked > 0)
      const late = start(path, 'c')
      await late.until(() => degraded(late) !== undefined)
      expect(degraded(late)!.message).toContain('in use by others')
      await stop(first)
      // One is still there, and has all the turns it wants.
      const { acked } = other
      await other.until(() => other.acked > acked)
      expect([late.acked, other.count('degraded')]).toEqual([0, 0])
      await stop(other)
      await late.until(() => late.acked > 0)
      await stop(late)
      const records = { a: first.sent, b: other.sent, c: late.sent }
      expect(verify(path, { maxBytes: 50_000, records })).toMatchObject(exact)
      expect(blocks(path)).toMatch(/^[ab]+c$/)
    })

    test('who comes with them waits until the one without is closed or killed', async () => {
      const path = join(createFolder(), 'app.log')
      const first = start(path, 'a')
      await first.until(() => first.acked > 0)
      const late = start(path, 'b', {}, withLocks)
      await late.until(() => degraded(late) !== undefined)
      expect(degraded(late)!.message).toContain(`process ${first.child.pid}`)
      await stop(first)
      await late.until(() => late.acked > 0)
      expect(late.count('recovered')).toBe(1)
      await stop(late)
      const third = start(path, 'c')
      await third.until(() => third.acked > 0)
      const last = start(path, 'd', {}, withLocks)
      await last.until(() => degraded(last) !== undefined)
      third.child.kill('SIGKILL')
      await last.until(() => last.acked > 0)
      await stop(last)
      const records = { a: first.sent, b: late.sent, c: third.acked, d: last.sent }
      expect(verify(path, { records })).toMatchObject(exact)
      expect(blocks(path)).toBe('abcd')
    })

    test('many that come and go at once: nobody writes between the records of one without locks', async () => {
      const path = join(createFolder(), 'app.log')
      const options = { path, maxBytes: 50_000, lockTimeout: '20s', fallback: false } as const
      const writers = Array.from({ length: 6 }, (_, at) =>
        start(path, `w${at}`, { options, count: 200, tickMs: 1 }, at % 2 === 0 ? without : withLocks)
      )
      for (const writer of writers)
        expect([await writer.exited, writer.stderr]).toEqual([{ code: 0, signal: null }, ''])
      const records = Object.fromEntries(writers.map(({ name }) => [name, 200]))
      expect(verify(path, { maxBytes: 50_000, records })).toMatchObject({ ...exact, records: 1_200 })
      const order = blocks(path)
      for (const name of ['w0', 'w2', 'w4']) expect(order.split(name)).toHaveLength(2)
    })
  }
)

describe('the option lock', () => {
  const run = (source: string) =>
    spawnSync(process.execPath, ['--input-type=module', '-e', source], {
      cwd: new URL('../../..', import.meta.url),
      encoding: 'utf8',
      timeout: 20_000,
      env: { ...process.env, ...without.env }
    })

  test('true is refused with the reason, by each host', () => {
    const { stdout } = run(`
      import { RotatingFile, BinaryFile, EventFiles, workerStream, target } from 'logboom'
      import { RotatingFileTransport } from 'logboom/winston'
      const path = ${JSON.stringify(join(createFolder(), 'app.log'))}
      const lock = true
      const makes = [
        () => new RotatingFile({ path, lock }),
        () => new BinaryFile({ path, lock, maxBytes: 1000 }),
        () => new EventFiles({ dir: path, lock, output: 'rotating-file' }),
        () => workerStream('rotating-file', { path, lock }),
        () => target('rotating-file', { path, lock }),
        () => new RotatingFileTransport({ path, lock })
      ]
      for (const make of makes) try { make() } catch (error) { console.log(error.message) }`)
    const messages = stdout.trimEnd().split('\n')
    expect(messages).toHaveLength(6)
    for (const message of messages)
      expect(message).toMatch(/'lock: true' needs the native addon.*ERR_UNSUPPORTED/)
  })

  test('false makes no claim and says nothing', () => {
    const folder = createFolder()
    const { stdout, stderr } = run(`
      import { RotatingFile } from 'logboom'
      const file = new RotatingFile({ path: ${JSON.stringify(join(folder, 'app.log'))}, lock: false })
      file.on('warning', ({ message }) => console.log(message))
      file.write('a\\n')
      await file.flush()
      await file.close()`)
    expect([stdout, stderr, readdirSync(folder)]).toEqual(['', '', ['app.log']])
  })

  test('files of many events say once that they are not shared', () => {
    const folder = createFolder()
    const { stdout, stderr } = run(`
      import { EventFiles } from 'logboom'
      const files = new EventFiles({ dir: ${JSON.stringify(folder)}, output: 'rotating-file' })
      files.on('warning', ({ message }) => console.log(message))
      for (let i = 0; i < 20; i++) files.log('event' + i, 'x')
      await files.flush()
      await files.close()`)
    expect(stdout.trimEnd().split('\n')).toHaveLength(1)
    expect(stderr.trimEnd().split('\n')).toHaveLength(1)
    expect(readdirSync(folder).filter((name) => name.endsWith('.claim'))).toEqual([])
    expect(readdirSync(folder).filter((name) => /^event\d+\.log$/.test(name))).toHaveLength(20)
  })
})

test('a claim that somebody else left behind is found before the first record', async () => {
  const path = join(createFolder(), 'app.log')
  mkdirSync(claimFolderOf(path))
  // A process of another container, of which nothing is known.
  writeFileSync(join(claimFolderOf(path), '1-1-100-0123abcd-0123abcd-0123456789ab'), '')
  const writer = start(path, 'a', { count: 5 })
  await writer.until(() => writer.acked > 0 || degraded(writer) !== undefined)
  // The machine of that process may only be this one before it was started again, and then it is gone.
  expect(writer.acked).toBeGreaterThan(0)
  await writer.exited
})

test('logboom info says who has claimed a log', async () => {
  const path = join(createFolder(), 'app.log')
  const writer = start(path, 'a')
  await writer.until(() => writer.acked > 0)
  const { stdout } = await runCli(['info', path])
  expect(stdout).toContain(`claimed by   process ${writer.child.pid} (running)`)
  await stop(writer)
  expect((await runCli(['info', path])).stdout).not.toContain('claimed by')
})

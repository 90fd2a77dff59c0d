// One small pool of threads for all outputs of a process: what many of them cost, and that one in trouble holds up no other.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { native } from '../../src/native/index.ts'
import { atTestEnd, together, togetherFor } from '../helpers/at-test-end.ts'
import { createFolderOfDying } from '../helpers/folder.ts'
import { runScript } from '../helpers/run-script.ts'
import { startThread } from '../helpers/script.ts'
import { sized } from '../helpers/sized.ts'
import { until } from '../helpers/until.ts'

const transports = sized(200, 60)
const ownMemory = ['-m', 'sh', '-c', 'mount -t tmpfs logboom-test /dev/shm && exec "$0" "$@"']
const canMountMemory =
  existsSync('/proc/self/task') && spawnSync('unshare', [...ownMemory, 'true']).status === 0

test.skipIf(!existsSync('/proc/self/task'))(
  `${transports} winston transports share a few threads, descriptors and megabytes`,
  async () => {
    const { stdout, stderr } = await runScript(
      `
    import fs from 'node:fs'
    import { join } from 'node:path'
    import winston from 'winston'
    import { RotatingFileTransport } from 'logboom/winston'
    const [folder] = process.argv.slice(1)
    const measure = () => ({
      threads: fs.readdirSync('/proc/self/task').length,
      descriptors: fs.readdirSync('/proc/self/fd').length,
      mebibytes: process.memoryUsage.rss() / 2 ** 20
    })
    const open = async (name) => {
      const transport = new RotatingFileTransport({ path: join(folder, name), lock: ${native.canLock} })
      winston.createLogger({ transports: [transport] }).info('x')
      await transport.flush()
    }
    await open('first')
    const before = measure()
    for (let i = 0; i < ${transports}; i++) await open('t' + i)
    const after = measure()
    console.log(JSON.stringify(Object.fromEntries(Object.keys(after).map((name) => [name, after[name] - before[name]]))))`,
      [createFolderOfDying()]
    )
    expect(stderr).toBe('')
    const more = JSON.parse(stdout)
    expect(more.threads).toBeLessThanOrEqual(7)
    expect(more.descriptors).toBeLessThanOrEqual(2 * transports)
    expect(more.mebibytes).toBeLessThanOrEqual(150)
  }
)

test.skipIf(!native.canLock)(
  'an output whose file is locked by somebody else holds up no other one',
  async () => {
    const folder = createFolderOfDying()
    const stuck = join(folder, 'stuck.log')
    await startThread(`
    import { parentPort } from 'node:worker_threads'
    import { closeSync, openSync } from 'node:fs'
    import { native } from ${JSON.stringify(new URL('../../dist/native/index.js', import.meta.url).href)}
    const fd = openSync(${JSON.stringify(join(folder, '.stuck.log.lock'))}, 'a+')
    native.lock(fd, 0, 0)
    parentPort.postMessage('locked')
    setInterval(() => {}, 1000)`)
    const { stdout, code } = await runScript(
      `
    import { workerStream } from 'logboom'
    const [stuckPath, path] = process.argv.slice(1)
    const stuck = workerStream('rotating-file', { path: stuckPath, fallback: false, lockTimeout: '100ms' })
    const stream = workerStream('rotating-file', { path, fallback: false })
    stuck.write('waits\\n')
    await stream.flush()
    let slowestMs = 0
    for (let i = 0; i < 50; i++) {
      stuck.write('waits\\n')
      stream.write(i + '\\n')
      const startMs = performance.now()
      await stream.flush()
      slowestMs = Math.max(slowestMs, performance.now() - startMs)
    }
    console.log(slowestMs)
    process.exit()`,
      [stuck, join(folder, 'app.log')]
    )
    expect(code).toBe(0)
    expect(Number(stdout)).toBeLessThan(1_000)
    expect(readFileSync(join(folder, 'app.log'), 'utf8').split('\n')).toHaveLength(51)
  }
)

describe.concurrent('the thread of many outputs', () => {
  test.for([
    ['known', 'at once'],
    ['unknown', 'later']
  ])(
    'that dies of one of them, %s which, goes on for all others, and only that one fails',
    togetherFor(async ([, when]) => {
      const folder = createFolderOfDying()
      const hook = join(folder, 'hook.cjs')
      // Whoever opens that file dies of it.
      writeFileSync(
        hook,
        `const fs = require('node:fs')
        const { openSync } = fs
        fs.openSync = (path, ...rest) => {
          if (String(path).endsWith('culprit.log')) {
            if (${when === 'at once'}) process.exit(9)
            setTimeout(() => process.exit(9), 20)
          }
          return openSync(path, ...rest)
        }`
      )
      const { code, stdout, stderr } = await runScript(
        `
        import { createRequire } from 'node:module'
        import { join } from 'node:path'
        const threads = createRequire(import.meta.url)('node:worker_threads')
        const { Worker } = threads
        threads.Worker = class extends Worker {
          constructor(file, options) {
            super(file, { ...options, execArgv: ['--require', ${JSON.stringify(hook)}] })
          }
        }
        const { workerStream } = await import('logboom')
        const open = (name) => workerStream('rotating-file', { path: join(${JSON.stringify(folder)}, name), lock: ${native.canLock} })
        const others = Array.from({ length: 3 }, (_, index) => open(index + '.log'))
        const failed = []
        const culprit = open('culprit.log')
        for (const stream of [culprit, ...others]) stream.on('warning', ({ message }) => failed.push(message))
        const alive = setInterval(() => {}, 1_000)
        culprit.write('not written\\n')
        let lines = 0
        while (failed.length === 0) {
          for (const stream of others) stream.write(lines + '\\n')
          lines++
          await new Promise((done) => setTimeout(done, 10))
        }
        await Promise.all(others.map((stream) => stream.flush()))
        culprit.write('dropped\\n')
        clearInterval(alive)
        await Promise.all(others.map((stream) => stream.close()))
        console.log(JSON.stringify({ failed, lines }))`
      )
      expect(code, stderr).toBe(0)
      const { failed, lines } = JSON.parse(stdout)
      expect(failed).toEqual([expect.stringMatching(/culprit\.log end again and again/)])
      const expected = Array.from({ length: lines }, (_, line) => `${line}\n`).join('')
      for (let index = 0; index < 3; index++) {
        expect(readFileSync(join(folder, `${index}.log`), 'utf8') === expected).toBe(true)
      }
    })
  )

  // Other processes make rings in the same memory, which may wake it, so it has memory of its own.
  test.skipIf(!canMountMemory)(
    'does not wake an idle process, and neither does the process itself',
    together(async () => {
      const path = join(createFolderOfDying(), 'app.log')
      const code = `
        import { workerStream } from 'logboom'
        const stream = workerStream('rotating-file', { path: process.argv[1], lock: ${native.canLock} })
        stream.write('x\\n')
        await stream.flush()
        setInterval(() => {}, 2 ** 30)
        console.log('idle')`
      const child = spawn('unshare', [
        ...ownMemory,
        process.execPath,
        '--input-type=module',
        '-e',
        code,
        '--',
        path
      ])
      atTestEnd(() => void child.kill('SIGKILL'))
      await once(child.stdout, 'data')
      const wakeUps = (): number => {
        const tasks = `/proc/${child.pid}/task`
        return readdirSync(tasks).reduce((sum, task) => {
          const found = /^voluntary_ctxt_switches:\s*(\d+)$/m.exec(
            readFileSync(`${tasks}/${task}/status`, 'utf8')
          )
          return sum + Number(found![1])
        }, 0)
      }
      // It looks a few times more, less and less often, whether there is something to do.
      const startMs = performance.now()
      let least = Number.POSITIVE_INFINITY
      await until(
        async () => {
          const before = wakeUps()
          await new Promise((done) => setTimeout(done, 5_000))
          least = Math.min(least, wakeUps() - before)
          return least <= 4 || performance.now() - startMs > 25_000
        },
        { timeoutMs: 50_000 }
      )
      expect(least).toBeLessThanOrEqual(4)
    })
  )
})

test.each(['stream', 'transport'])(
  'a process ends that has closed one %s of several before it was open',
  async (what) => {
    const { code, stderr } = await runScript(
      `
    import { workerStream } from 'logboom'
    import { RotatingFileTransport } from 'logboom/winston'
    const [folder, what] = process.argv.slice(1)
    const open = (name) => {
      const options = { path: folder + '/' + name, lock: ${native.canLock} }
      return what === 'stream' ? workerStream('rotating-file', options) : new RotatingFileTransport(options)
    }
    const [closed] = ['a.log', 'b.log', 'c.log'].map(open)
    closed.close()
    setTimeout(() => process.exit(7), 20_000).unref()`,
      [createFolderOfDying(), what]
    )
    expect([code, stderr]).toEqual([0, ''])
  }
)

test('a process ends that has more in memory than the thread takes of what cannot be written', async () => {
  const { code, stderr } = await runScript(
    `
    import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
    import { once } from 'node:events'
    import { workerStream } from 'logboom'
    const folder = process.argv[1] + '/logs'
    mkdirSync(folder)
    const stream = workerStream('rotating-file', { path: folder + '/a.log', lane: false, lock: false })
    stream.write('first\\n')
    await stream.flush()
    renameSync(folder, folder + '.away')
    writeFileSync(folder, 'no folder')
    const record = 'x'.repeat(8191) + '\\n'
    for (let i = 0; i < 4000; i++) stream.write(record)
    await once(stream, 'degraded')
    for (let i = 0; i < 100; i++) stream.write(record)
    setTimeout(() => process.exit(7), 10_000).unref()`,
    [createFolderOfDying()]
  )
  expect(code).toBe(0)
  expect(stderr).toContain('ERR_LOST')
})

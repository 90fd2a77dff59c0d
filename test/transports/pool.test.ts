// One small pool of threads for all outputs of a process: what many of them cost, and that one in trouble holds up no other.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { native } from '../../src/native/index.ts'
import { createFolder } from '../helpers/folder.ts'
import { runScript } from '../helpers/run-script.ts'
import { startThread } from '../helpers/script.ts'
import { sized } from '../helpers/sized.ts'

const transports = sized(200, 60)

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
      [createFolder()]
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
    const folder = createFolder()
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

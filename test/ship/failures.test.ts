// What networks, servers, disks, clocks and kills do to a shipper: every record is there, under a name that stays the same.
import { appendFileSync, existsSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { abortWith } from '../../src/base/abort-with.ts'
import { RotatingFile } from '../../src/core/rotating-file/rotating-file.ts'
import { native } from '../../src/native/index.ts'
import { readCheckpoint } from '../../src/ship/checkpoint.ts'
import { createElasticsearchTarget } from '../../src/ship/targets/elasticsearch.ts'
import { startBulkIndex } from '../helpers/bulk-index.ts'
import { createFolder } from '../helpers/folder.ts'
import { canMount, fill, mountTmpfs } from '../helpers/mount.ts'
import { type ProxyMode, startProxy } from '../helpers/proxy.ts'
import { random } from '../helpers/random.ts'
import { built, startProcess } from '../helpers/script.ts'
import { createShipper, createTarget } from '../helpers/ship-target.ts'
import { sized } from '../helpers/sized.ts'
import { until } from '../helpers/until.ts'

const kills = sized(100, 2)
const line = (n: number) => JSON.stringify({ n, msg: `record ${n}` })
const lines = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, at) => `${line(from + at)}\n`).join('')

describe.skipIf(!native.canLock)('the network', () => {
  test.each<ProxyMode>(['refuse', 'cut-request', 'cut-answer', 'half-open', 'slow'])(
    '%s: what was sent comes again until it is answered, and is there once',
    async (mode) => {
      const index = await startBulkIndex()
      const proxy = await startProxy(index.url)
      const path = join(createFolder(), 'app.log')
      writeFileSync(path, lines(0, 500))
      const target = createElasticsearchTarget({ url: proxy.url })
      const { send } = target
      // Half a minute is what a request is given; nobody waits for it here.
      target.send = (batch, signal) => {
        const attempt = new AbortController()
        const timer = setTimeout(() => attempt.abort(new Error('no answer')), 2_000)
        const unlink = abortWith(attempt, signal)
        return send(batch, attempt.signal).finally(() => {
          clearTimeout(timer)
          unlink()
        })
      }
      proxy.mode = mode
      proxy.cutBytes = mode === 'cut-answer' ? 1 : 5_000
      const shipper = createShipper(path, target, { batchRecords: 200 })
      const running = shipper.run()
      running.catch(() => {})
      if (mode === 'slow') await until(() => (proxy.seen.get(mode) ?? 0) > 0)
      else await until(() => shipper.stats().retries > 0)
      proxy.mode = 'pass'
      await running
      expect([...index.documents.values()].map(({ n }) => n)).toEqual(
        Array.from({ length: 500 }, (_, n) => n)
      )
      if (mode === 'cut-answer') expect(index.conflicts).toBeGreaterThan(0)
    }
  )

  test('stopping waits for no connection that never answers', async () => {
    const proxy = await startProxy('http://127.0.0.1:9')
    proxy.mode = 'half-open'
    const path = join(createFolder(), 'app.log')
    writeFileSync(path, lines(0, 10))
    const shipper = createShipper(path, createElasticsearchTarget({ url: proxy.url }))
    const running = shipper.run()
    await until(() => (proxy.seen.get('half-open') ?? 0) > 0)
    const start = performance.now()
    await shipper.stop()
    await running
    expect(performance.now() - start).toBeLessThan(2_000)
    expect(readCheckpoint(shipper.checkpointPath)).toMatchObject({ records: 0, pending: [{ records: 10 }] })
  })

  test.each([507, 503, 401])(
    'a server that answers %i is asked again: it is full, or somebody mends it',
    async (status) => {
      const index = await startBulkIndex()
      index.status = status
      const path = join(createFolder(), 'app.log')
      writeFileSync(path, lines(0, 30))
      const shipper = createShipper(path, createElasticsearchTarget({ url: index.url }))
      const seen: string[] = []
      shipper
        .on('degraded', ({ message }) => seen.push(message))
        .on('recovered', () => seen.push('recovered'))
      const running = shipper.run()
      await until(() => shipper.stats().retries > 0)
      index.status = undefined
      await running
      expect(seen).toEqual([expect.stringContaining(String(status)), 'recovered'])
      expect(index.documents.size).toBe(30)
    }
  )
})

describe.skipIf(!native.canLock)('processes', () => {
  const shipCode = (url: string, source: string) =>
    `import { Shipper, createElasticsearchTarget } from ${built('index.js')}
     const target = createElasticsearchTarget({ url: ${JSON.stringify(url)} })
     const shipper = new Shipper({ source: ${JSON.stringify(source)}, target, batchRecords: 20, batchAge: 10 })
     console.log('ready')
     await shipper.run().catch((error) => { console.log(error.code); process.exit(7) })`

  test(`killed ${kills} times while the log rotates, compresses and cleans up: every record is there once`, {
    timeout: 300_000
  }, async () => {
    const index = await startBulkIndex()
    const path = join(createFolder(), 'app.log')
    const log = new RotatingFile({ path, maxBytes: 3000, maxBackups: 1, compress: 'gzip', fallback: false })
    onTestFinished(() => log.close().catch(() => {}))
    let written = 1
    let isWriting = true
    let writing: Promise<void> | undefined
    const write = async () => {
      for (; isWriting; await sleep(5)) for (let i = 0; i < 5; i++) log.writeLine(line(written++))
    }
    log.writeLine(line(0))
    for (let kill = 0; kill < kills; kill++) {
      const child = await startProcess(shipCode(index.url, path))
      // From its first shipper on the log waits for it.
      if (kill === 0) await until(() => index.documents.size === 1)
      writing ??= write()
      await sleep(random() * 300)
      child.kill('SIGKILL')
      await new Promise((resolve) => child.once('exit', resolve))
    }
    isWriting = false
    await writing
    await log.close()
    const shipper = createShipper(path, createElasticsearchTarget({ url: index.url }), {
      consumer: 'ship-elasticsearch'
    })
    await shipper.run()
    const found = [...index.documents.values()].map(({ n }) => Number(n)).sort((a, b) => a - b)
    expect(found).toEqual(Array.from({ length: written }, (_, i) => i))
  })

  test('of shippers that start at once one ships', async () => {
    const index = await startBulkIndex()
    const path = join(createFolder(), 'app.log')
    writeFileSync(path, lines(0, 100))
    const target = () => createElasticsearchTarget({ url: index.url })
    const all = Array.from({ length: 5 }, () => createShipper(path, target(), { follow: true, batchAge: 1 }))
    const ended = all.map((each) =>
      each.run().then(
        () => 'shipped',
        ({ code }) => code
      )
    )
    await until(() => index.documents.size === 100)
    // By another checkpoint it would ship everything again: the name is what tells them apart.
    const checkpoint = join(createFolder(), 'checkpoint')
    await expect(createShipper(path, target(), { checkpoint }).run()).rejects.toThrow(/consumer.*ERR_LOCKED/)
    await Promise.all(all.map((each) => each.stop()))
    expect((await Promise.all(ended)).sort()).toEqual([
      'ERR_LOCKED',
      'ERR_LOCKED',
      'ERR_LOCKED',
      'ERR_LOCKED',
      'shipped'
    ])
    expect(index.conflicts).toBe(0)
    const second = createShipper(path, target(), { checkpoint, consumer: 'second' })
    await second.run()
    expect(index.documents.size).toBe(200)
  })
})

describe.skipIf(!native.canLock)('the disk', () => {
  test.skipIf(!canMount)('a full one keeps nobody from shipping and noting it', async () => {
    const folder = mountTmpfs('4m')
    const path = join(folder, 'app.log')
    writeFileSync(path, lines(0, 100))
    const { target, taken } = createTarget()
    await createShipper(path, target).run()
    appendFileSync(path, lines(100, 200))
    const empty = fill(folder)
    const shipper = createShipper(path, target)
    await shipper.run()
    expect(shipper.stats()).toMatchObject({ records: 100, retries: 0 })
    expect(taken).toHaveLength(200)
    empty()
    expect(readCheckpoint(shipper.checkpointPath)).toMatchObject({ records: 200, pending: [] })
  })

  test('a checkpoint of which one half was torn goes on from the other; of both it is an error', async () => {
    const { path, shipper } = await shipped(30)
    const whole = readFileSync(shipper.checkpointPath)
    const torn = Buffer.from(whole)
    const half = whole.length / 2
    const [a, b] = [0, half].map((at) => whole.readBigUInt64LE(at + 8))
    const [newest, older] = a > b ? [0, half] : [half, 0]
    torn[newest + 60] ^= 1
    writeFileSync(shipper.checkpointPath, torn)
    const again = createTarget()
    await createShipper(path, again.target).run()
    // The last change was that the last batch is there; so it is sent again, under the same name.
    expect(again.sent).toMatchObject([{ sequence: 2, numbers: Array.from({ length: 10 }, (_, i) => 20 + i) }])
    torn[older + 60] ^= 1
    writeFileSync(shipper.checkpointPath, torn)
    await expect(createShipper(path, createTarget().target).run()).rejects.toThrow(/ERR_CORRUPT/)
    truncateSync(shipper.checkpointPath, 100)
    await expect(createShipper(path, createTarget().target).run()).rejects.toThrow(/ERR_CORRUPT/)
    expect(statSync(shipper.checkpointPath).size).toBe(100)
  })

  test('an older copy of the checkpoint sends the same batches again, under the same names', async () => {
    const { path, shipper, sent } = await shipped(30)
    const copy = readFileSync(shipper.checkpointPath)
    appendFileSync(path, lines(30, 60))
    const { target, sent: more } = createTarget()
    await createShipper(path, target).run()
    writeFileSync(shipper.checkpointPath, copy)
    const again = createTarget()
    await createShipper(path, again.target).run()
    expect(again.sent).toEqual(more)
    expect(sent).toHaveLength(3)
  })

  async function shipped(count: number) {
    const path = join(createFolder(), 'app.log')
    writeFileSync(path, lines(0, count))
    const { target, sent } = createTarget()
    const shipper = createShipper(path, target)
    await shipper.run()
    return { path, shipper, sent }
  }
})

describe.skipIf(!native.canLock)('clocks', () => {
  test('that jump by years while the log rotates lose and repeat nothing', async () => {
    const path = join(createFolder(), 'app.log')
    const log = new RotatingFile({ path, maxBytes: 1000, maxBackups: 1, compress: 'gzip', fallback: false })
    onTestFinished(() => log.close().catch(() => {}))
    const { target, taken } = createTarget(() => sleep(1))
    const shipper = createShipper(path, target, { follow: true, batchAge: 5 })
    const { now } = Date
    onTestFinished(() => void vi.restoreAllMocks())
    let jumpMs = 0
    vi.spyOn(Date, 'now').mockImplementation(() => now() + jumpMs)
    log.writeLine(line(0))
    await log.flush()
    const running = shipper.run()
    running.catch(() => {})
    await until(() => taken.length === 1)
    for (let n = 1; n < 400; n++) {
      log.writeLine(line(n))
      if (n % 20 !== 0) continue
      jumpMs = Math.floor((random() - 0.4) * 10) * 365 * 86_400_000
      await log.flush()
      await sleep(2)
    }
    await log.close()
    await Promise.race([until(() => taken.length >= 400), running])
    expect(taken).toEqual(Array.from({ length: 400 }, (_, n) => line(n)))
    const { lagMs, waitingMs } = shipper.stats()
    expect(lagMs).toBeGreaterThanOrEqual(0)
    expect(waitingMs).toBeGreaterThanOrEqual(0)
    await shipper.stop()
    await running
  })
})

test.skipIf(!native.canLock)(
  'what is neither a log nor a target, and is asked twice, is told at once',
  async () => {
    const { target } = createTarget()
    const { Shipper } = await import('../../src/ship/shipper.ts')
    for (const wrong of [undefined, null, 5, '', {}, []])
      expect(() => new Shipper({ source: wrong as string, target })).toThrow(/ERR_OPTION/)
    for (const wrong of [undefined, null, 5, 'loki', {}, { send: 1 }])
      expect(() => new Shipper({ source: 'app.log', target: wrong as never })).toThrow(/ERR_OPTION/)
    expect(() => new Shipper(undefined as never)).toThrow(/ERR_OPTION/)
    for (const consumer of ['', '.x', 'a/b', 'x'.repeat(65), 'a.tmp'])
      expect(() => createShipper('app.log', target, { consumer })).toThrow(/ERR_OPTION/)
    const path = join(createFolder(), 'app.log')
    writeFileSync(path, lines(0, 5))
    const silent = { ...target, send: async () => undefined as never }
    await expect(createShipper(path, silent).run()).rejects.toThrow(/list of the records.*ERR_TARGET/)
    const shipper = createShipper(path, target)
    await Promise.all([shipper.run(), shipper.run(), shipper.stop(), shipper.stop()])
    await shipper.run()
    expect(existsSync(shipper.rejectedPath)).toBe(false)
  }
)

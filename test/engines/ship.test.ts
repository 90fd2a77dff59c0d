// Shipping to real servers: killed on either side again and again, and counted by reading the server.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { AwsClient } from 'aws4fetch'
import { describe, expect, onTestFinished, test } from 'vitest'
import { WriteAheadLog } from '../../src/core/wal/write-ahead-log.ts'
import { native } from '../../src/native/index.ts'
import { readCheckpoint } from '../../src/ship/checkpoint.ts'
import { createElasticsearchTarget } from '../../src/ship/targets/elasticsearch.ts'
import { createLokiTarget } from '../../src/ship/targets/loki.ts'
import { createOtlpTarget } from '../../src/ship/targets/otlp.ts'
import { createS3Target } from '../../src/ship/targets/s3.ts'
import { type Engine, hasEngine, startS3, startVictoriaLogs } from '../helpers/engines.ts'
import { createFolder } from '../helpers/folder.ts'
import { canMount, mountExt4 } from '../helpers/mount.ts'
import { random } from '../helpers/random.ts'
import { built, startProcess } from '../helpers/script.ts'
import {
  checkpointOf,
  killAgainAndAgain,
  line,
  linesUpTo,
  shipAll,
  shipWhileDiskIsFull,
  shipWhileServerDies,
  startWriting
} from '../helpers/shipping.ts'
import { sized } from '../helpers/sized.ts'
import { until } from '../helpers/until.ts'

const credentials = { accessKeyId: 'key', secretAccessKey: 'secret' }
const kills = sized(100, 6)
const DISK_BYTES = 64 * 1024 * 1024

/** The records of all objects, in the order of their names. */
async function recordsIn(url: string): Promise<string[]> {
  const client = new AwsClient({ ...credentials, service: 's3', region: 'us-east-1' })
  const keys: string[] = []
  for (let after = ''; ; ) {
    const query = `list-type=2&prefix=app/&start-after=${encodeURIComponent(after)}`
    const text = await (await client.fetch(`${url}/logs?${query}`)).text()
    const found = [...text.matchAll(/<Key>([^<]+)<\/Key>/g)].map(([, key]) => key)
    keys.push(...found.filter((key) => key > after))
    if (found.length === 0 || !text.includes('<IsTruncated>true')) break
    after = found[found.length - 1]
  }
  const records: string[] = []
  for (const key of keys.sort()) {
    const body = await (await client.fetch(`${url}/logs/${key}`)).arrayBuffer()
    records.push(...gunzipSync(Buffer.from(body)).toString().split('\n').slice(0, -1))
  }
  return records
}

function shipCode(kind: 's3' | 'elasticsearch' | 'loki' | 'otlp', url: string, source: string): string {
  const create = {
    s3: 'createS3Target',
    elasticsearch: 'createElasticsearchTarget',
    loki: 'createLokiTarget',
    otlp: 'createOtlpTarget'
  }[kind]
  return `import { Shipper, ${create} } from ${built('index.js')}
    const target = await ${create}({ url: ${JSON.stringify(url)}, credentials: ${JSON.stringify(credentials)} })
    const shipper = new Shipper({ source: ${JSON.stringify(source)}, target, batchRecords: 20, batchAge: 20 })
    console.log('ready')
    await shipper.run()`
}

describe.skipIf(!hasEngine('gofakes3') || !native.canLock)(
  'S3 (skipped where scripts/engines.mjs did not get gofakes3)',
  () => {
    test(`killed ${kills} times while the log rotates: every record is there once, in order`, {
      timeout: 1_800_000
    }, async () => {
      const { url } = await startS3()
      const log = startWriting()
      await killAgainAndAgain(shipCode('s3', `${url}/logs`, log.path), kills, checkpointOf(log.path, 's3'))
      const written = await log.stop()
      const shipper = await shipAll(log.path, await createS3Target({ url: `${url}/logs`, credentials }))
      expect(await recordsIn(url)).toEqual(linesUpTo(written))
      expect(shipper.stats().records).toBeLessThan(written)
    })

    test('the server is killed and started again: nothing is missing or there twice', {
      timeout: 120_000
    }, async () => {
      const engine = await startS3()
      const target = await createS3Target({ url: `${engine.url}/logs`, credentials })
      const { written, seen } = await shipWhileServerDies(target, engine, sized(10, 2))
      expect(seen.slice(0, 2)).toEqual(['degraded', 'recovered'])
      expect(await recordsIn(engine.url)).toEqual(linesUpTo(written))
    })

    test.skipIf(!canMount)(
      "the server's disk is full for a while: the shipper waits for it, nothing is missing or there twice (skipped without mkfs.ext4)",
      { timeout: 300_000 },
      async () => {
        const { folder } = mountExt4([], DISK_BYTES)
        const { url } = await startS3({ folder })
        const target = await createS3Target({ url: `${url}/logs`, credentials })
        const written = await shipWhileDiskIsFull(target, folder)
        expect(await recordsIn(url)).toEqual(linesUpTo(written))
      }
    )

    test('an object of other records in the place of a batch is an error, and stays', async () => {
      const { url } = await startS3()
      const path = join(createFolder(), 'app')
      writeFileSync(path, `${line(0)}\n`)
      const target = await createS3Target({ url: `${url}/logs`, credentials })
      const batch = {
        stream: '0'.repeat(16),
        log: 'app',
        areLines: true,
        sequence: 0,
        after: null,
        firstNumber: 0,
        rangeHash: 'a'.repeat(16)
      }
      const record = (text: string) => ({ data: Buffer.from(text), number: 0, timeMs: 0 })
      const { signal } = new AbortController()
      expect(await target.send({ ...batch, records: [record('one')] }, signal)).toEqual([])
      expect(await target.send({ ...batch, records: [record('one')] }, signal)).toEqual([])
      await expect(target.send({ ...batch, records: [record('two')] }, signal)).rejects.toThrow(
        /with other records/
      )
      expect(await recordsIn(url)).toEqual(['one'])
    })
  }
)

describe.skipIf(!hasEngine('victoria-logs') || !native.canLock)(
  'HTTP (skipped except by npm run test:engines)',
  () => {
    async function numbersIn({ url }: Engine): Promise<number[]> {
      const body = new URLSearchParams({ query: 'n:* | fields n', limit: '1000000' })
      const response = await fetch(`${url}/select/logsql/query`, { method: 'POST', body })
      const found = (await response.text()).split('\n').filter((text) => text !== '')
      return found.map((text) => Number(JSON.parse(text).n))
    }
    /** Each once at least: what was not acknowledged is sent again. */
    async function expectNumbers(engine: Engine, count: number): Promise<void> {
      const found = async () => new Set(await numbersIn(engine))
      await until(async () => (await found()).size === count, { timeoutMs: 30_000, what: `${count} records` })
      const expected = Array.from({ length: count }, (_, i) => i)
      expect([...(await found())].sort((a, b) => a - b)).toEqual(expected)
    }
    const kinds = ['elasticsearch', 'loki', 'otlp'] as const
    const create = {
      elasticsearch: createElasticsearchTarget,
      loki: createLokiTarget,
      otlp: createOtlpTarget
    }
    const places = {
      elasticsearch: '/insert/elasticsearch/_bulk?_time_field=@timestamp&_msg_field=msg',
      loki: '/insert/loki/api/v1/push',
      otlp: '/insert/opentelemetry/v1/logs'
    }

    test.each(kinds)(
      `${'%s'}: shipper killed ${kills} times, every record is there`,
      { timeout: 1_200_000 },
      async (kind) => {
        const engine = await startVictoriaLogs()
        const url = `${engine.url}${places[kind]}`
        const walDir = join(createFolder(), 'app')
        const log = await WriteAheadLog.open({ walDir, segmentBytes: 8192, fallback: false })
        onTestFinished(() => log.close().catch(() => {}))
        let written = 0
        const write = async () => {
          const now = Date.now()
          await log.log(
            Array.from({ length: 30 }, () => JSON.stringify({ time: now, n: written++, msg: 'x' }))
          )
        }
        for (let kill = 0; kill < kills; kill++) {
          await write()
          const child = await startProcess(shipCode(kind, url, walDir))
          await write()
          await new Promise((resolve) => setTimeout(resolve, random() * 200))
          child.kill('SIGKILL')
          await new Promise((resolve) => child.once('exit', resolve))
        }
        const shipper = await shipAll(walDir, create[kind]({ url }))
        await expectNumbers(engine, written)
        expect(readCheckpoint(shipper.checkpointPath)).toMatchObject({
          records: written,
          pending: []
        })
      }
    )

    describe.skipIf(!canMount)('on a small disk (skipped without mkfs.ext4)', () => {
      test.each(kinds)(
        '%s: full for a while, the shipper waits for it, and every record is there',
        {
          timeout: 300_000
        },
        async (kind) => {
          const { folder } = mountExt4([], DISK_BYTES)
          const engine = await startVictoriaLogs({ folder })
          const target = create[kind]({ url: `${engine.url}${places[kind]}` })
          await expectNumbers(engine, await shipWhileDiskIsFull(target, folder))
        }
      )
    })
  }
)

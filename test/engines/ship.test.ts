// Shipping to real servers: killed on either side again and again, and counted by reading the server.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { WriteAheadLog } from '../../src/core/wal/write-ahead-log.ts'
import { native } from '../../src/native/index.ts'
import { readCheckpoint } from '../../src/ship/checkpoint.ts'
import { createS3Target } from '../../src/ship/targets/s3.ts'
import { tally } from '../helpers/counts.ts'
import { hasEngine, startS3, startVictoriaLogs } from '../helpers/engines.ts'
import { createFolder } from '../helpers/folder.ts'
import { canMount, mountExt4 } from '../helpers/mount.ts'
import { random } from '../helpers/random.ts'
import { credentials, recordsIn } from '../helpers/s3.ts'
import { startProcess } from '../helpers/script.ts'
import {
  checkpointOf,
  createLog,
  killAgainAndAgain,
  line,
  linesUpTo,
  shipAll,
  shipByTwo,
  shipperCode,
  shipWhileDiskIsFull,
  shipWhileServerDies,
  startWriting
} from '../helpers/shipping.ts'
import { isLong, sized } from '../helpers/sized.ts'
import { expectRecords, type HttpKind, httpKinds, untilOnDisk } from '../helpers/victoria-logs.ts'

const kills = sized(100, 6)
const DISK_BYTES = 64 * 1024 * 1024

const s3Code = (source: string, url: string, options: object = {}) =>
  shipperCode(
    source,
    `logboom.createS3Target(${JSON.stringify({ url: `${url}/logs`, credentials })})`,
    options
  )
const httpCode = ({ creator }: HttpKind, source: string, url: string, options: object = {}) =>
  shipperCode(source, `logboom.${creator}({ url: ${JSON.stringify(url)} })`, options)

describe.skipIf(!hasEngine('gofakes3') || !native.canLock)(
  'S3 (skipped where scripts/engines.mjs did not get gofakes3)',
  () => {
    test(`killed ${kills} times while the log rotates: every record is there once, in order`, {
      timeout: 1_800_000
    }, async () => {
      const { url } = await startS3()
      const log = startWriting()
      await killAgainAndAgain(s3Code(log.path, url), kills, checkpointOf(log.path, 's3'))
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

    test('two shippers at once: one of them is told, and every record is there once', {
      timeout: 120_000
    }, async () => {
      const { url } = await startS3()
      const path = createLog(50)
      const written = await shipByTwo(path, s3Code(path, url))
      await shipAll(path, await createS3Target({ url: `${url}/logs`, credentials }))
      expect(await recordsIn(url)).toEqual(linesUpTo(written))
    })

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
    test.each(httpKinds)(
      `$name: shipper killed ${kills} times, every record is there`,
      { timeout: 1_200_000 },
      async (kind) => {
        const engine = await startVictoriaLogs()
        const url = `${engine.url}${kind.place}`
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
          const child = await startProcess(httpCode(kind, walDir, url))
          await write()
          await new Promise((resolve) => setTimeout(resolve, random() * 200))
          child.kill('SIGKILL')
          await new Promise((resolve) => child.once('exit', resolve))
        }
        const shipper = await shipAll(walDir, kind.create({ url }))
        tally('kills', kills)
        tally('records', written)
        await expectRecords(engine, kind, written)
        expect(readCheckpoint(shipper.checkpointPath)).toMatchObject({
          records: written,
          pending: []
        })
      }
    )

    test.each(httpKinds)(
      '$name: the server is killed and started again: what it had on its disk is there, and all that it had not acknowledged',
      { timeout: 1_200_000 },
      async (kind) => {
        const engine = await startVictoriaLogs()
        const target = kind.create({ url: `${engine.url}${kind.place}` })
        const { written, seen, mayBeLost } = await shipWhileServerDies(target, engine, sized(10, 1), () =>
          untilOnDisk(engine)
        )
        expect(seen.slice(0, 2)).toEqual(['degraded', 'recovered'])
        expect(mayBeLost.size).toBeLessThan(written / 2)
        const lost = await expectRecords(engine, kind, written, mayBeLost)
        if (isLong)
          console.info(`${kind.name}: ${lost} of ${written} records went with the memory of the server`)
      }
    )

    test.each(httpKinds)(
      '$name: two shippers at once: one of them is told, and every record is there',
      { timeout: 120_000 },
      async (kind) => {
        const engine = await startVictoriaLogs()
        const url = `${engine.url}${kind.place}`
        const path = createLog(50)
        const written = await shipByTwo(path, httpCode(kind, path, url))
        await shipAll(path, kind.create({ url }))
        await expectRecords(engine, kind, written)
      }
    )

    describe.skipIf(!canMount)('on a small disk (skipped without mkfs.ext4)', () => {
      test.each(httpKinds)(
        '$name: full for a while, the shipper waits for it, and every record is there',
        {
          timeout: 300_000
        },
        async (kind) => {
          const { folder } = mountExt4([], DISK_BYTES)
          const engine = await startVictoriaLogs({ folder })
          const target = kind.create({ url: `${engine.url}${kind.place}` })
          await expectRecords(engine, kind, await shipWhileDiskIsFull(target, folder))
        }
      )
    })
  }
)

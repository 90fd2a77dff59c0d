// Shipping to a real broker of Kafka with both clients: killed on either side again and again, and counted with a
// consumer that sees committed records only.
import { appendFileSync, copyFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { native } from '../../src/native/index.ts'
import { readCheckpoint } from '../../src/ship/checkpoint.ts'
import { kafkaJs } from '../../src/ship/kafka/kafkajs.ts'
import { Shipper } from '../../src/ship/shipper.ts'
import { createKafkaTarget } from '../../src/ship/targets/kafka.ts'
import { runCli } from '../helpers/cli.ts'
import { type Engine, hasEngine, startKafka } from '../helpers/engines.ts'
import { createFolder } from '../helpers/folder.ts'
import { createTopic, kafkaClients, kafkaOf, recordsIn } from '../helpers/kafka.ts'
import { canMount, mountExt4 } from '../helpers/mount.ts'
import {
  checkpointOf,
  createLog,
  killAgainAndAgain,
  line,
  linesUpTo,
  shipAll,
  shipperCode,
  shipTwiceAtOnce,
  shipWhileDiskIsFull,
  shipWhileServerDies,
  startWriting
} from '../helpers/shipping.ts'
import { sized } from '../helpers/sized.ts'
import { until } from '../helpers/until.ts'

const kills = sized(100, 5)
const DISK_BYTES = 128 * 1024 * 1024

describe.skipIf(!hasEngine('kafka') || !native.canLock)(
  'Kafka (skipped except by npm run test:engines)',
  () => {
    let engine: Engine
    const ends: (() => Promise<void>)[] = []
    afterAll(async () => {
      for (const end of ends) await end()
    })
    beforeAll(async () => {
      engine = await startKafka((end) => ends.push(end))
    }, 120_000)

    describe.each(kafkaClients)('with $name', ({ create, code }) => {
      const targetOf = (topic: string, transactionalId?: string) =>
        createKafkaTarget({ client: create(engine), topic, transactionalId })
      const codeOf = (source: string, topic: string, transactionalId?: string, options: object = {}) =>
        shipperCode(
          source,
          `Promise.resolve(${code(engine)}).then((client) =>
          logboom.createKafkaTarget({ client, ...${JSON.stringify({ topic, transactionalId })} }))`,
          options
        )

      test(`killed ${kills} times while the log rotates: every record is there once, in order`, {
        timeout: 1_200_000
      }, async () => {
        const topic = await createTopic(engine, 3)
        const log = startWriting()
        await killAgainAndAgain(codeOf(log.path, topic), kills, checkpointOf(log.path, 'kafka'))
        const written = await log.stop()
        const shipper = await shipAll(log.path, targetOf(topic))
        expect(await recordsIn(engine, topic)).toEqual(linesUpTo(written))
        expect(shipper.stats().records).toBeLessThan(written)
      })

      test('the broker is killed and started again: nothing is missing or there twice', {
        timeout: 1_200_000
      }, async () => {
        const topic = await createTopic(engine)
        const { written, seen } = await shipWhileServerDies(targetOf(topic), engine, sized(10, 1))
        expect(seen.slice(0, 2)).toEqual(['degraded', 'recovered'])
        expect(await recordsIn(engine, topic)).toEqual(linesUpTo(written))
      })

      test('two shippers under one transactional id: one is fenced, and every record is there once', {
        timeout: 120_000
      }, async () => {
        const topic = await createTopic(engine)
        const path = createLog(50)
        const id = `two.${topic}`
        const checkpoints = ['one', 'two'].map((name) => join(createFolder(), name))
        let written = 50
        const ended = await shipTwiceAtOnce(
          [
            codeOf(path, topic, id, { checkpoint: checkpoints[0], consumer: 'one' }),
            codeOf(path, topic, id, { checkpoint: checkpoints[1], consumer: 'two' })
          ],
          () => {
            for (let i = 0; i < 20; i++) appendFileSync(path, `${line(written++)}\n`)
          }
        )
        expect(ended).toContain('ERR_LOCKED')
        const checkpoint = checkpoints[ended.indexOf(undefined)]
        await shipAll(path, targetOf(topic, id), { checkpoint })
        expect(await recordsIn(engine, topic)).toEqual(linesUpTo(written))
      })

      test('a checkpoint of yesterday is found in Kafka, and a lost one, too, under an id that was given', {
        timeout: 120_000
      }, async () => {
        const topic = await createTopic(engine)
        const path = createLog(120)
        const id = `kept.${topic}`
        const { checkpointPath } = await shipAll(path, targetOf(topic, id))
        const yesterday = `${checkpointPath}.yesterday`
        copyFileSync(checkpointPath, yesterday)
        let written = 120
        for (const spoil of [() => rmSync(checkpointPath), () => copyFileSync(yesterday, checkpointPath)]) {
          for (let i = 0; i < 70; i++) appendFileSync(path, `${line(written++)}\n`)
          spoil()
          await shipAll(path, targetOf(topic, id))
        }
        expect(await recordsIn(engine, topic)).toEqual(linesUpTo(written))
        expect(readCheckpoint(checkpointPath)).toMatchObject({ records: written })
      })

      test('a record that the broker refuses is found and kept with its reason; the others are there', {
        timeout: 120_000
      }, async () => {
        const topic = await createTopic(engine)
        const path = join(createFolder(), 'app')
        // It does not become smaller than the limit of a megabyte when it is compressed.
        const large = Buffer.from(Array.from({ length: 1_500_000 }, () => 33 + Math.random() * 90)).toString(
          'latin1'
        )
        writeFileSync(path, `${linesUpTo(20).join('\n')}\n${large}\n${line(20)}\n`)
        const shipper = await shipAll(path, targetOf(topic))
        expect(shipper.stats()).toMatchObject({ records: 22, rejected: 1 })
        expect(await recordsIn(engine, topic)).toEqual(linesUpTo(21))
      })
    })

    test.skipIf(!canMount).each(kafkaClients)(
      "the broker's disk is full for a while, with $name: nothing is missing or there twice (skipped without mkfs.ext4)",
      { timeout: 600_000 },
      async ({ create }) => {
        const { folder } = mountExt4([], DISK_BYTES)
        const small = await startKafka(onTestFinished, { folder })
        const topic = await createTopic(small)
        const target = createKafkaTarget({ client: create(small), topic })
        // A broker without room ends; whoever watches over it starts it again.
        const written = await shipWhileDiskIsFull(target, folder, small)
        expect(await recordsIn(small, topic)).toEqual(linesUpTo(written))
      }
    )

    test('the command ships with the client that is installed, and ends when it is done', {
      timeout: 120_000
    }, async () => {
      const topic = await createTopic(engine)
      const args = [
        'ship',
        createLog(3),
        '--to',
        'kafka',
        '--url',
        engine.url,
        '--topic',
        topic,
        '--no-follow'
      ]
      const { code, stderr } = await runCli(args)
      expect([code, stderr]).toEqual([
        0,
        expect.stringContaining('3 records in 1 batches, 0 of them refused')
      ])
      expect(await recordsIn(engine, topic)).toEqual(linesUpTo(3))
    })

    test('a topic that is not there is waited for', { timeout: 120_000 }, async () => {
      const target = createKafkaTarget({ client: kafkaJs(kafkaOf(engine)), topic: 'not-there' })
      const shipper = new Shipper({ source: createLog(1), target, follow: false })
      onTestFinished(() => shipper.stop())
      const seen: string[] = []
      shipper.on('degraded', ({ message }) => seen.push(message))
      const running = shipper.run()
      await until(() => seen.length > 0, { timeoutMs: 60_000 })
      await shipper.stop()
      await running
      expect(seen[0]).toMatch(/topic/)
    })
  }
)

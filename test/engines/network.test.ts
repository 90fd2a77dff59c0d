// What networks between a shipper and a real server do: refuse, cut, hold up, never answer. Counted by reading the server.
import { describe, expect, onTestFinished, test } from 'vitest'
import { native } from '../../src/native/index.ts'
import { createKafkaTarget } from '../../src/ship/targets/kafka.ts'
import { createS3Target } from '../../src/ship/targets/s3.ts'
import { freePort, hasEngine, startKafka, startNats, startS3, startVictoriaLogs } from '../helpers/engines.ts'
import * as jetstream from '../helpers/jetstream.ts'
import { createTopic, kafkaClients, recordsIn as recordsInTopic } from '../helpers/kafka.ts'
import { type ProxyMode, startProxy } from '../helpers/proxy.ts'
import { credentials, recordsIn as recordsInObjects } from '../helpers/s3.ts'
import { linesUpTo, shipThrough } from '../helpers/shipping.ts'
import { sized } from '../helpers/sized.ts'
import { expectRecords, httpKinds } from '../helpers/victoria-logs.ts'

/** Of a request that nobody answers a shipper knows after half a minute. */
const modes = sized<readonly ProxyMode[]>(
  ['refuse', 'cut-request', 'cut-answer', 'slow', 'half-open'],
  ['refuse', 'cut-request', 'cut-answer', 'slow']
)
const turns = sized(10, 1)
const timeout = 3_600_000
const title = 'a network that refuses, cuts and holds up: every record is there'

describe.skipIf(!hasEngine('nats-server') || !native.canLock)(
  'JetStream (skipped where scripts/engines.mjs did not get nats-server)',
  () => {
    test.each([true, false])(`atomic batches: %s; ${title} once, in order`, { timeout }, async (isAtomic) => {
      const engine = await startNats()
      await jetstream.createStream(engine, { allow_atomic: isAtomic })
      const proxy = await startProxy(engine.url)
      const target = jetstream.targetOf({ url: proxy.url.replace('http:', 'nats:') })
      const written = await shipThrough(proxy, target, modes, turns)
      expect(await jetstream.recordsIn(engine)).toEqual(linesUpTo(written))
    })
  }
)

describe.skipIf(!hasEngine('gofakes3') || !native.canLock)(
  'S3 (skipped where scripts/engines.mjs did not get gofakes3)',
  () => {
    test(`${title} once, in order`, { timeout }, async () => {
      const engine = await startS3()
      const proxy = await startProxy(engine.url)
      const target = await createS3Target({ url: `${proxy.url}/logs`, credentials })
      const written = await shipThrough(proxy, target, modes, turns)
      expect(await recordsInObjects(engine.url)).toEqual(linesUpTo(written))
    })
  }
)

describe.skipIf(!hasEngine('kafka') || !native.canLock)(
  'Kafka (skipped except by npm run test:engines)',
  () => {
    test.each(kafkaClients)(`with $name, ${title} once, in order`, { timeout }, async ({ create }) => {
      const inner = await freePort()
      const proxy = await startProxy(`http://127.0.0.1:${inner}`)
      const outer = Number(new URL(proxy.url).port)
      // What connects by the proxy is told to come by it again.
      const engine = await startKafka(onTestFinished, {
        extra: (port, secondPort) => ({
          listeners: `PLAINTEXT://127.0.0.1:${port},PROXY://127.0.0.1:${inner},CONTROLLER://127.0.0.1:${secondPort}`,
          'advertised.listeners': `PLAINTEXT://127.0.0.1:${port},PROXY://127.0.0.1:${outer}`,
          'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,PROXY:PLAINTEXT,CONTROLLER:PLAINTEXT'
        })
      })
      const topic = await createTopic(engine)
      const target = createKafkaTarget({ client: create({ port: outer }), topic })
      const written = await shipThrough(proxy, target, modes, turns)
      expect(await recordsInTopic(engine, topic)).toEqual(linesUpTo(written))
    })
  }
)

describe.skipIf(!hasEngine('victoria-logs') || !native.canLock)(
  'HTTP (skipped except by npm run test:engines)',
  () => {
    test.each(httpKinds)(`$name: ${title}, under one name`, { timeout }, async (kind) => {
      const engine = await startVictoriaLogs()
      const proxy = await startProxy(engine.url)
      const target = kind.create({ url: `${proxy.url}${kind.place}` })
      const written = await shipThrough(proxy, target, modes, turns)
      await expectRecords(engine, kind, written)
    })
  }
)

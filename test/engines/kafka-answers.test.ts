// A broker of Kafka, and networks, that answer anything to any request: requests are lost, or their answers, or an error stands in the
// place of an answer although the broker has done what it was asked for. Nothing is lost, repeated, or put aside.
import { appendFileSync, existsSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { LogboomError } from '../../src/base/errors.ts'
import { native } from '../../src/native/index.ts'
import { readCheckpoint } from '../../src/ship/checkpoint.ts'
import { Shipper } from '../../src/ship/shipper.ts'
import { createKafkaTarget } from '../../src/ship/targets/kafka.ts'
import { type Engine, freePort, hasEngine, startKafka } from '../helpers/engines.ts'
import { createTopic, kafkaClients, recordsIn } from '../helpers/kafka.ts'
import { type KafkaApi, type KafkaFault, type KafkaProxy, startKafkaProxy } from '../helpers/kafka-proxy.ts'
import { createLog, line, linesUpTo } from '../helpers/shipping.ts'
import { isLong } from '../helpers/sized.ts'
import { until } from '../helpers/until.ts'

/** Asked for with every batch, and only when a session is opened. */
const always: readonly KafkaApi[] = [
  'produce',
  'addPartitionsToTxn',
  'addOffsetsToTxn',
  'txnOffsetCommit',
  'endTxn'
]
const atOpening: readonly KafkaApi[] = ['initProducerId', 'findCoordinator', 'offsetFetch']
/** All that Kafka 4.1 knows: NONE is no error, and none of the others may cost a record. */
const allCodes = Array.from({ length: 134 }, (_, i) => i - 1).filter((code) => code !== 0)
/** UNKNOWN_SERVER_ERROR, too large, not there, sequences, states, fencing, records, and a code that is none. */
const someCodes = [-1, 10, 14, 15, 18, 32, 45, 48, 51, 53, 87, 90, 133]

/** What a client does not try again by itself. */
const ENDS_SESSION = { api: 'produce', fault: 87 } as const

interface Step {
  readonly api: KafkaApi
  readonly fault: KafkaFault
}

/** Each is what happens to the next batch: one request after the other. */
function sequences(): Step[][] {
  const codes = isLong ? allCodes : someCodes
  const faults: KafkaFault[] = ['drop', 'lose', ...codes]
  const own = always.flatMap((api) => faults.map((fault) => [{ api, fault }]))
  const opening = atOpening.flatMap((api) =>
    faults
      // Without a coordinator that is there, and with these, a client waits by itself for a long time.
      .filter((fault) => typeof fault !== 'number' || isLong || [-1, 16, 51, 87, 90].includes(fault))
      .map((fault): Step[] => [ENDS_SESSION, { api, fault }])
  )
  // What is said again and again for a while, as by a broker that has just started.
  const again = [87, 48, 'lose' as const].map((fault) =>
    Array.from({ length: 4 }, (): Step => ({ api: 'produce', fault }))
  )
  return [...own, ...opening, ...again]
}

describe.skipIf(!hasEngine('kafka') || !native.canLock)(
  'Kafka behind a proxy (skipped except by npm run test:engines)',
  () => {
    let engine: Engine
    let proxy: KafkaProxy
    let inner = 0
    const ends: (() => Promise<void>)[] = []
    afterAll(async () => {
      for (const end of ends) await end()
    })
    beforeAll(async () => {
      inner = await freePort()
      proxy = await startKafkaProxy(() => inner)
      // What connects by the proxy is told to come by it again.
      engine = await startKafka((end) => ends.push(end), {
        extra: (port, secondPort) => ({
          listeners: `PLAINTEXT://127.0.0.1:${port},PROXY://127.0.0.1:${inner},CONTROLLER://127.0.0.1:${secondPort}`,
          'advertised.listeners': `PLAINTEXT://127.0.0.1:${port},PROXY://127.0.0.1:${proxy.port}`,
          'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,PROXY:PLAINTEXT,CONTROLLER:PLAINTEXT'
        })
      })
      ends.push(() => proxy.close())
    }, 120_000)

    test.each(kafkaClients)(
      'with $name every record is there once, whatever is answered',
      {
        timeout: 3_600_000
      },
      async ({ create }) => {
        const topic = await createTopic(engine)
        const path = createLog(0)
        let left: Step[] = []
        proxy.fault = (api) => {
          if (left[0]?.api !== api) return undefined
          return left.shift()?.fault
        }
        const refused: string[] = []
        const fences: string[] = []
        const start = () => {
          const target = createKafkaTarget({ client: create(proxy), topic, transactionalId: topic })
          const shipper = new Shipper({ source: path, target, batchRecords: 5, batchAge: 10_000 })
          shipper.on('rejected', (refusals) => refused.push(...refusals.map(({ reason }) => reason)))
          const running = shipper.run()
          // Who is told that it is fenced ends, and is started again by whoever watches over it.
          running.catch((error: unknown) => {
            fences.push(error instanceof LogboomError ? error.code : String(error))
            current = start()
          })
          return shipper
        }
        let current = start()
        onTestFinished(async () => {
          proxy.fault = () => undefined
          await current.stop()
        })
        let written = 0
        for (const steps of sequences()) {
          left = [...steps]
          // At once, and so one batch: of a single record the same answers may be a refusal.
          const lines = Array.from({ length: 5 }, () => `${line(written++)}\n`)
          appendFileSync(path, lines.join(''))
          const what = JSON.stringify(steps)
          const isThere = () =>
            left.length === 0 && readCheckpoint(current.checkpointPath).records === written
          await until(isThere, { timeoutMs: 120_000, what })
          expect([what, refused]).toEqual([what, []])
        }
        await current.stop()
        expect(new Set(fences)).toEqual(new Set(['ERR_LOCKED']))
        expect(existsSync(current.rejectedPath)).toBe(false)
        expect(await recordsIn(engine, topic)).toEqual(linesUpTo(written))
      }
    )
  }
)

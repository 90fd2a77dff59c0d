// A real broker of Kafka as tests need it: both clients, topics, and what readers of committed records see.
import kafkajs from 'kafkajs'
import type { KafkaClient } from '../../src/ship/kafka/client.ts'
import { kafkaJs } from '../../src/ship/kafka/kafkajs.ts'
import { platformaticKafka } from '../../src/ship/kafka/platformatic.ts'
import type { Engine } from './engines.ts'
import { until } from './until.ts'

export type KafkaAddress = Pick<Engine, 'port'>

const addressOf = ({ port }: KafkaAddress) => `127.0.0.1:${port}`

export function kafkaOf(engine: KafkaAddress) {
  return new kafkajs.Kafka({
    brokers: [addressOf(engine)],
    logLevel: kafkajs.logLevel.NOTHING,
    retry: { retries: 3 }
  })
}

export interface KafkaClientKind {
  readonly name: string
  readonly create: (engine: KafkaAddress) => KafkaClient
  /** The same, for code in another process. */
  readonly code: (engine: KafkaAddress) => string
}

export const kafkaClients: readonly KafkaClientKind[] = [
  {
    name: 'kafkajs',
    create: (engine) => kafkaJs(kafkaOf(engine)),
    code: (engine) =>
      `import('kafkajs').then(({ default: { Kafka } }) =>
        logboom.kafkaJs(new Kafka({ brokers: ['${addressOf(engine)}'], logLevel: 0, retry: { retries: 3 } })))`
  },
  {
    name: '@platformatic/kafka',
    create: (engine) => platformaticKafka({ brokers: [addressOf(engine)] }),
    code: (engine) => `logboom.platformaticKafka({ brokers: ['${addressOf(engine)}'] })`
  }
]

let topics = 0
let ends = 0

export async function createTopic(engine: KafkaAddress, partitions = 1): Promise<string> {
  const topic = `logs-${topics++}`
  const admin = kafkaOf(engine).admin()
  await admin.connect()
  // The records of tests have times of years ago, by which the broker would remove them a little later.
  const configEntries = [{ name: 'retention.ms', value: '-1' }]
  const wanted = { topic, numPartitions: partitions, configEntries }
  await admin.createTopics({ waitForLeaders: true, topics: [wanted] })
  await admin.disconnect()
  return topic
}

/** Committed records up to now: up to an end that is written to each partition. */
export async function recordsIn(engine: KafkaAddress, topic: string): Promise<string[]> {
  const kafka = kafkaOf(engine)
  const [admin, producer] = [kafka.admin(), kafka.producer({ allowAutoTopicCreation: false })]
  const end = `end ${ends++}`
  const consumer = kafka.consumer({
    groupId: `${topic}-${end}`,
    readUncommitted: false,
    maxWaitTimeInMs: 200
  })
  await Promise.all([admin.connect(), producer.connect(), consumer.connect()])
  const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
  const left = new Set(topics[0].partitions.map(({ partitionId }) => partitionId))
  const messages = [...left].map((partition) => ({ partition, value: end }))
  await producer.send({ topic, messages })
  await consumer.subscribe({ topic, fromBeginning: true })
  const records: string[] = []
  await consumer.run({
    eachMessage: async ({ partition, message }) => {
      const text = String(message.value)
      if (text === end) left.delete(partition)
      else if (!text.startsWith('end ')) records.push(text)
    }
  })
  await until(() => left.size === 0, { timeoutMs: 60_000, what: 'the end of the topic' })
  await Promise.all([admin.disconnect(), producer.disconnect(), consumer.disconnect()])
  return records
}

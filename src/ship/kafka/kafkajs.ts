// The client kafkajs, as the Kafka target uses it. It is not developed any more, and still the most used one.
import type { Admin, Kafka } from 'kafkajs'
import {
  type KafkaClient,
  type KafkaSession,
  type KafkaSessionOptions,
  TRANSACTION_TIMEOUT_MS
} from './client.ts'
import { kafkaError } from './errors.ts'
import { inTransaction } from './transaction.ts'

/** GZIP of `CompressionTypes`: an enum of a package that may not be there. */
const GZIP = 1

/** A `Kafka` of kafkajs, without its types, which are not there for everybody. */
export interface KafkaJs {
  producer(config?: never): unknown
  admin(config?: never): unknown
}

/** Over a `Kafka` of the application, with its brokers, TLS and SASL. */
export function kafkaJs(instance: KafkaJs): KafkaClient {
  const kafka = instance as Kafka
  return {
    async open({ topic, transactionalId, group }: KafkaSessionOptions): Promise<KafkaSession> {
      const producer = kafka.producer({
        transactionalId,
        transactionTimeout: TRANSACTION_TIMEOUT_MS,
        idempotent: true,
        maxInFlightRequests: 1,
        allowAutoTopicCreation: false
      })
      const admin = kafka.admin()
      const close = async (): Promise<void> => {
        await Promise.allSettled([producer.disconnect(), admin.disconnect()])
      }
      try {
        // Fences; the offset is read only then.
        await producer.connect()
        await admin.connect()
        const checkpoint = await offsetOf(admin, group, topic)
        return {
          checkpoint,
          close,
          commit: (records, { offset, metadata }) =>
            inTransaction({
              begin: () => producer.transaction(),
              send: (transaction) => {
                const messages = records.map(({ key, value, headers, timestampMs }) => ({
                  key,
                  value,
                  headers,
                  timestamp: String(timestampMs)
                }))
                return transaction.send({ topic, messages, acks: -1, compression: GZIP })
              },
              checkpoint: (transaction) => {
                const partitions = [{ partition: 0, offset: String(offset), metadata }]
                return transaction.sendOffsets({ consumerGroupId: group, topics: [{ topic, partitions }] })
              }
            })
        }
      } catch (error) {
        await close()
        throw kafkaError(error)
      }
    }
  }
}

async function offsetOf(admin: Admin, groupId: string, topic: string): Promise<KafkaSession['checkpoint']> {
  const [found] = await admin.fetchOffsets({ groupId, topics: [topic] })
  const { offset, metadata } = found?.partitions.find(({ partition }) => partition === 0) ?? {}
  if (offset === undefined || offset === '-1') return undefined
  return { offset: Number(offset), metadata: metadata ?? '' }
}

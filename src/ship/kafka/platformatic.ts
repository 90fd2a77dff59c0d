// The client @platformatic/kafka, as the Kafka target uses it.
import type { ConnectionOptions as TlsOptions } from 'node:tls'
import type { Admin, Producer } from '@platformatic/kafka'
import { importOptional, optionalPackage } from '../optional-package.ts'
import {
  CLIENT_ID,
  CONNECT_TIMEOUT_MS,
  type KafkaCheckpoint,
  type KafkaClient,
  type KafkaRecord,
  type KafkaSasl,
  type KafkaSession,
  type KafkaSessionOptions,
  REQUEST_TIMEOUT_MS,
  TRANSACTION_TIMEOUT_MS
} from './client.ts'
import { kafkaError } from './errors.ts'
import { inTransaction } from './transaction.ts'

const RETRIES = 3
/** A producer that was never there before: with 0 the broker takes it for the last one, and fences it after a kill. */
const NO_PRODUCER = { producerId: -1n, producerEpoch: -1 }
/** Of a group without members. */
const NO_GENERATION = -1
const NO_MEMBER = ''

export interface PlatformaticKafkaOptions {
  /** `<host>:<port>` */
  readonly brokers: readonly string[]
  readonly tls?: TlsOptions | undefined
  readonly sasl?: KafkaSasl | undefined
}

type Library = typeof import('@platformatic/kafka')
type TextProducer = Producer<string, Buffer, string, string>

export function platformaticKafka({ brokers, tls, sasl }: PlatformaticKafkaOptions): KafkaClient {
  return {
    async open(options: KafkaSessionOptions): Promise<KafkaSession> {
      const kafka = await optionalPackage('shipping to Kafka', '@platformatic/kafka', () =>
        importOptional<Library>('@platformatic/kafka')
      )
      const connection = {
        clientId: CLIENT_ID,
        bootstrapBrokers: [...brokers],
        retries: RETRIES,
        connectTimeout: CONNECT_TIMEOUT_MS,
        requestTimeout: REQUEST_TIMEOUT_MS,
        ...(tls !== undefined && { tls }),
        ...(sasl !== undefined && { sasl: saslOf(sasl) })
      }
      const producer: TextProducer = new kafka.Producer({
        ...connection,
        ...NO_PRODUCER,
        transactionalId: options.transactionalId,
        idempotent: true,
        // Of transactions, too.
        timeout: TRANSACTION_TIMEOUT_MS,
        compression: 'gzip',
        serializers: {
          key: kafka.stringSerializer,
          value: (value?: Buffer) => value,
          headerKey: kafka.stringSerializer,
          headerValue: kafka.stringSerializer
        }
      })
      const admin = new kafka.Admin(connection)
      try {
        return await PlatformaticSession.open(kafka, producer, admin, options)
      } catch (error) {
        await closeAll(producer, admin)
        throw kafkaError(error)
      }
    }
  }
}

class PlatformaticSession implements KafkaSession {
  readonly checkpoint: KafkaCheckpoint | undefined
  readonly #kafka: Library
  readonly #producer: TextProducer
  readonly #admin: Admin
  readonly #options: KafkaSessionOptions
  /** The one that opened the session; it takes the first records. */
  #transaction: Awaited<ReturnType<TextProducer['beginTransaction']>> | undefined

  private constructor(
    kafka: Library,
    producer: TextProducer,
    admin: Admin,
    options: KafkaSessionOptions,
    checkpoint: KafkaCheckpoint | undefined
  ) {
    this.#kafka = kafka
    this.#producer = producer
    this.#admin = admin
    this.#options = options
    this.checkpoint = checkpoint
    this.#transaction = producer.transaction
  }

  static async open(
    kafka: Library,
    producer: TextProducer,
    admin: Admin,
    options: KafkaSessionOptions
  ): Promise<PlatformaticSession> {
    // Fences; the offset is read only then.
    await producer.beginTransaction()
    const checkpoint = await offsetOf(admin, options)
    return new PlatformaticSession(kafka, producer, admin, options, checkpoint)
  }

  async commit(records: readonly KafkaRecord[], checkpoint: KafkaCheckpoint): Promise<void> {
    const { topic, group } = this.#options
    await inTransaction({
      begin: async () => {
        // That of the opening, which fenced, is the first.
        const transaction = this.#transaction ?? (await this.#producer.beginTransaction())
        this.#transaction = undefined
        return transaction
      },
      send: (transaction) =>
        transaction.send({
          messages: records.map(({ key, value, headers, timestampMs }) => ({
            topic,
            key,
            value,
            headers: { ...headers },
            timestamp: BigInt(timestampMs)
          }))
        }),
      checkpoint: async (transaction) => {
        // It asks for no more than the name of the group.
        await transaction.addConsumer({ groupId: group } as never)
        await this.#addCheckpoint(checkpoint)
      }
    })
  }

  async close(): Promise<void> {
    await closeAll(this.#producer, this.#admin)
  }

  /** The client adds offsets of messages that were consumed; this one belongs to none, and has a text with it. */
  async #addCheckpoint({ offset, metadata }: KafkaCheckpoint): Promise<void> {
    const { topic, group, transactionalId } = this.#options
    const { producerId, producerEpoch } = this.#producer
    if (producerId === undefined || producerEpoch === undefined) throw new Error('no transaction is open')
    const keyType = this.#kafka.FindCoordinatorKeyTypes.GROUP
    const [coordinator] = await this.#admin.findCoordinator({ keyType, keys: [group] })
    const connections = await this.#admin.connectToBrokers([coordinator.nodeId])
    const connection = connections.get(coordinator.nodeId)
    if (connection === undefined) throw new Error('the coordinator of the group cannot be reached')
    const partition = {
      partitionIndex: 0,
      committedOffset: BigInt(offset),
      committedLeaderEpoch: -1,
      committedMetadata: metadata
    }
    await this.#kafka.txnOffsetCommitV4.api.async(
      connection,
      transactionalId,
      group,
      producerId,
      producerEpoch,
      NO_GENERATION,
      NO_MEMBER,
      null,
      [{ name: topic, partitions: [partition] }]
    )
  }
}

async function offsetOf(
  admin: Admin,
  { group, topic }: KafkaSessionOptions
): Promise<KafkaCheckpoint | undefined> {
  const [found] = await admin.listConsumerGroupOffsets({
    groups: [{ groupId: group, topics: [{ name: topic, partitionIndexes: [0] }] }],
    requireStable: true
  })
  const partition = found?.topics.find(({ name }) => name === topic)?.partitions[0]
  if (partition === undefined || partition.committedOffset < 0n) return undefined
  return { offset: Number(partition.committedOffset), metadata: partition.metadata ?? '' }
}

async function closeAll(producer: TextProducer, admin: Admin): Promise<void> {
  await Promise.allSettled([producer.close(true), admin.close()])
}

function saslOf({ mechanism, user, password }: KafkaSasl) {
  const names = {
    plain: 'PLAIN',
    'scram-sha-256': 'SCRAM-SHA-256',
    'scram-sha-512': 'SCRAM-SHA-512'
  } as const
  return { mechanism: names[mechanism], username: user, password }
}

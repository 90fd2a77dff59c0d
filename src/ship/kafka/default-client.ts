// The client of Kafka that is installed, connected to brokers that are named in one text: for the command.
import { LogboomError } from '../../base/errors.ts'
import { importOptional } from '../optional-package.ts'
import { parseServers } from '../servers.ts'
import { CLIENT_ID, type KafkaClient, type KafkaSasl } from './client.ts'
import { kafkaJs } from './kafkajs.ts'
import { platformaticKafka } from './platformatic.ts'

export interface KafkaServers {
  /** `kafka://<host>:9092,…`, or `kafkas://…` with TLS. */
  readonly url: string
  readonly sasl?: KafkaSasl | undefined
}

/** Rejects with `ERR_OPTION`, or with `ERR_UNSUPPORTED` if none is installed. */
export async function defaultKafkaClient({ url, sasl }: KafkaServers): Promise<KafkaClient> {
  const { addresses, isTls } = parseServers('kafka', url, { plain: 'kafka', tls: 'kafkas' })
  const brokers = addresses.map((address) => (/:\d+$/.test(address) ? address : `${address}:9092`))
  if (await isInstalled(() => importOptional('@platformatic/kafka'))) {
    return platformaticKafka({ brokers, ...(isTls && { tls: {} }), sasl })
  }
  if (!(await isInstalled(() => importOptional('kafkajs')))) {
    const message = 'shipping to Kafka needs @platformatic/kafka or kafkajs: npm install @platformatic/kafka'
    throw new LogboomError('ERR_UNSUPPORTED', message)
  }
  const { Kafka, logLevel } = (await importOptional<{ default: typeof import('kafkajs') }>('kafkajs')).default
  const kafka = new Kafka({
    clientId: CLIENT_ID,
    brokers: [...brokers],
    ssl: isTls,
    // What fails is told by the shipper.
    logLevel: logLevel.NOTHING,
    retry: { retries: 3 },
    ...(sasl !== undefined && { sasl: saslOf(sasl) })
  })
  return kafkaJs(kafka)
}

function saslOf({ mechanism, user, password }: KafkaSasl) {
  // Each mechanism is a type of its own there.
  const login = { username: user, password }
  if (mechanism === 'plain') return { mechanism, ...login }
  return mechanism === 'scram-sha-256' ? { mechanism, ...login } : { mechanism, ...login }
}

async function isInstalled(load: () => Promise<unknown>): Promise<boolean> {
  try {
    await load()
    return true
  } catch {
    return false
  }
}

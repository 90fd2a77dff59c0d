// The client of Kafka that is installed, connected to brokers that are named in one text: for the command.
import { LogboomError } from '../../base/errors.ts'
import { importOptional } from '../optional-package.ts'
import { parseServers } from '../servers.ts'
import { readTls, type TlsContent, type TlsFiles } from '../tls-files.ts'
import { CLIENT_ID, CONNECT_TIMEOUT_MS, type KafkaClient, type KafkaSasl } from './client.ts'
import { kafkaJs } from './kafkajs.ts'
import { platformaticKafka } from './platformatic.ts'

export interface KafkaServers {
  /** `kafka://<host>:9092,…`, or `kafkas://…` with TLS. */
  readonly url: string
  readonly sasl?: KafkaSasl | undefined
  readonly tls?: TlsFiles | undefined
}

/** Rejects with `ERR_OPTION`, or with `ERR_UNSUPPORTED` if none is installed. */
export async function defaultKafkaClient({ url, sasl, tls }: KafkaServers): Promise<KafkaClient> {
  const { addresses, isTls } = parseServers('kafka', url, { plain: 'kafka', tls: 'kafkas' })
  if (tls !== undefined && !isTls) {
    throw new LogboomError('ERR_OPTION', 'kafka: certificates are for TLS: url must be kafkas://…')
  }
  const certificates = readTls('kafka', tls ?? {})
  const brokers = addresses.map((address) => (/:\d+$/.test(address) ? address : `${address}:9092`))
  if (await isInstalled(() => importOptional('@platformatic/kafka'))) {
    return platformaticKafka({ brokers, ...(isTls && { tls: certificates }), sasl })
  }
  if (!(await isInstalled(() => importOptional('kafkajs')))) {
    const message = 'shipping to Kafka needs @platformatic/kafka or kafkajs: npm install @platformatic/kafka'
    throw new LogboomError('ERR_UNSUPPORTED', message)
  }
  const { Kafka, logLevel } = (await importOptional<{ default: typeof import('kafkajs') }>('kafkajs')).default
  const kafka = new Kafka({
    clientId: CLIENT_ID,
    brokers: [...brokers],
    connectionTimeout: CONNECT_TIMEOUT_MS,
    authenticationTimeout: CONNECT_TIMEOUT_MS,
    ssl: isTls ? sslOf(certificates) : false,
    // What fails is told by the shipper.
    logLevel: logLevel.NOTHING,
    retry: { retries: 3 },
    ...(sasl !== undefined && { sasl: saslOf(sasl) })
  })
  return kafkaJs(kafka)
}

/** With no files what Node.js knows is used. */
function sslOf({ ca, cert, key }: TlsContent): object {
  return {
    ...(ca !== undefined && { ca: [ca.toString()] }),
    ...(cert !== undefined && { cert: cert.toString() }),
    ...(key !== undefined && { key: key.toString() })
  }
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

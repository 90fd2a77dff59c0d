// One connection to NATS, and what is known of the stream that takes a subject. It is not mended: who uses it makes another.
import { isIP } from 'node:net'
import type { MsgHdrs, NatsConnection } from '@nats-io/transport-node'
import { errorMessage } from '../../base/errors.ts'
import { importOptional, optionalPackage } from '../optional-package.ts'
import type { Servers } from '../servers.ts'
import { readTls } from '../tls-files.ts'
import { type MessagePosition, parsePosition } from './batch-headers.ts'
import type { NatsCredentials, NatsTls } from './credentials.ts'

const TIMEOUT_MS = 10_000
const PING_MS = 20_000

export interface JetStreamAddress {
  readonly servers: Servers
  readonly subject: string
  readonly credentials?: NatsCredentials | undefined
  readonly tls?: NatsTls | undefined
}

export interface LastMessage {
  readonly seq: number
  /** Undefined if it is not from a shipper. */
  readonly position: MessagePosition | undefined
}

export interface JetStream {
  readonly connection: NatsConnection
  readonly subject: string
  /** Of a message with its headers. */
  readonly maxBytes: number
  /** Whether the stream takes many messages at once, or none of them. */
  readonly isAtomic: boolean
  createHeaders(): MsgHdrs
  lastMessage(): Promise<LastMessage | undefined>
  close(): Promise<void>
}

/** Rejects with `ERR_UNSUPPORTED` without the packages of NATS; with other errors trying again may help. */
export async function connectJetStream(address: JetStreamAddress, signal: AbortSignal): Promise<JetStream> {
  const { nats, jetstreamManager } = await optionalPackage(
    'shipping to JetStream',
    '@nats-io/transport-node and @nats-io/jetstream',
    async () => {
      const [nats, jetstream] = await Promise.all([
        importOptional<typeof import('@nats-io/transport-node')>('@nats-io/transport-node'),
        importOptional<typeof import('@nats-io/jetstream')>('@nats-io/jetstream')
      ])
      return { nats, jetstreamManager: jetstream.jetstreamManager }
    }
  )
  const { subject, servers, credentials, tls } = address
  const connection = await nats.connect({
    servers: [...servers.addresses],
    name: 'logboom ship',
    reconnect: false,
    timeout: TIMEOUT_MS,
    pingInterval: PING_MS,
    ...(servers.isTls || tls !== undefined ? { tls: tlsOptions(tls, servers) } : {}),
    ...authenticationOf(nats, credentials)
  })
  const close = async (): Promise<void> => {
    await connection.close().catch(() => {})
  }
  const abort = (): void => void close()
  signal.addEventListener('abort', abort)
  // What it ended with is known from the requests that failed.
  void connection.closed().finally(() => signal.removeEventListener('abort', abort))
  try {
    const manager = await jetstreamManager(connection, { timeout: TIMEOUT_MS })
    const stream = await manager.streams.find(subject).catch((error) => {
      throw new Error(`no stream of JetStream takes the subject ${subject}: ${errorMessage(error)}`, {
        cause: error
      })
    })
    const { config } = await manager.streams.info(stream)
    const serverMax = connection.info?.max_payload ?? 1024 * 1024
    return {
      connection,
      subject,
      maxBytes: config.max_msg_size > 0 ? Math.min(config.max_msg_size, serverMax) : serverMax,
      isAtomic: config.allow_atomic === true,
      createHeaders: () => nats.headers(),
      close,
      async lastMessage() {
        const message = await manager.streams.getMessage(stream, { last_by_subj: subject })
        if (message === null) return undefined
        return { seq: message.seq, position: parsePosition((name) => message.header.get(name)) }
      }
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** The content of the files, as they are at the moment. */
function tlsOptions(tls: NatsTls | undefined, { addresses }: Servers): object {
  const { handshakeFirst = false, ...files } = tls ?? {}
  const { ca, cert, key } = readTls('jetstream', files)
  const texts = Object.entries({ ca, cert, key }).filter(([, bytes]) => bytes !== undefined)
  return {
    ...Object.fromEntries(texts.map(([name, bytes]) => [name, String(bytes)])),
    ...checkedHost(addresses),
    handshakeFirst
  }
}

/** The client leaves out an address of the internet, in whose place certificates would be asked for "localhost". */
function checkedHost([address, ...others]: readonly string[]): object {
  const { hostname } = new URL(`x://${address}`)
  const host = hostname.replace(/^\[|\]$/g, '')
  return others.length === 0 && isIP(host) !== 0 ? { host } : {}
}

function authenticationOf(
  nats: typeof import('@nats-io/transport-node'),
  credentials: NatsCredentials | undefined
): object {
  if (credentials === undefined) return {}
  if ('token' in credentials) return { token: credentials.token }
  const encoder = new TextEncoder()
  // The client finds the last line only by its end.
  if ('creds' in credentials)
    return { authenticator: nats.credsAuthenticator(encoder.encode(`${credentials.creds}\n`)) }
  if ('nkey' in credentials)
    return { authenticator: nats.nkeyAuthenticator(encoder.encode(credentials.nkey)) }
  return { user: credentials.user, pass: credentials.password }
}

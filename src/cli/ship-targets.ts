// The targets of logboom ship: what each needs on the command line, in the environment and in files.
import { readFileSync } from 'node:fs'
import { errorMessage, LogboomError } from '../base/errors.ts'
import type { HttpOptions } from '../ship/http.ts'
import { type SaslMechanism, saslMechanisms } from '../ship/kafka/client.ts'
import { defaultKafkaClient } from '../ship/kafka/default-client.ts'
import type { NatsCredentials } from '../ship/nats/credentials.ts'
import type { ShipTarget } from '../ship/target.ts'
import { createElasticsearchTarget } from '../ship/targets/elasticsearch.ts'
import { createJetStreamTarget } from '../ship/targets/jetstream.ts'
import { createKafkaTarget } from '../ship/targets/kafka.ts'
import { createLokiTarget } from '../ship/targets/loki.ts'
import { createOtlpTarget } from '../ship/targets/otlp.ts'
import { createS3Target } from '../ship/targets/s3.ts'
import type { TlsFiles } from '../ship/tls-files.ts'
import { type CliValues, UsageError } from './command.ts'

const AUTHORIZATION = 'LOGBOOM_SHIP_AUTHORIZATION'
const USER = 'LOGBOOM_SHIP_USER'
const PASSWORD = 'LOGBOOM_SHIP_PASSWORD'
const TOKEN = 'LOGBOOM_SHIP_TOKEN'
const NKEY = 'LOGBOOM_SHIP_NKEY'
/** Of a user. */
const NKEY_SEED = /^SU[A-Z2-7]{56}$/

interface TargetFlags {
  readonly url: string
  readonly region?: string | undefined
  readonly service?: string | undefined
  readonly subject?: string | undefined
  readonly topic?: string | undefined
  readonly 'transactional-id'?: string | undefined
  readonly sasl?: string | undefined
  readonly 'authorization-file'?: string | undefined
  readonly 'headers-file'?: string | undefined
  readonly 'credentials-file'?: string | undefined
  readonly 'ca-file'?: string | undefined
  readonly 'cert-file'?: string | undefined
  readonly 'key-file'?: string | undefined
}

interface TargetCommand {
  /** Which of the flags below it takes, beside the url. */
  readonly flags: readonly (keyof TargetFlags)[]
  readonly description: string
  /** Whether one takes the records of any number of logs. */
  readonly isShared: boolean
  readonly create: (flags: TargetFlags) => ShipTarget | Promise<ShipTarget>
}

const TLS_FLAGS = ['ca-file', 'cert-file', 'key-file'] as const
const HTTP_FLAGS = ['authorization-file', 'headers-file', ...TLS_FLAGS] as const

const targets: Readonly<Record<string, TargetCommand>> = {
  s3: {
    flags: ['region', ...TLS_FLAGS],
    isShared: true,
    description: `the url is https://<endpoint>/<bucket>/<prefix>; needs the package aws4fetch, and
AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment`,
    create: ({ url, region, ...flags }) =>
      createS3Target({ url, ...(region !== undefined && { region }), tls: tlsFiles(flags) })
  },
  jetstream: {
    flags: ['subject', 'credentials-file', ...TLS_FLAGS],
    isShared: false,
    description: `the url is nats://<host>:4222,… or tls://…; needs --subject, a stream that takes it, and the packages
@nats-io/transport-node and @nats-io/jetstream`,
    create: ({ url, subject, ...flags }) =>
      createJetStreamTarget({
        url,
        subject: required('subject', subject),
        credentials: natsCredentials(flags),
        tls: tlsFiles(flags)
      })
  },
  kafka: {
    flags: ['topic', 'transactional-id', 'sasl', 'credentials-file', ...TLS_FLAGS],
    isShared: false,
    description: `the url is kafka://<host>:9092,… or kafkas://… with TLS; needs --topic, and one of the packages
@platformatic/kafka and kafkajs`,
    async create({ url, topic, sasl, 'transactional-id': transactionalId, ...flags }) {
      const client = await defaultKafkaClient({ url, sasl: saslOf(sasl, flags), tls: tlsFiles(flags) })
      return createKafkaTarget({ client, topic: required('topic', topic), transactionalId })
    }
  },
  elasticsearch: {
    flags: HTTP_FLAGS,
    isShared: true,
    description: 'the url is that of the _bulk request, for example https://host:9200/logs-app/_bulk',
    create: (flags) => createElasticsearchTarget(httpOptions(flags))
  },
  loki: {
    flags: HTTP_FLAGS,
    isShared: true,
    description: 'the url is that of the push request, for example https://host:3100/loki/api/v1/push',
    create: (flags) => createLokiTarget(httpOptions(flags))
  },
  otlp: {
    flags: [...HTTP_FLAGS, 'service'],
    isShared: true,
    description: `the url is that of OpenTelemetry's request for logs, for example https://host:4318/v1/logs`,
    create: (flags) => createOtlpTarget({ ...httpOptions(flags), service: flags.service })
  }
}

export const targetNames: readonly string[] = Object.keys(targets)

const text = (value: string, about: string) => ({ type: 'string' as const, value, text: about })

/** The flags of all targets. */
export const targetFlags = {
  url: text('url', 'Of the target, without user and password.'),
  region: text('name', 'Of S3. Default: us-east-1.'),
  subject: text('subject', 'Of JetStream; of this log alone.'),
  topic: text('name', 'Of Kafka.'),
  'transactional-id': text(
    'id',
    'Of Kafka; of this log alone. With it the checkpoint is found without its file. Default: made with the file.'
  ),
  sasl: text('mechanism', `Of Kafka: ${saslMechanisms.join(', ')}. Default: plain, if there is a user.`),
  service: text(
    'name',
    'service.name for OpenTelemetry. Default: OTEL_SERVICE_NAME, else the name of the log.'
  ),
  'authorization-file': text('file', 'A file with the header authorization, for example "Bearer …".'),
  'headers-file': text('file', 'A file with more headers, "<name>: <value>" in each line.'),
  'credentials-file': text(
    'file',
    'For JetStream and Kafka: a file with "<user>:<password>", for JetStream also a .creds file, the seed of an nkey or a token.'
  ),
  'ca-file': text('file', 'Authorities that are trusted in place of those that Node.js knows, in PEM.'),
  'cert-file': text('file', 'The certificate of the client, in PEM; with --key-file.'),
  'key-file': text('file', 'Its key.')
}

export function describeTargets(): string {
  const width = Math.max(...targetNames.map((name) => name.length)) + 4
  const lines = Object.entries(targets).map(([name, { description }]) => {
    const [first, ...rest] = description.split('\n')
    return [`  ${name}`.padEnd(width) + first, ...rest.map((line) => ' '.repeat(width) + line)].join('\n')
  })
  return `${lines.join('\n')}

Secrets are taken from the environment or from files, not from the command line: the header "authorization" of
elasticsearch, loki and otlp from ${AUTHORIZATION} or --authorization-file; of jetstream and kafka
${USER} and ${PASSWORD}, for jetstream also ${TOKEN} and ${NKEY}, or --credentials-file.`
}

/** What makes targets, one for each log or the same for all. Throws `UsageError` for flags that are missing, or of another target. */
export function targetsOf(values: CliValues): () => Promise<ShipTarget> {
  const { to, ...flags } = values as Record<string, string | undefined>
  const names = targetNames.join(', ')
  if (to === undefined || !Object.hasOwn(targets, to))
    throw new UsageError(`--to must be ${names}${to === undefined ? '' : `, got ${JSON.stringify(to)}`}`)
  const { flags: own, isShared, create } = targets[to]
  for (const flag of Object.keys(targetFlags)) {
    if (flags[flag] !== undefined && flag !== 'url' && !(own as readonly string[]).includes(flag))
      throw new UsageError(`--${flag} means nothing to ${to}`)
  }
  const wanted = { ...flags, url: required('url', flags.url) }
  let shared: Promise<ShipTarget> | undefined
  return () => {
    if (!isShared) return made(create, wanted)
    shared ??= made(create, wanted)
    return shared
  }
}

async function made(create: TargetCommand['create'], flags: TargetFlags): Promise<ShipTarget> {
  try {
    return await create(flags)
  } catch (error) {
    const [, rule] = /^\w+: (url must .*)$/s.exec(errorMessage(error)) ?? []
    if (rule !== undefined) throw new UsageError(`--${rule}`)
    throw error
  }
}

function required(name: string, value: string | undefined): string {
  if (value === undefined) throw new UsageError(`--${name} is missing`)
  return value
}

function httpOptions(flags: TargetFlags): HttpOptions {
  const file = flags['authorization-file']
  const headersFile = flags['headers-file']
  return {
    url: flags.url,
    // It may be renewed while this runs.
    authorization: file === undefined ? process.env[AUTHORIZATION] : () => secretIn(file),
    headers: headersFile === undefined ? undefined : headersIn(headersFile),
    tls: tlsFiles(flags)
  }
}

function tlsFiles(flags: Partial<TargetFlags>): TlsFiles | undefined {
  const { 'ca-file': caFile, 'cert-file': certFile, 'key-file': keyFile } = flags
  const isGiven = [caFile, certFile, keyFile].some((each) => each !== undefined)
  return isGiven ? { caFile, certFile, keyFile } : undefined
}

function headersIn(file: string): Record<string, string> {
  const lines = secretIn(file)
    .split('\n')
    .filter((line) => line.trim() !== '')
  return Object.fromEntries(
    lines.map((line, at) => {
      const colon = line.indexOf(':')
      // What is there may be a secret.
      if (colon < 1) throw new UsageError(`${file}: line ${at + 1} is not "<name>: <value>"`)
      return [line.slice(0, colon).trim(), line.slice(colon + 1).trim()]
    })
  )
}

function natsCredentials(flags: Partial<TargetFlags>): NatsCredentials | undefined {
  const file = flags['credentials-file']
  if (file !== undefined) {
    const secret = secretIn(file)
    if (secret.includes('BEGIN NATS USER JWT')) return { creds: secret }
    if (NKEY_SEED.test(secret)) return { nkey: secret }
    return secret.includes(':') ? userIn(file, secret) : { token: secret }
  }
  const { [TOKEN]: token, [NKEY]: nkey } = process.env
  return (
    userFromEnvironment() ?? (nkey !== undefined ? { nkey } : token !== undefined ? { token } : undefined)
  )
}

function saslOf(mechanism: string | undefined, flags: Partial<TargetFlags>) {
  const file = flags['credentials-file']
  const user = file === undefined ? userFromEnvironment() : userIn(file, secretIn(file))
  if (mechanism !== undefined && !(saslMechanisms as readonly string[]).includes(mechanism))
    throw new UsageError(`--sasl must be ${saslMechanisms.join(', ')}, got ${JSON.stringify(mechanism)}`)
  if (user !== undefined) return { ...user, mechanism: (mechanism ?? 'plain') as SaslMechanism }
  if (mechanism === undefined) return undefined
  throw new UsageError(`--sasl needs --credentials-file, or ${USER} and ${PASSWORD} in the environment`)
}

function userFromEnvironment(): { user: string; password: string } | undefined {
  const { [USER]: user, [PASSWORD]: password } = process.env
  if (user === undefined && password === undefined) return undefined
  if (user === undefined || password === undefined)
    throw new UsageError(`${USER} and ${PASSWORD} belong together`)
  return { user, password }
}

function userIn(file: string, secret: string): { user: string; password: string } {
  const colon = secret.indexOf(':')
  if (colon < 1) throw new UsageError(`${file} does not hold "<user>:<password>"`)
  return { user: secret.slice(0, colon), password: secret.slice(colon + 1) }
}

function secretIn(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (error) {
    throw new LogboomError('ERR_IO', `cannot read ${file}: ${errorMessage(error)}`, {
      path: file,
      cause: error
    })
  }
}

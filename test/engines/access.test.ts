// Real servers that let only some in: by user and password, token, key, credentials and certificate, over TLS and SASL. Who is wrong is
// told, and tried again, and no secret is in what is said.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { jetstreamManager } from '@nats-io/jetstream'
import { connect, credsAuthenticator, nkeyAuthenticator } from '@nats-io/transport-node'
import { describe, expect, onTestFinished, test } from 'vitest'
import { native } from '../../src/native/index.ts'
import type { KafkaSasl } from '../../src/ship/kafka/client.ts'
import { defaultKafkaClient } from '../../src/ship/kafka/default-client.ts'
import { kafkaJs } from '../../src/ship/kafka/kafkajs.ts'
import type { NatsCredentials, NatsTls } from '../../src/ship/nats/credentials.ts'
import type { ShipTarget } from '../../src/ship/target.ts'
import { createJetStreamTarget } from '../../src/ship/targets/jetstream.ts'
import { createKafkaTarget } from '../../src/ship/targets/kafka.ts'
import { createAuthority, hasOpenssl } from '../helpers/certificates.ts'
import { startCli } from '../helpers/cli.ts'
import { type Engine, freePort, hasEngine, startKafka, startNats } from '../helpers/engines.ts'
import { createFolder } from '../helpers/folder.ts'
import { createTopic, recordsIn } from '../helpers/kafka.ts'
import { createOperator, createUserKey } from '../helpers/nats-operator.ts'
import { startProxy } from '../helpers/proxy.ts'
import { createShipper } from '../helpers/ship-target.ts'
import { createLog, linesUpTo, shipAll } from '../helpers/shipping.ts'
import { until } from '../helpers/until.ts'

const subject = 'logs.app'

function fileWith(text: string): string {
  const path = join(createFolder(), 'file')
  writeFileSync(path, text)
  return path
}

/** What a shipper says of its first failure. */
async function failureOf(target: ShipTarget): Promise<string> {
  const shipper = createShipper(createLog(1), target)
  const said: string[] = []
  shipper.on('degraded', ({ message }) => said.push(message))
  const running = shipper.run()
  await until(() => said.length > 0, { timeoutMs: 60_000 })
  await shipper.stop()
  await running
  return said[0]
}

interface Way {
  readonly name: string
  readonly extra: readonly string[]
  readonly right: NatsCredentials
  readonly wrong: readonly (NatsCredentials | undefined)[]
  readonly admin: object
  /** What the command is given, in the environment or as a file. */
  readonly env?: Record<string, string>
  readonly file?: string
}

function natsWays(): Way[] {
  const [key, other] = [createUserKey(), createUserKey()]
  const { config, creds } = createOperator()
  const users = `authorization { users = [ { nkey: ${key.publicKey} } ] }`
  return [
    {
      name: 'user and password',
      extra: ['--user', 'shipper', '--pass', 'right-password'],
      right: { user: 'shipper', password: 'right-password' },
      wrong: [undefined, { user: 'shipper', password: 'wrong-password' }],
      admin: { user: 'shipper', pass: 'right-password' },
      env: { LOGBOOM_SHIP_USER: 'shipper', LOGBOOM_SHIP_PASSWORD: 'right-password' }
    },
    {
      name: 'a token',
      extra: ['--auth', 'right-token-of-all'],
      right: { token: 'right-token-of-all' },
      wrong: [undefined, { token: 'wrong-token-of-all' }],
      admin: { token: 'right-token-of-all' },
      env: { LOGBOOM_SHIP_TOKEN: 'right-token-of-all' }
    },
    {
      name: 'an nkey',
      extra: ['-c', fileWith(users)],
      right: { nkey: key.seed },
      wrong: [undefined, { nkey: other.seed }],
      admin: { authenticator: nkeyAuthenticator(new TextEncoder().encode(key.seed)) },
      file: key.seed
    },
    {
      name: 'credentials',
      extra: ['-c', fileWith(config)],
      right: { creds },
      wrong: [undefined, { creds: createOperator().creds }],
      admin: { authenticator: credsAuthenticator(new TextEncoder().encode(creds)) },
      file: creds
    }
  ]
}

async function createStream({ url }: Engine, options: object): Promise<() => Promise<string[]>> {
  const connection = await connect({ servers: url.slice('nats://'.length), ...options })
  onTestFinished(() => connection.close())
  const manager = await jetstreamManager(connection)
  await manager.streams.add({ name: 'logs', subjects: ['logs.>'] })
  return async () => {
    const { state } = await manager.streams.info('logs')
    const records: string[] = []
    for (let seq = 1; seq <= state.last_seq; seq++)
      records.push((await manager.streams.getMessage('logs', { seq }))?.string() ?? '')
    return records
  }
}

describe.skipIf(!hasEngine('nats-server') || !native.canLock)(
  'JetStream (skipped where scripts/engines.mjs did not get nats-server)',
  () => {
    test.each(['user and password', 'a token', 'an nkey', 'credentials'])(
      'lets in by %s',
      {
        timeout: 300_000
      },
      async (name) => {
        const way = natsWays().find((each) => each.name === name) as Way
        const engine = await startNats({ extra: way.extra })
        const records = await createStream(engine, way.admin)
        const { url } = engine
        for (const credentials of way.wrong) {
          const said = await failureOf(createJetStreamTarget({ url, subject, credentials }))
          expect(said).toMatch(/authorization|authentication/i)
          for (const secret of Object.values(credentials ?? {})) expect(said).not.toContain(secret)
        }
        await shipAll(createLog(2), createJetStreamTarget({ url, subject, credentials: way.right }))
        expect(await records()).toEqual(linesUpTo(2))
        // The same by the command, to a subject of its own.
        const flags = way.file === undefined ? [] : ['--credentials-file', fileWith(`${way.file}\n`)]
        const args = [
          'ship',
          createLog(1),
          '--to',
          'jetstream',
          '--url',
          url,
          '--subject',
          'logs.command',
          '--no-follow'
        ]
        const child = startCli([...args, ...flags], undefined, { ...process.env, ...way.env })
        let said = ''
        child.stderr.on('data', (text) => {
          said += text
        })
        await new Promise((resolve) => child.once('close', resolve))
        expect([child.exitCode, said]).toEqual([0, expect.stringContaining('1 records in 1 batches')])
        expect(await records()).toEqual([...linesUpTo(2), ...linesUpTo(1)])
      }
    )

    test.skipIf(!hasOpenssl)(
      'over TLS, by certificate (skipped without openssl)',
      {
        timeout: 300_000
      },
      async () => {
        const authority = createAuthority()
        const [server, client] = [authority.create('server'), authority.create('shipper')]
        const files = [
          '--tlscert',
          server.certFile,
          '--tlskey',
          server.keyFile,
          '--tlscacert',
          authority.caFile
        ]
        const engine = await startNats({ extra: ['--tlsverify', ...files] })
        const { caFile } = authority
        // By itself the client asks for "localhost" where the server is named by its address.
        const records = await createStream(engine, { tls: { caFile, ...client, host: '127.0.0.1' } })
        const url = engine.url.replace('nats://', 'tls://')
        const targetOf = (tls?: NatsTls) => createJetStreamTarget({ url, subject, tls })
        expect(await failureOf(targetOf())).toMatch(/certificate/i)
        expect(await failureOf(targetOf({ caFile }))).toMatch(/certificate|connection|closed/i)
        await shipAll(createLog(2), targetOf({ caFile, ...client }))
        expect(await records()).toEqual(linesUpTo(2))
        expect(() => targetOf({ caFile, certFile: client.certFile })).toThrow(/ERR_OPTION/)
        // Under another name than the server has.
        const other = authority.create('server', 'DNS:logs.example.org')
        const otherFiles = ['--tlscert', other.certFile, '--tlskey', other.keyFile]
        const named = await startNats({ extra: ['--tls', ...otherFiles] })
        const otherUrl = named.url.replace('nats://', 'tls://')
        const target = createJetStreamTarget({ url: otherUrl, subject, tls: { caFile } })
        expect(await failureOf(target)).toMatch(/does not match certificate/i)
        // And a server without TLS gets nothing where it was demanded.
        const plain = await startNats()
        const demanded = createJetStreamTarget({ url: plain.url.replace('nats://', 'tls://'), subject })
        expect(await failureOf(demanded)).toMatch(/tls/i)
      }
    )
  }
)

describe.skipIf(!hasEngine('kafka') || !hasOpenssl || !native.canLock)(
  'Kafka (skipped except by npm run test:engines)',
  () => {
    test('lets in by SASL over TLS and by certificate, with both clients', {
      timeout: 900_000
    }, async () => {
      const authority = createAuthority()
      const [server, client] = [authority.create('server'), authority.create('shipper')]
      const keystore = fileWith(readFileSync(server.keyFile, 'utf8') + readFileSync(server.certFile, 'utf8'))
      const [inner, password] = [await freePort(), 'right-password']
      const own = (name: string) => `listener.name.safe.${name}`
      const scramLogin = 'org.apache.kafka.common.security.scram.ScramLoginModule required;'
      const engine = await startKafka(onTestFinished, {
        extra: (port, secondPort) => ({
          listeners: `PLAINTEXT://127.0.0.1:${port},SAFE://127.0.0.1:${inner},CONTROLLER://127.0.0.1:${secondPort}`,
          'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,SAFE:SASL_SSL,CONTROLLER:PLAINTEXT',
          'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
          [own('plain.sasl.jaas.config')]:
            `org.apache.kafka.common.security.plain.PlainLoginModule required user_shipper="${password}";`,
          [own('scram-sha-256.sasl.jaas.config')]: scramLogin,
          [own('scram-sha-512.sasl.jaas.config')]: scramLogin,
          [own('ssl.keystore.type')]: 'PEM',
          [own('ssl.keystore.location')]: keystore,
          [own('ssl.truststore.type')]: 'PEM',
          [own('ssl.truststore.location')]: authority.caFile,
          [own('ssl.client.auth')]: 'required',
          scram: ['256', '512'].map((bits) => `SCRAM-SHA-${bits}=[name=shipper,password=${password}]`)
        })
      })
      const url = `kafkas://127.0.0.1:${inner}`
      const { caFile } = authority
      const tls = { caFile, ...client }
      const { Kafka, logLevel } = (await import('kafkajs')).default
      for (const mechanism of ['plain', 'scram-sha-256', 'scram-sha-512'] as const) {
        const sasl: KafkaSasl = { mechanism, user: 'shipper', password }
        const ssl = {
          ca: [readFileSync(caFile, 'utf8')],
          cert: readFileSync(client.certFile, 'utf8'),
          key: readFileSync(client.keyFile, 'utf8')
        }
        const login = { mechanism, username: 'shipper', password } as {
          mechanism: 'plain'
          username: string
          password: string
        }
        const brokers = [`127.0.0.1:${inner}`]
        const kafka = new Kafka({
          brokers,
          ssl,
          sasl: login,
          logLevel: logLevel.NOTHING,
          retry: { retries: 3 }
        })
        for (const clientOf of [
          async () => await defaultKafkaClient({ url, sasl, tls }),
          async () => kafkaJs(kafka)
        ]) {
          const topic = await createTopic(engine)
          await shipAll(createLog(3), createKafkaTarget({ client: await clientOf(), topic }))
          expect(await recordsIn(engine, topic)).toEqual(linesUpTo(3))
        }
        const wrong = await defaultKafkaClient({ url, sasl: { ...sasl, password: 'wrong-password' }, tls })
        const said = await failureOf(createKafkaTarget({ client: wrong, topic: 'logs' }))
        expect(said).toMatch(/authentication/i)
        expect(said).not.toContain('wrong-password')
      }
      const sasl: KafkaSasl = { mechanism: 'plain', user: 'shipper', password }
      const strange = await defaultKafkaClient({ url, sasl })
      expect(await failureOf(createKafkaTarget({ client: strange, topic: 'logs' }))).toMatch(/certificate/i)
      const other = await defaultKafkaClient({ url: url.replace('127.0.0.1', 'localhost'), sasl, tls })
      expect(await failureOf(createKafkaTarget({ client: other, topic: 'logs' }))).toMatch(
        /certificate|altnames/i
      )
      await expect(defaultKafkaClient({ url: 'kafka://127.0.0.1:9', tls })).rejects.toThrow(
        /kafkas.*ERR_OPTION/
      )
    })

    test('a broker that takes six seconds for each connection is waited for', {
      timeout: 300_000
    }, async () => {
      const authority = createAuthority()
      const server = authority.create('server')
      const keystore = fileWith(readFileSync(server.keyFile, 'utf8') + readFileSync(server.certFile, 'utf8'))
      const inner = await freePort()
      const proxy = await startProxy(`http://127.0.0.1:${inner}`)
      proxy.mode = 'late'
      const { port: outer } = new URL(proxy.url)
      const engine = await startKafka(onTestFinished, {
        extra: (port, secondPort) => ({
          listeners: `PLAINTEXT://127.0.0.1:${port},SAFE://127.0.0.1:${inner},CONTROLLER://127.0.0.1:${secondPort}`,
          'advertised.listeners': `PLAINTEXT://127.0.0.1:${port},SAFE://127.0.0.1:${outer}`,
          'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,SAFE:SSL,CONTROLLER:PLAINTEXT',
          'listener.name.safe.ssl.keystore.type': 'PEM',
          'listener.name.safe.ssl.keystore.location': keystore
        })
      })
      const { caFile } = authority
      const client = await defaultKafkaClient({ url: `kafkas://127.0.0.1:${outer}`, tls: { caFile } })
      const topic = await createTopic(engine)
      const { retries } = (await shipAll(createLog(3), createKafkaTarget({ client, topic }))).stats()
      expect(retries).toBe(0)
      expect(await recordsIn(engine, topic)).toEqual(linesUpTo(3))
    })
  }
)

// An operator of NATS with one account and one user in it, as `nsc` makes them: the server's configuration, and the user's file of
// credentials. https://docs.nats.io/running-a-nats-service/configuration/securing_nats/auth_intro/jwt
import { randomUUID } from 'node:crypto'
import { nkeys } from '@nats-io/transport-node'

type Key = ReturnType<typeof nkeys.createUser>

const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
const seedOf = (key: Key): string => Buffer.from(key.getSeed()).toString()

/** Of `subject`, signed by `issuer`. */
function tokenOf(
  type: 'operator' | 'account' | 'user',
  subject: Key,
  issuer: Key,
  more: object = {}
): string {
  const [sub, iss] = [subject.getPublicKey(), issuer.getPublicKey()]
  const head = encoded({ typ: 'JWT', alg: 'ed25519-nkey' })
  const iat = Math.floor(Date.now() / 1000)
  const body = encoded({ jti: randomUUID(), iat, iss, sub, name: type, nats: { type, version: 2, ...more } })
  const signature = Buffer.from(issuer.sign(Buffer.from(`${head}.${body}`))).toString('base64url')
  return `${head}.${body}.${signature}`
}

export function createOperator(): { config: string; creds: string } {
  const [operator, account, system, user] = [
    nkeys.createOperator(),
    nkeys.createAccount(),
    nkeys.createAccount(),
    nkeys.createUser()
  ]
  const unlimited = { subs: -1, data: -1, payload: -1, imports: -1, exports: -1, conn: -1, leaf: -1 }
  const jetStream = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 }
  const accountToken = tokenOf('account', account, operator, { limits: { ...unlimited, ...jetStream } })
  const systemToken = tokenOf('account', system, operator, { limits: unlimited })
  const userToken = tokenOf('user', user, account, { subs: -1, data: -1, payload: -1, pub: {}, sub: {} })
  const config = `operator: ${tokenOf('operator', operator, operator)}
system_account: ${system.getPublicKey()}
resolver: MEMORY
resolver_preload: {
  ${account.getPublicKey()}: ${accountToken}
  ${system.getPublicKey()}: ${systemToken}
}
`
  const creds = `-----BEGIN NATS USER JWT-----
${userToken}
------END NATS USER JWT------

************************* IMPORTANT *************************
-----BEGIN USER NKEY SEED-----
${seedOf(user)}
------END USER NKEY SEED------
`
  return { config, creds }
}

export function createUserKey(): { publicKey: string; seed: string } {
  const user = nkeys.createUser()
  return { publicKey: user.getPublicKey(), seed: seedOf(user) }
}

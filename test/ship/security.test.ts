// Who a shipper trusts, who it says it is, and that what it knows for that is told to nobody else.

import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { createServer as createTlsServer } from 'node:https'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { native } from '../../src/native/index.ts'
import type { HttpOptions } from '../../src/ship/http.ts'
import { withoutSecrets } from '../../src/ship/secrets.ts'
import type { ShipTarget } from '../../src/ship/target.ts'
import { createElasticsearchTarget } from '../../src/ship/targets/elasticsearch.ts'
import { createLokiTarget } from '../../src/ship/targets/loki.ts'
import { createOtlpTarget } from '../../src/ship/targets/otlp.ts'
import { createS3Target } from '../../src/ship/targets/s3.ts'
import { type Authority, createAuthority, hasOpenssl } from '../helpers/certificates.ts'
import { runCli, startCli } from '../helpers/cli.ts'
import { createFolder } from '../helpers/folder.ts'
import { startHttpServer } from '../helpers/http-server.ts'
import { createShipper } from '../helpers/ship-target.ts'
import { sized } from '../helpers/sized.ts'
import { until } from '../helpers/until.ts'

const credentials = { accessKeyId: 'key', secretAccessKey: 'secret-of-s3', sessionToken: 'token-of-s3' }
const kinds: Record<string, (options: HttpOptions) => ShipTarget | Promise<ShipTarget>> = {
  elasticsearch: createElasticsearchTarget,
  loki: createLokiTarget,
  otlp: createOtlpTarget,
  s3: ({ url, tls }) => createS3Target({ url, tls, credentials })
}
const bodies: Record<string, string> = { elasticsearch: '{"errors":false}', loki: '', otlp: '', s3: '' }

function createLog(text = 'one\n'): string {
  const path = join(createFolder(), 'app.log')
  writeFileSync(path, text)
  return path
}

/** What a shipper says of its first failure. */
async function failureOf(target: ShipTarget): Promise<string> {
  const shipper = createShipper(createLog(), target)
  const said: string[] = []
  shipper.on('degraded', ({ message }) => said.push(message))
  const running = shipper.run()
  await until(() => said.length > 0)
  await shipper.stop()
  await running
  return said[0]
}

describe.skipIf(!hasOpenssl || !native.canLock)('TLS (skipped without openssl)', () => {
  let authority: Authority
  const ends: (() => void)[] = []
  beforeAll(() => {
    authority = createAuthority((end) => ends.push(end))
  })
  afterAll(() => {
    for (const end of ends) end()
  })

  async function startServer(
    name: string,
    { certFile, keyFile }: { certFile: string; keyFile: string },
    asks = false
  ) {
    const seen: string[] = []
    const files = {
      cert: readFileSync(certFile),
      key: readFileSync(keyFile),
      ca: readFileSync(authority.caFile)
    }
    const server = createTlsServer(
      { ...files, requestCert: asks, rejectUnauthorized: asks },
      async (request, response) => {
        for await (const _ of request);
        const { subject } = (request.socket as import('node:tls').TLSSocket).getPeerCertificate()
        seen.push(String(subject?.CN))
        response.setHeader('etag', '"x"')
        response.end(bodies[name])
      }
    ).listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => {
      server.closeAllConnections()
      server.close()
    })
    return { url: `https://127.0.0.1:${(server.address() as { port: number }).port}/push`, seen }
  }

  test.each(Object.keys(kinds))(
    '%s: an authority of one’s own and the certificate of the client',
    async (name) => {
      const create = kinds[name]
      const { url, seen } = await startServer(name, authority.create('server'), true)
      const { caFile } = authority
      const client = authority.create('shipper 7')
      expect(await failureOf(await create({ url }))).toMatch(
        /certificate.*its authority can be named by a file/
      )
      expect(await failureOf(await create({ url, tls: { caFile } }))).toMatch(
        /certificate required|socket|ECONNRESET/i
      )
      expect(seen).toEqual([])
      await createShipper(createLog(), await create({ url, tls: { caFile, ...client } })).run()
      expect(seen).toEqual(['shipper 7'])
    }
  )

  test.each(Object.keys(kinds))('%s: a server under another name is told, and gets nothing', async (name) => {
    const { url, seen } = await startServer(name, authority.create('server', 'DNS:logs.example.org'))
    const target = await kinds[name]({ url, tls: { caFile: authority.caFile } })
    expect(await failureOf(target)).toMatch(/does not match certificate.*127\.0\.0\.1/)
    expect(seen).toEqual([])
  })

  test('certificates that are renewed are used for the next connection', async () => {
    const other = createAuthority()
    const { url, seen } = await startServer('loki', authority.create('server'))
    const caFile = join(createFolder(), 'ca.pem')
    writeFileSync(caFile, readFileSync(other.caFile))
    const shipper = createShipper(createLog(), createLokiTarget({ url, tls: { caFile } }))
    const running = shipper.run()
    await until(() => shipper.stats().retries > 0)
    writeFileSync(caFile, readFileSync(authority.caFile))
    await running
    expect(seen).toHaveLength(1)
  })

  test('files that are none, or do not belong together, are refused at once', async () => {
    const { caFile } = authority
    const { certFile, keyFile } = authority.create('client')
    const other = authority.create('other')
    const none = createLog('no certificate\n')
    const url = 'https://127.0.0.1:9/'
    for (const create of Object.values(kinds)) {
      for (const tls of [
        { caFile: none },
        { caFile, certFile },
        { caFile, keyFile },
        { certFile, keyFile: other.keyFile },
        { certFile: none, keyFile },
        { caFile: 5 as never },
        { caFile: '' }
      ])
        await expect((async () => create({ url, tls }))()).rejects.toMatchObject({ code: 'ERR_OPTION' })
      await expect((async () => create({ url, tls: { caFile: join(none, 'x') } }))()).rejects.toMatchObject({
        code: 'ERR_IO'
      })
    }
  })

  test('the command takes them as files', async () => {
    const { url, seen } = await startServer('loki', authority.create('server'), true)
    const { certFile, keyFile } = authority.create('by command')
    const files = ['--ca-file', authority.caFile, '--cert-file', certFile, '--key-file', keyFile]
    const args = ['ship', createLog(), '--to', 'loki', '--url', url, '--no-follow', ...files]
    const { code, stderr } = await runCli(args)
    expect([code, seen], stderr).toEqual([0, ['by command']])
    const alone = await runCli(['ship', createLog(), '--to', 'loki', '--url', url, '--cert-file', certFile])
    expect([alone.code, alone.stderr]).toEqual([
      1,
      expect.stringContaining('certFile and keyFile, or neither')
    ])
  })
})

describe.skipIf(!native.canLock)('authentication', () => {
  test.each(['Basic dXNlcjpwYXNzd29yZA==', 'Bearer abcdefgh', 'ApiKey a2V5', 'Splunk 12345678-abcd'])(
    '%s is sent as it is',
    async (authorization) => {
      const seen: unknown[] = []
      const url = await startHttpServer((_, { headers }) => {
        seen.push(headers.authorization)
        return { body: '{"errors":false}' }
      })
      await createShipper(createLog(), createElasticsearchTarget({ url, authorization })).run()
      expect(seen).toEqual([authorization])
    }
  )

  test('a token that is renewed in its file is used from then on', async () => {
    const file = join(createFolder(), 'authorization')
    writeFileSync(file, 'Bearer of yesterday\n')
    const seen: unknown[] = []
    const url = await startHttpServer((_, { headers }) => {
      seen.push(headers.authorization)
      return headers.authorization === 'Bearer of today' ? { status: 204 } : { status: 401 }
    })
    const args = [
      'ship',
      createLog(),
      '--to',
      'loki',
      '--url',
      url,
      '--no-follow',
      '--authorization-file',
      file
    ]
    const child = startCli(args)
    await until(() => seen.length > 0)
    writeFileSync(file, 'Bearer of today\n')
    const [code] = await once(child, 'close')
    expect([code, seen.at(-1)]).toEqual([0, 'Bearer of today'])
  })

  test('the session token of S3 is signed and sent as a header, and is in no address', async () => {
    const seen: (string | undefined)[] = []
    const url = await startHttpServer((_, request) => {
      const { 'x-amz-security-token': token, authorization } = request.headers
      seen.push(String(token), authorization, request.url)
      return { headers: { etag: '"x"' } }
    })
    await createShipper(createLog(), await createS3Target({ url: `${url}/logs`, credentials })).run()
    expect(seen[0]).toBe('token-of-s3')
    expect(seen[1]).toMatch(/SignedHeaders=[^,]*x-amz-security-token/)
    expect(seen[2]).not.toContain('token')
  })

  test('a page that answers in place of the storage is no storage', async () => {
    const url = await startHttpServer(() => ({ body: '<html>Log in</html>' }))
    const target = await createS3Target({ url: `${url}/logs`, credentials })
    expect(await failureOf(target)).toMatch(/the answer is none of S3/)
    await expect(createS3Target({ url: `${url}/logs?key=1`, credentials })).rejects.toThrow(/ERR_OPTION/)
  })
})

describe.skipIf(!native.canLock)('secrets', () => {
  const secrets = {
    LOGBOOM_SHIP_AUTHORIZATION: `Basic ${Buffer.from('user:p4ssw0rd-of-user').toString('base64')}`,
    AWS_ACCESS_KEY_ID: 'key',
    AWS_SECRET_ACCESS_KEY: 's3cret-access-key',
    AWS_SESSION_TOKEN: 's3ssion-token'
  }
  const words = [...Object.values(secrets).slice(2), 'p4ssw0rd-of-user', 'dXNlcjpw', 'tenant-k3y-123']

  test.each(sized(['elasticsearch', 'loki', 'otlp', 's3'], ['elasticsearch']))(
    '%s: a store that repeats what it was sent makes them known to nobody',
    async (to) => {
      // It refuses the record, too, so that the reason is kept in a file.
      const statuses = [500, 400]
      const url = await startHttpServer((_, { headers, url: asked }) => {
        const told = `${JSON.stringify(headers)} user:p4ssw0rd-of-user ${asked}`
        return { status: statuses.shift() ?? 400, headers: { 'content-type': 'text/plain' }, body: told }
      })
      const path = createLog()
      const headersFile = join(createFolder(), 'headers')
      writeFileSync(headersFile, 'x-scope-key: tenant-k3y-123\n')
      const more = to === 's3' ? [] : ['--headers-file', headersFile]
      const env = { ...process.env, ...secrets }
      const args = [
        'ship',
        path,
        '--to',
        to,
        '--url',
        `${url}/push`,
        '--no-follow',
        '--max-rejected',
        '0',
        ...more
      ]
      const child = startCli(args, undefined, env)
      let said = ''
      child.stderr.on('data', (text) => {
        said += text
      })
      // What `ps` shows.
      const shown = await readFile(`/proc/${child.pid}/cmdline`, 'utf8').catch(() => '')
      await once(child, 'close')
      expect(said).toMatch(/HTTP 500/)
      const folder = dirname(path)
      const files = await Promise.all(
        (await readdir(folder)).map((name) => readFile(join(folder, name), 'latin1'))
      )
      for (const text of [said, shown, ...files]) for (const word of words) expect(text).not.toContain(word)
    }
  )

  test('are taken out of any text, the longer ones first, and short words are left', () => {
    expect(withoutSecrets('Bearer abcdefgh abcdef x', ['abcdef', 'abcdefgh', 'x'])).toBe('Bearer *** *** x')
    expect(withoutSecrets('nothing', [])).toBe('nothing')
  })
})

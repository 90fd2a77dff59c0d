// The targets over HTTP, with servers that answer what real ones and what stands before them answer now and then.
import { execFile, execFileSync, spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gunzipSync } from 'node:zlib'
import { describe, expect, onTestFinished, test } from 'vitest'
import { native } from '../../src/native/index.ts'
import type { HttpOptions } from '../../src/ship/http.ts'
import type { ShipperOptions } from '../../src/ship/options.ts'
import { ProtobufWriter, protobufFields } from '../../src/ship/otlp/protobuf-writer.ts'
import { Shipper } from '../../src/ship/shipper.ts'
import { RefusedError, type ShipTarget } from '../../src/ship/target.ts'
import { createElasticsearchTarget } from '../../src/ship/targets/elasticsearch.ts'
import { createLokiTarget } from '../../src/ship/targets/loki.ts'
import { createOtlpTarget } from '../../src/ship/targets/otlp.ts'
import { cliPath } from '../helpers/cli.ts'
import { createFolder } from '../helpers/folder.ts'
import { type HttpAnswer, startHttpServer } from '../helpers/http-server.ts'
import { until } from '../helpers/until.ts'

interface Kind {
  readonly name: string
  readonly create: (options: HttpOptions) => ShipTarget
  /** What the store answers when it has taken everything. */
  readonly taken: HttpAnswer
}

const kinds: readonly Kind[] = [
  {
    name: 'elasticsearch',
    create: createElasticsearchTarget,
    taken: { body: '{"errors":false,"items":[]}' }
  },
  { name: 'loki', create: createLokiTarget, taken: { status: 204 } },
  { name: 'otlp', create: createOtlpTarget, taken: {} }
]

function createLog(...lines: string[]): string {
  const path = join(createFolder(), 'app.log')
  writeFileSync(path, lines.map((line) => `${line}\n`).join(''))
  return path
}

/** One batch of these records. */
function send(target: ShipTarget, ...texts: string[]) {
  const records = texts.map((text, number) => ({ data: Buffer.from(text), number, timeMs: 0 }))
  const batch = {
    stream: '0'.repeat(16),
    log: 'app',
    areLines: true,
    sequence: 0,
    after: null,
    firstNumber: 0
  }
  return target.send({ ...batch, rangeHash: '', records }, new AbortController().signal)
}

function start(source: string, target: ShipTarget, options: Partial<ShipperOptions> = {}) {
  const shipper = new Shipper({ follow: false, ...options, source, target })
  const seen: string[] = []
  shipper.on('degraded', ({ message }) => seen.push(message))
  onTestFinished(() => shipper.stop())
  return { shipper, seen, done: shipper.run() }
}

describe.skipIf(!native.canLock).each(kinds)('$name', ({ name, create, taken }) => {
  test.each<[string, HttpAnswer]>([
    ['a page in place of the store', { body: '<!doctype html><title>Log in</title>' }],
    ['a redirection to one', { status: 302, headers: { location: '/login' } }],
    ['a redirection that keeps the method', { status: 307, headers: { location: '/login' } }],
    ['a gateway that times out', { status: 504, body: 'x'.repeat(100_000) }]
  ])('%s has taken nothing, and may take it later', async (_, wrong) => {
    const answers = [wrong, taken]
    const bodies: Buffer[] = []
    const url = await startHttpServer((body, request) => {
      if (request.url === '/login') return taken
      bodies.push(body)
      return answers.shift() ?? taken
    })
    const target = create({ url: `${url}/push?key=hidden` })
    const error = await send(target, 'one').catch((each: Error) => each)
    expect(error).toBeInstanceOf(Error)
    expect(error).not.toBeInstanceOf(RefusedError)
    expect(String(error).length).toBeLessThan(1000)
    expect(String(error)).not.toContain('hidden')
    expect(await send(target, 'one')).toEqual([])
    expect(bodies[0]).toEqual(bodies[1])
  })

  test.each([400, 413, 415, 422])('%i is a refusal', async (status) => {
    const url = await startHttpServer(() => ({ status }))
    await expect(send(create({ url }), 'one')).rejects.toBeInstanceOf(RefusedError)
  })

  test('an answer that does not end holds up nothing but this attempt', async () => {
    const url = await startHttpServer((_, __, response) => {
      response.writeHead(500)
      // Of a failure no more is read than is shown.
      for (let i = 0; i < 10; i++) response.write('x'.repeat(1000))
      return undefined
    })
    await expect(send(create({ url }), 'one')).rejects.toThrow(/HTTP 500 x+$/)
  })

  test('the headers that were given are sent, and none that HTTP does not allow', async () => {
    const seen: unknown[] = []
    const url = await startHttpServer((_, { headers }) => {
      seen.push([headers.authorization, headers['x-scope-orgid']])
      return taken
    })
    const headers = { 'X-Scope-OrgID': 'team' }
    await start(createLog('one'), create({ url, authorization: 'Bearer x', headers })).done
    expect(seen).toEqual([['Bearer x', 'team']])
    for (const wrong of [{ authorization: 'secret\r\nx: y' }, { headers: { 'a b': 'secret' } }]) {
      expect(() => create({ url, ...wrong })).toThrow(/^(?!.*secret).*does not allow.*ERR_OPTION/)
    }
  })

  test('a url that is none, or has a password in it, is refused', () => {
    for (const url of ['', 'x', 'ftp://x', 7, undefined] as string[])
      expect(() => create({ url })).toThrow(
        new RegExp(`${name}: url must be one of http or https.*ERR_OPTION`)
      )
    expect(() => create({ url: 'http://user:secret@x' })).toThrow(/^(?!.*secret@).*must not hold.*ERR_OPTION/)
  })

  test('times that no store can hold are those of the batch', async () => {
    const lines = ['1e400', '-1', '9e15', '1e-9', '"9999999-01-01"', '{}', 'null'].map(
      (time) => `{"time":${time},"n":1}`
    )
    const url = await startHttpServer((body) => {
      const count = String(body).split('\n').length
      return name === 'elasticsearch' && count < 2 ? { status: 400 } : taken
    })
    const { shipper, done } = start(createLog(...lines), create({ url }))
    await done
    expect(shipper.stats()).toMatchObject({ records: lines.length, rejected: 0, retries: 0 })
  })

  test('a server that is not there is named, and why', async () => {
    const { shipper, seen, done } = start(
      createLog('one'),
      create({ url: 'http://127.0.0.1:9/push?key=hidden' })
    )
    await until(() => seen.length === 1)
    await shipper.stop()
    await done
    expect(seen[0]).toMatch(/^POST http:\/\/127\.0\.0\.1:9\/push: connect ECONNREFUSED/)
  })
})

describe.skipIf(!native.canLock)('_bulk', () => {
  const answerTo = (body: Buffer, statusOf: (n: number) => number): HttpAnswer => {
    const documents = String(body)
      .trim()
      .split('\n')
      .filter((_, i) => i % 2 === 1)
    const items = documents.map((text) => ({
      create: { status: statusOf(JSON.parse(text).n), error: { type: 't' } }
    }))
    return { body: JSON.stringify({ errors: true, items }) }
  }

  test.each([401, 403, 404, 429, 503])(
    'a document that is answered with %i is no refusal',
    async (status) => {
      const url = await startHttpServer((body) => answerTo(body, (n) => (n === 2 ? status : 201)))
      const error = await send(createElasticsearchTarget({ url }), '{"n":1}', '{"n":2}').catch((each) => each)
      expect(error).toBeInstanceOf(Error)
      expect(error).not.toBeInstanceOf(RefusedError)
    }
  )

  test('an answer that does not name each document is none', async () => {
    const answers = [
      '{"errors":true}',
      '{"errors":true,"items":[null]}',
      '{"errors":true,"items":[{}]}',
      'null',
      '[]'
    ]
    const url = await startHttpServer((body) => ({
      body: answers.shift() ?? String(answerTo(body, () => 201).body)
    }))
    const target = createElasticsearchTarget({ url })
    for (let i = answers.length; i > 0; i--) await expect(send(target, '{"n":1}')).rejects.toThrow()
    expect(await send(target, '{"n":1}')).toEqual([])
  })
})

describe.skipIf(!native.canLock)('OpenTelemetry', () => {
  function rejecting(rejected: number): HttpAnswer {
    const writer = new ProtobufWriter()
    writer.string(2, 'not this one')
    writer.uint(1, rejected)
    writer.message(1, 0)
    return { body: writer.finish() }
  }

  const field = (bytes: Buffer, number: number): Buffer[] =>
    [...protobufFields(bytes)].filter(([each]) => each === number).map(([, value]) => value as Buffer)

  const bodiesIn = (body: Buffer): string[] => {
    const logs = field(field(field(gunzipSync(body), 1)[0], 2)[0], 2)
    return logs.map((log) => String(field(field(log, 5)[0], 1)[0]))
  }

  test('records that are rejected without being named are found by halving, and kept', async () => {
    const taken = new Set<string>()
    const url = await startHttpServer((body, { headers }) => {
      expect([headers['content-type'], headers['content-encoding']]).toEqual([
        'application/x-protobuf',
        'gzip'
      ])
      const bodies = bodiesIn(body)
      const bad = bodies.filter((text) => text === 'bad')
      for (const text of bodies) if (text !== 'bad') taken.add(text)
      return bad.length === 0 ? {} : rejecting(bad.length)
    })
    const lines = ['a', 'b', 'bad', 'c', 'd', 'bad', 'e']
    const { shipper, done } = start(createLog(...lines), createOtlpTarget({ url }))
    await done
    expect([...taken].sort()).toEqual(['a', 'b', 'c', 'd', 'e'])
    expect(shipper.stats()).toMatchObject({ records: 7, rejected: 2, retries: 0 })
    expect(readFileSync(shipper.rejectedPath, 'utf8')).toContain('"reason":"not this one","data":"bad"')
  })
})

const hasOpenssl = spawnSync('openssl', ['version']).status === 0

test.skipIf(!hasOpenssl || !native.canLock)(
  'TLS is verified: a certificate nobody knows is refused, and taken when it is named as an authority (skipped without openssl)',
  async () => {
    const folder = createFolder()
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
    const args = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=127.0.0.1']
    execFileSync(
      'openssl',
      [...args, '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', cert],
      {
        stdio: 'ignore'
      }
    )
    const tls = { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') }
    let requests = 0
    const url = await startHttpServer(() => {
      requests++
      return { status: 204 }
    }, tls)
    const path = createLog('one')
    const { shipper, seen, done } = start(path, createLokiTarget({ url }))
    await until(() => seen.length === 1)
    await shipper.stop()
    await done
    expect(seen[0]).toMatch(/self-signed certificate/)
    expect(requests).toBe(0)
    await promisify(execFile)(
      process.execPath,
      [cliPath, 'ship', path, '--to', 'loki', '--url', url, '--no-follow'],
      { env: { ...process.env, NODE_EXTRA_CA_CERTS: cert } }
    )
    expect(requests).toBe(1)
  }
)

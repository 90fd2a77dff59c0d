// The page of each target: what it says to start is what it says to connect to, with flags that there are; and the application
// that it says to run ships what it logs.
import { execFile, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { gunzipSync } from 'node:zlib'
import { jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { describe, expect, onTestFinished, test } from 'vitest'
import { ship } from '../../src/cli/ship.ts'
import { native } from '../../src/native/index.ts'
import { startBulkIndex } from '../helpers/bulk-index.ts'
import { hasEngine, startNats } from '../helpers/engines.ts'
import { createFolder } from '../helpers/folder.ts'
import { startHttpServer } from '../helpers/http-server.ts'
import { sized } from '../helpers/sized.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = join(root, 'docs/shipping')
const pages = readdirSync(folder).map((name) => ({ name, text: readFileSync(join(folder, name), 'utf8') }))
const blocks = (text: string, language: string) =>
  [...text.matchAll(new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``, 'g'))].map(([, block]) => block)
const hasYaml = spawnSync('python3', ['-c', 'import yaml']).status === 0

describe.each(pages)('$name', ({ text }) => {
  const [compose] = blocks(text, 'yaml')
  const command = blocks(text, 'sh')
    .join('\n')
    .split('\n')
    .filter((line) => line.includes('pino-to.mjs'))

  test('publishes on this machine alone the port that its example connects to', () => {
    expect(command).toHaveLength(1)
    const port = /--url \w+:\/\/127\.0\.0\.1:(\d+)/.exec(command[0])?.[1]
    const published = [...compose.matchAll(/'([\d.]+):(\d+):\d+'/g)]
    expect(published.map(([, host, outside]) => `${host}:${outside}`)).toEqual([`127.0.0.1:${port}`])
    expect(compose).toMatch(/image: [a-z/-]+:\S+/)
  })

  test('uses flags that there are, and a target that is its own', () => {
    const flags = Object.keys(ship.options([]))
    const used = blocks(text, 'sh')
      .join('\n')
      .split('\n')
      .filter((line) => /logboom ship|pino-to\.mjs/.test(line))
      .flatMap((line) => [...line.matchAll(/ --([a-z-]+)/g)].map(([, flag]) => flag))
    expect(used).toContain('to')
    for (const flag of used) expect(flags).toContain(flag.replace(/^no-/, ''))
  })
})

test.skipIf(!hasYaml)('the compose files are YAML that names services (skipped without PyYAML)', () => {
  const code =
    'import sys, yaml, json; print(json.dumps([yaml.safe_load(text) for text in json.load(sys.stdin)]))'
  const input = JSON.stringify(pages.map(({ text }) => blocks(text, 'yaml')[0]))
  const { stdout } = spawnSync('python3', ['-c', code], { input, encoding: 'utf8' })
  for (const { services, volumes = {} } of JSON.parse(stdout)) {
    expect(Object.keys(services)).toHaveLength(1)
    const [service] = Object.values<{ volumes?: string[] }>(services)
    const named = (service.volumes ?? []).map((each) => each.split(':')[0])
    expect(Object.keys(volumes)).toEqual(named)
  }
})

describe.skipIf(!native.canLock)('the application of the pages', () => {
  const example = join(root, 'examples/ship/pino-to.mjs')
  const run = async (...args: string[]) => {
    const { stderr } = await promisify(execFile)(process.execPath, [example, ...args], {
      cwd: createFolder()
    })
    expect(stderr).toContain('1000 records in 1 batches, 0 of them refused')
  }

  test('ships to elasticsearch', async () => {
    const index = await startBulkIndex()
    await run('--to', 'elasticsearch', '--url', `${index.url}/logs-app/_bulk`)
    expect([...index.documents.values()].map(({ order }) => order)).toEqual(
      Array.from({ length: 1000 }, (_, i) => i + 1)
    )
  })

  test.skipIf(!hasEngine('nats-server'))('ships to JetStream (skipped without nats-server)', async () => {
    const { url } = await startNats()
    const connection = await connect({ servers: url.slice('nats://'.length) })
    onTestFinished(() => connection.close())
    const manager = await jetstreamManager(connection)
    await manager.streams.add({ name: 'logs', subjects: ['logs.>'] })
    await run('--to', 'jetstream', '--url', url, '--subject', 'logs.web1.app')
    const { state } = await manager.streams.info('logs')
    expect(state.messages).toBe(1000)
  })

  test.skipIf(sized(false, true))(
    'ships to Loki and OpenTelemetry (skipped except by the long run)',
    async () => {
      const bodies: Buffer[] = []
      const url = await startHttpServer((body) => {
        bodies.push(gunzipSync(body))
        return { status: 200 }
      })
      await run('--to', 'loki', '--url', `${url}/loki/api/v1/push`)
      await run('--to', 'otlp', '--url', `${url}/v1/logs`)
      for (const body of bodies) expect(String(body).split('order accepted')).toHaveLength(1001)
    }
  )
})

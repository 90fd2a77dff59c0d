// The package as each package manager installs it, run as each of them runs programs: the table of docs/recipes/package-managers.md.
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { type Application, empty, tarball } from './application.ts'
import { blocksOf, MAX_BYTES, pin, small } from './recipe.ts'
import { expectOnce, readLog } from './server.ts'

const TEST_MS = 300_000
const page = readFileSync(join(import.meta.dirname, '../../docs/recipes/package-managers.md'), 'utf8')
const rows = [...page.matchAll(/^\| ([^|`]+) \| `(.+?)` \| `(.+?)` \|$/gm)].map(
  ([, name, install, start]) => ({
    name,
    install,
    start
  })
)

interface Tool {
  from?: string
  before?: (application: Application) => void
  /** Whether it installs from a registry only. */
  needsRegistry?: boolean
}

/** Where the command of each comes from. npm is there. */
const tools: Record<string, Tool> = {
  npm: {},
  pnpm: { from: 'pnpm' },
  'Yarn 1': { from: 'yarn' },
  "Yarn, Plug'n'Play": {
    from: '@yarnpkg/cli-dist',
    before: (application) =>
      void application.write('.yarnrc.yml', 'enableTelemetry: false\nenableImmutableInstalls: false\n')
  },
  'Yarn, node_modules': {
    from: '@yarnpkg/cli-dist',
    before: (application) =>
      void application.write(
        '.yarnrc.yml',
        'enableTelemetry: false\nenableImmutableInstalls: false\nnodeLinker: node-modules\n'
      )
  },
  Bun: { from: 'bun' },
  Deno: { from: 'deno', needsRegistry: true }
}

test('the table names the package managers that are tried', () => {
  expect(rows.map(({ name }) => name).sort()).toEqual(Object.keys(tools).sort())
})

test.each(rows)('$name', { timeout: TEST_MS }, async ({ name, install, start }) => {
  const { from, before, needsRegistry } = tools[name]
  const application = empty()
  before?.(application)
  const [program] = blocksOf('package-managers').filter(({ file }) => file === 'app.mjs')
  application.write('app.mjs', small(program.text))
  const env: Record<string, string> = { NODE_NO_WARNINGS: '1' }
  if (from !== undefined) {
    const tool = empty()
    const quiet = ['--no-audit', '--no-fund', '--prefer-offline']
    const { status, stderr } = tool.run('npm', ['install', ...quiet, `${from}@${pin(from)}`])
    expect(status, stderr).toBe(0)
    env.PATH = `${tool.folder}/node_modules/.bin:${application.env.PATH}`
  }
  if (needsRegistry === true) env.NPM_CONFIG_REGISTRY = await registry()
  for (const command of [install, start]) {
    const { status, stdout, stderr } = application.run(
      '/bin/sh',
      ['-c', withPins(command, needsRegistry === true)],
      env
    )
    expect(status, `${command}:\n${stdout}${stderr}`).toBe(0)
  }
  const users = Array.from({ length: 1000 }, (_, user) => String(user))
  for (const log of ['class', 'stream', 'winston', 'target']) {
    expectOnce(readLog(application, `logs/${log}.log`), users, MAX_BYTES)
  }
})

/** The address of a registry that has the packed package. */
async function registry(): Promise<string> {
  const real = execFileSync('npm', ['config', 'get', 'registry'], { encoding: 'utf8' }).trim()
  const manifest = join(import.meta.dirname, '../../package.json')
  const script = join(import.meta.dirname, 'registry.mjs')
  const server = spawn(process.execPath, [script, tarball(), manifest, real], {
    stdio: ['pipe', 'pipe', 'inherit']
  })
  onTestFinished(() => void server.kill('SIGKILL'))
  const [address] = await once(server.stdout, 'data')
  return String(address).trim()
}

/** Pinned hosts in the place of the names, and the packed package, unless the name leads to it. */
function withPins(command: string, isNamed: boolean): string {
  if (!/ (install|add) /.test(command)) return command
  return (isNamed ? command : command.replace('logboom', `logboom@file:${tarball()}`))
    .replace(/pino(?= )/, `pino@${pin('pino')}`)
    .replace('winston', `winston@${pin('winston')}`)
}

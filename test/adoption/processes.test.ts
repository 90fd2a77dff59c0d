// The recipes for what starts, restarts and stops processes: done as the page says, under load.
import { appendFileSync, chmodSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { until } from '../helpers/until.ts'
import { follow, MAX_BYTES, type Recipe } from './recipe.ts'
import { ask, expectOnce, freePort, load, loadUntilStopped, readLog, type Server, started } from './server.ts'

const LOG = 'logs/app.log'
const TEST_MS = 300_000
const REQUESTS = 400
const WAIT = { timeoutMs: 60_000 }

/** That nothing is lost or there twice, after what the last process has left is written. */
function expectEverything(recipe: Recipe, answered: readonly string[]): void {
  recipe.tool('logboom', ['recover', LOG])
  expect(answered.length).toBeGreaterThan(REQUESTS)
  expectOnce(readLog(recipe, LOG), answered, MAX_BYTES)
}

test('PM2: reload, kill and stop under load lose and repeat nothing', { timeout: TEST_MS }, async () => {
  const recipe = follow('pm2')
  const port = await freePort()
  const env = { PM2_HOME: join(recipe.folder, '.pm2'), PORT: String(port) }
  const processes = (): { pid: number; pm2_env: { status: string } }[] => {
    return JSON.parse(recipe.tool('pm2', ['jlist'], env))
  }
  onTestFinished(() => void recipe.run('node_modules/.bin/pm2', ['kill'], env))
  recipe.shell(/pm2 start/, env)
  await until(async () => (await ask(port, '/users/0')) === 200, WAIT)
  const { stop } = loadUntilStopped(port)
  const reload = recipe.command(/pm2 reload/)
  for (let i = 0; i < 2; i++) expect(recipe.run('/bin/sh', ['-c', reload], env).status).toBe(0)
  const [victim, other] = processes().map(({ pid }) => pid)
  expect(other).toBeGreaterThan(0)
  process.kill(victim, 'SIGKILL')
  await until(
    () => processes().every(({ pid, pm2_env }) => pm2_env.status === 'online' && pid !== victim),
    WAIT
  )
  const answered = await stop(REQUESTS + 1)
  recipe.shell(/pm2 stop/, env)
  expectEverything(recipe, answered)
})

test('node:cluster: workers that are killed under load lose and repeat nothing', {
  timeout: TEST_MS
}, async () => {
  const recipe = follow('cluster')
  const server = await started(recipe, recipe.command(/^node/), { port: await freePort() })
  const { stop } = loadUntilStopped(server.port)
  for (let round = 0; round < 3; round++) {
    const [victim] = children(server)
    process.kill(victim, 'SIGKILL')
    await until(() => !children(server).includes(victim) && children(server).length === 2, WAIT)
  }
  const answered = await stop(REQUESTS + 1)
  await server.stop('SIGTERM', 'group')
  expectEverything(recipe, answered)
  expect(readLog(recipe, LOG).records.filter(({ signal }) => signal === 'SIGKILL')).toHaveLength(3)
})

function children({ process: { pid } }: Server): number[] {
  const at = `/proc/${pid}/task`
  const texts = readdirSync(at).map((task) => readFileSync(join(at, task, 'children'), 'utf8'))
  return texts.flatMap((text) => text.split(' ').filter(Boolean).map(Number))
}

test('node --watch and nodemon: restarts under load lose and repeat nothing, and the log causes none', {
  timeout: TEST_MS
}, async () => {
  const recipe = follow('watch')
  const answered: string[] = []
  for (const [command, restarted, first] of [
    [/^node --watch/, /Restarting/g, 1],
    [/^npx nodemon/, /\[nodemon\] restarting/g, 1_000_000]
  ] as const) {
    const server = await started(recipe, recipe.command(command), { port: await freePort() })
    const { stop } = loadUntilStopped(server.port, first)
    const restarts = (): number => server.output().match(restarted)?.length ?? 0
    for (let round = 1; round <= 2; round++) {
      appendFileSync(join(recipe.folder, 'server.mjs'), '// changed\n')
      await until(() => restarts() === round, WAIT)
      await until(async () => (await ask(server.port, '/users/0')) === 200, WAIT)
    }
    answered.push(...(await stop(REQUESTS)))
    expect(restarts()).toBe(2)
    await server.stop('SIGTERM', 'group')
  }
  expectEverything(recipe, answered)
})

test('node --permission: the flags of the page suffice, nothing is said', { timeout: TEST_MS }, () => {
  const recipe = follow('permission')
  recipe.shell(/^mkdir/)
  const isOld = !process.allowedNodeEnvironmentFlags.has('--permission')
  const flag = isOld ? '--no-warnings --experimental-permission' : '--permission'
  const command = recipe.command(/^node/).replace('--permission', flag)
  const { status, stdout, stderr } = recipe.run('/bin/sh', ['-c', command])
  expect(stdout + stderr).toBe('')
  expect(status).toBe(0)
  const users = Array.from({ length: 1000 }, (_, user) => String(user))
  const log = readLog(recipe, LOG)
  expectOnce(log, users, MAX_BYTES)
  expect(log.records.map(({ lane }) => lane).filter(Boolean)).toEqual(['mapped'])
})

test('a container: as process 1 SIGTERM writes everything and ends it, SIGKILL leaves it to the next one', {
  timeout: TEST_MS
}, async ({ skip }) => {
  const recipe = follow('containers')
  const command = recipe.command(/^node server/)
  const unshare = 'unshare --pid --fork --mount-proc --kill-child'
  if (recipe.run('/bin/sh', ['-c', `${unshare} true`]).status !== 0) {
    skip('no namespace of process ids can be made here')
  }
  const answered: string[] = []
  for (const [run, signal] of (['SIGTERM', 'SIGKILL', 'SIGINT'] as const).entries()) {
    const server = await started(recipe, `${unshare} ${command}`, { port: await freePort() })
    answered.push(...(await load(server.port, 1 + run * REQUESTS, REQUESTS)))
    const [first] = children(server)
    process.kill(first, signal)
    await until(() => server.process.exitCode !== null || server.process.signalCode !== null, WAIT)
    if (signal !== 'SIGKILL') {
      expect(server.process.exitCode).toBe(signal === 'SIGTERM' ? 143 : 130)
      // Without `recover`: the stop itself has written everything.
      expectOnce(readLog(recipe, LOG), answered, MAX_BYTES)
    }
  }
  expect(answered).toHaveLength(3 * REQUESTS)
})

test('systemd: the unit is right, and the server keeps log and lane in the folders that systemd names', {
  timeout: TEST_MS
}, async ({ annotate }) => {
  const recipe = follow('systemd')
  const unit = readFileSync(join(recipe.folder, 'app.service'), 'utf8')
  const here = unit.replaceAll('/usr/bin/node', process.execPath).replaceAll('/srv/app', recipe.folder)
  recipe.write('app.service', here)
  const verify = recipe.command(/^systemd-analyze/)
  if (recipe.run('/bin/sh', ['-c', 'command -v systemd-analyze']).status === 0) {
    const { status, stdout, stderr } = recipe.run('/bin/sh', ['-c', verify])
    expect((stdout + stderr).split('\n').filter((line) => line.includes('app.service'))).toEqual([])
    expect(status).toBe(0)
  } else {
    await annotate('the unit was not checked: no systemd-analyze')
  }
  const env = {
    LOGS_DIRECTORY: join(recipe.folder, 'var-log'),
    RUNTIME_DIRECTORY: join(recipe.folder, 'run')
  }
  mkdirSync(env.LOGS_DIRECTORY, { mode: 0o750 })
  mkdirSync(env.RUNTIME_DIRECTORY, { mode: 0o700 })
  const command = /^ExecStart=(.+)$/m.exec(here)?.[1] ?? ''
  const answered: string[] = []
  for (const [run, signal] of (['SIGTERM', 'SIGKILL'] as const).entries()) {
    const server = await started(recipe, command, { port: await freePort(), env })
    answered.push(...(await load(server.port, 1 + run * REQUESTS, REQUESTS)))
    await server.stop(signal)
  }
  recipe.tool('logboom', ['recover', '--dir', env.RUNTIME_DIRECTORY, 'var-log/app.log'])
  expect(answered).toHaveLength(2 * REQUESTS)
  expectOnce(readLog(recipe, 'var-log/app.log'), answered, MAX_BYTES)
})

test('cron: what jobs that overlap write to one log is there, whole, each once', {
  timeout: TEST_MS
}, async () => {
  const recipe = follow('cron')
  chmodSync(join(recipe.folder, 'backup.sh'), 0o755)
  const table = recipe
    .block('crontab')
    .replaceAll('/srv/app', recipe.folder)
    .replaceAll('--max-bytes 10m --max-backups 5', '--max-bytes 1k')
  const path = /^PATH=(.+)$/m.exec(table)?.[1]
  const jobs = [...table.matchAll(/^(?:\S+ ){5}(.+)$/gm)].map(([, command]) => command)
  expect(jobs).toHaveLength(2)
  // As cron does it: hardly any environment, and the shell.
  const env = { SHELL: '/bin/sh', PATH: `${dirname(process.execPath)}:${path}`, LOGNAME: 'root' }
  const overlapping = jobs.flatMap((job) => [job, job, job]).map((job) => `(${job}) || echo failed & `)
  const { stdout, stderr } = recipe.run('/bin/sh', ['-c', `${overlapping.join('')} wait`], env)
  expect(stdout + stderr).toBe('')

  const items = readLog(recipe, 'logs/jobs.log').records.flatMap(({ item }) =>
    item === undefined ? [] : [item]
  )
  expect(items).toHaveLength(300)
  expect(new Set(items).size).toBe(100)
  const names = readdirSync(join(recipe.folder, 'logs')).filter((name) => name.startsWith('backups.log'))
  expect(names.length).toBeGreaterThan(2)
  const lines = names.flatMap((name) => recipe.lines(`logs/${name}`))
  expect(lines).toHaveLength(300)
  expect(new Set(lines).size).toBe(100)
})

test("a single executable of Node's own logs, from wherever it is started", { timeout: TEST_MS }, () => {
  const recipe = follow('single-executable')
  for (const step of [/^npx esbuild/, /^node --exp/, /^mkdir/, /^cp/, /^npx postject/, /--prefix/])
    recipe.shell(step)
  mkdirSync(join(recipe.folder, 'elsewhere'))
  const { status, stdout, stderr } = recipe.run('/bin/sh', ['-c', 'cd elsewhere && exec ../out/app'])
  expect(stdout + stderr).toBe('')
  expect(status).toBe(0)
  const users = Array.from({ length: 1000 }, (_, user) => String(user))
  expectOnce(readLog(recipe, `elsewhere/${LOG}`), users, MAX_BYTES)
})

// Gets the servers that the shipper is tested with into a folder for caches (or LOGBOOM_ENGINES), and runs those tests. What
// cannot be got is said, and its tests are skipped. Versions are in engines/engines.json.
//
//   node scripts/engines.mjs                     all servers, then their tests; LOGBOOM_LONG=1: at full size
//   node scripts/engines.mjs --get NAME …        only gets these
//   node scripts/engines.mjs --start NAME PORT   starts one on 127.0.0.1, until Ctrl-C; its data are then removed
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { engines } from './engines/folder.mjs'
import { getEngine } from './engines/get.mjs'
import { commandOf, isListening } from './engines/start.mjs'

const project = fileURLToPath(new URL('..', import.meta.url))
const [mode, ...rest] = process.argv.slice(2)

if (mode === '--get') for (const name of known(rest)) get(name)
else if (mode === '--start') await start(known(rest.slice(0, 1))[0], Number(rest[1]))
else if (mode === undefined || !mode.startsWith('--')) {
  for (const name of Object.keys(engines)) get(name)
  test(process.argv.slice(2))
} else known([mode])

function known(names) {
  const wrong = names.find((name) => engines[name] === undefined)
  if (names.length > 0 && wrong === undefined) return names
  console.error(`name servers: ${Object.keys(engines).join(', ')}`)
  process.exit(1)
}

function get(name) {
  const reason = getEngine(name)
  if (reason !== undefined) console.log(`${name} could not be got (${reason}): its tests are skipped`)
  return reason === undefined
}

function test(args) {
  const vitest = join(project, 'node_modules/vitest/vitest.mjs')
  const { status } = spawnSync(process.execPath, [vitest, 'run', 'test/engines', ...args], {
    stdio: 'inherit',
    cwd: project,
    env: { ...process.env, LOGBOOM_ALL_ENGINES: '1' }
  })
  process.exit(status ?? 1)
}

async function start(name, port) {
  if (!Number.isInteger(port) || port < 1 || port > 65_534) {
    console.error('give a port')
    process.exit(1)
  }
  if (!get(name)) process.exit(1)
  const data = mkdtempSync(join(tmpdir(), `logboom-${name}-`))
  const [command, ...args] = commandOf(name, { port, secondPort: port + 1, data })
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] })
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill('SIGTERM'))
  child.on('exit', (code) => {
    rmSync(data, { recursive: true, force: true })
    process.exit(code ?? 0)
  })
  while (!(await isListening(port))) await new Promise((resolve) => setTimeout(resolve, 100))
  console.log(`${name} ${engines[name].version} on 127.0.0.1:${port}`)
}

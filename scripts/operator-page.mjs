// What the commands print, for docs/operators.md: each is run on logs that are made for it, with times that stay the same. What
// is another on each machine or in each run (folder, process ids, the time of a rotation, ports, the addon) is replaced.
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync
} from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { gzipSync } from 'node:zlib'
import { native } from '../dist/native/index.js'

const root = dirname(import.meta.dirname)
const START = Date.UTC(2026, 2, 14, 9, 0)
const MINUTE = 60_000

/** Name of a section → its examples as Markdown. */
export async function operatorExamples() {
  const folder = mkdtempSync(join(tmpdir(), 'logboom-docs-'))
  try {
    makeLogs(folder)
    const shell = createShell(folder)
    const found = {}
    for (const [name, examples] of Object.entries(sections)) {
      const parts = []
      for (const example of examples) parts.push(await example(shell, folder))
      found[name] = `\`\`\`console\n${parts.join('\n').trimEnd()}\n\`\`\``
    }
    return found
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Runs a command line as it is shown, where `logboom` is the built command. */
function createShell(folder) {
  return async (line, { shown = line, limit = 40 } = {}) => {
    const logboom = `logboom() { '${process.execPath}' '${join(root, 'dist/cli/main.js')}' "$@"; }`
    const child = spawn('bash', ['-c', `${logboom}\n${line}`], {
      cwd: folder,
      env: { ...process.env, TZ: 'UTC', NO_COLOR: '1', LOGBOOM_FAILPOINT: '' },
      stdio: ['ignore', 'pipe', 'pipe']
    })
    let text = ''
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (each) => (text += each))
    const [code] = await once(child, 'close')
    const lines = stable(text, folder).trimEnd().split('\n')
    const rest = lines.length > limit ? [...lines.slice(0, limit), '…'] : lines
    const answer = [...rest, ...(code === 0 ? [] : [`(exit code ${code})`])].filter((each) => each !== '')
    return [`$ ${shown}`, ...answer, ''].join('\n')
  }
}

function stable(text, folder) {
  return text
    .replaceAll(folder, '/var/log/app')
    .replaceAll(/(addon +)\S+/g, '$1/app/node_modules/logboom/prebuilds/linux-x64/…')
    .replaceAll(/process \d+( on \S+)?/g, 'process 4711')
    .replaceAll(/(identity +)[0-9a-f]{32}/g, (_, label) => `${label}5d41402abc4b2a76b9719d911017c592`)
    .replaceAll(/127\.0\.0\.1:\d+/g, 'loki:3100')
    .replaceAll(/\.20(?!26031)\d{6}-\d{6}\./g, '.20260314-120000.')
    .replaceAll(/\b20(?!26-03-1)\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, '2026-03-14T12:00:00.000Z')
}

const record = (n, more = {}) => ({
  level: n % 10 === 7 ? 50 : n % 5 === 3 ? 40 : 30,
  time: START + n * 30_000,
  pid: 4711,
  hostname: 'web1',
  req: { method: n % 4 === 0 ? 'POST' : 'GET', url: `/orders/${100 + n}` },
  msg: n % 10 === 7 ? 'payment refused' : n % 5 === 3 ? 'slow query' : 'request completed',
  ...more
})
const lines = (from, to) =>
  Array.from({ length: to - from }, (_, at) => `${JSON.stringify(record(from + at))}\n`).join('')

function put(path, content, timeMs) {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, content)
  utimesSync(path, timeMs / 1000, timeMs / 1000)
}

function makeLogs(folder) {
  put(join(folder, 'app.log.20260314-093000.0.gz'), gzipSync(lines(0, 60)), START + 30 * MINUTE)
  put(join(folder, 'app.log.20260314-100000.0'), lines(60, 120), START + 60 * MINUTE)
  put(join(folder, 'app.log'), lines(120, 134), START + 67 * MINUTE)
  put(
    join(folder, 'worker.log'),
    `${JSON.stringify({ level: 30, time: START + 3_961_000, msg: 'job 17 done' })}\n`,
    START + 67 * MINUTE
  )
  put(join(folder, 'broken.log.20260314-093000.0.gz'), gzipSync(lines(0, 400)), START)
  put(join(folder, 'broken.log'), lines(400, 402), START)
  truncateSync(join(folder, 'broken.log.20260314-093000.0.gz'), 900)
  put(join(folder, 'roll', 'web.2026-03-13.1.log'), 'yesterday\n', START - 10 * 60 * MINUTE)
  put(join(folder, 'roll', 'web.2026-03-14.1.log'), 'today\n', START)
}

/** Two writers of app.log that live in this process, as they are at `seconds` after their start (docs/formats.md has the bytes). */
function writeStatistics(fd, seconds) {
  for (const [slot, perSecond] of [1_250, 310].entries()) {
    const bytes = Buffer.alloc(512)
    bytes.write('LBSTAT1\n')
    bytes.writeUInt32LE(4711 + slot, 8)
    const records = perSecond * seconds
    const counts = [
      START,
      START + seconds * 1000,
      records,
      180 * records,
      slot * 3,
      80 * seconds,
      80 * seconds,
      2
    ]
    for (const [at, count] of counts.entries()) bytes.writeBigUInt64LE(BigInt(count), 16 + 8 * at)
    bytes.writeBigUInt64LE(BigInt(2_048 * (1 - slot)), 96)
    bytes.writeBigUInt64LE(16n * 1024n, 104)
    bytes.writeBigUInt64LE(BigInt(12_000 * seconds), 112)
    const isOpen = 1
    bytes.writeUInt32LE(isOpen, 124)
    // Syncs of less than 1 ms, and a few of less than 8 ms.
    bytes.writeUInt32LE(80 * seconds, 128 + 4 * 10)
    bytes.writeUInt32LE(2 * seconds, 128 + 4 * 13)
    bytes.writeUInt32LE(native.crc32c(bytes, 0, 0, 508), 508)
    writeSync(fd, bytes, 0, bytes.length, slot * bytes.length)
  }
}

async function top(shell, folder) {
  const fd = openSync(join(folder, '.app.log.stats'), 'w+', 0o600)
  for (const slot of [0, 1]) native.lock(fd, slot, 0)
  // The figures go on at one pace, so that it does not matter when top takes its two looks.
  let isShown = false
  const shown = shell('logboom top --once app.log').finally(() => {
    isShown = true
  })
  for (let seconds = 10; !isShown && seconds < 10_000; seconds += 2) {
    writeStatistics(fd, seconds)
    await sleep(50)
  }
  const printed = await shown
  // What metrics print next does not depend on how long that took.
  writeStatistics(fd, 12)
  return printed
}

/** A process that dies with three records that no file has. */
async function leaveLane(folder) {
  const index = JSON.stringify(pathToFileURL(join(root, 'dist/index.js')))
  const path = JSON.stringify(join(folder, 'dead.log'))
  const script = `import { RotatingFile } from ${index}
    const file = new RotatingFile({ path: ${path}, lane: true, flushInterval: '1h' })
    for (const n of [1, 2, 3]) file.write('record ' + n + '\\n')
    process.kill(process.pid, 'SIGKILL')`
  await once(spawn(process.execPath, ['--input-type=module', '-e', script]), 'exit')
}

async function ship(shell) {
  const server = createServer((request, response) => {
    request.resume()
    request.on('end', () => response.writeHead(204).end())
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const url = `http://127.0.0.1:${server.address().port}/loki/api/v1/push`
  const line = 'logboom ship worker.log --to loki --url URL --no-follow'
  const shown = await shell(line.replace('URL', url), {
    shown: line.replace('URL', 'http://loki:3100/loki/api/v1/push')
  })
  server.close()
  return shown
}

const run = (line, options) => (shell) => shell(line, options)

const sections = {
  info: [run('logboom info --count app.log')],
  cat: [
    run('logboom cat --level ">=error" --since 2026-03-14T10:00Z --fields time,req.url,msg app.log'),
    run('logboom cat --where req.method=POST --until 2026-03-14T09:01Z --json app.log')
  ],
  tail: [run('logboom tail -n 2 app.log'), run('logboom tail -n 3 --pretty app.log')],
  merge: [run('logboom merge --since 2026-03-14T10:05:30Z app.log worker.log')],
  verify: [run('logboom verify app.log'), run('logboom verify broken.log')],
  top: [top],
  metrics: [run('logboom metrics app.log', { limit: 24 })],
  report: [run('logboom report app.log > report.html')],
  pipe: [
    run("printf 'one\\ntwo\\nthree\\n' | logboom pipe wal --dir orders"),
    run('logboom cat --json orders')
  ],
  convert: [
    run('logboom convert orders --to binary-file orders.bin'),
    run("printf 'a\\nb\\n' | logboom convert - --to wal copy && logboom info copy")
  ],
  repair: [
    async (shell, folder) => {
      await shell("printf 'one\\ntwo\\n' | logboom pipe wal --dir torn")
      const [name] = execFileSync('ls', [join(folder, 'torn')], { encoding: 'utf8' })
        .split('\n')
        .filter((each) => each.endsWith('.wal'))
      const path = join(folder, 'torn', name)
      const bytes = readFileSync(path)
      bytes[bytes.indexOf('two')] ^= 1
      writeFileSync(path, Buffer.concat([bytes, Buffer.alloc(0)]))
      return await shell('logboom verify torn; logboom repair torn')
    }
  ],
  recover: [
    async (shell, folder) => {
      await leaveLane(folder)
      return [
        await shell('logboom recover --dry-run dead.log'),
        await shell('logboom recover dead.log'),
        await shell('logboom cat dead.log')
      ].join('\n')
    }
  ],
  rotate: [run('logboom rotate worker.log')],
  adopt: [
    run('logboom adopt roll/web.log --from pino-roll'),
    run('logboom adopt roll/web.log --from pino-roll --apply')
  ],
  ship: [ship]
}

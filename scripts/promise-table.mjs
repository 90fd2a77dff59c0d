// Who keeps what when a process ends: logs 10 000 lines in one turn of the event loop through each host, ends the process in
// each way, and counts the lines in the file; with a lane after the next start. Prints a table; with `--write` puts it into
// README.md and the documentation. `npm run build` first.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

const LINES = 10_000
const root = dirname(import.meta.dirname)
const require = createRequire(join(root, 'bench/package.json'))

/** What opens each logger: `log` takes a number. The first line of `open` of a host with a lane is also its next start. */
const hosts = {
  'pino, `workerStream`': {
    open: `const logger = pino(logboom.workerStream('rotating-file', { path }))
log = (id) => logger.info({ id })`,
    next: `const stream = logboom.workerStream('rotating-file', { path })
await stream.flush(); await stream.close()`
  },
  'pino, class with `lane: true`': {
    open: `const logger = pino(new logboom.RotatingFile({ path, lane: true }))
log = (id) => logger.info({ id })`,
    next: `const file = new logboom.RotatingFile({ path }); await file.flush(); await file.close()`
  },
  'winston, our transports': {
    open: `const logger = winston.createLogger({ transports: [new transports.RotatingFileTransport({ path })] })
log = (id) => logger.info('x', { id })`,
    next: `const file = new logboom.RotatingFile({ path }); await file.flush(); await file.close()`
  },
  'pino target `logboom/rotating-file`': {
    open: `const logger = pino({ transport: { target: 'logboom/rotating-file', options: { path } } })
log = (id) => logger.info({ id })`
  },
  '`pino/file`': {
    open: `const logger = pino({ transport: { target: 'pino/file', options: { destination: path } } })
log = (id) => logger.info({ id })`
  },
  '`pino.destination({ sync: true })`': {
    open: `const logger = pino(pino.destination({ dest: path, sync: true }))
log = (id) => logger.info({ id })`
  },
  'winston `File`': {
    open: `const logger = winston.createLogger({ transports: [new winston.transports.File({ filename: path })] })
log = (id) => logger.info('x', { id })`
  },
  '`winston-daily-rotate-file`': {
    needs: 'winston-daily-rotate-file',
    open: `const Daily = (await import(${JSON.stringify(found('winston-daily-rotate-file') ?? '')})).default
const logger = winston.createLogger({ transports: [new Daily({ filename: path, datePattern: 'YYYY' })] })
log = (id) => logger.info('x', { id })`
  }
}

const ends = {
  'natural end': '',
  'process.exit()': 'process.exit(0)',
  exception: `throw new Error('meant')`,
  'SIGTERM, no handler': `process.kill(process.pid, 'SIGTERM'); pause()`,
  SIGKILL: `process.kill(process.pid, 'SIGKILL')`,
  'abort()': 'process.abort()',
  SIGSEGV: `process.kill(process.pid, 'SIGSEGV'); pause()`,
  'out of memory': 'const kept = []; for (;;) kept.push(new Array(1e6).fill({}))'
}

const rows = []
for (const [host, { open, next, needs }] of Object.entries(hosts)) {
  if (needs !== undefined && found(needs) === undefined) continue
  const row = [host]
  for (const end of Object.values(ends)) row.push(await countAfter(open, end, next))
  rows.push(row)
  console.error(row.join(' | '))
}
const head = ['', ...Object.keys(ends)]
const table = [head, head.map((_, column) => (column === 0 ? '---' : '---:')), ...rows]
  .map((cells) => `| ${cells.join(' | ')} |`)
  .join('\n')
console.log(table)
if (process.argv.includes('--write'))
  for (const file of ['README.md', 'docs/pino.md', 'docs/winston.md']) put(join(root, file))

async function countAfter(open, end, next) {
  const folder = mkdtempSync(join(tmpdir(), 'logboom-promises-'))
  const path = join(folder, 'app.log')
  try {
    await run(`let log\n${open}\nfor (let id = 0; id < ${LINES}; id++) log(id)\n${end}`, path)
    if (next !== undefined) await run(next, path)
    return linesIn(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function run(code, path) {
  const program = `import pino from 'pino'
import winston from 'winston'
import * as logboom from 'logboom'
import * as transports from 'logboom/winston'
const path = ${JSON.stringify(path)}
const pause = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5000)
${code}`
  const child = spawn(
    'sh',
    [
      '-c',
      'ulimit -c 0; exec "$0" --max-old-space-size=64 --input-type=module -e "$1"',
      process.execPath,
      program
    ],
    { cwd: root, stdio: 'ignore' }
  )
  const timer = setTimeout(() => child.kill('SIGKILL'), 60_000)
  await once(child, 'exit')
  clearTimeout(timer)
}

function linesIn(folder) {
  const texts = readdirSync(folder)
    .filter((name) => !name.startsWith('.') && !name.endsWith('.json'))
    .map((name) => readFileSync(join(folder, name), 'utf8'))
  return new Set(texts.join('').match(/"id":\d+/g) ?? []).size
}

function found(name) {
  try {
    return require.resolve(name)
  } catch {
    return undefined
  }
}

function put(file) {
  if (!existsSync(file)) return
  const text = readFileSync(file, 'utf8')
  const marks = /(<!-- promises -->\n)[\s\S]*?(\n<!-- end -->)/
  if (marks.test(text))
    writeFileSync(
      file,
      text.replace(marks, (_, begin, end) => `${begin}${table}${end}`)
    )
}

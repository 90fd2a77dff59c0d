// One logging process of the faults suite: logs numbered records through one host, as an application does that takes no
// special care, and counts in a file which calls have returned. Arguments: host, path, writer, counter file, records, limit.
import { openSync, writeSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

const [host, path, writer, counter, most, maxBytes] = process.argv.slice(2)
const limit = Number(maxBytes)
const PER_TICK = 10
const TICK_MS = 5
const END_MS = 15_000

const pad = 'x'.repeat(100)
/** `end` last: a record that is cut has none. */
const record = (id) => ({ writer, id, pad, end: 1 })

async function pinoTo(stream) {
  const { default: pino } = await import('pino')
  const logger = pino({ base: null, timestamp: false }, stream)
  return (id) => logger.info(record(id))
}

async function pinoTarget(target, options) {
  const { default: pino } = await import('pino')
  const transport = pino.transport({ target, options })
  return {
    log: await pinoTo(transport),
    end: () => new Promise((resolve) => transport.once('close', resolve).end())
  }
}

async function winstonTo(transport) {
  const { default: winston } = await import('winston')
  const logger = winston.createLogger({ format: winston.format.json(), transports: [transport] })
  return {
    log: (id) => logger.info({ message: 'm', ...record(id) }),
    end: () => new Promise((resolve) => logger.once('finish', resolve).end())
  }
}

const hosts = {
  async 'logboom (pino)'() {
    const { workerStream } = await import('logboom')
    const stream = workerStream('rotating-file', { path, maxBytes: limit, fallback: false })
    return { log: await pinoTo(stream), end: () => stream.close() }
  },
  async 'logboom (winston)'() {
    const { RotatingFileTransport } = await import('logboom/winston')
    return winstonTo(new RotatingFileTransport({ path, maxBytes: limit, fallback: false }))
  },
  'pino/file': () => pinoTarget('pino/file', { destination: path }),
  'pino-roll': () => pinoTarget('pino-roll', { file: path, size: `${Math.ceil(limit / 1024)}k` }),
  async 'winston File'() {
    const { default: winston } = await import('winston')
    return winstonTo(new winston.transports.File({ filename: path, maxsize: limit }))
  },
  async 'winston-daily-rotate-file'() {
    const { default: Daily } = await import('winston-daily-rotate-file')
    return winstonTo(new Daily({ filename: path, datePattern: 'YYYY', maxSize: String(limit) }))
  },
  async 'rotating-file-stream'() {
    const { createStream } = await import('rotating-file-stream')
    const stream = createStream(basename(path), { path: dirname(path), size: `${Math.ceil(limit / 1024)}K` })
    return {
      log: (id) => stream.write(`${JSON.stringify(record(id))}\n`),
      end: () => new Promise((resolve) => stream.end(resolve))
    }
  },
  async log4js() {
    const { default: log4js } = await import('log4js')
    log4js.configure({
      appenders: {
        file: {
          type: 'file',
          filename: path,
          maxLogSize: limit,
          backups: 1000,
          layout: { type: 'pattern', pattern: '%m' }
        }
      },
      categories: { default: { appenders: ['file'], level: 'info' } }
    })
    const logger = log4js.getLogger()
    return {
      log: (id) => logger.info(JSON.stringify(record(id))),
      end: () => new Promise((resolve) => log4js.shutdown(resolve))
    }
  }
}

const { log, end } = await hosts[host]()
const count = Buffer.alloc(8)
const fd = openSync(counter, 'w')
let isStopped = false
process.stdin.once('data', () => {
  isStopped = true
})
process.stdin.unref?.()
process.stdout.write('ready\n')
for (let id = 0; id < Number(most) && !isStopped; ) {
  for (let i = 0; i < PER_TICK && id < Number(most); i++) {
    log(id)
    count.writeDoubleLE(++id)
    writeSync(fd, count, 0, 8, 0)
  }
  await delay(TICK_MS)
}
// A host that never ends has not written what it says it has.
await Promise.race([end(), delay(END_MS)])
process.exit(0)

// winston with 225-byte JSON records, 200 per tick, until all of them are on disk and the file is closed.
import { once } from 'node:events'
import { join } from 'node:path'
import { setImmediate as nextTick } from 'node:timers/promises'
import { startClock } from '../lib/clock.mjs'
import { fieldsOf, fitMessage, jsonLines, logAll } from '../lib/records.mjs'

const maxBytes = 10 << 20

export const suite = {
  name: 'winston',
  title: 'winston, 225-byte JSON records, 200 per tick',
  unit: 'records',
  records: 1_000_000,
  lines: jsonLines,
  references: ['winston File'],
  contenders: {
    'winston to nowhere': {
      note: 'the floor: a transport that does nothing',
      files: false,
      run: runNowhere
    },
    'winston File': {
      note: 'rotation at 10 MiB by one process',
      share: 0.3,
      maxBytes,
      run: runFile
    },
    'winston-daily-rotate-file': {
      note: 'rotation at 10 MiB by one process',
      share: 0.3,
      maxBytes,
      run: runDailyRotateFile
    },
    log4js: {
      note: 'another logger, not winston; file appender with JSON layout, rotation at 10 MiB by one process',
      share: 0.2,
      maxBytes,
      run: runLog4js
    },
    logboom: {
      note: 'writes in a worker; rotation at exactly 10 MiB, any number of processes, locking on',
      own: true,
      maxBytes,
      run: runLogboom
    }
  },
  goals: [
    { contender: 'logboom', metric: 'rate', atLeast: 3, of: ['winston File'] },
    { contender: 'logboom', metric: 'cpu', atMost: 1.3, of: ['winston to nowhere'] },
    { contender: 'logboom', metric: 'intact' }
  ]
}

async function runNowhere(context) {
  const { default: Transport } = await import('winston-transport')
  class Nowhere extends Transport {
    log(_info, callback) {
      callback()
    }
  }
  return logWith(context, new Nowhere(), 'finish')
}

async function runFile(context) {
  const { default: winston } = await import('winston')
  const options = { dirname: context.folder, filename: 'app.log', maxsize: maxBytes }
  return logWith(context, new winston.transports.File(options), 'finish')
}

async function runDailyRotateFile(context) {
  const { default: DailyRotateFile } = await import('winston-daily-rotate-file')
  const options = {
    dirname: context.folder,
    filename: 'app-%DATE%.log',
    maxSize: '10m',
    auditFile: join(context.folder, '.audit')
  }
  return logWith(context, new DailyRotateFile(options), 'finish')
}

async function runLogboom(context) {
  const { RotatingFileTransport } = await import('logboom/winston')
  const options = { path: join(context.folder, 'app.log'), maxBytes: '10m', maxBackups: 0 }
  return logWith(context, new RotatingFileTransport(options), 'finish')
}

/** Logs everything, ends the logger and waits for the transport's last event. */
async function logWith({ records }, transport, lastEvent) {
  const { default: winston } = await import('winston')
  const format = winston.format.json()
  const fields = (number) => ({ time: startedAt, pid, hostname: 'web-1', ...fieldsOf(number) })
  const message = fitMessage((text) => `${JSON.stringify({ ...fields(0), level: 'info', message: text })}\n`)
  const logger = winston.createLogger({ format, transports: [transport] })
  const ended = once(transport, lastEvent)
  const stop = startClock()
  await logAll(records, (number) => logger.info(message, fields(number)))
  // winston queues what a slow transport has not taken and ends the transport under that queue: File then throws
  // 'write after end'. So the queue is given time to empty, for every contender.
  while (logger.writableLength + logger.readableLength > 0) await nextTick()
  logger.end()
  await ended
  return { records, ...stop() }
}

async function runLog4js({ folder, records }) {
  const { default: log4js } = await import('log4js')
  const fields = (number) => ({ time: startedAt, pid, hostname: 'web-1', ...fieldsOf(number) })
  const lineOf = (number, level, text) => JSON.stringify({ ...fields(number), level, message: text })
  const message = fitMessage((text) => `${lineOf(0, 'INFO', text)}\n`)
  log4js.addLayout('json', () => (event) => lineOf(event.data[1], event.level.levelStr, event.data[0]))
  const file = {
    type: 'file',
    filename: join(folder, 'app.log'),
    maxLogSize: maxBytes,
    backups: 1000,
    layout: { type: 'json' }
  }
  log4js.configure({ appenders: { file }, categories: { default: { appenders: ['file'], level: 'info' } } })
  const logger = log4js.getLogger()
  const stop = startClock()
  await logAll(records, (number) => logger.info(message, number))
  await new Promise((resolve, reject) => log4js.shutdown((error) => (error ? reject(error) : resolve())))
  return { records, ...stop() }
}

const pid = process.pid
const startedAt = Date.now()

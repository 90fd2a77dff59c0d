// pino with 225-byte records, 200 per tick, until all of them are on disk and the transport is closed.
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startClock } from '../lib/clock.mjs'
import { fieldsOf, fitMessage, jsonLines, logAll } from '../lib/records.mjs'

const maxBytes = 10 << 20

export const suite = {
  name: 'pino',
  title: 'pino, 225-byte records, 200 per tick',
  unit: 'records',
  records: 2_000_000,
  lines: jsonLines,
  references: ['pino/file'],
  contenders: {
    'pino to nowhere': {
      note: 'the cost of pino alone; lines are never flattened into bytes',
      files: false,
      run: (context) => logWith(context, { write() {} })
    },
    'pino + utf8Write each': {
      note: 'a floor of transports: each line encoded into memory, written nowhere',
      files: false,
      run: runEncodeEach
    },
    'pino + utf8Write per tick': {
      note: 'a floor of transports: lines collected, encoded into memory once per tick, written nowhere',
      files: false,
      run: runEncodePerTick
    },
    'transport to nowhere': {
      note: 'the floor of pino transports: a target in a worker that throws everything away',
      files: false,
      run: (context) =>
        logThrough(context, { target: fileURLToPath(new URL('../lib/nowhere-target.mjs', import.meta.url)) })
    },
    'pino/file': {
      note: 'transport in a worker; no rotation, no locking',
      run: (context) =>
        logThrough(context, {
          target: 'pino/file',
          options: { destination: join(context.folder, 'app.log') }
        })
    },
    'pino-roll': {
      note: 'transport in a worker; rotation at 10 MiB by one process',
      maxBytes,
      run: (context) =>
        logThrough(context, {
          target: 'pino-roll',
          options: { file: join(context.folder, 'app'), extension: '.log', size: '10m' }
        })
    },
    'pino.destination sync': {
      note: 'main thread, one write per record; no rotation, no locking',
      share: 0.6,
      run: (context) => logToDestination(context, { sync: true })
    },
    'pino.destination async': {
      note: 'main thread, 4 KiB buffer; no rotation, no locking',
      run: (context) => logToDestination(context, { sync: false, minLength: 4096 })
    },
    'rotating-file-stream': {
      note: 'main thread; rotation at 10 MiB by one process',
      share: 0.04,
      maxBytes,
      run: runRotatingFileStream
    },
    'logboom class': {
      note: 'RotatingFile as a stream on the main thread; rotation at exactly 10 MiB, any number of processes, locking on',
      own: true,
      maxBytes,
      run: runClass
    },
    'logboom stream': {
      note: 'workerStream: a thread that takes records from a lane, where they survive the process; rotation at exactly 10 MiB, any number of processes, locking on',
      own: true,
      maxBytes,
      run: runWorkerStream
    },
    logboom: {
      note: 'transport in a worker; rotation at exactly 10 MiB, any number of processes, locking on',
      own: true,
      maxBytes,
      run: (context) =>
        logThrough(context, {
          target: 'logboom/rotating-file',
          options: { path: join(context.folder, 'app.log'), maxBytes: '10m', maxBackups: 0 }
        })
    }
  },
  goals: [
    { contender: 'logboom', metric: 'rate', atLeast: 1, of: ['pino/file'] },
    { contender: 'logboom', metric: 'cpu', atMost: 1.08, of: ['transport to nowhere'] },
    { contender: 'logboom', metric: 'intact' },
    { contender: 'logboom', metric: 'limit' },
    { contender: 'logboom stream', metric: 'rate', atLeast: 1.2, of: ['pino/file'] },
    { contender: 'logboom stream', metric: 'cpu', atMost: 1.15, of: ['pino + utf8Write each'] },
    { contender: 'logboom stream', metric: 'intact' },
    { contender: 'logboom stream', metric: 'limit' },
    { contender: 'logboom class', metric: 'rate', atLeast: 1.25, of: ['pino/file'] },
    { contender: 'logboom class', metric: 'cpu', atMost: 0.75, of: ['pino/file'] }
  ]
}

async function logWith({ records }, destination, { endTick, finish = async () => {} } = {}) {
  const { default: pino } = await import('pino')
  const base = { pid: process.pid, hostname: 'web-1' }
  const message = fitMessage((text) => {
    let line
    pino(
      { base },
      {
        write: (made) => {
          line = made
        }
      }
    ).info(fieldsOf(0), text)
    return line
  })
  const logger = pino({ base }, destination)
  const stop = startClock()
  await logAll(records, (number) => logger.info(fieldsOf(number), message), endTick)
  await finish()
  return { records, ...stop() }
}

function runEncodeEach(context) {
  const ring = Buffer.allocUnsafeSlow(4 << 20)
  let offset = 0
  const write = (line) => {
    offset += ring.utf8Write(line, offset)
    if (offset > 3 << 20) offset = 0
  }
  return logWith(context, { write })
}

function runEncodePerTick(context) {
  const ring = Buffer.allocUnsafeSlow(4 << 20)
  let lines = ''
  const write = (line) => {
    lines += line
  }
  const endTick = () => {
    ring.utf8Write(lines, 0)
    lines = ''
  }
  return logWith(context, { write }, { endTick })
}

async function logThrough(context, target) {
  const { default: pino } = await import('pino')
  const transport = pino.transport(target)
  await once(transport, 'ready')
  // The worker is unreferenced once it runs: without this the process would end before the transport says 'close'.
  transport.ref()
  return logWith(context, transport, { finish: () => end(transport) })
}

async function logToDestination(context, options) {
  const { default: pino } = await import('pino')
  const destination = pino.destination({ dest: join(context.folder, 'app.log'), ...options })
  await once(destination, 'ready')
  return logWith(context, destination, { finish: () => end(destination) })
}

async function runClass(context) {
  const { RotatingFile } = await import('logboom')
  const file = new RotatingFile({ path: join(context.folder, 'app.log'), maxBytes, maxBackups: 0 })
  return logWith(context, file, { finish: () => file.close() })
}

async function runWorkerStream(context) {
  const { workerStream } = await import('logboom')
  const stream = workerStream('rotating-file', {
    path: join(context.folder, 'app.log'),
    maxBytes,
    maxBackups: 0
  })
  // As for the transports, the worker has started when the clock does.
  await stream.flush()
  return logWith(context, stream, { finish: () => stream.close() })
}

async function runRotatingFileStream(context) {
  const { createStream } = await import('rotating-file-stream')
  const name = (time, index) => (time ? `app.${index}.log` : 'app.log')
  const stream = createStream(name, { path: context.folder, size: '10M' })
  return logWith(context, stream, { finish: () => end(stream) })
}

async function end(stream) {
  stream.end()
  await once(stream, 'close')
}

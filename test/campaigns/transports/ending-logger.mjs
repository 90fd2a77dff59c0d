// A process with one logger that ends in the way it was told, for exit-kinds.test.ts. JSON: { host, kind, options, end, count }.
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { workerStream } from 'logboom'
import {
  BinaryFileTransport,
  DirectFileTransport,
  EventFilesTransport,
  RotatingFileTransport,
  SpoolTransport,
  WalTransport
} from 'logboom/winston'
import pino from 'pino'
import winston from 'winston'

const argument = isMainThread ? JSON.parse(process.argv[2]) : workerData
const { host, kind, options, count } = argument
const [, inThread, end] = /^(in a thread, )?(.+)$/.exec(argument.end)

const transports = {
  'rotating-file': RotatingFileTransport,
  'binary-file': BinaryFileTransport,
  'direct-file': DirectFileTransport,
  'event-files': EventFilesTransport,
  wal: WalTransport,
  spool: SpoolTransport
}

function create() {
  if (host === 'pino') {
    const output = workerStream(kind, options)
    return { output, logger: pino({ base: null, timestamp: false }, output) }
  }
  const output = new transports[kind](options)
  return { output, logger: winston.createLogger({ format: winston.format.json(), transports: [output] }) }
}

function die(signal) {
  process.kill(process.pid, signal)
  // It may take a moment.
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_000)
}

if (isMainThread && inThread !== undefined) {
  const worker = new Worker(new URL(import.meta.url), { workerData: argument })
  worker.on('error', () => {})
  worker.on('message', () => (end === 'terminated' ? worker.terminate() : process.exit()))
} else await run()

async function run() {
  const { output, logger } = create()
  const log = (from, to) => {
    for (let id = from; id < to; id++) {
      const pad = 'x'.repeat(id % 500 === 499 ? 30_000 : 40 + (id % 100))
      logger.info({ message: 'm', id, event: `e${id % 3}`, pad })
    }
  }
  const half = count >> 1
  const ends = {
    'natural end': () => log(half, count),
    exit() {
      log(half, count)
      process.exit()
    },
    exception() {
      log(half, count)
      throw new Error('meant')
    },
    rejection() {
      log(half, count)
      void Promise.reject(new Error('meant'))
    },
    'exit, with handlers that log'() {
      log(half, count - 60)
      process.on('exit', () => log(count - 60, count - 40))
      process.on('exit', () => {
        log(count - 40, count - 20)
        output.flushSync()
        log(count - 20, count)
      })
      process.exit()
    },
    'exit while it flushes'() {
      log(half, count)
      void output.flush()
      process.exit()
    },
    'exit while it rotates'() {
      output.rotate().catch(() => {})
      log(half, count)
      process.exit()
    },
    'exit while it closes'() {
      log(half, count)
      void output.close()
      process.exit()
    },
    SIGTERM() {
      log(half, count)
      die('SIGTERM')
    },
    SIGKILL() {
      log(half, count)
      die('SIGKILL')
    },
    'SIGKILL while it rotates'() {
      output.rotate().catch(() => {})
      log(half, count)
      die('SIGKILL')
    },
    'SIGKILL while it closes'() {
      log(half, count)
      void output.close()
      die('SIGKILL')
    },
    abort() {
      log(half, count)
      process.abort()
    },
    terminated: waitForEnd,
    'exit of the process': waitForEnd
  }
  function waitForEnd() {
    log(half, count)
    parentPort.postMessage('logged')
    setInterval(() => {}, 1_000)
  }
  log(0, half)
  // Threads are running, so that it is the end that is looked at and not the start.
  await output.flush()
  ends[end]()
}

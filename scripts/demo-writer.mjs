// One writer of the demo: logs numbered records through pino or winston until it is told to stop, and reports
// which of them are flushed. Usage: node demo-writer.mjs <pino|winston> <name> <options as JSON>
import { setTimeout as sleep } from 'node:timers/promises'
import { RotatingFileTransport } from 'logboom/winston'
import pino from 'pino'
import winston from 'winston'

const RECORDS_PER_TICK = 100
const TICK_MS = 20

const [host, name, json] = process.argv.slice(2)
const { log, flush, end } = { pino: createPino, winston: createWinston }[host](JSON.parse(json))

function createPino(options) {
  const transport = pino.transport({ target: 'logboom/rotating-file', options })
  const logger = pino(transport)
  transport.on('repaired', ({ bytes }) => process.send({ repaired: bytes }))
  return {
    log: (record) => logger.info(record, 'demo'),
    flush: () =>
      new Promise((resolve, reject) => logger.flush((error) => (error ? reject(error) : resolve()))),
    end: () => new Promise((resolve) => transport.once('close', resolve).end())
  }
}

function createWinston(options) {
  const transport = new RotatingFileTransport(options)
  const logger = winston.createLogger({ transports: [transport] })
  transport.on('repaired', ({ bytes }) => process.send({ repaired: bytes }))
  return {
    log: (record) => logger.info('demo', record),
    flush: () => transport.flush(),
    end: () => new Promise((resolve) => logger.once('finish', resolve).end())
  }
}

let running = true
process.on('message', () => {
  running = false
})

let sent = 0
let flushing

/** What is flushed before this process tells so survives whatever happens to it afterwards. */
async function flushAndTell() {
  const last = sent
  await flush()
  process.send({ flushed: last })
  flushing = undefined
}

while (running) {
  for (let i = 0; i < RECORDS_PER_TICK; i++) {
    sent++
    log({ writer: name, n: sent, text: 'x'.repeat((sent * 7919) % 200) })
  }
  process.send({ sent })
  flushing ??= flushAndTell()
  await sleep(TICK_MS)
}
// What is flushed when the transport ends is flushed by nobody any more.
await flushing
await end()
process.send({ sent, flushed: sent }, () => process.disconnect())

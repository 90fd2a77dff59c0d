// Events: the load of the pino suite with the name of an event in each record, until all files are closed.
import { once } from 'node:events'
import { readdirSync, readlinkSync, rmSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { startClock } from '../lib/clock.mjs'
import { fitMessage, lineBytes, logAll } from '../lib/records.mjs'
import { verifyDirect } from '../lib/verify-direct.mjs'

const firstId = 1_000_000
/** Records before the clock starts: memory grows from here, not from a logger that has yet to begin. */
const warmUp = 50_000

export const suite = {
  name: 'event-files',
  title: 'pino, 225-byte records routed by event',
  unit: 'records',
  records: 1_000_000,
  references: ['rotating-file one file'],
  contenders: {
    'rotating-file one file': through('rotating-file', 100, {}),
    '100 events rotating-file': through('event-files', 100, {}),
    'direct-file one file': through('direct-file', 100, { durability: 'none' }),
    '100 events direct-file': through('event-files', 100, { output: 'direct-file', durability: 'none' }),
    '10 000 events direct-file': {
      ...through('event-files', 10_000, { output: 'direct-file', durability: 'none' }),
      share: 0.2
    },
    '10 000 events rotating-file': {
      ...through('event-files', 10_000, { durability: 'none' }),
      share: 0.2
    }
  },
  goals: [
    { contender: '100 events rotating-file', metric: 'rate', atLeast: 0.8, of: ['rotating-file one file'] },
    { contender: '100 events direct-file', metric: 'rate', atLeast: 0.8, of: ['direct-file one file'] },
    ...['100 events rotating-file', '100 events direct-file'].map((contender) => ({
      contender,
      metric: 'intact'
    })),
    ...['10 000 events rotating-file', '10 000 events direct-file'].flatMap((contender) => [
      { contender, metric: 'intact' },
      { contender, metric: 'openFiles', atMost: 256 },
      { contender, metric: 'growthBytes', atMost: 128 * 2 ** 20 }
    ])
  ]
}

function through(kind, events, options) {
  const note = `target logboom/${kind}, ${events} events${options.durability === 'none' ? ", durability 'none'" : ''}`
  return { note, own: true, run: (context) => run(context, kind, events, options) }
}

async function run({ folder, records }, kind, events, options) {
  const { default: pino } = await import('pino')
  const transport = pino.transport({
    target: `logboom/${kind}`,
    options: { path: join(folder, 'app.log'), maxBytes: 0, ...options }
  })
  const logger = pino(transport)
  const fieldsOf = (number) => ({
    event: `event-${String(number % events).padStart(5, '0')}`,
    id: firstId + number
  })
  const message = fitMessage((text) => lineOf(fieldsOf(0), text))
  await once(transport, 'ready')
  const flushed = () =>
    new Promise((resolve, reject) => transport.flush((error) => (error ? reject(error) : resolve())))
  const drained = async () => {
    if (transport.writableNeedDrain) await once(transport, 'drain')
  }
  // An idle transport does not keep the process alive.
  const alive = setInterval(() => {}, 1_000)
  const isRouted = kind === 'event-files'
  if (isRouted) {
    await logAll(warmUp, () => logger.info({ event: 'warm-up' }, message), drained)
    await flushed()
  }
  const before = process.memoryUsage().rss
  let openFiles = 0
  let growthBytes = 0
  const look = () => {
    // A file closed while the list is read, and the one opened in its place, can both be in it: the lower of two.
    openFiles = Math.max(openFiles, Math.min(countOpen(folder), countOpen(folder)))
    growthBytes = Math.max(growthBytes, process.memoryUsage().rss - before)
  }
  const timer = setInterval(look, 50)
  const stop = startClock()
  await logAll(records, (number) => logger.info(fieldsOf(number), message), drained)
  // The end has a deadline of ten seconds; what is under way is waited for before.
  await flushed()
  const closed = once(transport, 'close')
  transport.end()
  await closed
  const measured = stop()
  look()
  clearInterval(timer)
  clearInterval(alive)
  if (isRouted) rmSync(join(folder, 'warm-up.log'))
  const files = await verifyDirect(folder, records, (data) => {
    const at = data.indexOf('"id":', 0, 'latin1')
    return data.length === lineBytes - 1 && at !== -1
      ? Number(data.latin1Slice(at + 5, at + 12)) - firstId
      : -1
  })
  return { records, ...measured, openFiles, growthBytes, files }
}

/** The line pino makes. */
function lineOf(fields, message) {
  const head = `{"level":30,"time":${Date.now()},"pid":${process.pid},"hostname":${JSON.stringify(hostname())},`
  return `${head}"event":"${fields.event}","id":${fields.id},"msg":"${message}"}\n`
}

function countOpen(folder) {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(folder)
    } catch {
      return false
    }
  }).length
}

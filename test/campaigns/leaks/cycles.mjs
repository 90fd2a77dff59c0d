// One process that opens and closes sinks or transports again and again, and tells what it holds before and after: one JSON
// argument with the kind, its options, how it is used, and the number of lives; run with --expose-gc.
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
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
import { sinks } from '../../../dist/core/registry.js'

const { kind, way, options, folder, laneDir, lives, warmUp, lane } = JSON.parse(process.argv[2])
const SETTLE_MS = 20_000

// Interfaces are of no interest, and take long.
process.report.excludeNetwork = true
process.on('unhandledRejection', (error) => {
  console.error(error)
  process.exit(7)
})

const transports = {
  'rotating-file': RotatingFileTransport,
  'binary-file': BinaryFileTransport,
  'direct-file': DirectFileTransport,
  'event-files': EventFilesTransport,
  spool: SpoolTransport,
  wal: WalTransport
}

const ways = {
  async class(options) {
    const sink = sinks[kind].create(options)
    for (let i = 0; i < 3; i++) sink.write(`{"event":"e${i}","i":${i}}\n`)
    await sink.flush()
    sink.write('{"i":3}\n')
    await sink.close()
  },
  async stream(options) {
    const stream = workerStream(kind, options)
    const logger = pino(stream)
    for (let i = 0; i < 3; i++) logger.info({ event: `e${i}`, i })
    await stream.flush()
    logger.info({ i: 3 })
    await stream.close()
  },
  async pino(options) {
    const transport = pino.transport({ target: `logboom/${kind}`, options })
    const logger = pino(transport)
    for (let i = 0; i < 3; i++) logger.info({ event: `e${i}`, i })
    const closed = new Promise((resolve) => transport.once('close', resolve))
    // A thread alone does not keep the process alive.
    const alive = setInterval(() => {}, 1_000)
    transport.end()
    await closed
    clearInterval(alive)
  },
  async winston(options) {
    const transport = new transports[kind](options)
    const logger = winston.createLogger({ transports: [transport] })
    for (let i = 0; i < 3; i++) logger.info('x', { event: `e${i}`, i })
    await new Promise((resolve) => logger.once('finish', resolve).end())
  }
}

function place(number) {
  const own = join(folder, String(number))
  mkdirSync(own, { recursive: true })
  const file =
    kind === 'wal'
      ? { walDir: join(own, 'log') }
      : kind === 'event-files'
        ? { dir: join(own, 'log') }
        : { path: join(own, 'log') }
  // So many lives use one log as were there before the first look.
  const given = { fallback: false, ...file, ...options }
  if (lane !== undefined) given.lane = lane && { dir: laneDir, maxBytes: '64k' }
  return given
}

/** File names without their numbers and times, which are others in each life. */
function names(path) {
  const all = readdirSync(path, { recursive: true }).map((name) => name.replaceAll(/[0-9a-f]{8,}|\d+/g, '#'))
  return [...new Set(all)].sort()
}

function held() {
  globalThis.gc()
  const { heapUsed, external, arrayBuffers, rss } = process.memoryUsage()
  const own = process.report.getReport().libuv.filter(({ is_active }) => is_active)
  const listeners = process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0)
  const locks = readFileSync('/proc/locks', 'utf8').split('\n')
  return {
    descriptors: readdirSync('/proc/self/fd').length,
    threads: readdirSync('/proc/self/task').length,
    handles: own.length,
    listeners,
    mappings: readFileSync('/proc/self/maps', 'utf8')
      .split('\n')
      .filter((line) => line.includes(laneDir)).length,
    locks: locks.filter((line) => line.split(/\s+/)[5] === String(process.pid)).length,
    rings: readdirSync(laneDir).length,
    heapBytes: heapUsed,
    outsideBytes: external + arrayBuffers,
    residentBytes: rss
  }
}

/** What is held when the last life is over; threads take a moment to end. */
async function settled(most) {
  // Memory outside the heap is given back some turns after its owners.
  for (let turn = 0; turn < 5; turn++) {
    globalThis.gc()
    await delay(20)
  }
  const end = performance.now() + SETTLE_MS
  for (;;) {
    const now = held()
    const isMore = ['descriptors', 'threads', 'handles', 'listeners', 'mappings', 'locks', 'rings'].some(
      (what) => now[what] > (most?.[what] ?? 0)
    )
    if (most !== undefined && !isMore) return now
    if (most === undefined) {
      await delay(300)
      return held()
    }
    if (performance.now() > end) return now
    await delay(50)
  }
}

let number = 0
async function live(times) {
  for (let life = 0; life < times; life++) {
    await ways[way](place(Math.floor(number++ / warmUp)))
    if (number % warmUp === 0 && life < times - 1)
      rmSync(join(folder, String(number / warmUp - 1)), { recursive: true })
  }
}

await live(warmUp)
const before = await settled()
const namesBefore = names(folder)
await live(lives)
const after = await settled(before)
console.log(JSON.stringify({ before, after, namesBefore, namesAfter: names(folder) }))

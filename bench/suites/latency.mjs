// How long one call of `logger.info` holds up the thread: 100 records every millisecond, with the disk idle, with another
// process that writes and syncs on it, with a rotation every few milliseconds, and with a file system that is full from the start.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { startClock } from '../lib/clock.mjs'
import { fieldsOf } from '../lib/records.mjs'

const RECORDS_PER_TICK = 100
const WARM_UP = 20_000
const message =
  'request completed by the order service after validation of the session and of the basket contents'

const conditions = {
  'idle disk': { limit: 0 },
  'busy disk': { limit: 0, isBusy: true },
  rotation: { limit: 1 << 20, ownOnly: true },
  'full disk': { limit: 0, isFull: true, ownOnly: true }
}

/** pino/file neither rotates nor outlives a full disk. */
const contenders = {}
for (const [condition, setting] of Object.entries(conditions)) {
  if (setting.ownOnly !== true) {
    contenders[`pino/file, ${condition}`] = {
      note: 'transport in a worker',
      files: false,
      run: (context) => measure(context, setting, pinoFile)
    }
  }
  contenders[`logboom stream, ${condition}`] = {
    note: 'workerStream: each record survives the process when the call returns',
    own: true,
    files: false,
    run: (context) => measure(context, setting, workerStreamOf)
  }
}

export const suite = {
  name: 'latency',
  title: 'One call of logger.info, 100 records every millisecond',
  unit: 'records',
  records: 200_000,
  references: ['pino/file, idle disk'],
  contenders,
  goals: [
    { contender: 'logboom stream, idle disk', metric: 'p999Us', atMost: 1, of: ['pino/file, idle disk'] },
    { contender: 'logboom stream, busy disk', metric: 'p999Us', atMost: 1, of: ['pino/file, busy disk'] },
    ...['rotation', 'full disk'].map((disk) => ({
      contender: `logboom stream, ${disk}`,
      metric: 'p999Us',
      atMost: 1,
      of: ['pino/file, idle disk']
    }))
  ]
}

async function measure({ folder, records }, { limit, isBusy, isFull }, open) {
  const { default: pino } = await import('pino')
  const place = join(folder, 'logs')
  mkdirSync(place, { recursive: true })
  const free = isFull === true ? fill(place) : () => {}
  const stopBusy = isBusy === true ? keepBusy(folder) : () => {}
  try {
    const { stream, finish } = await open(pino, join(place, 'app.log'), limit)
    const logger = pino(stream)
    const callsUs = new Float64Array(records)
    const stop = startClock()
    for (let number = -WARM_UP; number < records; ) {
      for (let index = 0; index < RECORDS_PER_TICK && number < records; index++, number++) {
        const fields = fieldsOf(Math.max(0, number))
        const startMs = performance.now()
        logger.info(fields, message)
        if (number >= 0) callsUs[number] = (performance.now() - startMs) * 1000
      }
      await delay(1)
    }
    const clock = stop()
    await finish(isFull)
    return { records, ...clock, ...percentiles(callsUs) }
  } finally {
    stopBusy()
    free()
  }
}

function percentiles(callsUs) {
  callsUs.sort()
  const at = (share) => callsUs[Math.min(callsUs.length - 1, Math.floor(callsUs.length * share))]
  return { p50Us: at(0.5), p99Us: at(0.99), p999Us: at(0.999), maxUs: callsUs.at(-1) }
}

async function pinoFile(pino, path) {
  const stream = pino.transport({ target: 'pino/file', options: { destination: path } })
  await once(stream, 'ready')
  return {
    stream,
    async finish() {
      stream.ref()
      stream.end()
      await once(stream, 'close')
    }
  }
}

async function workerStreamOf(_, path, maxBytes) {
  const { workerStream } = await import('logboom')
  const stream = workerStream('rotating-file', {
    path,
    maxBytes,
    maxBackups: 2,
    fallback: false,
    lane: { maxBytes: '8m' }
  })
  const started = stream.stats()
  await started
  return { stream, finish: (isFull) => (isFull === true ? undefined : stream.close()) }
}

/** Another process that writes and syncs all the time. */
function keepBusy(folder) {
  const code = `
    const fs = require('node:fs')
    const fd = fs.openSync(process.argv[1], 'w')
    const block = Buffer.alloc(4 << 20, 1)
    for (let at = 0; ; at = (at + block.length) % (64 << 20)) { fs.writeSync(fd, block, 0, block.length, at); fs.fdatasyncSync(fd) }`
  const child = spawn(process.execPath, ['-e', code, join(folder, 'busy')], { stdio: 'ignore' })
  return () => child.kill('SIGKILL')
}

/** A full file system on `place`; without the right to mount one the contender fails with the reason. */
function fill(place) {
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', place])
  if (status !== 0) throw new Error('no file system can be mounted here')
  const fd = openSync(join(place, 'filler'), 'w')
  try {
    for (;;) writeSync(fd, Buffer.alloc(4_096))
  } catch {
    // It is full.
  }
  closeSync(fd)
  return () => {
    if (existsSync(place)) spawnSync('umount', ['-l', place])
  }
}

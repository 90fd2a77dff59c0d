// One writing process of the campaigns: logs numbered records through the class, pino or winston, as its settings
// (one JSON argument, see writers.ts) say, and tells what happens by JSON lines on stdout. Written synchronously:
// what was told before a SIGKILL is with the parent.
import { closeSync, openSync, writeSync } from 'node:fs'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'

const settings = JSON.parse(process.argv[2])
const { host, writer, options, count, bytes, perTick, tickMs, acknowledge, start, end, host: name } = settings

function tell(message) {
  const line = Buffer.from(`${JSON.stringify(message)}\n`)
  for (let at = 0; at < line.length; ) {
    try {
      at += writeSync(1, line, at)
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error
    }
  }
}

function listen(emitter) {
  for (const event of ['rotated', 'warning', 'degraded', 'recovered', 'dropped', 'repaired']) {
    emitter.on(event, (detail) => tell({ event, at: Date.now(), ...detail }))
  }
}

// Each loads only what it needs, because a campaign starts hundreds of them.
const hosts = {
  async class() {
    const { handleSignals, RotatingFile } = await import('logboom')
    const file = new RotatingFile(options)
    listen(file)
    if (settings.flushOnSignal) handleSignals(file, { flushOnSignal: settings.flushOnSignal })
    return {
      log: (line) => file.write(`${line}\n`),
      fatal: (line) => {
        file.write(`${line}\n`)
        file.flushSync()
      },
      drained: () => new Promise((resolve) => file.once('drain', resolve)),
      flush: () => file.flush(),
      stats: async () => file.stats(),
      rotate: () => file.rotate(),
      end: () => file.close()
    }
  },
  async pino() {
    const { default: pino } = await import('pino')
    const target = 'logboom/rotating-file'
    const transport = pino.transport(
      name === 'pino'
        ? { target, options }
        : {
            targets: [
              { target, options, level: 'info' },
              { target: 'pino/file', level: 'silent' }
            ]
          }
    )
    listen(transport)
    transport.on('error', (error) => tell({ event: 'error', message: error.message }))
    if (settings.flushOnSignal) {
      const { handleSignals } = await import('logboom')
      handleSignals(transport, { flushOnSignal: settings.flushOnSignal })
    }
    const logger = pino({ base: null, timestamp: false }, transport)
    return {
      log: (line) => logger.info(line),
      fatal: (line) => logger.fatal(line),
      worker: transport.worker,
      flush: () =>
        new Promise((resolve, reject) => logger.flush((error) => (error ? reject(error) : resolve()))),
      stats: () => {
        const answer = new Promise((resolve) => transport.once('stats', resolve))
        transport.emit('message', { type: 'stats' })
        return answer
      },
      rotate: async () => transport.emit('message', { type: 'rotate' }),
      end: async () => {
        await new Promise((resolve) => transport.once('close', resolve).end())
      }
    }
  },
  async winston() {
    const { RotatingFileTransport } = await import('logboom/winston')
    const { default: winston } = await import('winston')
    const transport = new RotatingFileTransport({ ...options, flushOnSignal: settings.flushOnSignal })
    listen(transport)
    transport.on('error', (error) => tell({ event: 'error', message: error.message }))
    const logger = winston.createLogger({ transports: [transport] })
    logger.on('error', () => {})
    return {
      log: (line) => logger.info(line),
      fatal: (line) => {
        logger.error(line)
        transport.flushSync()
      },
      flush: () => transport.flush(),
      stats: () => transport.stats(),
      rotate: async () => transport.rotate(),
      end: () => new Promise((resolve) => logger.once('finish', resolve).end())
    }
  }
}

const log = await create()

async function create() {
  try {
    return await (hosts[host] ?? hosts.pino)()
  } catch (error) {
    tell({ event: 'thrown', code: error.code, message: error.message })
    process.exit(1)
  }
}

let stopped = false
let sent = 0
let flushing = false
let seed = [...writer].reduce((sum, letter) => sum * 31 + letter.charCodeAt(0), 7) >>> 0

/** A record: `#<writer>:<n>:<its bytes>:xxx…;`, so that one that is torn or merged shows. */
function record(n) {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
  // Mostly short ones, now and then up to the longest.
  const share = (seed / 2 ** 32) ** 4
  const length = Math.floor(bytes[0] + (bytes[1] - bytes[0]) * share)
  const head = `#${writer}:${n}:${length}:`
  return `${head}${'x'.repeat(Math.max(0, length - head.length - 1))};`
}

async function flushAndTell() {
  if (flushing) return
  flushing = true
  const last = sent
  try {
    await log.flush()
    tell({ acked: last })
  } catch (error) {
    tell({ event: 'error', message: error.message })
  }
  flushing = false
}

const commands = {
  start: () => {},
  stop: () => {
    stopped = true
  },
  stats: async () => tell({ stats: await log.stats() }),
  ping: () => tell({ pong: true }),
  rotate: () => log.rotate(),
  flush: flushAndTell,
  terminate: () => log.worker.terminate(),
  exhaust() {
    exhausting = setInterval(() => {
      try {
        for (;;) descriptors.push(openSync('/dev/null', 'r'))
      } catch {
        // None is left.
      }
    }, 1)
  },
  release: () => {
    clearInterval(exhausting)
    for (const fd of descriptors.splice(0)) closeSync(fd)
  }
}
let exhausting
const descriptors = []
process.on('message', (command) => commands[command]())
process.channel?.unref()

async function writeAll() {
  while (sent < count && !stopped) {
    for (let i = 0; i < perTick && sent < count; i++) {
      if (log.log(record(++sent)) === false && log.drained !== undefined) await log.drained()
    }
    if (settings.tellSent) tell({ sent })
    if (acknowledge) flushAndTell()
    if (tickMs > 0) await sleep(tickMs)
    else await nextTurn()
  }
}

const ends = {
  async close() {
    // pino's worker alone does not keep the process alive until it answers.
    const alive = host.startsWith('pino') ? setInterval(() => {}, 1000) : undefined
    if (host !== 'class') {
      await log.flush()
      tell({ stats: await log.stats() })
    }
    await log.end()
    tell({ sent, stats: host === 'class' ? await log.stats() : undefined })
    clearInterval(alive)
    process.disconnect?.()
  },
  exit: () => process.exit(),
  exitDuringRotation() {
    log.rotate()
    process.exit()
  },
  throw() {
    throw new Error('on purpose')
  },
  reject() {
    Promise.reject(new Error('on purpose'))
  },
  natural: () => {},
  sigterm() {
    process.kill(process.pid, 'SIGTERM')
    setInterval(() => {}, 1000)
  },
  fatalAndKill() {
    log.fatal(record(++sent))
    process.kill(process.pid, 'SIGKILL')
  },
  stay() {
    tell({ sent })
    process.channel?.ref()
  }
}

tell({ ready: true })
if (start === 'told') {
  process.channel.ref()
  await new Promise((resolve) => process.once('message', resolve))
  process.channel.unref()
}
if (settings.oneTick) {
  for (let n = 1; n <= count; n++) log.log(record(++sent))
} else await writeAll()
await ends[end]()

// What an application does with the package, for npm run test:platforms: it runs on each of them, in the folder where the
// package is installed, and writes to the working directory. What came of it is checked from outside.
import { readdirSync } from 'node:fs'

const RECORDS = 1000
const maxBytes = 16_000
const [what, first = '0'] = process.argv.slice(2)
const options = (name) => ({ path: `${name}.log`, maxBytes, maxBackups: 0 })
const line = (i) => JSON.stringify({ i: Number(first) + i, text: 'x'.repeat(60) })

const runs = {
  async info() {
    const { addonFile, native, whyNoAddon } = await import('./node_modules/logboom/dist/native/index.js')
    const crc = native.crc32c(Buffer.from('123456789'), 0, 0, 9)
    const { version, platform, arch } = process
    console.log(JSON.stringify({ version, platform, arch, addonFile, whyNoAddon, crc }))
  },
  async class() {
    await writeAll('class')
  },
  async shared() {
    await writeAll('shared')
  },
  async stream() {
    const { default: pino } = await import('pino')
    const { workerStream } = await import('logboom')
    const logger = pino(workerStream('rotating-file', options('stream')))
    for (let i = 0; i < RECORDS; i++) logger.info({ i })
  },
  async target() {
    const { default: pino } = await import('pino')
    const logger = pino({ transport: { target: 'logboom/rotating-file', options: options('target') } })
    for (let i = 0; i < RECORDS; i++) logger.info({ i })
  },
  async winston() {
    const { default: winston } = await import('winston')
    const { RotatingFileTransport } = await import('logboom/winston')
    const logger = winston.createLogger({ transports: [new RotatingFileTransport(options('winston'))] })
    for (let i = 0; i < RECORDS; i++) logger.info('from winston', { i })
    logger.end()
  },
  /** Every kind of file, synced, and read back. */
  async kinds() {
    const { BinaryFile, DirectFile, EventFiles, Spool, WriteAheadLog, readRecords } = await import('logboom')
    const sinks = {
      'binary/app.log': new BinaryFile({ path: 'binary/app.log', maxBytes }),
      'direct/app.log': new DirectFile({ path: 'direct/app.log' }),
      spool: new Spool({ path: 'spool', size: maxBytes }),
      wal: new WriteAheadLog({ walDir: 'wal', durability: 'os' }),
      'events/orders.log': new EventFiles({ dir: 'events' })
    }
    const found = {}
    for (const [path, sink] of Object.entries(sinks)) {
      const record = path.startsWith('events') ? (i) => JSON.stringify({ event: 'orders', i }) : line
      for (let i = 0; i < RECORDS; i++) {
        sink.write(`${record(i)}\n`)
        // A spool drops, and counts, what comes faster than its files can be filled and published.
        if (i % 100 === 99) await sink.flush('os')
      }
      await sink.flush(path === 'wal' ? 'os' : 'disk')
      await sink.close()
      let records = 0
      for await (const _ of readRecords(path)) records++
      found[path] = records
    }
    console.log(JSON.stringify({ found, names: readdirSync('.') }))
  }
}

async function writeAll(name) {
  const { RotatingFile } = await import('logboom')
  const file = new RotatingFile(options(name))
  file.on('error', (error) => console.error(error))
  for (let i = 0; i < RECORDS; i++) file.write(`${line(i)}\n`)
  await file.flush('disk')
  await file.close()
}

await runs[what]()

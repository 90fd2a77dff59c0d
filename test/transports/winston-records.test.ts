// One call of the logger is one record in the formats that keep a record whole, whatever is in it; and many questions at
// once are no trouble.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readRecords } from 'logboom'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createFolder } from '../helpers/folder.ts'
import { random } from '../helpers/random.ts'
import { createLogger, endLogger, openKind, openTransport, plain } from '../helpers/winston.ts'

/** Records pass to the thread one by one, through the ring; before that they were joined as lines. */
const hasRing = existsSync(fileURLToPath(new URL('../../src/transports/pool', import.meta.url)))

const pieces = ['\n', '\r\n', 'info: admin logged in', '{"event":"other"}', '\0', 'ü', ' ', '']

function randomText(): string {
  const length = 1 + Math.floor(random() * 6)
  return Array.from({ length }, () => pieces[Math.floor(random() * pieces.length)]).join('')
}

describe.runIf(hasRing)('one call of the logger', () => {
  it.each([
    ['binary-file', (folder: string) => ({ path: join(folder, 'app.bin'), maxBytes: '1m' }), 'app.bin'],
    ['direct-file', (folder: string) => ({ path: join(folder, 'app.dlog') }), 'app.dlog'],
    ['wal', (folder: string) => ({ walDir: join(folder, 'wal') }), 'wal'],
    ['event-files', (folder: string) => ({ dir: folder, output: 'direct-file' }), 'default.log'],
    ['event-files', (folder: string) => ({ dir: folder, output: 'wal' }), 'default']
  ])('is one record of %s, whatever line ends are in it', async (kind, options, name) => {
    const folder = createFolder()
    const logger = createLogger({
      format: plain,
      transports: [openKind(kind, { ...options(folder), fallback: false })]
    })
    const texts = ['before', 'user said hello\ninfo: admin logged in', '\n', '\n\n', 'x\n', '\nx', 'after']
    for (let count = 0; count < 200; count++) texts.push(`${count}${randomText()}`)
    for (const text of texts) logger.info(text)
    await endLogger(logger)
    const records: string[] = []
    for await (const { data } of readRecords(join(folder, name))) records.push(data.toString())
    expect(records).toEqual(texts)
  })
})

it.runIf(hasRing)(
  'a hundred calls of stats() and of flush() at once, without a warning of Node',
  async () => {
    const warnings: string[] = []
    const listen = (warning: Error): void => void warnings.push(warning.message)
    process.on('warning', listen)
    onTestFinished(() => {
      process.off('warning', listen)
    })
    const { transport } = openTransport()
    const logger = createLogger({ format: plain, transports: [transport] })
    for (let id = 0; id < 1_000; id++) logger.info(String(id))
    await Promise.all(Array.from({ length: 100 }, () => transport.flush()))
    const stats = await Promise.all(Array.from({ length: 100 }, () => transport.stats()))
    expect(stats.map(({ records }) => records)).toEqual(Array(100).fill(1_000))
    await new Promise((resolve) => setImmediate(resolve))
    expect(warnings).toEqual([])
  }
)

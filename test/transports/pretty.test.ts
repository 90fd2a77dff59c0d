// Readable lines in the file, through pino-pretty in the worker.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import {
  BinaryFile,
  DirectFile,
  EventFiles,
  LogboomError,
  RotatingFile,
  target,
  WriteAheadLog,
  workerStream
} from 'logboom'
import { RotatingFileTransport } from 'logboom/winston'
import pino from 'pino'
import { expect, test } from 'vitest'
import { createPrettyLines, PrettyLines } from '../../src/transports/pretty-lines.ts'
import { createFolder } from '../helpers/folder.ts'

const TIME = /^\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\] /
const pass = fileURLToPath(new URL('../helpers/pass-transform.mjs', import.meta.url))

async function log(transport: object): Promise<void> {
  const stream = pino.transport(transport as never)
  const logger = pino(stream)
  logger.info({ port: 8080 }, 'started')
  logger.error(new Error('no disk'), 'failed')
  logger.warn('grüße\nsecond')
  const closed = new Promise((resolve) => stream.once('close', resolve))
  stream.end()
  await closed
}

test.each(['a single target', 'several targets', 'a pipeline'])('%s', async (kind) => {
  const path = join(createFolder(), 'app.log')
  const own = target('rotating-file', { path, format: 'pretty' })
  await log(
    kind === 'a single target'
      ? own
      : kind === 'several targets'
        ? { targets: [own, { target: 'pino/file', level: 'silent', options: { destination: 1 } }] }
        : { pipeline: [{ target: pass }, own] }
  )
  const lines = readFileSync(path, 'utf8').split('\n')
  expect(lines[0]).toMatch(TIME)
  expect(lines[0]).toMatch(/INFO \(\d+\): started \{"port":8080\}$/)
  expect(lines.some((line) => TIME.test(line) && line.includes('ERROR') && line.includes('failed'))).toBe(
    true
  )
  expect(lines.some((line) => /^ +.*at .*pretty\.test/.test(line))).toBe(true)
  expect(lines.some((line) => line.includes('WARN') && line.includes('grüße'))).toBe(true)
  expect(lines.at(-1)).toBe('')
  expect(lines.join('\n')).not.toContain('\x1b')
})

test('lines come out whole, however the stream was cut, and what is no JSON as it is', async () => {
  const pretty = await createPrettyLines()
  const text = `${JSON.stringify({ level: 30, msg: 'grüße €' })}\nno JSON\n\n5\n{"level":40`
  const whole = pretty.shape(text) + pretty.finish()
  expect(whole).toBe('INFO: grüße €\nno JSON\n\n5\n{"level":40\n')
  fc.assert(
    fc.property(fc.array(fc.nat(Buffer.byteLength(text)), { maxLength: 8 }), (cuts) => {
      const bytes = Buffer.from(text)
      const ends = [0, ...cuts.sort((a, b) => a - b), bytes.length]
      const pieces = ends.slice(1).map((end, at) => pretty.shape(bytes.subarray(ends[at], end)))
      expect(pieces.join('') + pretty.finish()).toBe(whole)
    })
  )
})

test('nothing is made of nothing', () => {
  const lines = new PrettyLines(() => {
    throw new Error('no line')
  })
  expect([lines.shape(''), lines.shape(new Uint8Array(0)), lines.finish()]).toEqual(['', '', ''])
})

test.each([
  ['rotating-file', 'ugly', /format' must be one of 'json', 'pretty'/],
  ['rotating-file', 5, /format' must be one of/],
  ['binary-file', 'pretty', /format' cannot be 'pretty' where records are not lines/]
])('%s refuses the format %j', (kind, format, why) => {
  const options = { path: join(createFolder(), 'app.log'), maxBytes: 1_000, format }
  const create = () => target(kind as 'rotating-file', options as never)
  expect(create).toThrow(why)
  expect(create).toThrow(LogboomError)
})

test.each(['pretty', 'json'])(
  '%j is no format of what is no target, and the message says where it is',
  (format) => {
    const path = join(createFolder(), 'app.log')
    const options = { path, format } as never
    const refused = [
      () => workerStream('rotating-file', options),
      () => new RotatingFile(options),
      () => new DirectFile(options),
      () => new BinaryFile({ path, maxBytes: '1m', format } as never),
      () => new EventFiles({ dir: path, format } as never),
      () => new WriteAheadLog({ dir: path, format } as never)
    ]
    for (const create of refused) {
      expect(create).toThrow(/format.*option of the pino targets of this package/)
      expect(create).toThrow(LogboomError)
    }
  }
)

test.each(['pretty', 5, {}, null])('a winston transport takes only formats of winston, not %j', (format) => {
  const path = join(createFolder(), 'app.log')
  const create = () => new RotatingFileTransport({ path, format: format as never })
  expect(create).toThrow(/format' must be a format of winston, such as winston.format.simple/)
  expect(create).toThrow(LogboomError)
})

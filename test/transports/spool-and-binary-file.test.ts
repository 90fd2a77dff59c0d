// The transports of the two sinks whose records are not lines of one file: each line is one record.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { BinaryFile, target } from 'logboom'
import { BinaryFileTransport, SpoolTransport } from 'logboom/winston'
import pino from 'pino'
import { describe, expect, it } from 'vitest'
import winston from 'winston'
import { native } from '../../src/native/index.ts'
import { createFolder } from '../helpers/folder.ts'
import { built } from '../helpers/script.ts'
import { publishedNames, publishedText } from '../helpers/spool.ts'

const ids = (count: number): number[] => Array.from({ length: count }, (_, id) => id)
const idsOf = (lines: Iterable<string>): number[] => Array.from(lines, (line) => JSON.parse(line).id)

function readBinary(path: string): number[] {
  using file = new BinaryFile({ path: join(createFolder(), 'reader.bin'), maxBytes: 1, lock: false })
  return idsOf(file.read(path))
}

const readSpool = (folder: string): number[] => idsOf(publishedText(folder).split('\n').slice(0, -1))

const kinds = {
  spool: { read: readSpool, options: (folder: string) => ({ path: folder, size: '16k' }) },
  'binary-file': {
    read: (folder: string) => readBinary(join(folder, 'events.bin')),
    options: (folder: string) => ({ path: join(folder, 'events.bin'), maxBytes: '16k', lock: native.canLock })
  }
} as const

describe.each(Object.keys(kinds) as (keyof typeof kinds)[])('%s', (kind) => {
  const { read, options } = kinds[kind]

  it('as a pino target: every line is one record, in order', async () => {
    const folder = createFolder()
    const transport = pino.transport(target(kind, options(folder) as never))
    const logger = pino(transport)
    for (const id of ids(3_000)) logger.info({ id }, 'hello')
    const closed = new Promise((resolve) => transport.once('close', resolve))
    transport.end()
    await closed
    expect(read(folder)).toEqual(ids(3_000))
  })

  it('as one of several pino targets', async () => {
    const folder = createFolder()
    const other = createFolder()
    const targets = [target(kind, options(folder) as never), target(kind, options(other) as never)]
    const transport = pino.transport({ targets })
    const logger = pino(transport)
    for (const id of ids(500)) logger.info({ id })
    const closed = new Promise((resolve) => transport.once('close', resolve))
    transport.end()
    await closed
    expect(read(folder)).toEqual(ids(500))
    expect(read(other)).toEqual(ids(500))
  })

  it('as a winston transport', async () => {
    const folder = createFolder()
    const transport =
      kind === 'spool'
        ? new SpoolTransport(options(folder))
        : new BinaryFileTransport(options(folder) as { path: string; maxBytes: string })
    const logger = winston.createLogger({ format: winston.format.json(), transports: [transport] })
    for (const id of ids(2_000)) logger.info('hello', { id })
    const finished = new Promise((resolve) => transport.once('finish', resolve))
    logger.end()
    await finished
    expect(read(folder)).toEqual(ids(2_000))
  })

  it('loses nothing when the process exits right after logging', () => {
    const folder = createFolder()
    const code = `
      import pino from 'pino'
      import { target } from ${built('index.js')}
      const logger = pino(pino.transport(target('${kind}', ${JSON.stringify(options(folder))})))
      for (let id = 0; id < 2000; id++) logger.info({ id })
      process.exit()`
    const run = spawnSync(process.execPath, ['--input-type=module', '-e', code], { encoding: 'utf8' })
    expect(run.stderr).toBe('')
    expect(read(folder)).toEqual(ids(2_000))
  })
})

it('a spool class is a stream for pino in the main thread', async () => {
  const { Spool } = await import('logboom')
  const folder = createFolder()
  const spool = new Spool({ path: folder, timeout: '10s' })
  const logger = pino(spool)
  for (const id of ids(100)) logger.info({ id })
  await spool.close()
  expect(readSpool(folder)).toEqual(ids(100))
  expect(publishedNames(folder).length).toBe(1)
})

it('a binary file class is one, too: the line end is part of the record', async () => {
  const path = join(createFolder(), 'events.bin')
  const file = new BinaryFile({ path, maxBytes: '1m', lock: native.canLock })
  const logger = pino({}, file)
  for (const id of ids(100)) logger.info({ id })
  expect([...file.read()].every((line) => line.endsWith('}\n'))).toBe(true)
  expect(idsOf(file.read())).toEqual(ids(100))
  await file.close()
})

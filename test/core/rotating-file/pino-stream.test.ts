import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import pino from 'pino'
import { expect, test } from 'vitest'
import { RotatingFile } from '../../../src/core/rotating-file/rotating-file.ts'
import { native } from '../../../src/native/index.ts'
import { createFolder } from '../../helpers/folder.ts'

const lock = native.canLock
const messages = (path: string) =>
  readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).msg)

test('pino takes the class for a stream, with and without options', async () => {
  const path = join(createFolder(), 'app.log')
  const file = new RotatingFile({ path, lock })
  pino(file).info('without')
  pino({ level: 'debug' }, file).debug('with')
  await file.close()
  expect(messages(path)).toEqual(['without', 'with'])
})

test('logger.flush calls back when the records are in the file', async () => {
  const path = join(createFolder(), 'app.log')
  await using file = new RotatingFile({ path, lock, flushInterval: '1h' })
  const logger = pino(file)
  logger.info('first')
  expect(await new Promise((resolve) => logger.flush(resolve))).toBeUndefined()
  expect(messages(path)).toEqual(['first'])
})

test('logger.flush on a closed file passes the error to the callback and rejects nothing', async () => {
  const file = new RotatingFile({ path: join(createFolder(), 'app.log'), lock })
  const logger = pino(file)
  await file.close()
  expect(await new Promise((resolve) => logger.flush(resolve))).toMatchObject({ code: 'ERR_CLOSED' })
  logger.flush()
})

test('logger.fatal returns when the record is in the file', async () => {
  const path = join(createFolder(), 'app.log')
  await using file = new RotatingFile({ path, lock, flushInterval: '1h' })
  const logger = pino(file)
  logger.info('before')
  logger.fatal('end')
  expect(messages(path)).toEqual(['before', 'end'])
})

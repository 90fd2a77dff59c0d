// What the tests of users do with the package, under any runner: it logs through every way into it.
import { expect } from 'vitest'
import type { Application } from './application.ts'

/** The body of a test that logs through every way into the package; `expect` and `load` are the runner's. */
export const body = `
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'runner-'))
  const textOf = (name) => fs.readFileSync(path.join(folder, name), 'utf8')
  const file = new logboom.RotatingFile({ path: path.join(folder, 'class.log') })
  file.write('hello\\n')
  await file.close()
  equal(textOf('class.log'), 'hello\\n')
  const stream = logboom.workerStream('rotating-file', { path: path.join(folder, 'stream.log') })
  stream.write('hello\\n')
  await stream.close()
  equal(textOf('stream.log'), 'hello\\n')
  const transport = new RotatingFileTransport({ path: path.join(folder, 'winston.log') })
  const logger = winston.createLogger({ transports: [transport] })
  logger.info('hello')
  await transport.flush()
  equal(JSON.parse(textOf('winston.log')).message, 'hello')
  logger.close()
  const target = pino.transport({ target: 'logboom/rotating-file', options: { path: path.join(folder, 'pino.log') } })
  const other = pino(target)
  other.info('hello')
  await new Promise((resolve) => other.flush(resolve))
  equal(JSON.parse(textOf('pino.log')).msg, 'hello')
  target.end()
  try {
    // Text, because a compiler would refuse it.
    new logboom.RotatingFile(JSON.parse('{ "path": "x", "maxByte": 1 }'))
    throw new Error('accepted')
  } catch (error) {
    equal(error instanceof logboom.LogboomError, true)
    equal(error.code, 'ERR_OPTION')
  }
`
export const required = `const fs = require('fs'), os = require('os'), path = require('path')
const logboom = require('logboom')
const { RotatingFileTransport } = require('logboom/winston')
const winston = require('winston'), pino = require('pino')
`
export const imported = `import fs from 'node:fs'; import os from 'node:os'; import path from 'node:path'
import * as logboom from 'logboom'
import { RotatingFileTransport } from 'logboom/winston'
import winston from 'winston'; import pino from 'pino'
`
export const jestTest = `const equal = (a: any, b: any) => expect(a).toBe(b)
test('all ways in', async () => {${body}}, 60_000)
`

/** Jest as it is when nothing is configured, with CommonJS. */
export function checkJest(application: Application): void {
  application.write('a.test.js', `${required}${jestTest.replaceAll(': any', '')}`)
  // Without --forceExit: a worker that stays would keep Jest from ending.
  const { status, stderr } = application.run('node_modules/.bin/jest', ['--runInBand'])
  expect(stderr).toContain('1 passed')
  expect(status).toBe(0)
}

// Test runners of users: the package can be required and imported in their tests, logs, and lets them end.
import { expect, test } from 'vitest'
import { isLong } from '../helpers/sized.ts'
import { installed } from './application.ts'

/** The body of a test that logs through every way into the package; `expect` and `load` are the runner's. */
const body = `
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
    new logboom.RotatingFile({ path: 'x', maxByte: 1 })
    throw new Error('accepted')
  } catch (error) {
    equal(error instanceof logboom.LogboomError, true)
    equal(error.code, 'ERR_OPTION')
  }
`
const required = `const fs = require('fs'), os = require('os'), path = require('path')
const logboom = require('logboom')
const { RotatingFileTransport } = require('logboom/winston')
const winston = require('winston'), pino = require('pino')
`
const imported = `import fs from 'node:fs'; import os from 'node:os'; import path from 'node:path'
import * as logboom from 'logboom'
import { RotatingFileTransport } from 'logboom/winston'
import winston from 'winston'; import pino from 'pino'
`
const jestTest = `const equal = (a: any, b: any) => expect(a).toBe(b)
test('all ways in', async () => {${body}}, 60_000)
`

test('Jest with CommonJS', () => {
  const application = installed(['jest@30', 'pino', 'winston'])
  application.write('a.test.js', `${required}${jestTest.replaceAll(': any', '')}`)
  // Without --forceExit: a worker that stays would keep Jest from ending.
  const { status, stderr } = application.run('node_modules/.bin/jest', ['--runInBand'])
  expect(stderr).toContain('1 passed')
  expect(status).toBe(0)
}, 300_000)

test.skipIf(!isLong)(
  'ts-jest',
  () => {
    const application = installed([
      'jest@29',
      'ts-jest@29',
      'typescript@5.9',
      '@types/jest@29',
      '@types/node@20',
      'pino',
      'winston'
    ])
    application.write('jest.config.js', `module.exports = { preset: 'ts-jest' }`)
    application.write(
      'tsconfig.json',
      '{ "compilerOptions": { "module": "commonjs", "esModuleInterop": true, "target": "es2022" } }'
    )
    application.write('a.test.ts', `${imported}${jestTest}`.replaceAll('catch (error)', 'catch (error: any)'))
    const { status, stderr } = application.run('node_modules/.bin/jest', ['--runInBand'])
    expect(stderr).toContain('1 passed')
    expect(status).toBe(0)
  },
  300_000
)

test.skipIf(!isLong)(
  'vitest',
  () => {
    const application = installed(['vitest', 'pino', 'winston'], 'module')
    application.write(
      'a.test.mjs',
      `import { expect, test } from 'vitest'\n${imported}${jestTest.replaceAll(': any', '')}`
    )
    expect(application.tool('vitest', ['run'])).toContain('1 passed')
  },
  300_000
)

const ways: [string, string, string][] = [
  [
    'imported',
    'a.test.mjs',
    `import test from 'node:test'; import assert from 'node:assert/strict'\n${imported}`
  ],
  [
    'required',
    'a.test.cjs',
    `const test = require('node:test'), assert = require('node:assert/strict')\n${required}`
  ]
]

test.each(isLong ? ways : ways.slice(1))('node:test, %s', (_, name, head) => {
  const application = installed(['pino', 'winston'])
  application.write(name, `${head}const equal = assert.equal\ntest('all ways in', async () => {${body}})\n`)
  const { status, stdout } = application.run(process.execPath, ['--test', name])
  expect(stdout).toMatch(/pass 1\n/)
  expect(status).toBe(0)
})

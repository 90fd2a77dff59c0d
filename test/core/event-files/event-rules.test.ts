// Which event a line belongs to: levels, nested keys, several keys.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import pino from 'pino'
import { expect, test } from 'vitest'
import { EventRules } from '../../../src/core/event-files/event-rules.ts'
import { LoggerManager } from '../../../src/core/event-files/logger-manager.ts'
import { native } from '../../../src/native/index.ts'
import { createFolder } from '../../helpers/folder.ts'

function nameIn(keys: string[], value: unknown): string | undefined {
  const line = Buffer.from(`before ${typeof value === 'string' ? value : JSON.stringify(value)}\nbehind`)
  return new EventRules(keys).nameIn(line, 7, line.length - 6)
}

test.each([
  [['level'], { level: 30, msg: 'a' }, 'info'],
  [['level'], { msg: 'a', level: 60 }, 'fatal'],
  [['level'], { level: 35 }, '35'],
  [['level'], { level: 'warn' }, 'warn'],
  [['level'], '{"level": 50}', 'error'],
  [['level'], { level: null }, undefined],
  [['log.level'], { log: { level: 20 } }, 'debug'],
  [['req.host'], { req: { host: 'a.example' } }, 'a.example'],
  [['req.host'], { 'req.host': 'whole', req: { host: 'nested' } }, 'whole'],
  [['req.host'], { req: 'text' }, undefined],
  [['req.0'], { req: ['first'] }, 'first'],
  [['toString'], {}, undefined],
  [['a.constructor.name'], { a: {} }, undefined],
  [['tenant', 'req.host', 'level'], { level: 30, tenant: 't' }, 't'],
  [['tenant', 'req.host', 'level'], { level: 30, tenant: '', req: { host: 'h' } }, 'h'],
  [['tenant', 'req.host', 'level'], { level: 40, tenant: 5 }, 'warn'],
  [['tenant'], { tenant: 5 }, undefined],
  [['level'], 'no JSON', undefined],
  [['level'], '5', undefined]
])('of the keys %j in %j it is %s', (keys, line, name) => {
  expect(nameIn(keys, line)).toBe(name)
})

test('records of pino go to a file for each level', async () => {
  const dir = createFolder()
  const files = new LoggerManager({
    dir,
    output: 'rotating-file',
    eventKey: ['tenant', 'level'],
    lock: native.canLock
  })
  const logger = pino({ level: 'trace' }, files)
  logger.info('one')
  logger.error({ tenant: 'a' }, 'two')
  logger.warn('three')
  logger.info('four')
  await files.close()
  const names = readdirSync(dir)
    .filter((name) => name.endsWith('.log'))
    .sort()
  expect(names).toEqual(['a.log', 'info.log', 'warn.log'])
  const messages = readFileSync(join(dir, 'info.log'), 'utf8').split('\n').slice(0, -1)
  expect(messages.map((line) => JSON.parse(line).msg)).toEqual(['one', 'four'])
})

test('keys that are none are refused', () => {
  for (const eventKey of ['', [], [''], [5], 5, {}, ['a', null]]) {
    const create = () => new LoggerManager({ dir: createFolder(), eventKey: eventKey as string })
    expect(create).toThrow(/eventKey' must (be a text|not be empty)/)
  }
})

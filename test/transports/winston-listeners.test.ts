// Ordinary use of many loggers and transports brings no warning of Node about listeners.
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { beforeEach, expect, it, onTestFinished } from 'vitest'
import winston from 'winston'
import { createFolder } from '../helpers/folder.ts'
import { createLogger, openTransport } from '../helpers/winston.ts'

let warnings: string[] = []

beforeEach(() => {
  warnings = []
  const listen = (warning: Error): void => void warnings.push(warning.message)
  process.on('warning', listen)
  onTestFinished(() => {
    process.off('warning', listen)
  })
})

it('a transport in a hundred loggers', async () => {
  const { transport, lines } = openTransport()
  const loggers = Array.from({ length: 100 }, () => createLogger({ transports: [transport] }))
  for (const logger of loggers) logger.info('x')
  await transport.flush()
  for (const logger of loggers) logger.close()
  await turn()
  expect([warnings, lines().length]).toEqual([[], 100])
  for (const event of ['error', 'warn', 'drain', 'unpipe'])
    expect(transport.listenerCount(event)).toBeLessThan(5)
})

it('a hundred transports with signals in one logger, beside ten of winston’s own', async () => {
  const folder = createFolder()
  const before = ['SIGTERM', 'SIGINT', 'SIGHUP'].map((signal) => process.listenerCount(signal))
  const own = Array.from({ length: 100 }, (_, at) => {
    const path = join(folder, `${at}.log`)
    return openTransport({
      path,
      lazy: true,
      flushOnSignal: ['SIGTERM', 'SIGINT'],
      reopenOnSignal: 'SIGHUP'
    }).transport
  })
  const others = Array.from({ length: 10 }, () => new winston.transports.Console({ silent: true }))
  const logger = createLogger({ transports: [...own, ...others], silent: true })
  const max = logger.getMaxListeners()
  await turn()
  const counts = ['SIGTERM', 'SIGINT', 'SIGHUP'].map((signal) => process.listenerCount(signal))
  expect(counts).toEqual(before.map((count) => count + 1))
  logger.clear()
  for (const transport of own) await transport.close()
  expect(logger.getMaxListeners()).toBe(max - 100)
  expect(['SIGTERM', 'SIGINT', 'SIGHUP'].map((signal) => process.listenerCount(signal))).toEqual(before)
  expect(warnings).toEqual([])
})

it('the same transport added and removed a hundred times', async () => {
  const { transport } = openTransport()
  const logger = createLogger({ transports: [transport] })
  for (let round = 0; round < 100; round++) {
    logger.info('x')
    logger.remove(transport).add(transport)
  }
  await transport.flush()
  expect(warnings).toEqual([])
  expect(transport.listenerCount('finish') + transport.listenerCount('close')).toBe(0)
  expect(logger.listenerCount('data')).toBe(1)
})

it('a hundred rotations at once', async () => {
  const { transport } = openTransport()
  createLogger({ transports: [transport] }).info('x')
  await Promise.all(Array.from({ length: 100 }, () => transport.rotate()))
  expect(warnings).toEqual([])
})

it('a hundred queries at once', async () => {
  const { transport } = openTransport({ lazy: true })
  await Promise.all(Array.from({ length: 100 }, () => transport.query()))
  expect(warnings).toEqual([])
})

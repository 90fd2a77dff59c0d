import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import {
  EventFiles,
  LogboomError,
  RotatingFile,
  type RotatingFileOptions,
  target,
  workerStream
} from 'logboom'
import rotatingFile from 'logboom/rotating-file'
import { EventFilesTransport, RotatingFileTransport } from 'logboom/winston'
import { expect, test } from 'vitest'
import { native } from '../../src/native/index.ts'
import { createFolder } from '../helpers/folder.ts'

const lock = native.canLock

test('target() checks its options at once', () => {
  const mistake = { path: 'app.log', maxsize: 1000 } as unknown as RotatingFileOptions
  expect(() => target('rotating-file', mistake)).toThrow(/did you mean 'maxBytes'\?.*ERR_OPTION/)
})

test('a file: URL as path reaches the thread of a transport', async () => {
  const path = join(createFolder(), 'a b.log')
  const url = pathToFileURL(path)
  expect(target('rotating-file', { path: url, lock }).options).toEqual({ path, lock })
  const stream = workerStream('rotating-file', { path: url, lock })
  stream.write('line\n')
  await stream.close()
  expect(readFileSync(path, 'utf8')).toBe('line\n')
})

test('a transport for winston names the option that was meant', () => {
  const mistake = { filename: 'app.log', maxsize: 1000 } as unknown as RotatingFileOptions
  expect(() => new RotatingFileTransport(mistake)).toThrow(/did you mean 'path'\?/)
})

/** What a mistake is answered with, whatever it is. */
function answer(make: () => unknown): unknown {
  try {
    make()
  } catch (error) {
    return error
  }
  return 'accepted'
}

/** Everything that takes options. */
const takers: Record<string, (options: object) => unknown> = {
  class: (options) => new RotatingFile(options as never),
  workerStream: (options) => workerStream('rotating-file', options as never),
  'target()': (options) => target('rotating-file', options as never),
  'pino target': (options) => rotatingFile(options as never),
  'winston transport': (options) => new RotatingFileTransport(options as never),
  'class of events': (options) => new EventFiles(options as never),
  'winston transport of events': (options) => new EventFilesTransport(options as never)
}

test.each(Object.entries(takers))('%s: options that cannot be read are an ERR_OPTION', (_, take) => {
  for (const thrown of [new Error('mine'), null, undefined]) {
    const options = {
      get path() {
        throw thrown
      }
    }
    const error = answer(() => take(options))
    expect(error).toBeInstanceOf(LogboomError)
    expect((error as LogboomError).code).toBe('ERR_OPTION')
  }
})

test.each(Object.entries(takers))('%s: options that are inherited are options', (name, take) => {
  const own = name.includes('events') ? { dir: '/nowhere' } : { path: '/nowhere/app.log' }
  const message = String(answer(() => take(Object.assign(Object.create({ maxBytes: 'much' }), own))))
  expect(message).toMatch(/'maxBytes' must be.*ERR_OPTION/)
})

test.each([
  'nothing',
  'constructor',
  '__proto__',
  '',
  'RotatingFile',
  null,
  undefined,
  ['rotating-file'],
  {}
])('a kind that there is not, %j, is answered with those that there are', (kind) => {
  for (const take of [target, workerStream]) {
    const error = answer(() => take(kind as never, { path: '/nowhere/app.log' } as never))
    expect(String(error)).toMatch(/takes one of rotating-file, .*ERR_ARGUMENT/)
  }
})

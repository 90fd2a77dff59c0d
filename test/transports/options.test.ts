import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type RotatingFileOptions, target, workerStream } from 'logboom'
import { RotatingFileTransport } from 'logboom/winston'
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

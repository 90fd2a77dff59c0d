import { mkdirSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { BinaryFile } from '../../../src/core/binary-file/binary-file.ts'
import { RotatingFile } from '../../../src/core/rotating-file/rotating-file.ts'
import { native } from '../../../src/native/index.ts'
import { createFolder } from '../../helpers/folder.ts'

test('a backup that cannot be compressed is reported and does not keep the others from it', async () => {
  const folder = createFolder()
  mkdirSync(join(folder, 'app.log.20260101-000000.0'))
  writeFileSync(join(folder, 'app.log.20260101-000000.1'), 'one\n')
  writeFileSync(join(folder, 'app.log.20260101-000001.0'), 'two\n')
  const file = new RotatingFile({
    path: join(folder, 'app.log'),
    compress: 'gzip',
    lock: native.canLock,
    fallback: false
  })
  const warnings: string[] = []
  file.on('warning', ({ message }) => warnings.push(message))
  await file.close()
  await new Promise((resolve) => setImmediate(resolve))
  expect(readdirSync(folder).filter((name) => name.startsWith('app.log.'))).toEqual([
    'app.log.20260101-000000.0',
    'app.log.20260101-000000.1.gz',
    'app.log.20260101-000001.0.gz'
  ])
  expect(warnings).toHaveLength(1)
  expect(warnings[0]).toContain('ERR_NOT_FILE')
})

const DAY_SECONDS = 86_400

async function keepUp(path: string, maxAge: string): Promise<string[]> {
  const options = {
    path,
    maxAge,
    maxBytes: 1000,
    compress: 'gzip',
    lock: native.canLock,
    fallback: false
  } as const
  const file = new BinaryFile(options)
  await file.close()
  return readdirSync(join(path, '..')).filter((name) => /^app\.\d/.test(name))
}

test('compressing makes no backup young again: its age is that of what was logged', async () => {
  const path = join(createFolder(), 'app.bin')
  const backup = path.replace('app.bin', 'app.0.bin')
  writeFileSync(backup, 'one\n')
  const madeAt = Math.floor(Date.now() / 1000) - 2 * DAY_SECONDS
  utimesSync(backup, madeAt, madeAt)
  expect(await keepUp(path, '3d')).toEqual(['app.0.bin.gz'])
  expect(statSync(`${backup}.gz`).mtimeMs).toBe(madeAt * 1000)
  expect(await keepUp(path, '1d')).toEqual([])
})

test('a time from a clock that was ahead is not kept', async () => {
  const path = join(createFolder(), 'app.bin')
  const backup = path.replace('app.bin', 'app.0.bin')
  writeFileSync(backup, 'one\n')
  const ahead = Math.floor(Date.now() / 1000) + 100 * DAY_SECONDS
  utimesSync(backup, ahead, ahead)
  expect(await keepUp(path, '3d')).toEqual(['app.0.bin.gz'])
  expect(statSync(`${backup}.gz`).mtimeMs).toBeLessThanOrEqual(Date.now())
})

test('what cannot be removed is reported and does not keep the others from it', async () => {
  const folder = createFolder()
  mkdirSync(join(folder, 'app.log.20260101-000000.0'))
  mkdirSync(join(folder, 'app.log.20260101-000000.1.gz.tmp'))
  writeFileSync(join(folder, 'app.log.20260101-000001.0'), 'one\n')
  writeFileSync(join(folder, 'app.log.20260101-000002.0'), 'two\n')
  writeFileSync(join(folder, 'app.log.20260101-000003.0'), 'three\n')
  const file = new RotatingFile({
    path: join(folder, 'app.log'),
    maxBackups: 1,
    compress: 'gzip',
    lock: native.canLock,
    fallback: false
  })
  const warnings: string[] = []
  file.on('warning', ({ message }) => warnings.push(message))
  await file.close()
  await new Promise((resolve) => setImmediate(resolve))
  expect(readdirSync(folder).filter((name) => name.startsWith('app.log.'))).toEqual([
    'app.log.20260101-000000.0',
    'app.log.20260101-000000.1.gz.tmp',
    'app.log.20260101-000003.0.gz'
  ])
  expect(warnings).toHaveLength(1)
})

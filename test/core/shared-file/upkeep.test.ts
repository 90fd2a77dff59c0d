import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
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

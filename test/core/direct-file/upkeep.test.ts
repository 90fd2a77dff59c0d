import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { DirectFile, type DirectFileOptions, readRecords } from 'logboom'
import { expect, test } from 'vitest'
import { createFolder } from '../../helpers/folder.ts'
import { until } from '../../helpers/until.ts'

const backupsOf = (path: string): string[] =>
  readdirSync(join(path, '..')).filter((name) => name.startsWith('app.log.'))

async function fill(path: string, options: Partial<DirectFileOptions>, rounds = 6): Promise<DirectFile> {
  const file = new DirectFile({ path, bufferSize: '512k', numShards: 4, maxBytes: '128k', ...options })
  for (let round = 0; round < rounds; round++) {
    for (let index = 0; index < 100; index++) file.log(`${round} ${'x'.repeat(1_000)}`)
    await file.flush()
  }
  return file
}

test('maxBackups keeps so many backups, maxTotalBytes so many bytes', async () => {
  const path = join(createFolder(), 'app.log')
  await using file = await fill(path, { maxBackups: 2 })
  await until(() => backupsOf(path).length === 2)
  await file.close()
  await using other = await fill(path, { maxTotalBytes: '250k' })
  await until(() => backupsOf(path).length <= 2)
  await other.close()
})

test('compress leaves backups that are read as before, in order', async () => {
  const path = join(createFolder(), 'app.log')
  const file = await fill(path, { compress: 'gzip' })
  await until(() => backupsOf(path).length > 2 && backupsOf(path).every((name) => name.endsWith('.gz')))
  await file.close()
  const found: number[] = []
  for await (const { data } of readRecords(path))
    found.push(Number(Buffer.from(data).toString().split(' ')[0]))
  expect(found).toEqual(Array.from({ length: 600 }, (_, index) => Math.floor(index / 100)))
})

test('backups that an earlier process left are seen to when the file is opened', async () => {
  const path = join(createFolder(), 'app.log')
  await (await fill(path, {})).close()
  expect(backupsOf(path).length).toBeGreaterThan(3)
  await using file = new DirectFile({ path, maxBackups: 1 })
  await until(() => backupsOf(path).length === 1)
  await file.close()
})

test('upkeep that this Node cannot do is refused', () => {
  const path = join(createFolder(), 'app.log')
  expect(() => new DirectFile({ path, compress: 'lzma' as 'gzip' })).toThrow(/compress.*ERR_OPTION/)
  expect(() => new DirectFile({ path, maxBackups: -1 })).toThrow(/maxBackups.*ERR_OPTION/)
})

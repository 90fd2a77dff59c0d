// A file that could not be closed at once goes on, with all that it does beside writing.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { RotatingFile } from '../../../src/core/rotating-file/rotating-file.ts'
import { withInternals } from '../../../src/core/sink/internals.ts'
import { createFaultyDisk } from '../../helpers/faulty-disk.ts'
import { createFolder } from '../../helpers/folder.ts'
import { until } from '../../helpers/until.ts'

test('surplus backups of a file that could not be closed at once are removed', async () => {
  const dir = createFolder()
  const faulty = createFaultyDisk()
  const options = {
    path: join(dir, 'app.log'),
    maxBytes: 100,
    maxBackups: 1,
    durability: 'disk',
    fallback: false
  }
  const file = withInternals({ disk: faulty.disk }, () => new RotatingFile(options as never))
  const backups = () => readdirSync(dir).filter((name) => name.startsWith('app.log.'))
  for (let n = 0; n < 4; n++) file.write(`${n} ${'x'.repeat(60)}\n`)
  await file.flush()
  await until(() => backups().length === 1, { what: 'upkeep has worked' })
  faulty.fault = (operation) => (operation === 'fdatasync' ? 'EIO' : undefined)
  file.write('not synced yet\n')
  file.flushSync('os')
  expect(file.closeNow()).toBe(false)
  faulty.fault = () => undefined
  for (let n = 0; n < 20; n++) file.write(`${n} ${'x'.repeat(60)}\n`)
  await file.flush()
  // One as the options say, and the one whose sync failed, which retention does not count.
  await until(() => backups().length <= 2, { what: 'surplus backups are gone' })
  await file.close()
})

// What version 0.1.0 left when it was killed. The manifest names the folder it was to publish in, so the test has to
// use that one.
import { chmodSync, copyFileSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { native } from '../../../src/native/index.ts'
import { createSpool } from '../../helpers/create-spool.ts'
import { hiddenNames, publishedNames } from '../../helpers/spool.ts'

const FOLDER = '/tmp/logboom-golden-spool'
const golden = join(import.meta.dirname, '../../fixtures/golden/spool')

test.skipIf(!native.canLock)('what version 0.1.0 left behind is published (needs kernel locks)', async () => {
  rmSync(FOLDER, { recursive: true, force: true })
  mkdirSync(FOLDER)
  onTestFinished(() => rmSync(FOLDER, { recursive: true, force: true }))
  const instance = '7589-c4da9e1a0f77a56f'
  copyFileSync(join(golden, 'left-behind.tmp'), join(FOLDER, `.app-0-${instance}00000000.tmp`))
  copyFileSync(join(golden, 'left-behind.note'), join(FOLDER, `.spool-${instance}.note`))
  // A checkout may have been made with any umask.
  chmodSync(join(FOLDER, `.spool-${instance}.note`), 0o600)
  const spool = createSpool({ path: FOLDER })
  await expect.poll(() => publishedNames(FOLDER).length).toBe(1)
  await spool.close()
  const [name] = publishedNames(FOLDER)
  expect(name).toMatch(/^app-0_\d{19}\.log$/)
  const lines = Array.from({ length: 40 }, (_, index) => `{"level":30,"msg":"record ${index} é🚀"}\n`)
  expect(readFileSync(join(FOLDER, name), 'utf8')).toBe(lines.join(''))
  expect(statSync(join(FOLDER, name)).mode & 0o777).toBe(0o440)
  expect(hiddenNames(FOLDER)).toEqual([])
})

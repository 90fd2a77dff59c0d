import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { RotatingFile } from '../../../src/core/rotating-file/rotating-file.ts'
import type { WarningEvent } from '../../../src/core/sink/contract.ts'
import { native } from '../../../src/native/index.ts'
import { createFolder } from '../../helpers/folder.ts'

const lock = native.canLock

test('missing folders are made with dirMode, whatever the umask', async () => {
  const folder = createFolder()
  const umask = process.umask(0o077)
  try {
    const file = new RotatingFile({ path: join(folder, 'a/b/app.log'), lock, dirMode: '0755' })
    await file.close()
  } finally {
    process.umask(umask)
  }
  for (const name of ['a', 'a/b']) expect(statSync(join(folder, name)).mode & 0o777).toBe(0o755)
  expect(statSync(join(folder, 'a/b/app.log')).mode & 0o777).toBe(0o640)
})

test('with mkdir: false a missing folder is not made', async () => {
  const folder = join(createFolder(), 'missing')
  const file = new RotatingFile({ path: join(folder, 'app.log'), lock, mkdir: false, fallback: false })
  const [event] = await new Promise<WarningEvent[]>((resolve) =>
    file.once('degraded', (...args) => resolve(args))
  )
  expect(event).toMatchObject({ code: 'ENOENT' })
  expect(existsSync(folder)).toBe(false)
  await file.close()
})

test.skipIf(!existsSync('/proc/self'))('where no folder can be made, the reason is reported', async () => {
  const file = new RotatingFile({ path: '/proc/missing/app.log', lock, fallback: false })
  const [event] = await new Promise<WarningEvent[]>((resolve) =>
    file.once('degraded', (...args) => resolve(args))
  )
  expect(event).toMatchObject({ code: 'ENOENT' })
  expect(event.message).toContain('/proc/missing')
  await file.close()
})

test('closing does not wait for a folder to appear when there is nothing to write', async () => {
  const path = join(createFolder(), 'missing/app.log')
  const file = new RotatingFile({ path, lock, mkdir: false, fallback: false })
  const startMs = performance.now()
  await file.close()
  expect(performance.now() - startMs).toBeLessThan(1000)
})

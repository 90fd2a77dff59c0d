import { join } from 'node:path'
import { expect, test } from 'vitest'
import { RotatingFile } from '../../../src/core/rotating-file/rotating-file.ts'
import type { WarningEvent } from '../../../src/core/sink/contract.ts'
import { native } from '../../../src/native/index.ts'
import { createFolder } from '../../helpers/folder.ts'

test('close right after a burst of rotations syncs and closes each file once', async () => {
  const path = join(createFolder(), 'app.log')
  const file = new RotatingFile({ path, maxBytes: 1000, lock: native.canLock, fallback: false })
  const warnings: WarningEvent[] = []
  file.on('warning', (warning) => warnings.push(warning))
  for (let line = 0; line < 100; line++) file.write(`${String(line).padStart(99)}\n`)
  await file.close()
  expect(file.stats()).toMatchObject({ rotations: 9, errors: 0, records: 100 })
  expect(warnings).toEqual([])
})

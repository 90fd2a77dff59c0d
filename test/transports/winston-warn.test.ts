import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { RotatingFileTransport } from 'logboom/winston'
import { expect, test } from 'vitest'
import { native } from '../../src/native/index.ts'
import { createFolder } from '../helpers/folder.ts'

test("winston's 'warn' carries one LogboomError with its code once", async () => {
  const folder = createFolder()
  writeFileSync(join(folder, 'file'), '')
  const path = join(folder, 'file/app.log')
  const transport = new RotatingFileTransport({ path, lock: native.canLock, fallback: false })
  const [warning] = await once(transport, 'warn')
  expect(warning).toMatchObject({ name: 'LogboomError', code: 'ERR_IO', path })
  expect(warning.message.match(/\[ERR_IO\]/g)).toHaveLength(1)
  expect(warning.message).toContain('ENOTDIR')
  transport.close()
})

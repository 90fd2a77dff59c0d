// Lines that are written to a log which is not started and which somebody else has.
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { withInternals } from '../../../src/core/sink/internals.ts'
import { WriteAheadLog } from '../../../src/core/wal/write-ahead-log.ts'
import { readRecords } from '../../../src/readers/read-records.ts'
import { createFolder } from '../../helpers/folder.ts'
import { until } from '../../helpers/until.ts'

test('lines for a log that somebody else has wait, with the reason, and are written when it is free', async () => {
  const walDir = join(createFolder(), 'wal')
  const owner = await WriteAheadLog.open({ walDir })
  await owner.log(['first'])
  const log = new WriteAheadLog({ walDir, fallback: false })
  const told: string[] = []
  log.on('degraded', ({ code }) => void told.push(code))
  log.write('second\n')
  await until(() => told.length > 0)
  log.write('third\n')
  await owner.close()
  await log.flush('os')
  expect(told).toEqual(['ERR_LOCKED'])
  await log.close()
  const found: string[] = []
  for await (const { data } of readRecords(walDir)) found.push(data.toString().trim())
  expect(found).toEqual(['first', 'second', 'third'])
})

test('lines for a log that stays locked are counted and told when it is closed', async () => {
  const walDir = join(createFolder(), 'wal')
  const owner = await WriteAheadLog.open({ walDir })
  const log = withInternals({ stallMs: 200 }, () => new WriteAheadLog({ walDir, fallback: false }))
  log.write('lost\n')
  await expect(log.close()).rejects.toMatchObject({ code: 'ERR_LOST' })
  await owner.close()
})

// Closing one event whose disk fails: it ends, says what became of the records, and costs no other event anything. What
// holds for files that are sinks of their own beside it is in file-outputs.test.ts.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { EventFiles, withInternals } from '../../helpers/built.ts'
import { readTexts } from '../../helpers/direct-file-reader.ts'
import { createFolder } from '../../helpers/folder.ts'
import { createThreadFaults, type ThreadFault } from '../../helpers/thread-faults.ts'
import { until } from '../../helpers/until.ts'

function open(match?: string, options: Record<string, unknown> = {}) {
  const dir = createFolder()
  const faults = createThreadFaults(match)
  const events = withInternals(
    { threadDisk: faults.threadDisk, stallMs: 1_000 },
    () => new EventFiles({ dir, output: 'direct-file', fallback: false, flushInterval: 5, ...options })
  )
  onTestFinished(async () => {
    faults.heal()
    await events.close().catch(() => {})
  })
  return { dir, faults, events }
}

test.each(['ENOSPC', 'EIO'] as const)(
  'on a disk that stays broken (%s) it rejects with the exact number, and the event goes on later',
  async (fault: ThreadFault) => {
    const { dir, faults, events } = open()
    events.log('a', 'before')
    events.log('b', 'before')
    await events.flush()
    faults.fail('writev', fault)
    for (let index = 0; index < 10; index++) {
      events.log('a', `lost ${index}`)
      events.log('b', `kept ${index}`)
    }
    await expect(events.close('a')).rejects.toMatchObject({ code: 'ERR_LOST', message: /10 records/ })
    expect(events.stats('a')).toMatchObject({ totalLogs: 11, droppedLogs: 10 })
    expect(events.stats('b').droppedLogs).toBe(0)
    expect(events.stats().dropped).toBe(10)
    faults.heal()
    events.log('a', 'later')
    await events.close()
    const names = readdirSync(dir).filter((name) => !name.startsWith('.'))
    const textsOf = (event: string): string[] =>
      names.filter((name) => name.startsWith(event)).flatMap((name) => readTexts(join(dir, name)))
    expect(textsOf('a').sort()).toEqual(['before', 'later'])
    expect(textsOf('b').length).toBeGreaterThanOrEqual(11)
    expect(events.stats()).toMatchObject({ dropped: 10, queuedBytes: 0 })
  }
)

test('of a file that cannot be opened while the others are written, it rejects, too', async () => {
  const { faults, events } = open('bad.log')
  faults.fail('open', 'EACCES')
  for (let index = 0; index < 5; index++) events.log('bad', `${index}`)
  let isClosed = false
  const closed = events.close('bad').then(
    () => undefined,
    (error: Error) => error
  )
  void closed.then(() => {
    isClosed = true
  })
  // The thread gets on all the time, but not with this file.
  let good = 0
  await until(() => {
    events.log('good', `${good++}`)
    return isClosed
  })
  expect(await closed).toMatchObject({ code: 'ERR_LOST', message: /5 records/ })
  expect(events.stats('bad')).toMatchObject({ totalLogs: 5, droppedLogs: 5 })
  await events.flush()
  expect(events.stats('good')).toMatchObject({ recordsWritten: good, droppedLogs: 0 })
})

test('it waits for a disk that comes back in time', async () => {
  const { dir, faults, events } = open()
  faults.fail('writev', 'ENOSPC')
  for (let index = 0; index < 10; index++) events.log('a', `${index}`)
  const closed = events.close('a')
  await until(() => faults.hits > 2)
  faults.heal()
  await closed
  expect(readTexts(join(dir, 'a.log')).length).toBe(10)
})

test('in a call of the disk that does not return it ends with the records left in memory, and says so', async () => {
  const { dir, faults, events } = open()
  faults.fail('writev', 'HANG')
  for (let index = 0; index < 10; index++) events.log('a', `${index}`)
  await expect(events.close('a')).rejects.toMatchObject({ code: 'ERR_IO', message: /10 records/ })
  expect(events.stats().dropped).toBe(0)
  faults.heal()
  await events.close()
  expect(readTexts(join(dir, 'a.log')).length).toBe(10)
})

test('several calls for one event all hear the same', async () => {
  const { faults, events } = open()
  faults.fail('writev', 'ENOSPC')
  for (let index = 0; index < 3; index++) events.log('a', `${index}`)
  const outcomes = await Promise.allSettled([events.close('a'), events.close('a'), events.close('a')])
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
  expect(events.stats()).toMatchObject({ dropped: 3 })
})

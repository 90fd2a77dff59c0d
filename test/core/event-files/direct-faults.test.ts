// Direct event files: the n-th call of each operation fails, for all files or for one, once or until a flush was tried.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { EventFiles, withInternals } from '../../helpers/built.ts'
import { directFiles, readTexts } from '../../helpers/direct-file-reader.ts'
import type { Operation } from '../../helpers/faulty-disk.ts'
import { createFolder } from '../../helpers/folder.ts'
import { isLong } from '../../helpers/sized.ts'
import { createThreadFaults, type ThreadFault } from '../../helpers/thread-faults.ts'

const faults: [Operation, readonly ThreadFault[]][] = [
  ['open', ['EIO', 'EMFILE', 'EACCES']],
  ['lstat', ['EIO']],
  ['fstat', ['EIO']],
  ['writev', ['EIO', 'ENOSPC', 'EINTR', 'EDQUOT']],
  ['fdatasync', ['EIO', 'ENOSPC']],
  ['renameNoReplace', ['EIO', 'ENOSPC']],
  ['fsync', ['EIO']],
  ['truncate', ['EIO']]
]
const calls = isLong ? [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] : [2]
const EVENTS = 4
const RECORDS = 200

const text = (index: number): string => `${index} ${'x'.repeat((index * 397) % 3_000)}`

function numbersOf(path: string): number[] {
  const names = new Set(readdirSync(join(path, '..')))
  return directFiles(path)
    .filter((file) => names.has(file.slice(file.lastIndexOf('/') + 1)))
    .flatMap((file) => readTexts(file))
    .map((each) => Number.parseInt(each, 10))
}

async function oneRun(
  operation: Operation,
  fault: ThreadFault,
  nth: number,
  isPersistent: boolean,
  match: string
): Promise<void> {
  const dir = createFolder()
  const injected = createThreadFaults(match)
  const events = withInternals(
    { threadDisk: injected.threadDisk },
    () =>
      new EventFiles({
        dir,
        output: 'direct-file',
        durability: 'disk',
        directIO: 'off',
        bufferSize: '512k',
        numShards: 4,
        maxBytes: '128k',
        maxOpenFiles: 3,
        flushInterval: 10,
        fallback: false
      })
  )
  await events.flush()
  injected.fail(operation, fault, nth, isPersistent)
  for (let index = 0; index < RECORDS; index++) {
    for (let event = 0; event < EVENTS; event++) events.log(`e${event}`, text(index))
    if (index % 50 !== 49) continue
    const flushed = events.flush()
    if (isPersistent) await Promise.race([flushed, new Promise((resolve) => setTimeout(resolve, 120))])
    injected.heal()
    await flushed
  }
  await events.close()
  // What a failed write or sync left is not known: there at least once. Everything else exactly once, in order.
  const isDoubtful = fault === 'EIO' || operation === 'fdatasync'
  const label = `${operation} ${fault}, call ${nth}, ${isPersistent ? 'for a while' : 'once'}`
  for (let event = 0; event < EVENTS; event++) {
    const found = numbersOf(join(dir, `e${event}.log`))
    const expected = Array.from({ length: RECORDS }, (_, index) => index)
    expect(isDoubtful ? [...new Set(found)].sort((a, b) => a - b) : found, label).toEqual(expected)
  }
  expect(events.stats(), label).toMatchObject({ dropped: 0, queuedBytes: 0 })
}

describe.each(faults)('%s fails', (operation, codes) => {
  test.each(codes)('with %s: nothing is lost, and only what is in doubt may come twice', async (fault) => {
    for (const match of ['.log', '/e1.log']) {
      for (const isPersistent of fault === 'EINTR' ? [false] : [false, true]) {
        for (const nth of calls) await oneRun(operation, fault, nth, isPersistent, match)
      }
    }
  })
})

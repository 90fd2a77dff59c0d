// The flusher's thread ends at the n-th call of each operation of the disk, before it or behind it, once.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { DirectFile, EventFiles, withInternals } from '../../helpers/built.ts'
import { directFiles, readDirectFile, readTexts } from '../../helpers/direct-file-reader.ts'
import type { Operation } from '../../helpers/faulty-disk.ts'
import { createFolder } from '../../helpers/folder.ts'
import { isLong } from '../../helpers/sized.ts'
import { createThreadFaults, type ThreadFault } from '../../helpers/thread-faults.ts'

const operations: readonly Operation[] = isLong
  ? ['open', 'lstat', 'fstat', 'read', 'writev', 'renameNoReplace', 'readdir', 'fsync', 'close', 'truncate']
  : ['writev', 'renameNoReplace', 'fsync']
const most = isLong ? 12 : 4

function readAll(path: string): string[] {
  const names = new Set(readdirSync(join(path, '..')))
  const files = directFiles(path).filter((file) => names.has(file.slice(file.lastIndexOf('/') + 1)))
  for (const file of files) expect(readDirectFile(file).damage).toEqual([])
  return files.flatMap((file) => readTexts(file))
}

/** Now and then one too large for a shard. */
const text = (index: number): string =>
  `${index} ${'x'.repeat(index % 50 === 30 ? 70_000 + index : (index * 397) % 3_000)}`
const numbers = (texts: readonly string[]): number[] => texts.map((each) => Number.parseInt(each, 10))
const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index)

describe.each(operations)('at %s', (operation) => {
  for (const fault of ['EXIT', 'EXIT-AFTER'] as const satisfies readonly ThreadFault[]) {
    test(`${fault}: a direct file that rotates has every record once, in order`, async () => {
      for (let nth = 1; nth <= most; nth++) {
        const path = join(createFolder(), 'app.log')
        const faults = createThreadFaults('app.log')
        const file = withInternals(
          { threadDisk: faults.threadDisk },
          () => new DirectFile({ path, bufferSize: '512k', numShards: 4, maxBytes: '128k', fallback: false })
        )
        await file.flush()
        faults.fail(operation, fault, nth, false)
        for (let index = 0; index < 300; index++) {
          file.log(text(index))
          if (index % 60 === 59) await file.flush()
        }
        await file.close()
        expect(numbers(readAll(path)), `call ${nth}`).toEqual(upTo(300))
        expect(file.stats()).toMatchObject({ records: 300, dropped: 0, queuedBytes: 0 })
      }
    })

    test(`${fault}: event files have every record once, in order`, async () => {
      for (let nth = 1; nth <= most; nth++) {
        const dir = createFolder()
        const faults = createThreadFaults('.log')
        const events = withInternals(
          { threadDisk: faults.threadDisk },
          () =>
            new EventFiles({
              dir,
              output: 'direct-file',
              durability: 'disk',
              bufferSize: '512k',
              numShards: 4,
              maxOpenFiles: 4,
              fallback: false
            })
        )
        await events.flush()
        faults.fail(operation, fault, nth, false)
        for (let index = 0; index < 300; index++) {
          for (let event = 0; event < 5; event++) events.log(`e${event}`, text(index))
          if (index % 60 === 59) await events.flush()
        }
        await events.close()
        for (let event = 0; event < 5; event++) {
          expect(numbers(readAll(join(dir, `e${event}.log`))), `call ${nth}`).toEqual(upTo(300))
        }
        expect(events.stats()).toMatchObject({ records: 1_500, dropped: 0, queuedBytes: 0 })
      }
    })
  }
})

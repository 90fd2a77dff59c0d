// Closing while the disk fails: what is said about the records is exact, and true for each level.
import { describe, expect, test } from 'vitest'
import { native } from '../../../src/native/index.ts'
import { createLines, createSpool, impatient } from '../../helpers/create-spool.ts'
import { createFaultyDisk, type Operation } from '../../helpers/faulty-disk.ts'
import { createFolder } from '../../helpers/folder.ts'
import { publishedText } from '../../helpers/spool.ts'

const COUNT = 50
const records = Array.from({ length: COUNT }, (_, index) => `record ${index}\n`)
const kinds = { spool: createSpool, lines: createLines }

interface Closing {
  readonly error: { code: string; message: string } | undefined
  readonly dropped: number
  readonly published: number
  /** What a spool that is opened afterwards in the same folder brings back. */
  readonly recovered: number
}

async function closeWhile(
  kind: keyof typeof kinds,
  operations: Operation[],
  options: { durability: 'os' | 'disk'; size: number }
): Promise<Closing> {
  const path = createFolder()
  const faulty = createFaultyDisk()
  const sink = impatient(() => kinds[kind]({ path, workers: 2, ...options }, faulty.disk))
  faulty.fault = (operation) => (operations.includes(operation) ? 'EIO' : undefined)
  for (const record of records) void sink.write(record)
  const error = await sink.close().then(
    () => undefined,
    (reason) => reason
  )
  expect(sink.stats().state).toBe('closed')
  const published = recordsIn(path)
  const next = createSpool({ path })
  const total = (): number => recordsIn(path) + sink.stats().dropped
  await expect.poll(total, { timeout: 10_000 }).toBe(COUNT)
  await next.close()
  return { error, dropped: sink.stats().dropped, published, recovered: recordsIn(path) - published }
}

const recordsIn = (path: string): number => publishedText(path).match(/record/g)?.length ?? 0

const cannotPublish: Operation[] = ['renameNoReplace', 'publishFile']
const cannotOpen: Operation[] = ['open', 'openAsync', 'publishFile']

test.skipIf(native.canLock)(
  'without manifests a temp file keeps nothing: all of it is ERR_LOST',
  async () => {
    for (const kind of Object.keys(kinds) as (keyof typeof kinds)[]) {
      const { error, dropped } = await closeWhile(kind, ['renameNoReplace', 'publishFile'], {
        durability: 'os',
        size: 1e6
      })
      expect([error?.code, dropped]).toEqual(['ERR_LOST', COUNT])
    }
  }
)

describe.each(Object.keys(kinds) as (keyof typeof kinds)[])('%s', (kind) => {
  test.skipIf(!native.canLock)('what is in temp files is safe at os, and ERR_SYNC at disk', async () => {
    const [disk, os] = await Promise.all([
      closeWhile(kind, ['fdatasync', 'fdatasyncAsync'], { durability: 'disk', size: 1e6 }),
      closeWhile(kind, cannotPublish, { durability: 'os', size: 1e6 })
    ])
    const kept = { dropped: 0, published: 0, recovered: COUNT }
    expect(disk).toMatchObject({ error: { code: 'ERR_SYNC' }, ...kept })
    expect(os).toMatchObject({ error: undefined, ...kept })
  })

  test('what is published in a folder that cannot be synced is ERR_SYNC at disk, and not lost', async () => {
    const closing = await closeWhile(kind, ['fsync', 'fsyncAsync'], { durability: 'disk', size: 200 })
    expect(closing).toMatchObject({ error: { code: 'ERR_SYNC' }, dropped: 0, published: COUNT })
  })

  test('ERR_LOST counts exactly what is in no file', async () => {
    const closings = await Promise.all(
      [cannotPublish, cannotOpen].flatMap((operations) =>
        (['os', 'disk'] as const).map((durability) => closeWhile(kind, operations, { durability, size: 200 }))
      )
    )
    for (const { error, dropped, published, recovered } of closings) {
      expect(error).toMatchObject({ code: 'ERR_LOST' })
      expect(error!.message).toContain(`closed with ${dropped} records`)
      expect(dropped).toBeGreaterThan(0)
      expect(published + recovered).toBe(COUNT - dropped)
    }
  })
})

// Room that is kept free beside direct files, on a disk whose free space a test says, in both of their threads.
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DirectFile, LoggerManager, readRecords } from 'logboom'
import { expect, test } from 'vitest'
import type { RemovedEvent, Sink, WarningEvent } from '../../../src/core/sink/contract.ts'
import { realDisk } from '../../../src/io/disk.ts'
import { withInternals } from '../../helpers/built.ts'
import { createFolder } from '../../helpers/folder.ts'
import { createDisk } from '../../helpers/room-disk.mjs'
import { until } from '../../helpers/until.ts'

const KIB = 1024
const small = { bufferSize: '256k', numShards: 2, flushInterval: 10, fallback: false } as const

/** A file system of `kib`, and how to open something on it. */
function createRoom(folder: string, kib: number) {
  const words = new Int32Array(new SharedArrayBuffer(4))
  const data = { words, folder }
  words[0] = kib
  const url = new URL('../../helpers/room-disk.mjs', import.meta.url).href
  const internals = { disk: createDisk(realDisk, data), threadDisk: { url, data }, stallMs: 1_000 }
  return {
    resize: (to: number) => void Atomics.store(words, 0, to),
    open: <T>(create: () => T): T => withInternals(internals, create)
  }
}

function heard(sink: Sink) {
  const news = { degraded: [] as WarningEvent[], recovered: 0, removed: [] as RemovedEvent[] }
  sink.on('degraded', (event) => news.degraded.push(event))
  sink.on('recovered', () => news.recovered++)
  sink.on('removed', (event) => news.removed.push(event))
  return news
}

async function textsIn(path: string): Promise<string[]> {
  const texts: string[] = []
  for await (const { data } of readRecords(path)) texts.push(Buffer.from(data).toString())
  return texts
}

test('the oldest backups go first, as many as it takes', async () => {
  const folder = createFolder()
  const path = join(folder, 'app.log')
  for (let day = 1; day <= 5; day++) writeFileSync(`${path}.2026010${day}-000000.0`, 'x'.repeat(100 * KIB))
  // Of 1000 KiB 500 are used, and 750 are to be free.
  const room = createRoom(folder, 1_000)
  const file = room.open(() => new DirectFile({ ...small, path, minFreeBytes: '750k' }))
  const { removed, degraded } = heard(file)
  file.log('one')
  await file.flush()
  await until(() => removed.length === 3)
  file.log('two')
  await file.close()
  expect(readdirSync(folder).filter((name) => name.startsWith('app.log.'))).toEqual([
    'app.log.20260104-000000.0',
    'app.log.20260105-000000.0'
  ])
  expect(removed.map(({ reason, bytes }) => `${reason} ${bytes}`)).toEqual(
    Array(3).fill(`minFreeBytes ${100 * KIB}`)
  )
  expect(degraded).toEqual([])
})

test.each(['a file', 'files of events'])(
  'with no backups left the records of %s wait, and are written when there is room again',
  async (kind) => {
    const folder = createFolder()
    const path = join(folder, 'app.log')
    const room = createRoom(folder, 10_000)
    const options = { ...small, minFreeBytes: '5m' } as const
    const sink = room.open(() =>
      kind === 'a file'
        ? new DirectFile({ ...options, path })
        : new LoggerManager({ ...options, dir: folder, output: 'direct-file', defaultEvent: 'app' })
    )
    const news = heard(sink)
    sink.write('one\n')
    await sink.flush('disk')
    room.resize(4_000)
    let lines = 0
    await until(() => {
      sink.write(`line ${lines++}\n`)
      return news.degraded.length > 0
    })
    expect(news.degraded[0].code).toBe('ERR_SPACE')
    sink.write('more\n')
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(await textsIn(path)).not.toContain('more')
    room.resize(10_000)
    await until(() => news.recovered === 1)
    await sink.close()
    const expected = ['one', ...Array.from({ length: lines }, (_, line) => `line ${line}`), 'more']
    expect(await textsIn(path)).toEqual(expected)
    expect(sink.stats()).toMatchObject({ dropped: 0, records: expected.length })
  }
)

test('the overflow policy decides what becomes of records for which there is no room', async () => {
  const folder = createFolder()
  const path = join(folder, 'app.log')
  const room = createRoom(folder, 10_000)
  const file = room.open(
    () =>
      new DirectFile({ ...small, path, minFreeBytes: '5m', overflow: 'drop-newest', maxBufferBytes: 1_000 })
  )
  const { degraded } = heard(file)
  room.resize(100)
  const record = 'x'.repeat(10_000)
  await until(() => {
    for (let count = 0; count < 10; count++) file.log(record)
    return degraded.length > 0 && file.stats().dropped > 10
  })
  await expect(file.close()).rejects.toThrow(/ERR_LOST/)
})

test('a folder that is made with the first record is no reason to wait for room', async () => {
  const folder = join(createFolder(), 'new')
  const sink = new LoggerManager({ ...small, dir: folder, output: 'direct-file', minFreeBytes: 1 })
  sink.write('{"event":"login"}\n')
  await sink.close()
  expect(await textsIn(join(folder, 'login.log'))).toEqual(['{"event":"login"}'])
})

test('backups of several events go until there is room, and no more', async () => {
  const folder = createFolder()
  mkdirSync(folder, { recursive: true })
  for (const event of ['a', 'b', 'c'])
    writeFileSync(join(folder, `${event}.log.20260101-000000.0`), 'x'.repeat(100 * KIB))
  const room = createRoom(folder, 1_000)
  const sink = room.open(
    () => new LoggerManager({ ...small, dir: folder, output: 'direct-file', minFreeBytes: '850k' })
  )
  const { removed } = heard(sink)
  for (const event of ['a', 'b', 'c']) sink.write(`{"event":"${event}"}\n`)
  await sink.flush()
  await until(() => {
    sink.write('{"event":"a"}\n')
    return removed.length >= 2
  })
  await sink.close()
  expect(removed).toHaveLength(2)
})

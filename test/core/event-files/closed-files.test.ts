// Files of events that were closed before somebody asked for them to be on disk.
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ClosedFiles } from '../../../src/core/event-files/closed-files.ts'
import type { EventEntry } from '../../../src/core/event-files/outputs.ts'
import { DataSyncError, NotSyncableError } from '../../../src/core/sink/target.ts'
import { createFaultyDisk, type Fault, type FaultyDisk, type Operation } from '../../helpers/faulty-disk.ts'
import { createFolder } from '../../helpers/folder.ts'

interface Bed {
  readonly faulty: FaultyDisk
  readonly closed: ClosedFiles
  readonly entry: (name: string) => EventEntry
  readonly calls: (operation: 'open' | 'fdatasync' | 'close') => number
}

function createBed(): Bed {
  const folder = createFolder()
  const faulty = createFaultyDisk()
  return {
    faulty,
    closed: new ClosedFiles(faulty.disk, folder),
    entry: (name) => {
      const path = join(folder, `${name}.log`)
      writeFileSync(path, 'x')
      return { path } as EventEntry
    },
    calls: (operation) =>
      (faulty.calls.get(operation) ?? 0) + (faulty.calls.get(`${operation}Async` as Operation) ?? 0)
  }
}

function fail(faulty: FaultyDisk, pattern: RegExp, fault: Fault): void {
  faulty.fault = (operation) => (pattern.test(operation) ? fault : undefined)
}

const ways: [string, (closed: ClosedFiles) => Promise<void>][] = [
  ['in the background', (closed) => closed.sync()],
  ['on this thread', async (closed) => closed.syncNow()]
]

describe.each(ways)('%s', (_, sync) => {
  test('each is synced once, and the folder once for all of them', async () => {
    const { faulty, closed, entry, calls } = createBed()
    closed.add(entry('a'))
    closed.add(entry('b'))
    await sync(closed)
    await sync(closed)
    expect([calls('fdatasync'), faulty.calls.get('fsync')]).toEqual([2, 1])
  })

  test('a folder that could not be synced is synced by the next flush, though its files are open again', async () => {
    const { faulty, closed, entry } = createBed()
    const a = entry('a')
    closed.add(a)
    fail(faulty, /^fsync/, 'EIO')
    await expect(sync(closed)).rejects.toThrow('EIO')
    await expect(sync(closed)).rejects.toThrow('EIO')
    closed.delete(a)
    faulty.fault = () => undefined
    const before = faulty.calls.get('fsync')!
    await sync(closed)
    expect(faulty.calls.get('fsync')).toBe(before + 1)
  })

  test('a failed data sync is told once, and the other files are synced by the next flush', async () => {
    const { faulty, closed, entry, calls } = createBed()
    closed.add(entry('a'))
    closed.add(entry('b'))
    fail(faulty, /^fdatasync/, 'EIO')
    await expect(sync(closed)).rejects.toBeInstanceOf(DataSyncError)
    faulty.fault = () => undefined
    await sync(closed)
    expect(calls('fdatasync')).toBe(2)
  })

  test('an error of close or of open is no failed sync', async () => {
    const { faulty, closed, entry, calls } = createBed()
    closed.add(entry('a'))
    fail(faulty, /^open/, 'EMFILE')
    const error = await sync(closed).catch((reason) => reason)
    expect(error).toMatchObject({ code: 'EMFILE' })
    fail(faulty, /^close/, 'EIO')
    await sync(closed)
    expect(calls('fdatasync')).toBe(1)
  })

  test('a file that is gone needs no sync', async () => {
    const { closed, entry, calls } = createBed()
    const a = entry('a')
    closed.add(a)
    rmSync(a.path)
    await sync(closed)
    expect(calls('fdatasync')).toBe(0)
  })

  test('a file system that cannot sync files is named; one that only cannot sync folders is good enough', async () => {
    const { faulty, closed, entry } = createBed()
    closed.add(entry('a'))
    fail(faulty, /^fdatasync/, 'EINVAL')
    await expect(sync(closed)).rejects.toBeInstanceOf(NotSyncableError)
    fail(faulty, /^fsync/, 'EINVAL')
    await sync(closed)
  })
})

test('a file that is closed again while it is synced is synced once more', async () => {
  const { closed, entry, calls } = createBed()
  const a = entry('a')
  closed.add(a)
  const synced = closed.sync()
  closed.add(a)
  await synced
  await closed.sync()
  expect(calls('fdatasync')).toBe(2)
})

test('a sync that is under way when the sink has closed opens no further file, and does not resolve', async () => {
  const { closed, entry, calls } = createBed()
  for (const name of ['a', 'b', 'c']) closed.add(entry(name))
  const syncing = closed.sync()
  closed.end()
  await expect(syncing).rejects.toMatchObject({ code: 'ERR_CLOSED' })
  expect([calls('open'), calls('fdatasync'), calls('close')]).toEqual([1, 1, 1])
})

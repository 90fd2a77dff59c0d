// What version 0.1.0 wrote is read and continued for ever.
import { cpSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { BinaryFile } from '../../src/core/binary-file/binary-file.ts'
import { DirectFile } from '../../src/core/direct-file/direct-file.ts'
import { EventFiles } from '../../src/core/event-files/event-files.ts'
import type { EventFilesOptions } from '../../src/core/event-files/options.ts'
import { RotatingFile } from '../../src/core/rotating-file/rotating-file.ts'
import { Spool } from '../../src/core/spool/spool.ts'
import { WriteAheadLog } from '../../src/core/wal/write-ahead-log.ts'
import { native } from '../../src/native/index.ts'
import { createFolder } from '../helpers/folder.ts'
import { collect } from '../helpers/read.ts'

const samples = join(import.meta.dirname, '../fixtures/version-0.1.0')
const lock = native.canLock
const fallback = false
const record = (id: number): string => JSON.stringify({ id })
const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i)

interface Sample {
  /** What to read, below the sample's folder. */
  path: string
  before: number[]
  /** Writes record 1000 with the present version. */
  goOn(folder: string): Promise<void>
}

async function eventFiles(dir: string, output: string, more: object = {}): Promise<void> {
  const files = new EventFiles({ dir, output, fallback, ...more } as EventFilesOptions)
  files.log('login', record(1_000))
  await files.close()
}

const events = [...range(0, 6), ...range(100, 106)]
const cases: Record<string, Sample> = {
  'rotating-file': {
    path: 'app.log',
    before: range(0, 12),
    async goOn(folder) {
      const file = new RotatingFile({ path: join(folder, 'app.log'), maxBytes: 300, lock, fallback })
      file.write(`${record(1_000)}\n`)
      await file.close()
    }
  },
  'binary-file': {
    path: 'app.bin',
    before: range(0, 12),
    async goOn(folder) {
      const file = new BinaryFile({ path: join(folder, 'app.bin'), maxBytes: 300, lock, fallback })
      file.write(record(1_000))
      await file.close()
    }
  },
  'direct-file': {
    path: 'app.dlog',
    before: range(0, 12),
    async goOn(folder) {
      const file = new DirectFile({ path: join(folder, 'app.dlog'), fallback })
      file.log(record(1_000))
      await file.close()
    }
  },
  wal: {
    path: 'wal',
    before: range(0, 20),
    async goOn(folder) {
      const log = await WriteAheadLog.open({ walDir: join(folder, 'wal'), fallback })
      expect(log.snapshotIndex).toBe(12n)
      expect(await log.log([record(1_000)])).toEqual({ firstIndex: 21n, lastIndex: 21n })
      await log.close()
    }
  },
  'wal-default': {
    path: 'orders',
    before: range(0, 12),
    async goOn(folder) {
      const log = await WriteAheadLog.open({ walDir: join(folder, 'orders'), fallback })
      expect(log.snapshotIndex).toBe(6n)
      expect(await log.log([record(1_000)])).toEqual({ firstIndex: 13n, lastIndex: 13n })
      const snapshot = await log.createSnapshot()
      for await (const entry of snapshot!.entries) void entry
      await snapshot!.release()
      expect(log.snapshotIndex).toBe(13n)
      await log.close()
      // The folder of its snapshots stays the one it has.
      expect(readdirSync(folder).sort()).toEqual(['orders', 'snap'])
    }
  },
  spool: {
    path: '.',
    before: range(0, 12),
    async goOn(folder) {
      const spool = new Spool({ path: folder, fallback })
      await spool.write(`${record(1_000)}\n`)
      await spool.close()
    }
  },
  'event-files-rotating-file': {
    path: '.',
    before: events,
    goOn: (folder) => eventFiles(folder, 'rotating-file', { lock })
  },
  'event-files-binary-file': {
    path: '.',
    before: events,
    goOn: (folder) => eventFiles(folder, 'binary-file', { lock, maxBytes: 300 })
  },
  'event-files-direct-file': {
    path: '.',
    before: events,
    goOn: (folder) => eventFiles(folder, 'direct-file')
  },
  'event-files-wal': { path: '.', before: events, goOn: (folder) => eventFiles(folder, 'wal') }
}

test('there is a case for each sample', () => {
  const folders = readdirSync(samples).filter((name) => name !== 'README.md')
  expect(folders.sort()).toEqual(Object.keys(cases).sort())
})

describe.each(Object.entries(cases))('%s of version 0.1.0', (name, { path, before, goOn }) => {
  const ids = async (folder: string): Promise<number[]> => {
    const { lines, error, stats } = await collect(join(folder, path))
    expect(error).toBeUndefined()
    expect(stats.damage).toEqual([])
    return lines
      .flatMap((line) => line.split('\n').filter((text) => text !== ''))
      .map((line) => JSON.parse(line).id)
  }

  test('is read', async () => {
    expect((await ids(join(samples, name))).sort((a, b) => a - b)).toEqual(before)
  })

  test('is continued', async () => {
    const folder = join(createFolder(), 'copy')
    cpSync(join(samples, name), folder, { recursive: true })
    await goOn(folder)
    expect((await ids(folder)).sort((a, b) => a - b)).toEqual([...before, 1_000])
  })
})

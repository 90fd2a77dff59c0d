// Many processes at once write one log: every record is there exactly once, in files within the limit.
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { groupBackups } from '../../../src/formats/backup-name.ts'
import { createFolder } from '../../helpers/folder.ts'
import { sized } from '../../helpers/sized.ts'
import { exact, filesOf, readWhole, verify } from '../../helpers/verify.ts'
import { noLocks, runWriters, type WriterSettings } from '../../helpers/writers.ts'

const MIB = 1024 * 1024
const count = sized(25_000, 6_000)

type Options = WriterSettings['options']

function eightOfTheClass(options: Options, more: Partial<WriterSettings> = {}): WriterSettings[] {
  return [...'abcdefgh'].map((writer) => ({
    host: 'class',
    writer,
    options: { maxBytes: MIB, ...options },
    count,
    bytes: [200, 200],
    ...more
  }))
}

function fourOfEachHost(options: Options, records: number): WriterSettings[] {
  return [...'abcdefgh'].map((writer, i) => ({
    host: i < 4 ? 'pino' : 'winston',
    writer,
    options: { maxBytes: MIB, ...options },
    count: records,
    bytes: [40, 400]
  }))
}

const all = (settings: WriterSettings[]) =>
  Object.fromEntries(settings.map(({ writer, count = 0 }) => [writer, count]))

describe.skipIf(noLocks)(
  'eight processes on one file (needs the locks of the addon)',
  { timeout: 300_000 },
  () => {
    test('of the class lose, repeat and tear nothing', async () => {
      const path = join(createFolder(), 'app.log')
      const settings = eightOfTheClass({ path })
      const writers = await runWriters(settings)
      const report = verify(path, { maxBytes: MIB, records: all(settings) })
      expect(report).toMatchObject({ ...exact, records: 8 * count })
      // One rotation per crossing: the backups are those that were announced, and each is as full as it can be.
      const rotations = writers.reduce((sum, { stats }) => sum + stats!.rotations, 0)
      expect(report.files).toBe(rotations + 1)
      for (const file of filesOf(path).slice(0, -1)) expect(readWhole(file).length).toBeGreaterThan(MIB - 201)
      expect(writers.flatMap(({ events }) => events).filter(({ event }) => event !== 'rotated')).toEqual([])
    })

    test('of the class write lines of up to 70 KB whole', async () => {
      const path = join(createFolder(), 'app.log')
      const settings = eightOfTheClass(
        { path },
        { count: sized(5_000, 700), bytes: [40, 70_000], perTick: 20 }
      )
      await runWriters(settings)
      expect(verify(path, { maxBytes: MIB, records: all(settings) })).toMatchObject(exact)
    })

    test('of the class write lines longer than the limit whole, each in a file of its own', async () => {
      const path = join(createFolder(), 'app.log')
      const settings = eightOfTheClass(
        { path, maxBytes: 20_000 },
        { count: 200, bytes: [10_000, 70_000], perTick: 5 }
      )
      await runWriters(settings)
      expect(verify(path, { maxBytes: 20_000, records: all(settings) })).toMatchObject(exact)
    })

    test('of the class that compress leave compressed backups only', async () => {
      const folder = createFolder()
      const path = join(folder, 'app.log')
      const settings = eightOfTheClass({ path, compress: 'gzip' })
      await runWriters(settings)
      expect(verify(path, { maxBytes: MIB, records: all(settings) })).toMatchObject(exact)
      expect(
        readdirSync(folder).filter((name) => !/^(app\.log(\..*\.gz)?|\.app\.log\.lock)$/.test(name))
      ).toEqual([])
    })

    test.each([false, 'gzip'] as const)(
      'of the class with maxBackups and compress %s keep exactly the newest ones and touch nothing else',
      async (compress) => {
        const folder = createFolder()
        const path = join(folder, 'app.log')
        const others = [
          'app.log.1',
          'app.log.20200101-000000.0.gz.tmp2',
          'app.log.20200101-000000',
          'other.log'
        ]
        for (const name of others) writeFileSync(join(folder, name), '')
        const settings = eightOfTheClass({ path, maxBytes: 128 * 1024, maxBackups: 7, compress })
        await runWriters(settings)
        const names = readdirSync(folder)
        const backups = groupBackups('app.log', names)
        expect(backups.length).toBe(7)
        expect(names.sort()).toEqual(
          ['.app.log.lock', 'app.log', ...others, ...backups.flatMap(({ names }) => names)].sort()
        )
        // The newest: every writer's records are a run without gaps that ends with its last one.
        const report = verify(path, { maxBytes: 128 * 1024, records: {} })
        expect(report).toMatchObject(exact)
        for (const numbers of report.found.values()) {
          expect(numbers).toEqual(numbers.map((_, i) => numbers[0] + i))
        }
        expect(Math.max(...[...report.found.values()].map((numbers) => numbers.at(-1)!))).toBe(count)
      }
    )

    test.each([false, 'gzip'] as const)(
      'four of pino and four of winston with compress %s lose, repeat and tear nothing',
      async (compress) => {
        const path = join(createFolder(), 'app.log')
        const settings = fourOfEachHost({ path, compress }, sized(20_000, 4_000))
        await runWriters(settings)
        expect(verify(path, { maxBytes: MIB, records: all(settings) })).toMatchObject(exact)
      }
    )
  }
)

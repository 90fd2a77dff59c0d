// Backups with names and in folders of the user's choice: made, kept, removed, and found by everything that reads logs.
import {
  chownSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync
} from 'node:fs'
import { basename, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { wayOf } from '../../../src/cli/adopt/new-names.ts'
import { LoggerManager } from '../../../src/core/event-files/logger-manager.ts'
import type { RotatingFileOptions } from '../../../src/core/rotating-file/options.ts'
import { RotatingFile } from '../../../src/core/rotating-file/rotating-file.ts'
import { withInternals } from '../../../src/core/sink/internals.ts'
import { failpoints } from '../../../src/io/failpoint.ts'
import { native } from '../../../src/native/index.ts'
import { readRecords } from '../../../src/readers/read-records.ts'
import { runCli } from '../../helpers/cli.ts'
import { createFolder } from '../../helpers/folder.ts'
import { sized } from '../../helpers/sized.ts'
import { noLocks, startWriter, type WriterSettings } from '../../helpers/writers.ts'

const lock = native.canLock
const pattern = '{stem}-%Y-%m-%d.%i{ext}'

function visible(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => !name.startsWith('.'))
    .sort()
}

async function texts(path: string): Promise<string[]> {
  const found: string[] = []
  for await (const { data } of readRecords(path)) found.push(data.toString())
  return found
}

/** Logs lines of ten bytes, one to a file, so that all but the last are backups. */
async function log(path: string, from: number, count: number, options: object = {}, day = 1): Promise<void> {
  const now = () => Date.UTC(2026, 0, day, 12)
  const given: RotatingFileOptions = { path, maxBytes: 10, lock, ...options }
  const file = withInternals({ now }, () => new RotatingFile(given))
  for (let line = from; line < from + count; line++) file.write(`line ${String(line).padStart(4, '0')}\n`)
  await file.close()
}

const lines = (from: number, count: number) =>
  Array.from({ length: count }, (_, line) => `line ${String(from + line).padStart(4, '0')}`)

describe('backupName', () => {
  test('keeps the extension last, and numbers go on through a day and restarts', async () => {
    const folder = createFolder()
    const path = join(folder, 'app.log')
    await log(path, 0, 3, { backupName: pattern })
    await log(path, 3, 2, { backupName: pattern })
    await log(path, 5, 2, { backupName: pattern }, 2)
    expect(visible(folder)).toEqual([
      'app-2026-01-01.0.log',
      'app-2026-01-01.1.log',
      'app-2026-01-01.2.log',
      'app-2026-01-01.3.log',
      'app-2026-01-02.0.log',
      'app-2026-01-02.1.log',
      'app.log'
    ])
    expect(await texts(path)).toEqual(lines(0, 7))
  })

  test('limits and compression hold for them, and nothing else is touched', async () => {
    const folder = createFolder()
    const path = join(folder, 'app.log')
    const foreign = [
      'app-2026-01-01.log',
      'app-2026-13-01.0.log',
      'app-2026-01-01.00.log',
      'app-2026-01-01.0.log.bak',
      'app-2026-01-01.0.txt',
      'xapp-2026-01-01.0.log',
      'app-2025-01-01.0.log'
    ]
    for (const name of foreign) writeFileSync(join(folder, name), 'foreign\n')
    // The name of a backup, but a log itself.
    writeFileSync(join(folder, '.app-2025-01-01.0.log.lock'), '')
    await log(path, 0, 12, { backupName: pattern, maxBackups: 2, compress: 'gzip' })
    expect(visible(folder)).toEqual(
      [...foreign, 'app-2026-01-01.10.log.gz', 'app-2026-01-01.9.log.gz', 'app.log'].sort()
    )
    expect(await texts(path)).toEqual(lines(9, 3))
  })

  // Without kernel locks there is no lock file to hold the last number.
  test.skipIf(noLocks)(
    'a backup that was taken away gives its number to no other one (needs the locks of the addon)',
    async () => {
      const folder = createFolder()
      const path = join(folder, 'app.log')
      await log(path, 0, 3, { backupName: pattern })
      for (const name of visible(folder)) if (name !== 'app.log') rmSync(join(folder, name))
      await log(path, 3, 1, { backupName: pattern })
      expect(visible(folder)).toEqual(['app-2026-01-01.2.log', 'app.log'])
    }
  )

  test('numbers alone grow for ever', async () => {
    const folder = createFolder()
    const path = join(folder, 'app.log')
    await log(path, 0, 2, { backupName: '{stem}.%i{ext}' })
    await log(path, 2, 2, { backupName: '{stem}.%i{ext}' }, 2)
    expect(visible(folder)).toEqual(['app.0.log', 'app.1.log', 'app.2.log', 'app.log'])
    expect(await texts(path)).toEqual(lines(0, 4))
  })

  test('age is not counted from the beginning of the day in a name', async () => {
    const folder = createFolder()
    const path = join(folder, 'app.log')
    const day = new Date().toISOString().slice(0, 10)
    const hourAgo = Date.now() / 1000 - 3_600
    for (const [number, at] of [hourAgo - 7_200, hourAgo].entries()) {
      const backup = join(folder, `app-${day}.${number}.log`)
      writeFileSync(backup, 'old\n')
      utimesSync(backup, at, at)
    }
    await new RotatingFile({ path, backupName: pattern, maxAge: '2h', lock }).close()
    expect(visible(folder)).toEqual([`app-${day}.1.log`, 'app.log'])
  })

  test('what was named in another way before is found, ordered and removed like the others', async () => {
    const folder = createFolder()
    const path = join(folder, 'app.log')
    const ways = [{}, { backupName: pattern }, { backupName: '{name}.%i' }]
    for (const [index, way] of ways.entries()) {
      await log(path, index * 3, 3, way)
      // Files of one second are told apart by their times alone.
      await new Promise((resolve) => setTimeout(resolve, 15))
    }
    expect(await texts(path)).toEqual(lines(0, 9))
    await log(path, 9, 1, { backupName: '{name}.%i', maxBackups: 4 })
    expect(visible(folder)).toHaveLength(5)
    expect((await texts(path)).at(-1)).toBe('line 0009')
  })

  test('the usual names, spelt out, are those of one backup each', async () => {
    const folder = createFolder()
    const path = join(folder, 'app.log')
    const spelt = { backupName: '{name}.%Y%m%d-%H%M%S.%i' }
    await log(path, 0, 4, spelt)
    expect(await texts(path)).toEqual(lines(0, 4))
    await log(path, 4, 1, { ...spelt, maxBackups: 3 })
    expect(await texts(path)).toEqual(lines(1, 4))
  })

  test('commands go by what the latest writer called them', async () => {
    const folder = createFolder()
    const path = join(folder, 'app.log')
    for (const [at, backupName] of [pattern, '{name}.%i', pattern].entries())
      await log(path, at * 2, 2, { backupName })
    const noted = readFileSync(join(folder, '.app.log.backups'), 'utf8').trim().split('\n').slice(1)
    expect(noted.map((line) => JSON.parse(line).name)).toEqual(['{name}.%i', pattern])
  })
})

describe('backupDir', () => {
  test('is made, and backups in it are found by readers of the log, through a cursor, too', async () => {
    const folder = createFolder()
    const path = join(folder, 'logs', 'app.log')
    const backupDir = join(folder, 'old', 'app')
    await log(path, 0, 4, { backupDir, compress: 'gzip' })
    expect(visible(backupDir)).toHaveLength(3)
    expect(visible(join(folder, 'logs'))).toEqual(['app.log'])
    expect(await texts(path)).toEqual(lines(0, 4))
    let cursor: string | undefined
    for await (const record of readRecords(path))
      if (record.data.toString() === 'line 0001') cursor = record.cursor
    await log(path, 4, 2, { backupDir, compress: 'gzip' })
    const rest: string[] = []
    for await (const { data } of readRecords(path, { from: cursor })) rest.push(data.toString())
    expect(rest).toEqual(lines(2, 4))
  })

  test('each event has its backups there, and a reader of the folder finds them', async () => {
    const folder = createFolder()
    const dir = join(folder, 'events')
    const backupDir = join(folder, 'old')
    const options = {
      dir,
      backupDir,
      backupName: pattern,
      output: 'rotating-file',
      maxBytes: 10,
      lock
    } as const
    expect(() => new LoggerManager({ ...options, backupDir: undefined })).toThrow(
      /backupName.*needs 'backupDir'/
    )
    const files = new LoggerManager(options)
    for (const event of ['a', 'a-2026-01-01.0']) {
      for (let line = 0; line < 3; line++) files.logWithEvent(event, `line 000${line}`)
    }
    await files.close()
    expect(visible(dir)).toEqual(
      ['a-2026-01-01.0.log', 'a.log', 'default.log'].filter((name) => visible(dir).includes(name))
    )
    const found: Record<string, string[]> = {}
    for await (const { event = '', data } of readRecords(dir)) {
      found[event] = [...(found[event] ?? []), data.toString()]
    }
    expect(found).toEqual({ a: lines(0, 3), 'a-2026-01-01.0': lines(0, 3) })
  })

  test.each([
    ['a folder name that no file system takes', (folder: string) => join(folder, 'b'.repeat(256))],
    ['a path that has no room for names', (folder: string) => join(folder, `${'b'.repeat(200)}/`.repeat(20))]
  ])('with %s is refused', (_, dirIn) => {
    const folder = createFolder()
    const options = {
      path: join(folder, 'app.log'),
      backupDir: dirIn(folder),
      lock,
      fallback: false
    } as const
    expect(() => new RotatingFile(options)).toThrow(/ERR_OPTION/)
    expect(visible(folder)).toEqual([])
  })

  test('that is a file is refused', () => {
    const folder = createFolder()
    writeFileSync(join(folder, 'old'), '')
    const create = () =>
      new RotatingFile({
        path: join(folder, 'app.log'),
        backupDir: join(folder, 'old'),
        lock,
        fallback: false
      })
    expect(create).toThrow(/backupDir' must be a folder/)
  })

  test('on another file system is refused', () => {
    const folder = createFolder()
    const backupDir = '/dev/shm'
    if (process.platform !== 'linux') return
    const create = () => new RotatingFile({ path: join(folder, 'app.log'), backupDir, lock, fallback: false })
    try {
      expect(create).toThrow(/backupDir.*file system/)
    } catch {
      // The folder of this test is in memory itself.
      expect(folder.startsWith('/dev/shm')).toBe(true)
    }
  })
})

test('commands know the backups of a log, also when a shell has named them all', async () => {
  const folder = createFolder()
  const path = join(folder, 'app.log')
  await log(path, 0, 4, { backupName: pattern })
  const all = visible(folder).map((name) => join(folder, name))
  for (const inputs of [all, [folder], all.filter((each) => basename(each) !== 'app.log')]) {
    const { stdout, code } = await runCli(['cat', ...inputs])
    expect(code).toBe(0)
    const expected = inputs.length === 3 ? lines(0, 3) : lines(0, 4)
    expect(stdout.split('\n').slice(0, -1)).toEqual(expected)
  }
  const rotated = await runCli(['rotate', path])
  expect(rotated.stdout).toMatch(/app-\d{4}-\d\d-\d\d\.\d+\.log/)
  rmSync(path)
  expect((await runCli(['cat', path])).stdout.split('\n').slice(0, -1)).toEqual(lines(0, 4))
})

test.each(['app-%i', '{name}', 5, '{stem}/x%i{ext}'])('the pattern %j is refused', (backupName) => {
  const folder = createFolder()
  const create = () => new RotatingFile({ path: join(folder, 'app.log'), backupName: backupName as string })
  expect(create).toThrow(/option 'backupName'/)
  expect(readdirSync(folder)).toEqual([])
})

describe.skipIf(noLocks)('of several writers (needs the locks of the addon)', () => {
  test('killed at any point they leave one place for each record', async () => {
    const folder = createFolder()
    const path = join(folder, 'app.log')
    const backupDir = join(folder, 'old')
    mkdirSync(backupDir)
    const settings: WriterSettings = {
      host: 'class',
      writer: 'w',
      options: { path, backupName: pattern, backupDir, maxBytes: 2_000, compress: 'gzip', flushInterval: 0 },
      bytes: [40, 200],
      perTick: 5,
      acknowledge: true
    }
    const traps = sized([...failpoints], ['append', 'rename', 'renamed', 'published']).map(
      (name) => `${name}:kill:2`
    )
    const acked: Record<string, number> = {}
    const dead = traps.map((trap, index) =>
      startWriter({ ...settings, writer: `dead${index}` }, { env: { LOGBOOM_FAILPOINT: trap } })
    )
    for (const writer of dead) {
      expect((await writer.exited).signal).toBe('SIGKILL')
      acked[writer.name] = writer.acked
    }
    const pair = ['a', 'b'].map((writer) => startWriter({ ...settings, writer, count: 100 }))
    for (const { exited } of pair) expect((await exited).code).toBe(0)
    const counts = new Map<string, number>()
    for (const text of await texts(path)) counts.set(text, (counts.get(text) ?? 0) + 1)
    expect([...counts.values()].every((count) => count === 1)).toBe(true)
    const of = (writer: string) => [...counts.keys()].filter((text) => text.startsWith(`#${writer}:`)).length
    expect([of('a'), of('b')]).toEqual([100, 100])
    for (const [writer, count] of Object.entries(acked)) expect(of(writer)).toBeGreaterThanOrEqual(count)
    expect(readFileSync(join(folder, '.app.log.backups'), 'utf8')).toContain('"dir":"old"')
  })
})

test('a file of somebody else in the place of the note is refused and left alone', () => {
  const folder = createFolder()
  const note = join(folder, '.app.log.backups')
  writeFileSync(note, 'somebody else needs this\n')
  const options = { path: join(folder, 'app.log'), backupName: pattern, lock, fallback: false } as const
  expect(() => new RotatingFile(options)).toThrow('ERR_NOT_FILE')
  expect(readFileSync(note, 'utf8')).toBe('somebody else needs this\n')
})

describe.skipIf(process.getuid?.() !== 0)("another user's note", () => {
  const NOBODY = 65_534

  function plant(dirIn: (folder: string, root: string) => string): { path: string; root: string } {
    const folder = createFolder()
    const root = createFolder()
    const path = join(folder, 'app.log')
    writeFileSync(path, 'a line\n')
    const note = join(folder, '.app.log.backups')
    writeFileSync(note, `logboom backups 1\n${JSON.stringify({ dir: dirIn(folder, root) })}\n`)
    for (const each of [folder, path, note]) chownSync(each, NOBODY, NOBODY)
    return { path, root }
  }

  test.each<[string, (folder: string, root: string) => string]>([
    ['to a folder of root', (_, root) => root],
    [
      'to a folder of root, by a link of theirs',
      (folder, root) => {
        symlinkSync(root, join(folder, 'link'))
        lchownSync(join(folder, 'link'), NOBODY, NOBODY)
        return 'link'
      }
    ],
    ['to a folder that would be made in one of root', (_, root) => join(root, 'new/deep')]
  ])('leads rotate nowhere: %s', async (_, dirIn) => {
    const { path, root } = plant(dirIn)
    const { code, stderr } = await runCli(['rotate', path])
    expect(code).toBe(3)
    expect(stderr).toContain('which is not theirs')
    expect(readdirSync(root)).toEqual([])
    expect(readFileSync(path, 'utf8')).toBe('a line\n')
    expect(() => wayOf(path, {})).toThrow('ERR_OWNER')
  })

  test('is followed to a folder of theirs', async () => {
    const { path, root } = plant((_, root) => root)
    chownSync(root, NOBODY, NOBODY)
    expect((await runCli(['rotate', path])).code).toBe(0)
    expect(readdirSync(root)).toHaveLength(1)
  })
})

// logboom adopt, over folders that the real packages left.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  closeSync,
  existsSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, onTestFinished, test } from 'vitest'
import { carryOut } from '../../src/cli/adopt/carry-out.ts'
import { wayOf } from '../../src/cli/adopt/new-names.ts'
import { packageNamed } from '../../src/cli/adopt/packages.ts'
import { makePlan, type Plan, type PlanOptions } from '../../src/cli/adopt/plan.ts'
import { adopt } from '../../src/cli/adopt.ts'
import type { CliValues } from '../../src/cli/command.ts'
import { RotatingFile } from '../../src/core/rotating-file/rotating-file.ts'
import { groupBackups } from '../../src/formats/backup-name.ts'
import { native } from '../../src/native/index.ts'
import { cliPath, runCli } from '../helpers/cli.ts'
import { createFolder } from '../helpers/folder.ts'
import { leftBy } from '../helpers/other-package.ts'
import { collect } from '../helpers/read.ts'
import { sized } from '../helpers/sized.ts'
import { until } from '../helpers/until.ts'

interface Taken {
  readonly left: string[]
  /** `from -> to` of what was renamed, and names of what was removed. */
  readonly done: string[]
}

/** What the command does with --apply, in this process. */
async function take(
  log: string,
  from: string,
  options: Partial<PlanOptions> = {},
  timeoutMs = 10_000
): Promise<Taken> {
  const taken: Taken = { left: [], done: [] }
  const plan = (): Plan =>
    makePlan(log, packageNamed(from), { way: {}, tidies: false, ...options }, Date.now())
  for (const { name, why } of plan().left) taken.left.push(`${name} is left: ${why}`)
  await carryOut(log, plan, {
    timeoutMs,
    evenIfOpen: false,
    done: (step) => void taken.done.push('from' in step ? `${step.from} -> ${step.to}` : step.name),
    leftOut: (step, why) => void taken.left.push(`${'from' in step ? step.from : step.name} is left: ${why}`)
  })
  return taken
}

/** Each with the package, and the file that is to go on as the log. */
const cases: [name: string, from: string, live: string | undefined][] = [
  ['winston-tailable', 'winston', undefined],
  ['winston-tailable-zipped', 'winston', undefined],
  ['winston-numbered', 'winston', 'app3.log'],
  ['winston-numbered-zipped', 'winston', 'app3.log'],
  ['daily-rotate', 'winston-daily-rotate-file', 'app-2026-01-08.log'],
  ['daily-rotate-size', 'winston-daily-rotate-file', 'app-2026-01-08.2.log'],
  ['daily-rotate-undated', 'winston-daily-rotate-file', 'app.log.2026-01-08'],
  ['log4js-file', 'log4js', undefined],
  ['log4js-file-extension', 'log4js', undefined],
  ['log4js-date', 'log4js', undefined],
  ['log4js-date-live', 'log4js', 'app.2026-01-08.log'],
  ['pino-roll-size', 'pino-roll', 'app.8.log'],
  ['pino-roll-daily', 'pino-roll', 'app.2026-01-07.7.log'],
  ['rotating-file-stream', 'rotating-file-stream', undefined],
  ['rotating-file-stream-unnamed', 'rotating-file-stream', undefined],
  ['rotating-file-stream-numbers', 'rotating-file-stream', undefined],
  ['rotating-file-stream-immutable', 'rotating-file-stream', '20260107-1200-03-app.log']
]

async function numbersIn(log: string): Promise<string[]> {
  const { lines, error } = await collect(log)
  expect(error).toBeUndefined()
  return lines.filter((line) => line !== '').map((line) => line.slice(0, 4))
}

describe.each(cases)('%s', (name, from, live) => {
  test('is taken over whole and in order, and goes on as a log', async () => {
    const { folder, log, numbers, names } = leftBy(name)
    expect(numbers.length).toBeGreaterThan(5)
    const before = names.map((each) => [each, lstatSync(join(folder, each)).mtimeMs])
    const plan = makePlan(log, packageNamed(from), { way: {}, tidies: false }, Date.now())
    expect(plan.steps.length).toBeGreaterThan(2)
    expect(readdirSync(folder)).toEqual(names.toSorted())
    expect(names.map((each) => [each, lstatSync(join(folder, each)).mtimeMs])).toEqual(before)

    const { done } = await take(log, from)
    expect(await numbersIn(log)).toEqual(numbers)
    const becameLive = done.find((step) => step.endsWith('-> app.log'))
    if (live === undefined) expect(becameLive).toBeUndefined()
    else expect(becameLive).toBe(`${live} -> app.log`)
    expect(await take(log, from)).toMatchObject({ done: [] })

    const file = new RotatingFile({ path: log, maxBytes: 1000, compress: 'gzip' })
    file.write('9998\n')
    await file.rotate()
    file.write('9999\n')
    await file.close()
    expect(await numbersIn(log)).toEqual([...numbers, '9998', '9999'])
    for (const link of readdirSync(folder).filter((each) => lstatSync(join(folder, each)).isSymbolicLink()))
      expect(existsSync(join(folder, readlinkSync(join(folder, link))))).toBe(true)
  })
})

/** A folder with these files, each a second younger than the one before. */
function folderOf(files: Record<string, string | Buffer>): { folder: string; log: string } {
  const folder = createFolder()
  for (const [at, [name, content]] of Object.entries(files).entries()) {
    writeFileSync(join(folder, name), content)
    utimesSync(join(folder, name), 1_767_600_000 + at, 1_767_600_000 + at)
  }
  return { folder, log: join(folder, 'app.log') }
}

const backupsOf = (folder: string) => groupBackups('app.log', readdirSync(folder)).map(({ name }) => name)
const shifted = { 'app.log.3': '1\n', 'app.log.2': '2\n', 'app.log.1': '3\n', 'app.log': '4\n' }

describe('the times of backups', () => {
  test('are those at which the files were finished, and keep the order within a second', async () => {
    const { folder, log } = folderOf(shifted)
    for (const name of ['app.log.3', 'app.log.2'])
      utimesSync(join(folder, name), 1_767_600_000, 1_767_600_000)
    await take(log, 'log4js')
    expect(backupsOf(folder)).toEqual([
      'app.log.20260105-080000.0',
      'app.log.20260105-080000.1',
      'app.log.20260105-080002.0'
    ])
    expect((await collect(log)).lines).toEqual(['1', '2', '3', '4'])
  })

  test('are never behind the next one or now, whatever copying made of them', async () => {
    const { folder, log } = folderOf(shifted)
    utimesSync(join(folder, 'app.log.3'), 4_000_000_000, 4_000_000_000)
    await take(log, 'log4js')
    expect(backupsOf(folder)).toHaveLength(3)
    expect(backupsOf(folder).every((name) => name.startsWith('app.log.20260105-'))).toBe(true)
    expect((await collect(log)).lines).toEqual(['1', '2', '3', '4'])
  })

  test('stay within the date in the name', async () => {
    const { folder, log } = folderOf({
      'app-2025-03-01.log': 'a\n',
      'app-2025-03-02.log': 'b\n',
      'app.log': 'c\n'
    })
    await take(log, 'winston-daily-rotate-file', { isUtc: true })
    expect(backupsOf(folder)).toEqual(['app.log.20250301-235959.0', 'app.log.20250302-235959.0'])
  })

  test('of lumberjack are in the names, in UTC', async () => {
    const { folder, log } = folderOf({
      'app-2025-03-01T10-20-30.123.log.gz': gzipSync('a\n'),
      'app-2025-03-01T10-20-30.456.log': 'b\n',
      'app-2025-03-01T10-20-30.log': 'not its\n',
      'app.log': 'c\n'
    })
    await take(log, 'lumberjack')
    expect(backupsOf(folder)).toEqual(['app.log.20250301-102030.0.gz', 'app.log.20250301-102030.1'])
    expect(existsSync(join(folder, 'app-2025-03-01T10-20-30.log'))).toBe(true)
    expect((await collect(log)).lines).toEqual(['a', 'b', 'c'])
  })

  test('a hundred files of logrotate keep their order', async () => {
    const files = Array.from(
      { length: 100 },
      (_, at) => [`app.log.${100 - at}`, `${String(at).padStart(3, '0')}\n`] as const
    )
    const { log } = folderOf({ ...Object.fromEntries(files), 'app.log': '100\n' })
    await take(log, 'logrotate')
    const { lines } = await collect(log)
    expect(lines).toEqual(Array.from({ length: 101 }, (_, at) => String(at).padStart(3, '0')))
  })
})

describe('what it is not sure of is left and told', () => {
  test.each<[what: string, files: Record<string, string | Buffer>, from: string, told: RegExp]>([
    [
      'a compressed file beside the one it is made of',
      { 'app.log.1': 'a\n', 'app.log.1.gz': gzipSync('a\n'), 'app.log': 'b\n' },
      'log4js',
      /app\.log\.1\.gz is left: the file it was made of/
    ],
    [
      'what is called compressed and is not',
      { 'app.log.2.gz': 'text\n', 'app.log.1': 'a\n', 'app.log': 'b\n' },
      'log4js',
      /app\.log\.2\.gz is left: it is not what \.gz says/
    ],
    [
      'an empty compressed file',
      { 'app.log.2.gz': '', 'app.log.1': 'a\n', 'app.log': 'b\n' },
      'log4js',
      /app\.log\.2\.gz is left: it is empty/
    ],
    [
      'what nobody here can read',
      { 'app.log.2.bz2': 'BZh9', 'app.log.1': 'a\n', 'app.log': 'b\n' },
      'logrotate',
      /app\.log\.2\.bz2 is left: \.bz2 cannot be read here/
    ],
    [
      'a log of its own',
      { '.app.1.log.lock': '', 'app.1.log': 'x\n', 'app.2.log': 'a\n' },
      'pino-roll',
      /app\.1\.log is left: it is a log of its own/
    ]
  ])('%s', async (_, files, from, told) => {
    const { folder, log } = folderOf(files)
    const suspects = Object.keys(files).filter((name) =>
      told.source.replaceAll('\\', '').startsWith(`${name} `)
    )
    expect(suspects).toHaveLength(1)
    expect((await take(log, from)).left.join()).toMatch(told)
    for (const name of suspects) expect(readFileSync(join(folder, name))).toEqual(Buffer.from(files[name]))
  })

  test('links, folders, names that only begin alike, and backups that are there', async () => {
    const { folder, log } = folderOf({
      ...shifted,
      'app.log.bak': 'x',
      'app.log.1x': 'x',
      'app.log.01': 'x',
      'other.log.1': 'x',
      'app.log.20260101-000000.1': '0\n',
      'app.log.20260101': 'x'
    })
    mkdirSync(join(folder, 'app.log.7'))
    symlinkSync('/etc/hostname', join(folder, 'app.log.8'))
    expect((await take(log, 'logrotate')).left).toEqual([
      'app.log.7 is left: it is no regular file',
      'app.log.8 is left: it is a symbolic link'
    ])
    const names = readdirSync(folder)
    expect(names).toEqual(
      expect.arrayContaining([
        'app.log.bak',
        'app.log.1x',
        'app.log.01',
        'other.log.1',
        'app.log.7',
        'app.log.8',
        'app.log.20260101-000000.1',
        'app.log.20260101'
      ])
    )
    expect((await collect(log)).lines).toEqual(['0', '1', '2', '3', '4'])
  })

  test.each<[what: string, files: Record<string, string>, args: string[], told: RegExp]>([
    [
      'a gap in the numbers of winston',
      { 'app.log': 'a', 'app2.log': 'b' },
      ['--from', 'winston'],
      /nothing between app\.log and app2\.log/
    ],
    [
      'dates beside numbers',
      { 'app.log.1': 'a', 'app.log.2026-01-01': 'b', 'app.log': 'c' },
      ['--from', 'log4js'],
      /--files/
    ]
  ])('%s: nothing is done', async (_, files, args, told) => {
    const { folder, log } = folderOf(files)
    await expect(take(log, args[1])).rejects.toThrow(told)
    expect(readdirSync(folder).sort()).toEqual(Object.keys(files).sort())
  })

  test("winston's order is asked for where the times do not tell, and taken as said", async () => {
    const same = (folder: string): void => {
      for (const name of ['app.log', 'app1.log', 'app2.log']) utimesSync(join(folder, name), 1e9, 1e9)
    }
    const files = { 'app.log': '1\n', 'app1.log': '2\n', 'app2.log': '3\n' }
    const first = folderOf(files)
    same(first.folder)
    await expect(take(first.log, 'winston')).rejects.toThrow('--tailable or --no-tailable')
    await take(first.log, 'winston', { isTailable: false })
    expect((await collect(first.log)).lines).toEqual(['1', '2', '3'])
    const second = folderOf(files)
    same(second.folder)
    await take(second.log, 'winston', { isTailable: true })
    expect((await collect(second.log)).lines).toEqual(['3', '2', '1'])
  })
})

describe('names of one’s own', () => {
  test('--files and --date-pattern', async () => {
    const { folder, log } = folderOf({
      'web 2025.31.12 (2).txt': 'b\n',
      'web 2025.31.12 (1).txt': 'a\n',
      'web 2026.01.01 (1).txt': 'c\n',
      'web 2026.31.02 (1).txt': 'no date\n'
    })
    const args = { files: 'web %DATE% (%N%).txt', datePattern: 'YYYY.DD.MM' }
    expect(await take(log, 'pino-roll', args)).toMatchObject({ left: [] })
    expect((await collect(log)).lines).toEqual(['a', 'b', 'c'])
    expect(existsSync(join(folder, 'web 2026.31.02 (1).txt'))).toBe(true)
  })

  test.each<[values: CliValues, told: RegExp]>([
    [{ files: 'logs/app.%N%' }, /without folder/],
    [{ files: 'app.log' }, /%DATE% or %N%/],
    [{ files: 'app.%N%.%N%' }, /twice/],
    [{ 'date-pattern': 'MMM-YYYY' }, /"MMM" is not understood/],
    [{ 'date-pattern': 'DD' }, /a year/],
    [{ 'date-pattern': 'YYYY-YYYY' }, /twice/],
    [{ 'date-pattern': '' }, /a year/],
    [{ timeout: 'x' }, /--timeout/],
    [{ from: 'log4j' }, /did you mean log4js\?/],
    [{ from: undefined }, /look like those of .*log4js/]
  ])('%j is refused', async (values, told) => {
    const { folder, log } = folderOf(shifted)
    await expect(adopt.run([log], { from: 'log4js', ...values })).rejects.toThrow(told)
    expect(readdirSync(folder).sort()).toEqual(Object.keys(shifted).sort())
  })

  test('what is no path of a log is refused', async () => {
    const { folder, log } = folderOf(shifted)
    const from = { from: 'log4js' }
    await expect(adopt.run([folder], from)).rejects.toThrow('is a folder')
    await expect(adopt.run([`${log}/`], from)).rejects.toThrow('is a folder')
    await expect(adopt.run([], from)).rejects.toThrow('name the log')
    await expect(adopt.run([log, log], from)).rejects.toThrow('one log')
    await expect(adopt.run([join(folder, 'no/app.log')], from)).rejects.toThrow('ERR_NOT_FOUND')
    await expect(adopt.run([join(folder, 'x'.repeat(250))], from)).rejects.toThrow('ERR_OPTION')
  })
})

describe('backups that are called as the log is configured', () => {
  const pattern = '{stem}-%Y-%m-%d.%i{ext}'
  const dayOf = (at: number): string => new Date(at * 1000).toISOString().slice(0, 10)

  test.each(cases)(
    '%s: names by a pattern, in a folder of their own, go on as backups there',
    async (name, from) => {
      const { folder, log, numbers } = leftBy(name)
      const options = { path: log, backupName: pattern, backupDir: join(folder, 'old') }
      await take(log, from, { way: wayOf(log, { name: pattern, dir: options.backupDir }) })
      expect(await numbersIn(log)).toEqual(numbers)
      const taken = readdirSync(options.backupDir)
      expect(taken.length).toBeGreaterThan(1)
      for (const each of taken) expect(each).toMatch(/^app-\d{4}-\d\d-\d\d\.\d+\.log(\.gz)?$/)

      const file = new RotatingFile({ ...options, maxBackups: 2, fsyncOnRotate: false })
      file.write('9998\n')
      await file.rotate()
      file.write('9999\n')
      await file.close()
      const found = await numbersIn(log)
      expect(found.slice(-2)).toEqual(['9998', '9999'])
      expect(found).toEqual(found.toSorted())
      expect(readdirSync(options.backupDir)).toHaveLength(2)
    }
  )

  test('by --backup-name and --backup-dir; nothing is made before --apply', async () => {
    const { folder, log } = folderOf(shifted)
    const args = [
      'adopt',
      log,
      '--from',
      'log4js',
      '--backup-name',
      pattern,
      '--backup-dir',
      join(folder, 'old')
    ]
    const shown = await runCli(args)
    expect([shown.code, shown.stdout]).toEqual([0, expect.stringContaining('old/app-2026-01-05.2.log')])
    expect(readdirSync(folder).sort()).toEqual(Object.keys(shifted).sort())
    expect((await runCli([...args, '--apply'])).code).toBe(0)
    expect((await collect(log)).lines).toEqual(['1', '2', '3', '4'])
  })

  test('as its writers have noted, where nothing is said', async () => {
    const { folder, log } = folderOf({ 'app.log.2': '1\n', 'app.log.1': '2\n' })
    const file = new RotatingFile({ path: log, backupName: pattern })
    file.write('3\n')
    await file.rotate()
    await file.close()
    expect((await runCli(['adopt', log, '--from', 'log4js', '--apply'])).code).toBe(0)
    const day = dayOf(1_767_600_000)
    expect(readdirSync(folder)).toEqual(expect.arrayContaining([`app-${day}.0.log`, `app-${day}.1.log`]))
    expect((await collect(log)).lines).toEqual(['1', '2', '3'])
    const again = await runCli(['adopt', log, '--from', 'winston-daily-rotate-file', '--apply'])
    expect(again.stdout).toMatch(/nothing to take over/)
  })

  test('old files that look like such backups before there are any keep their order, none is overwritten', async () => {
    const { folder, log } = folderOf({
      'app-2026-01-05.log': '1\n',
      'app-2026-01-05.1.log': '2\n',
      'app-2026-01-05.2.log': '3\n',
      'app-2026-01-06.log': '4\n'
    })
    for (const backupName of [pattern, '{stem}.%i{ext}']) {
      const copy = folderOf({})
      for (const each of readdirSync(folder)) {
        writeFileSync(join(copy.folder, each), readFileSync(join(folder, each)))
        utimesSync(
          join(copy.folder, each),
          lstatSync(join(folder, each)).atime,
          lstatSync(join(folder, each)).mtime
        )
      }
      const { done, left } = await take(copy.log, 'winston-daily-rotate-file', {
        way: { name: backupName },
        isUtc: true
      })
      expect([left, done.at(-1)]).toEqual([[], 'app-2026-01-06.log -> app.log'])
      expect((await collect(copy.log)).lines).toEqual(['1', '2', '3', '4'])
    }
    const { folder: shiftedFolder, log: shiftedLog } = folderOf(shifted)
    await take(shiftedLog, 'log4js', { way: { name: '{name}.%i' } })
    expect((await collect(shiftedLog)).lines).toEqual(['1', '2', '3', '4'])
    expect(readdirSync(shiftedFolder).filter((name) => !name.startsWith('.'))).toHaveLength(4)
    expect(existsSync(log)).toBe(false)
  })

  test('what no number could put in its place is refused, with the way out, which works', async () => {
    const { folder, log } = folderOf({ 'app.log.2': '1\n', 'app.log.1': '2\n' })
    const file = new RotatingFile({ path: log, backupName: '{stem}.%i{ext}' })
    file.write('3\n')
    await file.rotate()
    await file.close()
    const before = readdirSync(folder)
    const files = { files: 'app.log.%N%' }
    const refused: Error = await take(log, 'log4js', { ...files, way: wayOf(log, {}) }).catch(
      (error) => error
    )
    expect(refused.message).toMatch(/older than its backup app\.0\.log/)
    expect(readdirSync(folder)).toEqual(before)
    const name = /--backup-name '(.+)'/.exec(refused.message)?.[1]
    await take(log, 'log4js', { ...files, way: wayOf(log, { name }) })
    expect((await collect(log)).lines).toEqual(['1', '2', '3'])
  })

  test.each<[values: CliValues, told: RegExp]>([
    [{ 'backup-name': '{stem}' }, /backupName/],
    [{ 'backup-name': '' }, /backupName/],
    [{ 'backup-dir': '' }, /backupDir/],
    [{ 'backup-dir': '/proc' }, /'backupDir' must be on the file system/],
    [{ 'backup-dir': import.meta.filename }, /'backupDir' must be a folder/]
  ])('%j is refused before anything is renamed', async (values, told) => {
    const { folder, log } = folderOf(shifted)
    for (const apply of [false, true]) {
      const refused = adopt.run([log], { from: 'log4js', apply, ...values })
      await expect(refused).rejects.toMatchObject({
        code: 'ERR_OPTION',
        message: expect.stringMatching(told)
      })
    }
    expect(readdirSync(folder).sort()).toEqual(Object.keys(shifted).sort())
  })

  test.skipIf(process.getuid?.() !== 0)(
    "another user's note leads nobody to a folder that is not theirs",
    async () => {
      const { folder, log } = folderOf(shifted)
      const root = createFolder()
      const note = join(folder, '.app.log.backups')
      writeFileSync(note, `logboom backups 1\n${JSON.stringify({ dir: root })}\n`)
      lchownSync(note, 4711, 4711)
      await expect(adopt.run([log], { from: 'log4js', apply: true })).rejects.toThrow('ERR_OWNER')
      expect(readdirSync(root)).toEqual([])
      lchownSync(root, 4711, 4711)
      await take(log, 'log4js', { way: wayOf(log, {}) })
      expect(readdirSync(root)).toHaveLength(3)
    }
  )
})

describe('beside others', () => {
  test('what the package keeps of its files is told, and removed by --tidy', async () => {
    for (const [name, from, list] of [
      ['daily-rotate', 'winston-daily-rotate-file', /audit\.json$/],
      ['rotating-file-stream', 'rotating-file-stream', /^app\.log\.txt$/]
    ] as const) {
      const { folder, log, names } = leftBy(name)
      const file = names.find((each) => list.test(each)) ?? ''
      const plan = makePlan(log, packageNamed(from), { way: {}, tidies: false }, Date.now())
      expect(plan.left).toMatchObject([
        { name: file, why: expect.stringContaining('the list of these files') }
      ])
      await take(log, from, { tidies: true })
      expect(existsSync(join(folder, file))).toBe(false)
      expect(readdirSync(folder).filter((each) => each.endsWith('.json') || each.endsWith('.txt'))).toEqual(
        []
      )
    }
  })

  test('the audit file of file-stream-rotator 1, which is written otherwise, too', async () => {
    const names = ['app-20260105.0.log', 'app-20260105.1.log']
    const audit = {
      keepSettings: { type: 1, amount: 14 },
      auditFilename: 'logs/audit.json',
      files: names.map((name) => ({ date: 1, name: `logs/${name}`, hash: 'x' }))
    }
    const { folder, log } = folderOf({
      [names[0]]: '1\n',
      [names[1]]: '2\n',
      'audit.json': JSON.stringify(audit),
      'other.json': '{ "files": [] }'
    })
    await take(log, 'file-stream-rotator', { tidies: true })
    expect((await collect(log)).lines).toEqual(['1', '2'])
    expect([existsSync(join(folder, 'audit.json')), existsSync(join(folder, 'other.json'))]).toEqual([
      false,
      true
    ])
  })

  test("bunyan's files, of which 0 is the newest", async () => {
    const { log } = folderOf({ 'app.log.2': '1\n', 'app.log.1': '2\n', 'app.log.0': '3\n', 'app.log': '4\n' })
    expect((await take(log, 'bunyan')).done).toHaveLength(3)
    expect((await collect(log)).lines).toEqual(['1', '2', '3', '4'])
  })

  test('a link that was the path of the log makes room for it', async () => {
    const { log, names } = leftBy('daily-rotate-size')
    expect(names).toContain('app.log')
    expect(lstatSync(log).isSymbolicLink()).toBe(true)
    await take(log, 'winston-daily-rotate-file')
    expect(lstatSync(log).isFile()).toBe(true)
  })

  test('a link leads to the same file as before', async () => {
    const { folder, log } = folderOf(shifted)
    symlinkSync('app.log.2', join(folder, 'incident.log'))
    await take(log, 'log4js')
    expect(readFileSync(join(folder, 'incident.log'), 'utf8')).toBe('2\n')
    expect(lstatSync(join(folder, 'incident.log')).isSymbolicLink()).toBe(true)
  })

  test('a log that writers of ours have begun stays the live one', async () => {
    const { log } = leftBy('pino-roll-size')
    const file = new RotatingFile({ path: log })
    file.write('9999\n')
    await file.flush()
    await take(log, 'pino-roll')
    file.write('9999\n')
    await file.close()
    const found = await numbersIn(log)
    expect(found.slice(-2)).toEqual(['9999', '9999'])
    expect(found).toEqual(found.toSorted())
  })

  test('writers go on behind the adopted backups, also with a clock that is behind them', async () => {
    const { folder, log } = folderOf(shifted)
    utimesSync(join(folder, 'app.log.1'), Date.now() / 1000, Date.now() / 1000)
    await take(log, 'log4js')
    const file = new RotatingFile({ path: log })
    await file.rotate()
    file.write('5\n')
    await file.close()
    expect((await collect(log)).lines).toEqual(['1', '2', '3', '4', '5'])
  })

  test.skipIf(process.platform !== 'linux')('refuses while another program writes to the files', async () => {
    const { folder, log } = folderOf(shifted)
    const script = `const fs = require('fs'); fs.openSync(process.argv[1], 'a'); console.log('open'); setInterval(() => {}, 1000)`
    const child = spawn(process.execPath, ['-e', script, join(folder, 'app.log.2')], {
      stdio: ['ignore', 'pipe', 'inherit']
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    await once(child.stdout, 'data')
    const shown = await runCli(['adopt', log, '--from', 'log4js'])
    expect([shown.code, shown.stderr]).toEqual([
      0,
      expect.stringMatching(new RegExp(`process ${child.pid} \\(node.*app\\.log\\.2 open`))
    ])
    const { stderr, code } = await runCli(['adopt', log, '--from', 'log4js', '--apply'])
    expect([code, stderr]).toEqual([3, expect.stringContaining('ERR_LOCKED')])
    expect(readdirSync(folder).sort()).toEqual(Object.keys(shifted).sort())
    await runCli(['adopt', log, '--from', 'log4js', '--apply', '--even-if-open'])
    expect(backupsOf(folder)).toHaveLength(3)
  })

  test('who only reads is in nobody’s way', async () => {
    const { folder, log } = folderOf(shifted)
    const script = `const fs = require('fs'); fs.openSync(process.argv[1], 'r'); console.log('open'); setInterval(() => {}, 1000)`
    const child = spawn(process.execPath, ['-e', script, log], { stdio: ['ignore', 'pipe', 'inherit'] })
    onTestFinished(() => void child.kill('SIGKILL'))
    await once(child.stdout, 'data')
    expect((await take(log, 'log4js')).done).toHaveLength(3)
    expect(backupsOf(folder)).toHaveLength(3)
  })

  test.skipIf(!native.canLock)('waits for the lock of the writers, and gives up in time', async () => {
    const { folder, log } = folderOf(shifted)
    const file = new RotatingFile({ path: log })
    await file.close()
    const fd = openSync(join(folder, '.app.log.lock'), 'r+')
    native.lock(fd, 0, 0)
    await expect(take(log, 'log4js', {}, 20)).rejects.toThrow('ERR_LOCK_TIMEOUT')
    native.unlock(fd, 0)
    expect(backupsOf(folder)).toEqual([])
    expect((await take(log, 'log4js')).done).toHaveLength(3)
    closeSync(fd)
  })
})

describe('killed on the way', () => {
  async function killedAt(point: string, args: readonly string[]): Promise<NodeJS.Signals | null> {
    const child = spawn(process.execPath, [cliPath, ...args], {
      env: { ...process.env, LOGBOOM_FAILPOINT: point },
      stdio: 'ignore'
    })
    const [, signal] = await once(child, 'exit')
    return signal as NodeJS.Signals | null
  }
  const killCases = sized(
    cases.map(([name, from]) => [name, from] as const),
    [['winston-numbered', 'winston']] as const
  )

  test.each(killCases)(
    '%s: the same command goes on, with the same names as without a kill',
    async (name, from) => {
      const whole = leftBy(name)
      await take(whole.log, from, { tidies: true })
      const wanted = readdirSync(whole.folder)
      let kills = 0
      for (let nth = 0; ; nth += sized(1, nth < 2 ? 1 : 3)) {
        const { folder, log, numbers } = leftBy(name)
        const args = ['adopt', log, '--from', from, '--apply', '--tidy']
        const point = nth === 0 ? 'adopt-planned:kill:1' : `adopt-step:kill:${nth}`
        if ((await killedAt(point, args)) !== 'SIGKILL') break
        kills++
        if (nth === 1) expect((await runCli(args.slice(0, 4))).stderr).toContain('was interrupted')
        await take(log, from, { tidies: true })
        expect(readdirSync(folder)).toEqual(wanted)
        expect(await numbersIn(log)).toEqual(numbers)
      }
      expect(kills).toBeGreaterThan(2)
    }
  )

  test('a name that was taken meanwhile is not overwritten', async () => {
    const { folder, log } = folderOf(shifted)
    await killedAt('adopt-planned:kill:1', ['adopt', log, '--from', 'log4js', '--apply'])
    writeFileSync(join(folder, 'app.log.20260105-080001.0'), 'mine\n')
    expect((await take(log, 'log4js')).left.join()).toMatch(/app\.log\.2 is left: there is a/)
    expect(readFileSync(join(folder, 'app.log.20260105-080001.0'), 'utf8')).toBe('mine\n')
    expect((await take(log, 'log4js')).done).toHaveLength(1)
    expect((await collect(log)).lines).toEqual(['1', 'mine', '2', '3', '4'])
  })

  test('a plan that is damaged, or leads out of the folder, is not followed', async () => {
    const { folder, log } = folderOf(shifted)
    const journal = join(folder, '.app.log.adoption')
    const rename = { do: 'rename', from: 'app.log.3', to: 'app.log.20260105-080000.0', ino: '1', size: 0 }
    for (const text of [
      '',
      'x',
      'null',
      '{"version":1,"log":"app.log","steps":[{"do":"remove"}]}',
      JSON.stringify({ version: 1, log: 'app.log', steps: [{ ...rename, to: '../app.log' }] }),
      JSON.stringify({ version: 1, log: 'app.log', steps: [{ ...rename, to: 'other.log' }] }),
      JSON.stringify({ version: 1, log: 'app.log', steps: [{ ...rename, from: '/etc/passwd' }] }),
      JSON.stringify({ version: 1, log: 'app.log', steps: [null] }),
      JSON.stringify({ version: 1, log: 'app.log', way: { name: '%i' }, steps: [] }),
      JSON.stringify({ version: 1, log: 'app.log', way: { dir: '../old' }, steps: [rename] }),
      JSON.stringify({
        version: 1,
        log: 'app.log',
        way: { dir: 'old' },
        steps: [{ ...rename, to: 'old/../../app.log.20260105-080000.0' }]
      }),
      JSON.stringify({ version: 2, log: 'app.log', steps: [] })
    ]) {
      writeFileSync(journal, text, { mode: 0o600 })
      await expect(take(log, 'log4js'), text).rejects.toMatchObject({ code: 'ERR_CORRUPT' })
      unlinkSync(journal)
    }
    expect(
      readdirSync(folder)
        .filter((name) => !name.startsWith('.'))
        .sort()
    ).toEqual(Object.keys(shifted).sort())
  })

  test('files that were replaced or removed since the plan are left', async () => {
    const { folder, log } = folderOf(shifted)
    await killedAt('adopt-planned:kill:1', ['adopt', log, '--from', 'log4js', '--apply'])
    unlinkSync(join(folder, 'app.log.3'))
    renameSync(join(folder, 'app.log.2'), join(folder, 'kept'))
    writeFileSync(join(folder, 'app.log.2'), 'another\n')
    expect((await take(log, 'log4js')).left).toContain(
      'app.log.3 is left: it was removed or replaced since the plan was made'
    )
    expect(readFileSync(join(folder, 'app.log.2'), 'utf8')).toBe('another\n')
    expect(existsSync(join(folder, '.app.log.adoption'))).toBe(false)
  })
})

test('the command shows what it would do, does it when told, and finds nothing the second time', async () => {
  const { folder, log, names } = leftBy('daily-rotate')
  const args = ['adopt', log, '--from', 'winston-daily-rotate-file', '--utc']
  const shown = await runCli(args)
  expect(shown.code).toBe(0)
  expect(shown.stdout).toBe(`app-2026-01-05.log.gz  ->  app.log.20260105-235959.0.gz
app-2026-01-06.log.gz  ->  app.log.20260106-235959.0.gz
app-2026-01-07.log.gz  ->  app.log.20260107-235959.0.gz
app-2026-01-08.log     ->  app.log
current.log            ->  app.log (link)
app-2026-01-08.log goes on as app.log. Nothing was changed; --apply does it.
`)
  expect(readdirSync(folder)).toEqual(names.toSorted())
  const done = await runCli([...args, '--apply'])
  expect(done.code).toBe(0)
  expect(shown.stdout.startsWith(done.stdout)).toBe(true)
  const again = await runCli([...args, '--apply'])
  expect([again.code, again.stdout]).toEqual([
    0,
    'nothing to take over: no file there has a name that winston-daily-rotate-file gives\n'
  ])
})

test('--json tells each step', async () => {
  const { log } = folderOf(shifted)
  const { stdout } = await runCli(['adopt', log, '--from', 'log4js', '--json'])
  const steps = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(steps).toMatchObject([
    { do: 'rename', from: 'app.log.3', to: 'app.log.20260105-080000.0' },
    { do: 'rename', from: 'app.log.2', to: 'app.log.20260105-080001.0' },
    { do: 'rename', from: 'app.log.1', to: 'app.log.20260105-080002.0' }
  ])
})

test('two at once: each file is renamed once', async () => {
  const { folder, log } = folderOf(shifted)
  linkSync(join(folder, 'app.log.1'), join(folder, 'second-name'))
  appendFileSync(log, '5\n')
  const runs = await Promise.all([1, 2, 3].map(() => runCli(['adopt', log, '--from', 'log4js', '--apply'])))
  expect(runs.map(({ code }) => code)).toEqual([0, 0, 0])
  expect(backupsOf(folder)).toHaveLength(3)
  await until(() => !existsSync(join(folder, '.app.log.adoption')))
  expect((await collect(log)).lines).toEqual(['1', '2', '3', '4', '5'])
})

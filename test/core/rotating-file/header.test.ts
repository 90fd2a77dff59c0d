// The header that each file begins with.
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { RotatingFile } from '../../../src/core/rotating-file/rotating-file.ts'
import { withInternals } from '../../../src/core/sink/internals.ts'
import { failpoints } from '../../../src/io/failpoint.ts'
import { native } from '../../../src/native/index.ts'
import { createFaultyDisk } from '../../helpers/faulty-disk.ts'
import { createFolder } from '../../helpers/folder.ts'
import { sized } from '../../helpers/sized.ts'
import { until } from '../../helpers/until.ts'
import { noLocks, startWriter, type WriterSettings } from '../../helpers/writers.ts'

const lock = native.canLock
const header = '# time level message\n# made by a test\n'

/** The files of the log, oldest first. */
function filesOf(folder: string): string[] {
  const names = readdirSync(folder).filter((name) => name.startsWith('app.log'))
  const backups = names.filter((name) => name !== 'app.log').sort()
  return [...backups, ...names.filter((name) => name === 'app.log')].map((name) => join(folder, name))
}

const contents = (folder: string) => filesOf(folder).map((path) => readFileSync(path, 'utf8'))

test('each file begins with the header, which counts within the limit and is no record', async () => {
  const folder = createFolder()
  const file = new RotatingFile({ path: join(folder, 'app.log'), maxBytes: 100, header, lock })
  for (let line = 0; line < 50; line++) file.write(`line ${line}\n`)
  await file.close()
  const files = contents(folder)
  expect(files.length).toBeGreaterThan(3)
  for (const text of files) {
    expect(text.startsWith(header)).toBe(true)
    expect(text.indexOf(header, 1)).toBe(-1)
    expect(text.length).toBeLessThanOrEqual(100)
  }
  expect(file.stats()).toMatchObject({ records: 50 })
  const lines = files.flatMap((text) => text.slice(header.length).split('\n').slice(0, -1))
  expect(lines).toEqual(Array.from({ length: 50 }, (_, line) => `line ${line}`))
})

test('a line that fits into no file stands alone behind the header, and each such line makes one file', async () => {
  const folder = createFolder()
  const file = new RotatingFile({ path: join(folder, 'app.log'), maxBytes: 60, header: 'head', lock })
  const long = 'x'.repeat(100)
  file.write(`${long}\n${long}\nshort\n${long}\n`)
  await file.close()
  expect(contents(folder)).toEqual([`head\n${long}\n`, `head\n${long}\n`, 'head\nshort\n', `head\n${long}\n`])
})

test('a file without records stays empty, one with records gets no header behind them', async () => {
  const folder = createFolder()
  const path = join(folder, 'app.log')
  const options = { path, header, lock }
  await new RotatingFile(options).close()
  expect(statSync(path).size).toBe(0)
  writeFileSync(path, 'before\n')
  const file = new RotatingFile(options)
  file.write('after\n')
  await file.close()
  expect(readFileSync(path, 'utf8')).toBe('before\nafter\n')
})

test('a file that was cut to nothing by another program begins with the header again', async () => {
  const path = join(createFolder(), 'app.log')
  const file = new RotatingFile({ path, header: 'head', lock })
  file.write('one\n')
  await file.flush()
  writeFileSync(path, '')
  file.write('two\n')
  await file.close()
  expect(readFileSync(path, 'utf8')).toBe('head\ntwo\n')
})

test('a header of which only a part could be written is written again as a whole', async () => {
  const path = join(createFolder(), 'app.log')
  const faulty = createFaultyDisk()
  // Half of it: the first line, and some of the second one.
  let writes = 0
  faulty.fault = (operation, _call, args) => {
    if (operation !== 'write' || !Buffer.from(args[1] as Buffer).includes('made by')) return undefined
    writes++
    return writes === 1 ? 'SHORT' : writes < 4 ? 'ENOSPC' : undefined
  }
  const file = withInternals({ disk: faulty.disk }, () => {
    return new RotatingFile({ path, header, lock, fallback: false })
  })
  file.write('one\n')
  await file.close()
  expect(writes).toBeGreaterThan(3)
  expect(readFileSync(path, 'utf8')).toBe(`${header}one\n`)
})

test('a header that leaves no room, or is none, is refused', () => {
  const path = join(createFolder(), 'app.log')
  const create = (options: object) => () => new RotatingFile({ path, ...options })
  expect(create({ header: 'x'.repeat(99), maxBytes: 100 })).toThrow(/header.*shorter than 'maxBytes'/)
  expect(create({ header: 'x'.repeat(4096), maxBytes: 0 })).toThrow(/header.*4096 bytes/)
  expect(create({ header: '' })).toThrow(/header.*empty/)
  expect(existsSync(path)).toBe(false)
})

describe.skipIf(noLocks)('of several writers (needs the locks of the addon)', () => {
  test('one writes the header, and killed at any point they leave each file with one', async () => {
    const folder = createFolder()
    const settings: WriterSettings = {
      host: 'class',
      writer: 'w',
      options: { path: join(folder, 'app.log'), maxBytes: 2_000, header, flushInterval: 0 },
      bytes: [40, 200],
      perTick: 5
    }
    // The first append to a file is that of the header.
    const all = failpoints.slice(0, 6).flatMap((name) => [`${name}:kill:1`, `${name}:kill:2`])
    const traps = sized(all, ['append:kill:1', 'append:kill:2', 'appended:kill:1', 'renamed:kill:1'])
    const dead = traps.map((trap, index) => {
      return startWriter({ ...settings, writer: `dead${index}` }, { env: { LOGBOOM_FAILPOINT: trap } })
    })
    for (const { exited } of dead) expect((await exited).signal).toBe('SIGKILL')
    const pair = ['a', 'b'].map((writer) => startWriter({ ...settings, writer, count: 200 }))
    for (const { exited } of pair) expect((await exited).code).toBe(0)
    await until(() => filesOf(folder).length > 5)
    for (const text of contents(folder)) {
      if (text === '') continue
      expect(text.startsWith(header)).toBe(true)
      expect(text.indexOf('# ', header.length)).toBe(-1)
    }
  })
})

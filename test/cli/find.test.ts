// Finding records: filters, spans of time, forms for people, and what a terminal gets.
import { execFileSync, spawnSync } from 'node:child_process'
import { appendFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { pickFields } from '../../src/cli/find/fields.ts'
import { parseLevels } from '../../src/cli/find/levels.ts'
import { shortForm } from '../../src/cli/find/pretty.ts'
import { parseTime } from '../../src/cli/find/time-text.ts'
import { parseWhere } from '../../src/cli/find/where.ts'
import { formatBackupName } from '../../src/formats/backup-name.ts'
import { encodeRecord, maxRecordBytes } from '../../src/formats/binary-file.ts'
import { createContext } from '../../src/readers/engine/context.ts'
import { readBatches } from '../../src/readers/engine/read-batches.ts'
import { levelOf } from '../../src/readers/engine/record-level.ts'
import { batchLength, recordAt, type TimeSpan } from '../../src/readers/reader.ts'
import { cliPath, runCli, startCli } from '../helpers/cli.ts'
import { createFolder } from '../helpers/folder.ts'
import { until } from '../helpers/until.ts'

const lines = (records: readonly object[]): string =>
  records.map((each) => `${JSON.stringify(each)}\n`).join('')

function createLog(records: readonly object[]): string {
  const path = join(createFolder(), 'app.log')
  writeFileSync(path, lines(records))
  return path
}

/** The field `n` of what a command prints. */
async function numbers(args: readonly string[], input?: string): Promise<number[]> {
  const { stdout, stderr, code } = await runCli(args, input === undefined ? {} : { input })
  expect([stderr, code]).toEqual(['', 0])
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line).n)
}

describe('--level', () => {
  const records = [
    { n: 0, level: 30 },
    { n: 1, level: 'warn' },
    { n: 2, level: 40 },
    { n: 3, level: '\u001b[31mERROR\u001b[39m' },
    { n: 4, severity: 'CRITICAL' },
    { n: 5, log: { level: 'error' } },
    { n: 6, 'log.level': 'debug' },
    { n: 7, level: 'own' },
    { n: 8 },
    { n: 9, level: 45 },
    { n: 10, level: 'http' }
  ]

  test.each([
    ['warn', [1, 2]],
    ['40', [1, 2]],
    ['>=warn', [1, 2, 3, 4, 5, 9]],
    ['>=45', [3, 4, 5, 9]],
    ['>warn', [3, 4, 5, 9]],
    ['<info', [6, 10]],
    ['<=30', [0, 6, 10]],
    ['warn,error', [1, 2, 3, 5]],
    ['!=error', [0, 1, 2, 4, 6, 9, 10]],
    ['WARNING', [1, 2]]
  ])('%s', (text, expected) => {
    const isWanted = parseLevels([text])
    const found = records.filter((record) => {
      const level = levelOf(record)
      return level !== undefined && isWanted(level)
    })
    expect(found.map(({ n }) => n)).toEqual(expected)
  })

  test('is an option of cat, tail and merge, also for levels of which one has several', async () => {
    const path = createLog(records)
    for (const command of [['cat'], ['tail', '-n', 'all'], ['merge']])
      expect(await numbers([...command, '--level', 'warn', '--level', '>55', path])).toEqual([1, 2])
  })

  test('a name that nobody knows is refused with the one that was meant', async () => {
    const { stderr, code } = await runCli(['cat', '--level', '>=wran', createLog(records)])
    expect([code, stderr]).toEqual([1, expect.stringContaining('did you mean warn?')])
  })
})

describe('--where', () => {
  const records = [
    { n: 0, req: { method: 'GET', id: 7 } },
    { n: 1, req: { method: 'POST', id: '7' }, ok: true },
    { n: 2, 'req.method': 'POST', list: [{ a: 5 }] },
    { n: 3, req: null, ok: false, text: 'a=b' },
    { n: 4, ms: 12.5 },
    { n: 5, ms: 1000 }
  ]

  test.each([
    [['req.method=POST'], [1, 2]],
    [['req.id=7'], [0, 1]],
    [['req.method!=POST'], [0, 3, 4, 5]],
    [['ok=true'], [1]],
    [['req=null'], [3]],
    [['list.0.a=5'], [2]],
    [['text=a=b'], [3]],
    [['ms=1e3'], [5]],
    [['ms>12'], [4, 5]],
    [['ms>=12.5', 'ms<100'], [4]],
    [['ms<=12.5'], [4]],
    [['constructor.name=Object'], []],
    [['__proto__=x'], []],
    [
      ['ok!=true', 'n<4'],
      [0, 2, 3]
    ]
  ])('%j', (texts, expected) => {
    const conditions = texts.map(parseWhere)
    const found = records.filter((record) => conditions.every((condition) => condition(record)))
    expect(found.map(({ n }) => n)).toEqual(expected)
  })

  test('has to be met by a record of the log, each of them', async () => {
    expect(await numbers(['cat', '--where', 'ms>=12.5', '--where', 'ms<100', createLog(records)])).toEqual([
      4
    ])
  })

  test('is met by JSON records only, also where a field is to be another one, or none', async () => {
    const path = join(createFolder(), 'app.log')
    writeFileSync(path, `no JSON\n${lines(records)}[1]\n`)
    expect(await numbers(['cat', '--where', 'ok!=true', path])).toEqual([0, 2, 3, 4, 5])
  })

  test('a text that is no condition is refused', async () => {
    expect((await runCli(['cat', '--where', 'key', createLog(records)])).code).toBe(1)
  })
})

describe('--grep', () => {
  test('takes regular expressions, any of them, with and without case', async () => {
    const path = createLog([
      { n: 0, msg: 'Straße' },
      { n: 1, msg: 'order-17' },
      { n: 2, msg: 'ORDER-18' }
    ])
    expect(await numbers(['cat', '--grep', 'order-\\d+', path])).toEqual([1])
    expect(await numbers(['cat', '-i', '--grep', 'order\\-\\d+', path])).toEqual([1, 2])
    expect(await numbers(['cat', '--grep', 'stra.e', '--grep', '18"', '-i', path])).toEqual([0, 2])
    expect(await numbers(['cat', '--grep', '18"}$', path])).toEqual([2])
    expect((await runCli(['cat', '--grep', '(', path])).code).toBe(1)
    expect((await runCli(['cat', '-i', path])).code).toBe(1)
  })

  test('works on lines that are no JSON, and on stdin', async () => {
    const { stdout } = await runCli(['cat', '--grep', '^b', '-'], { input: 'a\nb1\nc\nb2' })
    expect(stdout).toBe('b1\nb2\n')
  })
})

test('a byte order mark before the first record, and what ends a line, keep no filter from finding it', async () => {
  const path = join(createFolder(), 'app.log')
  writeFileSync(path, '\ufeff{"level":50,"time":1767225600000,"msg":"one"}\r\n{"level":30,"msg":"two"}\r\n')
  const first = (await runCli(['cat', '-n', '1', path])).stdout
  const found = async (...args: string[]) => (await runCli(['cat', ...args, path])).stdout
  expect(await found('--level', 'error')).toBe(first)
  expect(await found('--where', 'msg=one')).toBe(first)
  expect(await found('--since', '2026-01-01T00:00:00Z', '--grep', 'one')).toBe(first)
  expect(await found('--grep', 'one"}$')).toBe(first)
  expect(await found('--fields', 'msg', '-n', '1')).toBe('{"msg":"one"}\n')
  writeFileSync(path, '\ufeff2026-01-01T00:00:00Z one\n')
  expect(await found('--since', '2026-01-01T00:00:00Z')).toBe('\ufeff2026-01-01T00:00:00Z one\n')
})

test('-n is the first records of cat and merge, and the last of tail, of those that are wanted', async () => {
  const path = createLog([...Array(5000).keys()].map((n) => ({ n, level: n % 10 === 0 ? 50 : 30 })))
  expect(await numbers(['cat', '-n', '3', path])).toEqual([0, 1, 2])
  expect(await numbers(['cat', '-n', '0', path])).toEqual([])
  expect(await numbers(['cat', '-n', '2', '--level', 'error', path, path])).toEqual([0, 10])
  expect(await numbers(['merge', '-n', '3', '--level', 'error', path])).toEqual([0, 10, 20])
  expect(await numbers(['tail', '-n', '2', '--level', 'error', path])).toEqual([4980, 4990])
  expect(await numbers(['tail', '-n', '2', '--level', 'error', '-'], readFileSync(path, 'utf8'))).toEqual([
    4980, 4990
  ])
  const json = await runCli(['tail', '-n', '1', '--json', '--level', 'error', path])
  const { offset, data } = JSON.parse(json.stdout)
  expect(readFileSync(path).toString('utf8', offset, offset + data.length)).toBe(data)
})

test('tail -f with a filter begins with the last records that are wanted, and goes on with those to come', async () => {
  const path = createLog([
    { n: 0, level: 50 },
    { n: 1, level: 50 },
    { n: 2, level: 30 }
  ])
  const child = startCli(['tail', '-f', '-n', '1', '--level', 'error', path])
  let printed = ''
  child.stdout.on('data', (chunk) => {
    printed += chunk
  })
  await until(() => printed !== '')
  appendFileSync(
    path,
    lines([
      { n: 3, level: 30 },
      { n: 4, level: 50 }
    ])
  )
  await until(() => printed.includes('"n":4'))
  expect(printed).toBe(
    lines([
      { n: 1, level: 50 },
      { n: 4, level: 50 }
    ])
  )
})

test('a cursor goes behind what was looked at, wanted or not', async () => {
  const path = createLog([
    { n: 0, level: 50 },
    { n: 1, level: 30 }
  ])
  const run = () => numbers(['cat', '--level', 'error', '--cursor-file', `${path}.seen`, path])
  expect(await run()).toEqual([0])
  appendFileSync(path, lines([{ n: 2, level: 50 }]))
  expect(await run()).toEqual([2])
})

describe('times', () => {
  const now = Date.UTC(2026, 0, 10, 12)

  test.each([
    ['2h', now - 7_200_000],
    ['1h30m', now - 5_400_000],
    ['1.5h', now - 5_400_000],
    ['-10m', now - 600_000],
    ['90s ago', now - 90_000],
    ['1d', now - 86_400_000],
    ['1w', now - 604_800_000],
    ['now', now],
    ['1767225600', 1_767_225_600_000],
    ['1767225600000', 1_767_225_600_000],
    ['2026-01-01T00:00:00Z', 1_767_225_600_000],
    ['2026-01-01T01:00:00+01:00', 1_767_225_600_000],
    ['2026-01-01', new Date(2026, 0, 1).getTime()],
    ['2026-01-01 10:00', new Date(2026, 0, 1, 10).getTime()]
  ])('%s', (text, expected) => {
    expect(parseTime('since', text, now)).toBe(expected)
  })

  test.each(['', '10', '2x', 'h', '2026-02-31', '2026-13-01', 'soon', '2026-01-01T99:00'])(
    '%j is refused',
    (text) => {
      expect(() => parseTime('since', text, now)).toThrow('--since must be')
    }
  )

  test('both ends belong to the span, and lines without a time to the record before them', async () => {
    const path = join(createFolder(), 'app.log')
    const at = (second: number) => `2026-01-01T00:00:0${second}Z`
    writeFileSync(path, `stray\n${at(1)} one\n  at stack\n${at(2)} two\n  at stack 2\n${at(3)} three\n`)
    const run = async (...args: string[]) => (await runCli(['cat', ...args, path])).stdout
    expect(await run('--since', at(2))).toBe(`${at(2)} two\n  at stack 2\n${at(3)} three\n`)
    expect(await run('--until', at(1))).toBe(`${at(1)} one\n  at stack\n`)
    expect(await run('--since', at(2), '--until', at(2))).toBe(`${at(2)} two\n  at stack 2\n`)
    expect((await runCli(['cat', '--since', at(2), '--until', at(1), path])).code).toBe(1)
  })

  test('a log without times says why nothing is printed', async () => {
    const { stdout, stderr } = await runCli(['cat', '--since', '1h', createLog([{ n: 1 }])])
    expect([stdout, stderr]).toEqual(['', expect.stringContaining('no record has a time')])
  })
})

describe('files outside the span', () => {
  const HOUR = 3_600_000
  const start = Date.UTC(2026, 0, 1)

  /** Runs the command and returns what was printed, and the backups that were opened. */
  function opened(args: readonly string[], folder: string): { numbers: number[]; files: string[] } {
    const log = join(folder, '.opened')
    writeFileSync(log, '')
    const hook = `import fs from 'node:fs'
      import promises from 'node:fs/promises'
      import { syncBuiltinESMExports } from 'node:module'
      const open = promises.open
      promises.open = (path, ...rest) => {
        fs.appendFileSync(${JSON.stringify(log)}, path + '\\n')
        return open(path, ...rest)
      }
      syncBuiltinESMExports()`
    const { stdout, stderr } = spawnSync(
      process.execPath,
      ['--import', `data:text/javascript,${encodeURIComponent(hook)}`, cliPath, ...args],
      { encoding: 'utf8' }
    )
    expect(stderr).toBe('')
    const printed = stdout
      .trimEnd()
      .split('\n')
      .filter((line) => line !== '')
    const files = readFileSync(log, 'utf8')
      .split('\n')
      .filter((line) => /app\.\w*\.?\d/.test(line))
    return { numbers: printed.map((line) => JSON.parse(line).n), files: [...new Set(files)] }
  }

  const records = (hour: number) =>
    [0, 1, 2].map((n) => ({ n: hour * 3 + n, time: start + hour * HOUR + n * 1000 }))

  /** One file an hour; each backup is made at the end of its hour. */
  function createRotated(hours: number): { folder: string; path: string } {
    const folder = createFolder()
    for (let hour = 0; hour < hours; hour++) {
      const name = formatBackupName('app.log', (start + (hour + 1) * HOUR) / 1000, 0)
      const text = lines(records(hour))
      if (hour % 3 === 0) writeFileSync(join(folder, name), text)
      else if (hour % 3 === 1) writeFileSync(join(folder, `${name}.gz`), gzipSync(text))
      else writeFileSync(join(folder, `${name}.br`), brotliCompressSync(text))
    }
    writeFileSync(join(folder, 'app.log'), lines(records(hours)))
    return { folder, path: join(folder, 'app.log') }
  }

  test('are not opened, as the times in the names of backups tell, compressed ones too', () => {
    const { folder, path } = createRotated(60)
    const since = new Date(start + 58.5 * HOUR).toISOString()
    const found = opened(['cat', '--since', since, path], folder)
    expect(found.numbers).toEqual([...records(59), ...records(60)].map(({ n }) => n))
    expect(found.files.length).toBe(2)
    const middle = [start + 20 * HOUR, start + 20 * HOUR + 2000].map((ms) => String(ms))
    const span = opened(['merge', '--since', middle[0], '--until', middle[1], path], folder)
    expect(span.numbers).toEqual(records(20).map(({ n }) => n))
    expect(span.files.length).toBeLessThanOrEqual(5)
    const early = opened(['tail', '--until', new Date(start + HOUR / 2).toISOString(), path], folder)
    expect(early.numbers).toEqual([0, 1, 2])
    expect(early.files.length).toBeLessThanOrEqual(4)
  })

  test('are found by their first records where names have no times', () => {
    const folder = createFolder()
    const frames = (hour: number): Buffer => {
      const texts = records(hour).map((each) => JSON.stringify(each))
      const bytes = Buffer.alloc(texts.reduce((sum, text) => sum + maxRecordBytes(text), 0))
      let at = 0
      for (const text of texts) at = encodeRecord(bytes, at, text)
      return bytes.subarray(0, at)
    }
    for (let hour = 0; hour < 60; hour++) {
      const packed = hour % 2 === 0
      const bytes = packed ? gzipSync(frames(hour)) : frames(hour)
      writeFileSync(join(folder, `app.${hour}.bin${packed ? '.gz' : ''}`), bytes)
    }
    writeFileSync(join(folder, 'app.bin'), frames(60))
    const run = (...args: string[]) => opened(['cat', ...args, join(folder, 'app.bin')], folder)
    const found = run('--since', String(start + 40.5 * HOUR), '--until', String(start + 41.5 * HOUR))
    expect(found.numbers).toEqual(records(41).map(({ n }) => n))
    expect(found.files.length).toBeLessThan(20)
  })

  test('are judged with slack: a record that was written ten minutes late is found', async () => {
    const { folder, path } = createRotated(6)
    const late = { n: 99, time: start + 2 * HOUR - 540_000 }
    appendFileSync(join(folder, formatBackupName('app.log', (start + 3 * HOUR) / 1000 + 1, 0)), lines([late]))
    const texts = readdirSync(folder).filter((name) => name.startsWith('app.log')).length
    expect(texts).toBe(8)
    const all = await within(path, { sinceMs: Number.NEGATIVE_INFINITY, untilMs: Number.POSITIVE_INFINITY })
    expect(all).toHaveLength(22)
    for (let from = 0; from <= 7; from++) {
      for (let to = from; to <= 7; to++) {
        const span = { sinceMs: start + from * HOUR - 600_000, untilMs: start + to * HOUR + 5000 }
        const isIn = ({ time }: { time: number }) => time >= span.sinceMs && time <= span.untilMs
        const found = (await within(path, span)).filter(isIn)
        expect(found, `${from} to ${to}`).toEqual(all.filter(isIn))
      }
    }
  })

  /** The records of the files that are read for a span. */
  async function within(path: string, span: TimeSpan): Promise<{ n: number; time: number }[]> {
    const found: { n: number; time: number }[] = []
    for await (const batch of readBatches(path, 'auto', createContext({ span })))
      for (let at = 0; at < batchLength(batch); at++)
        found.push(JSON.parse(recordAt(batch, at).data.toString()))
    return found
  }
})

describe('--fields', () => {
  test('prints JSON records with these fields alone, in their shape', async () => {
    const path = createLog([{ n: 1, a: { b: { c: 2 }, d: 3 }, 'x.y': 4, msg: 'm' }])
    appendFileSync(path, 'no JSON\n')
    const { stdout } = await runCli(['cat', '--fields', 'msg,a.b.c,x.y,missing', path])
    expect(stdout).toBe('{"msg":"m","a":{"b":{"c":2}},"x.y":4}\nno JSON\n')
    const json = await runCli(['cat', '--json', '--fields', 'n', path])
    expect(JSON.parse(json.stdout.split('\n')[0]).data).toBe('{"n":1}')
    expect((await runCli(['cat', '--raw', '--fields', 'n', path])).code).toBe(1)
    expect((await runCli(['cat', '--fields', 'n,', path])).code).toBe(1)
  })

  test('take nothing that the record does not hold, and leave it as it was', () => {
    const record = { a: { b: 1, c: 2 }, d: [{ e: 3 }] }
    const picked = pickFields(record, ['a.b', 'constructor', '__proto__.x', 'd.0.e', 'a.c'])
    expect(JSON.stringify(picked)).toBe('{"a":{"b":1,"c":2},"d":{"0":{"e":3}}}')
    expect(record).toEqual({ a: { b: 1, c: 2 }, d: [{ e: 3 }] })
  })
})

describe('--pretty', () => {
  const EVIL = 'red \u001b[31m\u009b2J\u202e\rover'

  test('goes through pino-pretty, and no text of a record acts on a terminal', async () => {
    const path = createLog([{ level: 30, time: 1, msg: EVIL, [EVIL]: { deep: [EVIL] } }])
    appendFileSync(path, `{"level":"warn","message":"winston"}\nplain ${EVIL}\n`)
    const { stdout } = await runCli(['cat', '--pretty', path])
    expect(stdout).toContain('INFO')
    expect(stdout).toContain('WARN')
    expect(stdout).toContain('winston')
    expect(stdout).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/)
    expect((await runCli(['cat', '--pretty', '--json', path])).code).toBe(1)
  })

  test('shows the time by which records are found, also where it is in seconds', async () => {
    const path = createLog([{ level: 30, time: 1_767_225_600, msg: 'one' }])
    expect((await runCli(['cat', '--pretty', path])).stdout).toMatch(/^\[\d\d:\d\d:00\.000\] INFO: one\n$/)
  })

  test('has a short form where pino-pretty is missing', () => {
    const record = {
      level: 50,
      time: 0,
      pid: 1,
      msg: 'failed',
      err: { type: 'Error', stack: 'Error: x\n at y' },
      s: 't'
    }
    const data = Buffer.from(JSON.stringify(record))
    expect(shortForm(record, data, false)).toBe(
      '1970-01-01T00:00:00.000Z ERROR failed pid=1 s=t\n    Error: x\n     at y'
    )
    expect(shortForm({ a: { b: 1 } }, data, true)).toBe('a={ b: 1 }')
    expect(shortForm({ level: 'warn', time: 1e99, message: 'm' }, data, true)).toBe(
      '1e+99 \x1b[33mWARN \x1b[0m m'
    )
  })
})

describe('on a terminal', () => {
  const ACTS = 'a\u001b]0;title\u0007\u009b1m\u202eb\rc'

  /** What the command writes to a terminal. */
  function onTerminal(args: readonly string[], env: NodeJS.ProcessEnv = {}): string {
    const command = [process.execPath, cliPath, ...args].map((each) => `'${each}'`).join(' ')
    return execFileSync('script', ['-qec', command, '/dev/null'], {
      encoding: 'utf8',
      env: { ...process.env, ...env }
    }).replaceAll('\r\n', '\n')
  }

  test.each([['cat'], ['tail'], ['merge']])(
    '%s shows control characters of records as escapes',
    (command) => {
      const path = join(createFolder(), 'a.log')
      writeFileSync(path, `${ACTS}\tx\r\nnext 👩‍👧 line\n`)
      const shown = 'a\\u001b]0;title\\u0007\\u009b1m\\u202eb\\u000dc\tx\r\nnext 👩‍👧 line\n'
      expect(onTerminal([command, path]).replaceAll('\r\n', '\n')).toBe(shown.replaceAll('\r\n', '\n'))
      const json = onTerminal([command, '--json', path])
      expect(json).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/)
      expect(JSON.parse(json.split('\n')[0]).data).toBe(`${ACTS}\tx${command === 'x' ? '' : '\r'}`)
      expect(onTerminal([command, '--raw', path])).toContain(ACTS)
      expect(onTerminal([command, '--grep', 'title', '--fields', 'x', path])).not.toContain('\u001b')
    }
  )

  test('--pretty has colours, and none with NO_COLOR or TERM=dumb', () => {
    const path = createLog([{ level: 50, msg: 'm' }])
    const run = (env: NodeJS.ProcessEnv) =>
      onTerminal(['cat', '--pretty', path], { NO_COLOR: '', TERM: 'xterm', ...env })
    expect(run({})).toContain('\u001b[31m')
    expect(run({ NO_COLOR: '1' })).not.toContain('\u001b')
    expect(run({ TERM: 'dumb' })).not.toContain('\u001b')
  })
})

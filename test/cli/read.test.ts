import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { formatBackupName } from '../../src/formats/backup-name.ts'
import { cliPath, runCli, startCli } from '../helpers/cli.ts'
import { createFolder } from '../helpers/folder.ts'
import { until } from '../helpers/until.ts'

const backup = (number: number) => formatBackupName('app.log', 1_700_000_000, number)

/** A log of three files: 1, 2 | 3 | 4, 5 */
function createLog(): { folder: string; path: string } {
  const folder = createFolder()
  writeFileSync(join(folder, `${backup(9)}.gz`), gzipSync('1\n2\n'))
  writeFileSync(join(folder, backup(10)), '3\n')
  writeFileSync(join(folder, 'app.log'), '4\n5\n')
  writeFileSync(join(folder, '.app.log.lock'), '')
  return { folder, path: join(folder, 'app.log') }
}

describe('--cursor-file and --from', () => {
  test('each run of cat prints what is new, through a rotation', async () => {
    const { folder, path } = createLog()
    const seen = join(folder, 'seen.cursor')
    const run = async () => (await runCli(['cat', '--cursor-file', seen, path])).stdout
    expect(await run()).toBe('1\n2\n3\n4\n5\n')
    expect(await run()).toBe('')
    appendFileSync(path, '6\n7')
    expect(await run()).toBe('6\n')
    appendFileSync(path, '\n')
    renameSync(path, join(folder, backup(11)))
    writeFileSync(path, '8\n')
    expect(await run()).toBe('7\n8\n')
    const from = readFileSync(seen, 'utf8').trim()
    expect((await runCli(['cat', '--from', from, path])).stdout).toBe('')
    rmSync(path)
    expect(await runCli(['cat', '--from', from, path])).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('ERR_CURSOR_LOST')
    })
  })

  test('tail -f goes on behind the cursor, and keeps how far it came', async () => {
    const { folder, path } = createLog()
    const seen = join(folder, 'seen.cursor')
    await runCli(['cat', '--cursor-file', seen, path])
    const before = readFileSync(seen, 'utf8')
    appendFileSync(path, '6\n')
    const child = startCli(['tail', '-f', '--cursor-file', seen, path])
    let printed = ''
    child.stdout.on('data', (chunk) => {
      printed += chunk
    })
    await until(() => printed === '6\n')
    await until(() => readFileSync(seen, 'utf8') !== before)
    expect((await runCli(['cat', '--cursor-file', seen, path])).stdout).toBe('')
  })

  test.each([
    [['cat', '--from', 'x', 'app.log']],
    [['cat', '--from', 'x', '--cursor-file', 'y', 'app.log']],
    [['cat', '--cursor-file', 'y', 'app.log', 'b.log']],
    [['cat', '--cursor-file', 'y', '-']],
    [['tail', '--cursor-file', 'y', 'app.log']]
  ])('%j is refused', async (args) => {
    expect((await runCli(args, { cwd: createLog().folder })).code).toBe(1)
  })
})

describe('logboom cat', () => {
  test('prints backups and live file, each record on a line', async () => {
    expect(await runCli(['cat', createLog().path])).toEqual({
      stdout: '1\n2\n3\n4\n5\n',
      stderr: '',
      code: 0,
      signal: null
    })
  })

  test('prints an unterminated last line, and does not let it run into the next file', async () => {
    const { folder, path } = createLog()
    writeFileSync(join(folder, backup(10)), '3')
    appendFileSync(path, '6')
    expect((await runCli(['cat', path])).stdout).toBe('1\n2\n3\n4\n5\n6\n')
    expect((await runCli(['cat', '--raw', path])).stdout).toBe('1\n2\n34\n5\n6')
  })

  test('--json gives data, file and offset; bytes that are no text also as base64', async () => {
    const { folder, path } = createLog()
    writeFileSync(path, Buffer.from('ü"\n\xff\xfe\n', 'latin1'))
    appendFileSync(path, 'ü"\n')
    const { stdout } = await runCli(['cat', '--json', path])
    const records = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(records.slice(0, 3)).toEqual([
      { data: '1', file: join(folder, `${backup(9)}.gz`), offset: 0 },
      { data: '2', file: join(folder, `${backup(9)}.gz`), offset: 2 },
      { data: '3', file: join(folder, backup(10)), offset: 0 }
    ])
    expect(records[4]).toEqual({ data: '\ufffd\ufffd', base64: '//4=', file: path, offset: 3 })
    expect(records[5]).toEqual({ data: 'ü"', file: path, offset: 6 })
  })

  test('--framed puts the length before each record', async () => {
    const { stdout } = await runCli(['cat', '--framed', '-'], { input: 'ab\n\ncde' })
    expect(stdout).toBe('\0\0\0\x02ab\0\0\0\0\0\0\0\x03cde')
  })

  test('reads stdin, several logs, folders with their events, and patterns the shell did not expand', async () => {
    const { folder, path } = createLog()
    expect((await runCli(['cat', '-', path, '-'], { input: 'x\n' })).stdout).toBe('x\n1\n2\n3\n4\n5\n')
    const logs = join(createFolder(), 'a b [x]')
    mkdirSync(logs)
    writeFileSync(join(logs, 'login.log'), 'l\n')
    writeFileSync(join(logs, 'pay.log'), 'p\n')
    expect((await runCli(['cat', logs])).stdout).toBe('l\np\n')
    expect((await runCli(['cat', '--json', logs])).stdout).toContain('"offset":0,"event":"login"}')
    expect((await runCli(['cat', `${folder}/*.log`])).stdout).toBe('1\n2\n3\n4\n5\n')
    expect((await runCli(['cat', '[kl]og?n.l*'], { cwd: logs })).stdout).toBe('l\n')
    expect(await runCli(['cat', 'no*.log'], { cwd: logs })).toMatchObject({ code: 1, stdout: '' })
  })

  test('a log named together with its own backups is printed once, backups alone in their order', async () => {
    const { folder } = createLog()
    const names = ['app.log', backup(10), `${backup(9)}.gz`]
    expect((await runCli(['cat', ...names], { cwd: folder })).stdout).toBe('1\n2\n3\n4\n5\n')
    expect((await runCli(['cat', ...names.slice(1)], { cwd: folder })).stdout).toBe('1\n2\n3\n')
  })

  test('damage: the intact records, a line on stderr per damage, exit code 2', async () => {
    const { folder, path } = createLog()
    writeFileSync(join(folder, `${backup(9)}.gz`), gzipSync('1\n2\n').subarray(0, -3))
    const result = await runCli(['cat', path])
    expect(result).toMatchObject({ stdout: '1\n2\n3\n4\n5\n', code: 2 })
    expect(result.stderr).toMatch(/\.9\.gz is damaged at offset 4: compressed data is cut short/)
    expect(await runCli(['cat', '--on-corrupt', 'stop', path])).toMatchObject({ stdout: '1\n2\n', code: 2 })
    expect(await runCli(['cat', '--on-corrupt', 'throw', path])).toMatchObject({ stdout: '1\n2\n', code: 2 })
  })

  test('a missing log is exit code 3 and does not keep the others from being printed', async () => {
    const { path } = createLog()
    const result = await runCli(['cat', '/nowhere/x.log', path])
    expect(result).toMatchObject({ stdout: '1\n2\n3\n4\n5\n', code: 3 })
    expect(result.stderr).toBe('logboom: there is no log at /nowhere/x.log [ERR_NOT_FOUND]\n')
  })

  test('ends silently when its reader goes away', () => {
    const path = join(createFolder(), 'app.log')
    writeFileSync(path, `${'x'.repeat(99)}\n`.repeat(200_000))
    const script = `"$1" "$2" cat "$3" | head -n 1; echo "\${PIPESTATUS[0]}"`
    const out = execFileSync('bash', ['-c', script, 'bash', process.execPath, cliPath, path], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe']
    })
    expect(out).toBe(`${'x'.repeat(99)}\n0\n`)
  })

  test('goes on when the reader of its messages goes away', () => {
    const folder = createFolder()
    for (let n = 0; n < 50; n++) {
      writeFileSync(join(folder, `${n}.log.20260101-000000.0.gz`), 'damaged')
      writeFileSync(join(folder, `${n}.log`), `${n}\n`)
    }
    const out = join(folder, '..', 'out')
    const script = `{ sleep 0.5; "$1" "$2" cat "$3" 2>&1 >"$4"; echo $? >"$4.code"; } | true`
    execFileSync('bash', ['-c', script, 'bash', process.execPath, cliPath, folder, out])
    expect(readFileSync(out, 'utf8').split('\n')).toHaveLength(51)
    expect(readFileSync(`${out}.code`, 'utf8')).toBe('2\n')
  })

  test('waits for a slow reader of a non-blocking pipe without losing or growing', async () => {
    const path = join(createFolder(), 'app.log')
    const content = `${'y'.repeat(999)}\n`.repeat(20_000)
    writeFileSync(path, content)
    const child = startCli(['cat', path])
    await sleep(500)
    let bytes = 0
    for await (const chunk of child.stdout) bytes += chunk.length
    expect(bytes).toBe(content.length)
  })

  test('memory does not grow with the size of the log', async () => {
    const path = join(createFolder(), 'app.log')
    const block = Buffer.from(`${'z'.repeat(199)}\n`.repeat(50_000))
    for (let at = 0; at < 30; at++) appendFileSync(path, block)
    const peakKb = (args: string[]) => {
      const code = `
        process.argv.splice(1, 1)
        process.on('exit', () => require('node:fs').writeSync(2, String(process.resourceUsage().maxRSS)))
        import(process.argv[1])`
      const command = [process.execPath, '-e', code, 'x', cliPath, ...args, path].map(
        (each) => `'${each.replaceAll("'", "'\\''")}'`
      )
      return Number(
        execFileSync('bash', ['-c', `${command.join(' ')} 2>&1 >/dev/null`], { encoding: 'utf8' })
      )
    }
    expect(peakKb(['cat']) - peakKb(['tail', '-n', '1'])).toBeLessThan(32 * 1024)
  })
})

describe('logboom tail', () => {
  test('prints the last ten records, or as many as asked', async () => {
    const path = join(createFolder(), 'app.log')
    const lines = Array.from({ length: 20 }, (_, at) => `${at}\n`)
    writeFileSync(path, lines.join(''))
    expect((await runCli(['tail', path])).stdout).toBe(lines.slice(10).join(''))
    expect((await runCli(['tail', '-n', '3', path])).stdout).toBe(lines.slice(17).join(''))
    expect((await runCli(['tail', '-n', '0', path])).stdout).toBe('')
    expect((await runCli(['tail', '-n', 'all', path])).stdout).toBe(lines.join(''))
    expect((await runCli(['tail', '-n', '2', '-'], { input: lines.join('') })).stdout).toBe('18\n19\n')
    expect((await runCli(['tail', '-n', '3', createLog().path])).stdout).toBe('3\n4\n5\n')
    expect((await runCli(['tail', '-n', '-3', path])).code).toBe(1)
  })

  test('-f follows through rename, truncation and deletion; SIGINT ends it', async () => {
    const { folder, path } = createLog()
    const child = startCli(['tail', '-f', '-n', '1', path])
    let out = ''
    child.stdout.on('data', (chunk) => {
      out += chunk
    })
    const untilEnd = (end: string) => until(() => out.endsWith(end))
    await untilEnd('5\n')
    renameSync(path, join(folder, backup(11)))
    writeFileSync(path, '6\n')
    await untilEnd('6\n')
    truncateSync(path)
    appendFileSync(path, '7\n8\n')
    await untilEnd('8\n')
    rmSync(path)
    writeFileSync(path, '9\n')
    await untilEnd('9\n')
    expect(out).toBe('5\n6\n7\n8\n9\n')
    child.kill('SIGINT')
    const signal = await new Promise((resolve) => child.once('exit', (_code, by) => resolve(by)))
    expect(signal).toBe('SIGINT')
  })

  test('-f mixes several logs and waits for those that are not there yet', async () => {
    const folder = createFolder()
    writeFileSync(join(folder, 'a.log'), 'a\n')
    const child = startCli(['tail', '-f', join(folder, 'a.log'), join(folder, 'b.log')])
    let out = ''
    child.stdout.on('data', (chunk) => {
      out += chunk
    })
    await until(() => out.length >= 2)
    writeFileSync(join(folder, 'b.log'), 'b\n')
    await until(() => out.length >= 4)
    appendFileSync(join(folder, 'a.log'), 'c\n')
    await until(() => out.length >= 6)
    expect(out).toBe('a\nb\nc\n')
  })

  test('works in front of pino-pretty', () => {
    const path = join(createFolder(), 'app.log')
    writeFileSync(path, '{"level":30,"time":1700000000000,"pid":1,"hostname":"h","msg":"hello"}\n')
    const script = `"$1" "$2" tail "$3" | npx pino-pretty --colorize=false`
    const out = execFileSync('bash', ['-c', script, 'bash', process.execPath, cliPath, path], {
      encoding: 'utf8'
    })
    expect(out).toMatch(/INFO.*hello/)
  })
})

describe('logboom merge', () => {
  test('prints several logs by time; records without a time stay behind their predecessor', async () => {
    const folder = createFolder()
    writeFileSync(join(folder, 'a.log'), '{"time":1700000000000,"n":1}\n{"time":1700000003000,"n":4}\n')
    writeFileSync(
      join(folder, 'b.log'),
      '2023-11-14T22:13:21.000Z error\n  at stack\n[2023-11-14T22:13:24Z] later\n'
    )
    writeFileSync(join(folder, 'c.log'), '{"level":"info","timestamp":"2023-11-14T22:13:22.000Z"}\n')
    const { stdout, code } = await runCli(['merge', 'a.log', 'b.log', 'c.log'], { cwd: folder })
    expect(code).toBe(0)
    expect(stdout.split('\n')).toEqual([
      '{"time":1700000000000,"n":1}',
      '2023-11-14T22:13:21.000Z error',
      '  at stack',
      '{"level":"info","timestamp":"2023-11-14T22:13:22.000Z"}',
      '{"time":1700000003000,"n":4}',
      '[2023-11-14T22:13:24Z] later',
      ''
    ])
    expect((await runCli(['merge', folder])).stdout).toBe(stdout)
  })

  test('keeps every record of large logs, in order', async () => {
    const folder = createFolder()
    for (const [log, step] of [2, 3, 5].entries()) {
      const lines = Array.from(
        { length: 30_000 },
        (_, at) => `{"time":${1.7e12 + at * step},"log":${log},"at":${at}}`
      )
      writeFileSync(join(folder, `${log}.log`), `${lines.join('\n')}\n`)
    }
    const { stdout } = await runCli(['merge', folder])
    const records = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(records.length).toBe(90_000)
    const next = [0, 0, 0]
    let time = 0
    for (const record of records) {
      expect(record.at).toBe(next[record.log]++)
      expect(record.time).toBeGreaterThanOrEqual(time)
      time = record.time
    }
  })
})

describe('logboom verify and info', () => {
  test('a sound log is exit code 0', async () => {
    const { path } = createLog()
    appendFileSync(path, 'unfinished')
    const { stdout, code } = await runCli(['verify', path])
    expect(code).toBe(0)
    expect(stdout.match(/^ok /gm)).toHaveLength(3)
    expect(stdout).toContain('the last 10 bytes have no line end: still being written, or torn')
  })

  test('cut compression, NUL bytes and a missing line end in a backup are found: exit code 2', async () => {
    const { folder, path } = createLog()
    writeFileSync(join(folder, `${backup(9)}.gz`), gzipSync('1\n2\n').subarray(0, -3))
    writeFileSync(join(folder, backup(10)), '3')
    writeFileSync(path, Buffer.from('4\n\0\0\0\x005\n'))
    const { stdout, code } = await runCli(['verify', '--json', path])
    expect(code).toBe(2)
    const reports = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(reports.map(({ damage }) => damage)).toMatchObject([
      [{ offset: 4, reason: 'compressed data is cut short' }],
      [{ offset: 0, bytes: 1, reason: 'no line end at the end of the file' }],
      [{ offset: 2, bytes: 4, reason: 'NUL bytes' }]
    ])
    const before = readFileSync(path)
    await runCli(['verify', path])
    expect(readFileSync(path).equals(before)).toBe(true)
    expect((await runCli(['verify', '-q', path])).stdout.match(/^damaged /gm)).toHaveLength(3)
  })

  test('nothing there is exit code 3', async () => {
    expect(await runCli(['verify', '/nowhere/x.log'])).toMatchObject({ code: 3, stdout: '' })
    expect(await runCli(['info', '/nowhere/x.log'])).toMatchObject({ code: 3, stdout: '' })
  })

  test('info shows the files with sizes and, if asked, their records', async () => {
    const { folder, path } = createLog()
    const { stdout } = await runCli(['info', '--json', '--count', path])
    const found = JSON.parse(stdout)
    expect(found.files).toMatchObject([
      { path: join(folder, `${backup(9)}.gz`), live: false, compression: 'gz', records: 2 },
      { path: join(folder, backup(10)), live: false, compression: '', size: 2, records: 1 },
      { path, live: true, size: 4, records: 2 }
    ])
    expect(JSON.parse((await runCli(['info', '--json', path])).stdout).files[0].records).toBeUndefined()
    const text = (await runCli(['info', '--count', path])).stdout
    expect(text).toContain('3 files')
    expect(text).toContain('5 records')
  })
})

// logboom top and metrics: the picture, the numbers, and a real terminal.
import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  renameSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { frameLines } from '../../src/cli/top/frame.ts'
import { type LogView, rowsOf, viewLogs } from '../../src/cli/top/log-view.ts'
import { encodeStatistics, latencyBuckets, statisticsBytes } from '../../src/formats/statistics-file.ts'
import type { SeenWriter } from '../../src/readers/statistics.ts'
import { atTestEnd } from '../helpers/at-test-end.ts'
import { cliPath, runCli } from '../helpers/cli.ts'
import { createFolder } from '../helpers/folder.ts'
import { built, startProcess } from '../helpers/script.ts'
import { sized } from '../helpers/sized.ts'
import { terminalSvg } from '../helpers/terminal-svg.ts'
import { until } from '../helpers/until.ts'

const hasTmux = spawnSync('tmux', ['-V']).status === 0

function writer(overrides: Partial<SeenWriter> = {}): SeenWriter {
  return {
    slot: 0,
    isAlive: true,
    pid: 10,
    threadId: 0,
    startedAtMs: 0,
    updatedAtMs: 10_000,
    records: 1000,
    bytes: 50_000,
    dropped: 0,
    writes: 10,
    syncs: 10,
    rotations: 0,
    repairs: 0,
    errors: 0,
    recovered: 0,
    queuedBytes: 2048,
    maxBytes: 1024,
    lockWaitUs: 0,
    lockWaits: 0,
    state: 'open',
    syncLatency: new Uint32Array(latencyBuckets),
    lastError: '',
    ...overrides
  }
}

const view = (...writers: SeenWriter[]): LogView => ({
  path: '/logs/\x1b[2Japp.log',
  liveBytes: 512,
  backups: 2,
  backupBytes: 4096,
  writers,
  consumers: []
})

describe('the picture', () => {
  const options = {
    columns: 80,
    rows: 24,
    colour: false,
    sorting: 'writer',
    isPaused: false,
    time: '12:00'
  } as const

  test('has the rates between two moments, and writers that died as dead', () => {
    const before = view(writer(), writer({ slot: 1, pid: 11 }))
    const now = view(
      writer({ updatedAtMs: 12_000, records: 1400, bytes: 54_096, lockWaitUs: 500_000 }),
      writer({ slot: 1, pid: 11, isAlive: false, threadId: 2, lastError: 'EIO' }),
      writer({ slot: 2, pid: 12, state: 'closed', isAlive: false })
    )
    const lines = frameLines([now], [before], { ...options, columns: 100 })
    expect(lines[2]).toBe('/logs/\\x1b[2Japp.log')
    expect(lines[3]).toBe('live 512 B of 1.0 KiB (50 %)  2 backups, 4.0 KiB')
    expect(lines[5].split(/\s{2,}/)).toEqual(['10', 'open', '200', '2.0 KiB', '2.0 KiB', '0', '25%', '-/-'])
    expect(lines[6]).toMatch(/^11\/2 +dead +0 .* EIO$/)
    expect(lines[7]).toMatch(/^total +1 alive +200/)
    expect(lines).toHaveLength(8)
  })

  test.each([
    [80, 24],
    [200, 50],
    [20, 5],
    [1, 1]
  ])('of a screen of %i × %i is no larger, with colours or without', (columns, rows) => {
    const writers = Array.from({ length: 16 }, (_, slot) =>
      writer({ slot, pid: 4_000_000 + slot, state: 'degraded' })
    )
    for (const colour of [false, true]) {
      const lines = frameLines([view(...writers)], [], { ...options, columns, rows, colour })
      expect(lines.length).toBeLessThanOrEqual(rows)
      // biome-ignore lint/complexity/useRegexLiterals: control characters
      const plain = lines.map((line) => line.replace(new RegExp('\x1b\\[\\d*m', 'g'), ''))
      for (const line of plain) expect(line.length).toBeLessThanOrEqual(columns)
      if (rows > 1) expect(lines.join('').includes('\x1b')).toBe(colour)
    }
  })

  test('cuts a path of wide characters where the terminal ends, and shows why a log is not there', () => {
    const wide = { ...view(writer()), path: `/logs/${'統計'.repeat(40)}.log` }
    const lines = frameLines([wide], [], options)
    expect(lines[2].endsWith('…')).toBe(true)
    expect([...lines[2]].reduce((sum, each) => sum + (each > '\u1100' ? 2 : 1), 0)).toBeLessThanOrEqual(81)
    const gone = frameLines([{ ...view(), trouble: 'there is no log at \x1b[2J' }], [], options)
    expect(gone[3]).toBe('there is no log at \\x1b[2J')
    expect(gone).toHaveLength(4)
  })

  test('is sorted by what was asked for', () => {
    const now = view(
      writer({ slot: 0, pid: 1, dropped: 1 }),
      writer({ slot: 1, pid: 2, records: 9000, dropped: 5 })
    )
    const first = (sorting: 'writer' | 'records' | 'drops') =>
      frameLines([now], [], { ...options, sorting })[5].split(' ')[0]
    expect([first('writer'), first('records'), first('drops')]).toEqual(['1', '2', '2'])
  })

  test('takes no writer for the one that had its record before', () => {
    const before = view(writer({ records: 100_000 }))
    const [row] = rowsOf(
      view(writer({ pid: 99, startedAtMs: 9000, updatedAtMs: 10_000, records: 50 })),
      before
    )
    expect(row.recordsPerSecond).toBe(50)
  })
})

/** Writers with statistics, each in a process of its own. */
async function startWriters(
  count: number
): Promise<{ path: string; children: Awaited<ReturnType<typeof startProcess>>[] }> {
  const path = join(createFolder(), 'app.log')
  const code = `import { RotatingFile } from ${built('index.js')}
    const sink = new RotatingFile({ path: ${JSON.stringify(path)}, statistics: true })
    const write = () => sink.write('a line\\n')
    write()
    await sink.flush()
    console.log('ready')
    setInterval(write, 20)`
  const children = []
  for (let n = 0; n < count; n++) children.push(await startProcess(code))
  return { path, children }
}

test('--once --json and metrics tell the same of living and dead writers', async () => {
  const { path, children } = await startWriters(2)
  children[0].kill('SIGKILL')
  await until(() => children[0].signalCode !== null)
  const { stdout, code } = await runCli(['top', '--once', '--json', path])
  const found = JSON.parse(stdout)
  expect(code).toBe(0)
  expect(found).toMatchObject({ path, backups: 0, hasStatistics: true })
  const states = Object.fromEntries(
    found.writers.map((each: { pid: number; state: string }) => [each.pid, each.state])
  )
  expect(states).toEqual({ [children[0].pid as number]: 'dead', [children[1].pid as number]: 'open' })
  expect(found.total.recordsPerSecond).toBeGreaterThan(0)
  const metrics = (await runCli(['metrics', path])).stdout
  expect(metrics).toContain(`logboom_sinks{path="${path}",state="open"} 1\n`)
  expect(metrics).toContain(`logboom_dead_writers{path="${path}"} 1\n`)
  expect(metrics).toMatch(/logboom_records_total\{.*\} \d+\n/)
})

describe('what lies in the place of the statistics', () => {
  const options = {
    columns: 132,
    rows: 50,
    colour: false,
    sorting: 'writer',
    isPaused: false,
    time: ''
  } as const
  const createLog = () => {
    const path = join(createFolder(), 'app.log')
    writeFileSync(path, 'a line\n')
    return { path, file: join(path, '..', '.app.log.stats') }
  }
  const record = (overrides: Partial<SeenWriter>) => {
    const bytes = Buffer.alloc(statisticsBytes)
    encodeStatistics(writer(overrides), bytes)
    return bytes
  }

  test.each<[string, (file: string) => void]>([
    ['a link', (file) => symlinkSync('/etc/passwd', file)],
    ['a FIFO', (file) => execFileSync('mkfifo', [file])],
    ['a folder', (file) => mkdirSync(file)],
    ['a socket', listen],
    ['text', (file) => writeFileSync(file, 'LBSTAT1\n'.repeat(200))],
    ['much of nothing', (file) => ftruncateSync(openSync(file, 'w'), 100_000_000)]
  ])('may be %s: the log is shown without writers', async (_, make) => {
    const { path, file } = createLog()
    make(file)
    const [found] = await viewLogs([path])
    expect(found).toMatchObject({ path, liveBytes: 7, consumers: [] })
    expect(found.writers ?? []).toEqual([])
    expect(frameLines([found], [], options).join()).not.toMatch(/NaN|undefined/)
  })

  test('of a shipper may be a socket: the log is shown without it', async () => {
    const { path } = createLog()
    listen(join(path, '..', '.app.log.consumer-x'))
    const [found] = await viewLogs([path])
    expect(found).toMatchObject({ path, liveBytes: 7, consumers: [] })
  })

  test('may be enormous numbers and hostile texts', async () => {
    const { path, file } = createLog()
    const most = Number.MAX_SAFE_INTEGER
    const huge = {
      records: most,
      bytes: most,
      updatedAtMs: most,
      startedAtMs: most,
      queuedBytes: most,
      lockWaitUs: most
    }
    writeFileSync(
      file,
      Buffer.concat([record({ ...huge, lastError: '\x1b[2J\u202e' }), record({ updatedAtMs: 0 })])
    )
    const views = await viewLogs([path])
    const rows = rowsOf(views[0], undefined)
    expect(rows).toHaveLength(2)
    for (const each of rows) expect(each).toMatchObject({ state: 'dead', recordsPerSecond: 0 })
    expect(frameLines(views, [], options).join('\n')).not.toMatch(/[\x1b\u202e]|NaN|Infinity/)
    expect((await runCli(['metrics', path])).stdout).not.toMatch(/NaN|Infinity/)
  })

  test('may be what one can only read', async () => {
    const { path, children } = await startWriters(1)
    const file = join(path, '..', '.app.log.stats')
    chmodSync(file, 0o400)
    const [found] = await viewLogs([path])
    expect(rowsOf(found, undefined)).toMatchObject([{ state: 'open', writer: { pid: children[0].pid } }])
  })
})

test('what is no log, and a stdout that is no terminal, are told', async () => {
  expect((await runCli(['top', '-'])).code).toBe(1)
  expect((await runCli(['metrics', '-'])).code).toBe(1)
  expect((await runCli(['top', '--once', join(createFolder(), 'missing.log')])).code).toBe(3)
  const { stderr } = await runCli(['top', join(createFolder(), 'missing.log')])
  expect(stderr).toContain('--once')
})

test('a log that is named twice is there once, and one that is missing keeps no other from being shown', async () => {
  const folder = createFolder()
  const path = join(folder, 'app.log')
  writeFileSync(path, 'a line\n')
  const missing = join(folder, 'missing.log')
  for (const command of [['metrics'], ['top', '--once', '--json']]) {
    const { stdout, stderr, code } = await runCli([...command, missing, path, folder, `${folder}/./app.log`])
    expect(code).toBe(3)
    expect(stderr).toBe(`logboom: there is no log at ${missing} [ERR_NOT_FOUND]\n`)
    const lines = stdout.trimEnd().split('\n')
    expect(lines.filter((line) => line.includes(path) && !line.startsWith('#'))).toEqual(
      command[0] === 'top'
        ? [expect.stringContaining('"liveBytes":7')]
        : [
            `logboom_file_bytes{path="${path}"} 7`,
            `logboom_backups{path="${path}"} 0`,
            `logboom_backup_bytes{path="${path}"} 0`
          ]
    )
  }
})

let terminals = 0

/** `logboom top` of `path` in a terminal of tmux, and its screen. */
function openTop(path: string, columns: number, rows: number, colour = false) {
  const socket = `logboom-test-${process.pid}-${++terminals}`
  const tmux = (...args: string[]) => execFileSync('tmux', ['-L', socket, ...args], { encoding: 'utf8' })
  const command = `sh -c "echo before; NO_COLOR=${colour ? '' : 1} '${process.execPath}' '${cliPath}' top '${path}'; echo ended \\$?; sleep 60"`
  onTestFinished(() => void spawnSync('tmux', ['-L', socket, 'kill-server']))
  tmux('-f', '/dev/null', 'new-session', '-d', '-s', 'top', '-x', `${columns}`, '-y', `${rows}`, command)
  return {
    resize: (to: number, height: number) =>
      tmux('resize-window', '-t', 'top', '-x', `${to}`, '-y', `${height}`),
    press: (key: string) => tmux('send-keys', '-t', 'top', key),
    screen: () => tmux('capture-pane', '-p', '-t', 'top'),
    screenWithColours: () => tmux('capture-pane', '-p', '-e', '-t', 'top')
  }
}

describe.skipIf(!hasTmux)('in a terminal (tmux, else skipped)', () => {
  test('is refreshed in place, resized, paused, sorted and ended by keys', async () => {
    const { path, children } = await startWriters(2)
    const { screen, resize, press } = openTop(path, 80, 24)
    await until(() => screen().includes('2 alive'))
    expect(screen()).not.toContain('before')
    expect(
      screen()
        .split('\n')
        .every((line) => line.length <= 80)
    ).toBe(true)
    resize(200, 50)
    await until(() => screen().includes('q quit'))
    children[0].kill('SIGKILL')
    await until(() => screen().includes('1 alive') && screen().includes('dead'))
    press('s')
    await until(() => screen().includes('sort: records'))
    press('p')
    await until(() => screen().includes('PAUSED'))
    press('q')
    await until(() => screen().includes('ended 0'))
    expect(screen()).toContain('before')
    expect(screen()).not.toContain('WRITER')
  }, 60_000)

  test('goes on while a log goes away and comes back, and shows colours', { timeout: 60_000 }, async () => {
    const { path, children } = await startWriters(2)
    const { screen, screenWithColours, press } = openTop(path, 80, 12, true)
    await until(() => screen().includes('2 alive'))
    children[0].kill('SIGKILL')
    await until(() => screen().includes('dead'))
    const coloured = screenWithColours()
    expect(coloured).toMatch(/\x1b\[31mdead/)
    expect(coloured).toMatch(/\x1b\[32mopen/)
    const folder = process.env.LOGBOOM_SCREENSHOTS
    if (folder !== undefined) {
      // Some seconds of rates, and a path as it is elsewhere.
      await until(() => / open +[4-5]\d /.test(screen()))
      const shown = screenWithColours().replace(path, '/var/log/app/app.log')
      writeFileSync(
        join(folder, 'top.svg'),
        terminalSvg(shown, 80, 'logboom top: two writers, one of them killed')
      )
    }
    children[1].kill('SIGKILL')
    await until(() => children[1].signalCode !== null)
    const away = `${path}.away`
    renameSync(path, away)
    await until(() => screen().includes('there is no log'))
    renameSync(away, path)
    await until(() => screen().includes('0 alive'))
    press('q')
    await until(() => screen().includes('ended 0'))
  })

  test('shows sixteen writers, and those that are killed as dead', { timeout: 120_000 }, async () => {
    const { path, children } = await startWriters(sized(16, 4))
    const { screen, resize } = openTop(path, 80, 40)
    await until(() => screen().includes(`${children.length} alive`), { timeoutMs: 60_000 })
    const killed = children.filter((_, n) => n % 4 === 0)
    for (const child of killed) child.kill('SIGKILL')
    await until(() => screen().includes(`${children.length - killed.length} alive`), { timeoutMs: 60_000 })
    for (const columns of [80, 200]) {
      resize(columns, 40)
      await until(() => screen().includes('q quit'))
      const lines = screen().split('\n')
      expect(lines.every((line) => line.length <= columns)).toBe(true)
      for (const { pid } of children) {
        const isDead = killed.some((child) => child.pid === pid)
        const row = lines.find((line) => line.startsWith(`${pid} `))
        expect(row, `the row of ${pid}`).toMatch(isDead ? /^\d+ +dead +0 / : /^\d+ +open +\d+ /)
      }
    }
    // Its figures are those of an independent look at the same file.
    const { stdout } = await runCli(['top', '--once', '--json', path])
    const { writers, total } = JSON.parse(stdout)
    expect(writers.filter((each: { state: string }) => each.state === 'dead')).toHaveLength(killed.length)
    const rates = writers.map((each: { recordsPerSecond: number }) => each.recordsPerSecond)
    expect(total.recordsPerSecond).toBeCloseTo(
      rates.reduce((sum: number, rate: number) => sum + rate, 0),
      3
    )
  })
})

function listen(file: string): void {
  const server = createServer().listen(file)
  atTestEnd(() => void server.close())
}

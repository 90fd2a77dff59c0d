// Folders of logs: which files are logs, which are backups of which, and what is neither.
import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { BinaryFile } from '../../src/core/binary-file/binary-file.ts'
import { WriteAheadLog } from '../../src/core/wal/write-ahead-log.ts'
import { formatBackupName } from '../../src/formats/backup-name.ts'
import { encodeRecord, maxRecordBytes } from '../../src/formats/binary-file.ts'
import { readRecords } from '../../src/readers/read-records.ts'
import { cliPath, runCli, startCli } from '../helpers/cli.ts'
import { createFolder } from '../helpers/folder.ts'
import { collect } from '../helpers/read.ts'

function frames(...texts: string[]): Buffer {
  const bytes = Buffer.alloc(texts.reduce((sum, text) => sum + maxRecordBytes(text), 0))
  let at = 0
  for (const text of texts) at = encodeRecord(bytes, at, text)
  return bytes.subarray(0, at)
}

async function eventsOf(folder: string, options = {}): Promise<string[]> {
  const { records, error } = await collect(folder, options)
  expect(error).toBeUndefined()
  return records.map(({ event, data }) => `${event}: ${data}`)
}

describe('numbered names', () => {
  test('are backups where the log is a binary file, and logs of their own where it is text', async () => {
    const folder = createFolder()
    writeFileSync(join(folder, 'b.0.log'), frames('b0'))
    writeFileSync(join(folder, 'b.1.log'), frames('b1'))
    writeFileSync(join(folder, 'b.log'), frames('b'))
    writeFileSync(join(folder, 't.1.log'), 't1\n')
    writeFileSync(join(folder, 't.log'), 't\n')
    writeFileSync(join(folder, 'u.7.log'), 'u7\n')
    expect(await eventsOf(folder)).toEqual(['b: b0', 'b: b1', 'b: b', 't.1: t1', 't: t', 'u.7: u7'])
    expect((await collect(join(folder, 't.log'))).lines).toEqual(['t'])
    expect((await collect(join(folder, 'b.1.log'))).lines).toEqual(['b1'])
  })

  test('that text logs bear stay logs while the log beside them is empty', async () => {
    const folder = createFolder()
    writeFileSync(join(folder, 't.1.log'), 't1\n')
    writeFileSync(join(folder, 't.log'), '')
    expect(await eventsOf(folder)).toEqual(['t.1: t1'])
  })

  test('a log whose name looks like a backup of another one is read once, with its own backups', async () => {
    const folder = createFolder()
    writeFileSync(join(folder, 'a.log'), frames('a'))
    writeFileSync(join(folder, 'a.0.log'), frames('a0'))
    writeFileSync(join(folder, 'a.0.0.log'), frames('a00'))
    const { lines } = await collect(folder)
    expect(lines.sort()).toEqual(['a', 'a0', 'a00'])
  })

  test('of logs that are written to are no backups, and nobody removes them as such', async () => {
    const folder = createFolder()
    const sinks = ['worker.1.bin', 'worker.2.bin', 'worker.2.0.bin'].map((name) => {
      return new BinaryFile({ path: join(folder, name), maxBytes: 20, maxBackups: 3, fallback: false })
    })
    for (let record = 0; record < 3; record++) {
      for (const [worker, sink] of sinks.entries()) {
        sink.write(`worker ${worker} record ${record}`)
        await sink.flush()
      }
    }
    // It has the others among what is called like its backups.
    const all = new BinaryFile({
      path: join(folder, 'worker.bin'),
      maxBytes: 20,
      maxBackups: 1,
      fallback: false
    })
    for (let record = 0; record < 3; record++) {
      all.write(`all, record ${record}, with more`)
      await all.flush()
    }
    for (const sink of [...sinks, all]) await sink.close()
    const found = await eventsOf(folder)
    for (const [worker, event] of ['worker.1', 'worker.2', 'worker.2.0'].entries()) {
      const own = found.filter((text) => text.startsWith(`${event}: `))
      expect(own).toEqual([0, 1, 2].map((record) => `${event}: worker ${worker} record ${record}`))
    }
    expect(found.filter((text) => text.startsWith('worker: ')).at(-1)).toBe(
      'worker: all, record 2, with more'
    )
    expect((await collect(join(folder, 'worker.2.0.bin'))).lines).toHaveLength(3)
  })

  test('a date in the place of the number makes a log of its own', async () => {
    const folder = createFolder()
    writeFileSync(join(folder, 'e.bin'), frames('live'))
    writeFileSync(join(folder, 'e.20251127093000.bin'), frames('dated'))
    expect(await eventsOf(folder)).toEqual(['e.20251127093000: dated', 'e: live'])
    expect((await collect(join(folder, 'e.bin'))).lines).toEqual(['live'])
  })
})

describe('write-ahead logs in a folder', () => {
  async function writeLog(folder: string, ...batches: string[]): Promise<void> {
    const log = new WriteAheadLog({ walDir: join(folder, 'wal'), snapDir: join(folder, 'snap') })
    for (const text of batches) await log.log([text])
    await log.close()
  }

  test('are read with the names of their folders, beside other logs, also when followed', {
    timeout: 20_000
  }, async () => {
    const folder = createFolder()
    // Names that look like a backup, and like a segment.
    const names = ['a', formatBackupName('a', 1e9, 0), '0000000000000000-0000000000000000.wal']
    for (const name of names) await writeLog(join(folder, name), `of ${name}`)
    writeFileSync(join(folder, 'text.log'), 'a line\n')
    const expected = [...names.sort().map((name) => `${name}: of ${name}`), 'text: a line']
    expect(await eventsOf(folder)).toEqual(expected)
    expect((await collect(join(folder, 'a'))).lines).toEqual(['of a'])
    expect(await eventsOf(folder, { format: 'wal' })).toEqual(expected.slice(0, 3))

    const stop = new AbortController()
    const seen: string[] = []
    const reading = (async () => {
      for await (const { event, data } of readRecords(folder, { follow: true, signal: stop.signal }))
        seen.push(`${event}: ${data}`)
    })()
    await expect.poll(() => [...seen].sort(), { timeout: 5_000 }).toEqual([...expected].sort())
    await writeLog(join(folder, 'new'), 'later')
    await expect.poll(() => seen, { timeout: 5_000 }).toContain('new: later')
    stop.abort()
    await reading
  })

  test('cat, info, verify and merge know such a folder', async () => {
    const folder = createFolder()
    await writeLog(join(folder, 'a'), '1', '2')
    await writeLog(join(folder, 'b'), '3')
    expect(await runCli(['cat', folder])).toMatchObject({ stdout: '1\n2\n3\n', code: 0 })
    expect(await runCli(['cat', join(folder, 'a')])).toMatchObject({ stdout: '1\n2\n', code: 0 })
    expect(await runCli(['verify', folder])).toMatchObject({ code: 0 })
    expect((await runCli(['info', '--json', folder])).stdout.split('\n')).toHaveLength(3)
    expect((await runCli(['merge', folder])).stdout.split('\n').sort()).toEqual(['', '1', '2', '3'])
  })
})

describe('what is no log', () => {
  /** Two logs with something odd between them. */
  async function createOdd(plant: (path: string) => unknown): Promise<string> {
    const folder = createFolder()
    writeFileSync(join(folder, 'a.log'), 'first\n')
    writeFileSync(join(folder, 'z.log'), 'last\n')
    await plant(join(folder, 'm.log'))
    return folder
  }

  const plants: Record<string, (path: string) => unknown> = {
    'a FIFO': (path) => execFileSync('mkfifo', [path]),
    'a socket': async (path) => {
      const server = createServer()
      await new Promise<void>((resolve) => server.listen(path, resolve))
      onTestFinished(() => void server.close())
    },
    'a link to a FIFO': (path) => {
      execFileSync('mkfifo', [`${path}.fifo`])
      symlinkSync(`${path}.fifo`, path)
    },
    'a link to an endless device': (path) => symlinkSync('/dev/zero', path),
    'a link to nothing': (path) => symlinkSync(`${path}.gone`, path)
  }

  test.each(Object.entries(plants))(
    '%s keeps nobody from the logs beside it, and is told',
    async (_what, plant) => {
      const folder = await createOdd(plant)
      const { lines, error, stats } = await collect(folder)
      expect([lines, error]).toEqual([['first', 'last'], undefined])
      expect(stats.notes.map(({ path }) => path)).toContain(join(folder, 'm.log'))
      for (const command of ['cat', 'tail', 'merge', 'verify', 'info']) {
        const { stdout, stderr, code } = await runCli([command, folder])
        const parts = command === 'verify' || command === 'info' ? ['a.log', 'z.log'] : ['first', 'last']
        for (const part of parts) expect(stdout).toContain(part)
        expect(stderr).toContain('m.log: no log, but a ')
        expect(code).toBe(0)
      }
    }
  )

  test('is told when a folder is followed, and the logs go on', { timeout: 20_000 }, async () => {
    const folder = await createOdd(plants['a FIFO'])
    const child = startCli(['tail', '-f', folder])
    const out = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr'] as const) child[name].on('data', (chunk) => (out[name] += chunk))
    await expect.poll(() => out.stdout, { timeout: 5_000 }).toMatch(/first\nlast\n|last\nfirst\n/)
    await expect.poll(() => out.stderr, { timeout: 5_000 }).toContain('m.log: no log, but a FIFO')
    writeFileSync(join(folder, 'a.log'), 'more\n', { flag: 'a' })
    await expect.poll(() => out.stdout, { timeout: 5_000 }).toMatch(/more\n$/)
    await sleep(500)
    expect(out.stderr.split('\n').length).toBe(2)
  })

  test('in the place of a segment of one log ends that one alone, for as long as it is there', async () => {
    const folder = createFolder()
    const text = join(folder, 'a.log')
    writeFileSync(text, 'first\n')
    const walDir = join(folder, 'w')
    const log = await WriteAheadLog.open({ walDir, segmentBytes: 4096, fallback: false })
    await log.log(['one'])
    await log.close()
    const stop = new AbortController()
    onTestFinished(() => stop.abort())
    const reader = readRecords(folder, { follow: true, signal: stop.signal })
    const lines: string[] = []
    const reading = (async () => {
      for await (const { data } of reader) lines.push(data.toString())
    })()
    await expect.poll(() => lines.length, { timeout: 10_000 }).toBe(2)
    const segment = join(walDir, readdirSync(walDir).find((name) => name.endsWith('.wal')) as string)
    renameSync(walDir, join(folder, '.aside'))
    mkdirSync(walDir)
    execFileSync('mkfifo', [segment])
    await expect.poll(() => reader.stats().notes.length, { timeout: 10_000 }).toBeGreaterThan(0)
    writeFileSync(text, 'second\n', { flag: 'a' })
    await expect.poll(() => lines.at(-1), { timeout: 10_000 }).toBe('second')
    rmSync(walDir, { recursive: true })
    renameSync(join(folder, '.aside'), walDir)
    const again = await WriteAheadLog.open({ walDir, segmentBytes: 4096, fallback: false })
    await again.log(['two'])
    await again.close()
    await expect.poll(() => lines.at(-1), { timeout: 10_000 }).toBe('two')
    stop.abort()
    await reading
    expect(lines.sort()).toEqual(['first', 'one', 'second', 'two'])
  })

  test('as one of several keeps tail from none of the others', { timeout: 20_000 }, async () => {
    const folder = await createOdd(plants['a FIFO'])
    const child = startCli(['tail', '-f', join(folder, 'm.log'), join(folder, 'a.log')])
    let stdout = ''
    child.stdout.on('data', (chunk) => {
      stdout += chunk
    })
    await expect.poll(() => stdout, { timeout: 10_000 }).toBe('first\n')
    writeFileSync(join(folder, 'a.log'), 'more\n', { flag: 'a' })
    await expect.poll(() => stdout, { timeout: 10_000 }).toBe('first\nmore\n')
  })

  test('given by its path is refused at once', async () => {
    const folder = await createOdd(plants['a FIFO'])
    const path = join(folder, 'm.log')
    expect((await collect(path)).error?.code).toBe('ERR_NOT_FILE')
    for (const command of ['cat', 'tail', 'verify', 'info', 'repair']) {
      const { code, stderr } = await runCli([command, path])
      expect(code).toBe(3)
      expect(stderr).toContain('is not a regular file, but a FIFO')
    }
  })

  test('a file that may not be read is an error after all others, a folder is told', async () => {
    const folder = await createOdd((path) => {
      for (const secret of [path, `${path}2`]) {
        writeFileSync(secret, 'secret\n')
        chmodSync(secret, 0)
      }
    })
    mkdirSync(join(folder, 'private'), { mode: 0 })
    chmodSync(folder, 0o755)
    // Root may read everything.
    const user = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}
    const run = spawnSync(process.execPath, [cliPath, 'cat', folder], { encoding: 'utf8', ...user })
    expect(run).toMatchObject({ stdout: 'first\nlast\n', status: 3 })
    for (const name of ['m.log', 'm.log2', 'private']) expect(run.stderr).toContain(`${join(folder, name)}`)
    expect(run.stderr).toContain('[ERR_IO]')
    rmdirSync(join(folder, 'private'))
    const verified = spawnSync(process.execPath, [cliPath, 'verify', folder], { encoding: 'utf8', ...user })
    expect(verified.status).toBe(3)
    expect(verified.stdout.match(/^ok /gm)).toHaveLength(2)
  })

  test('folders that are no logs are passed over', async () => {
    const folder = createFolder()
    writeFileSync(join(folder, 'a.log'), 'first\n')
    mkdirSync(join(folder, 'b.log'))
    mkdirSync(join(folder, 'wal'))
    writeFileSync(join(folder, 'b.log', 'c.log'), 'deeper\n')
    expect((await collect(folder)).lines).toEqual(['first'])
  })
})

describe('a log that is followed', () => {
  test('whose path becomes a FIFO for a while goes on behind it', { timeout: 20_000 }, async () => {
    const path = join(createFolder(), 'a.log')
    writeFileSync(path, '1\n')
    const stop = new AbortController()
    const seen: string[] = []
    const reading = (async () => {
      for await (const { data } of readRecords(path, { follow: true, signal: stop.signal }))
        seen.push(data.toString())
    })()
    await expect.poll(() => seen, { timeout: 5_000 }).toEqual(['1'])
    execFileSync('sh', ['-c', 'mkfifo "$1.new" && mv "$1.new" "$1"', 'sh', path])
    await sleep(400)
    execFileSync('sh', ['-c', 'printf "2\\n" > "$1.new" && mv "$1.new" "$1"', 'sh', path])
    await expect.poll(() => seen, { timeout: 5_000 }).toEqual(['1', '2'])
    stop.abort()
    await reading
  })
})

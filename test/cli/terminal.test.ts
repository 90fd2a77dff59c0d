// What reaches a terminal: nothing that acts on it but the content of records.
import { execFileSync } from 'node:child_process'
import { appendFileSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { WriteAheadLog } from '../../src/core/wal/write-ahead-log.ts'
import { encodeRecord, maxRecordBytes } from '../../src/formats/binary-file.ts'
import { runCli } from '../helpers/cli.ts'
import { buildDirectFile } from '../helpers/direct-file-bytes.ts'
import { createFolder } from '../helpers/folder.ts'
import { runScript } from '../helpers/run-script.ts'
import { built } from '../helpers/script.ts'

const golden = new URL('../fixtures/golden/', import.meta.url)

describe('names and messages', () => {
  const EVIL = '\x1b]0;title\x07\x1b[2J\x9b1m\x7f\u202egol\u2066\nline'
  const ACTING = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/

  /** A folder with an evil name that holds a log with an evil name, its backup, a FIFO and a damaged file. */
  function createEvil(): { folder: string; path: string } {
    const folder = createFolder()
    const path = join(folder, `${EVIL}.log`)
    writeFileSync(path, 'a line\n')
    writeFileSync(`${path}.20260101-000000.0.gz`, 'damaged')
    writeFileSync(join(folder, `.${EVIL}.log.lock`), '')
    execFileSync('mkfifo', [join(folder, `${EVIL}.fifo`)])
    return { folder, path }
  }

  test('of every command are shown without what a terminal would act on', async () => {
    const { folder, path } = createEvil()
    const binary = join(folder, `${EVIL}.bin`)
    writeFileSync(binary, Buffer.from([0, 0, 0, 9, 1]))
    const runs = [
      ['info', path],
      ['info', '--count', folder],
      ['verify', path],
      ['verify', folder],
      ['cat', path],
      ['cat', folder],
      ['cat', `${path}.missing`],
      ['cat', join(folder, `${EVIL}.fifo`)],
      ['cat', `${EVIL}*.nothing`],
      ['tail', folder],
      ['tail', '-n', EVIL, path],
      ['merge', folder],
      ['repair', path],
      ['repair', binary],
      ['rotate', `${path}.missing`],
      ['rotate', path],
      ['pipe', EVIL],
      ['pipe', 'rotating-file', '--path', join(folder, EVIL, EVIL), EVIL],
      ['pipe', 'rotating-file', '--path', folder],
      ['cat', `--${EVIL}`, path],
      ['cat', '--format', EVIL, path],
      ['cat', '--on-corrupt', EVIL, path],
      ['help', EVIL],
      [EVIL]
    ]
    for (const args of runs) {
      const { stdout, stderr } = await runCli(args)
      expect(`${stdout}${stderr}`, args.join(' ')).not.toMatch(ACTING)
      expect(`${stdout}${stderr}`.length).toBeGreaterThan(0)
      // A line end in a name makes no line.
      expect(`${stdout}${stderr}`).not.toMatch(/^line/m)
    }
  })

  test('of notices of sinks are shown without them, too', async () => {
    const path = join(createFolder(), EVIL, 'app.log')
    const code = `import { RotatingFile } from ${built('index.js')}
      const file = new RotatingFile({ path: process.argv[1], mkdir: false })
      file.on('degraded', () => process.kill(process.pid, 'SIGKILL'))
      file.write('line\\n')`
    const { stderr } = await runScript(code, [path])
    expect(stderr).toContain('app.log')
    expect(stderr).not.toMatch(ACTING)
    expect(stderr).not.toMatch(/^line/m)
  })

  test('--json has them as they are', async () => {
    const { path } = createEvil()
    const { stdout } = await runCli(['info', '--json', path])
    expect(JSON.parse(stdout).path).toBe(path)
  })

  test('the content of records is printed as it is', async () => {
    const path = join(createFolder(), 'a.log')
    writeFileSync(path, `\x1b[31mred\x1b[0m\n`)
    expect((await runCli(['cat', path])).stdout).toBe('\x1b[31mred\x1b[0m\n')
  })
})

describe('records that end with a line end', () => {
  const RECORDS = ['one\n', 'two', 'three\r\n', '', '\n', 'last\n']
  const PRINTED = 'one\ntwo\nthree\r\n\n\nlast\n'

  function frames(): Buffer {
    const bytes = Buffer.alloc(RECORDS.reduce((sum, text) => sum + maxRecordBytes(text), 0))
    let at = 0
    for (const text of RECORDS) at = encodeRecord(bytes, at, text)
    return bytes.subarray(0, at)
  }

  test('get no second one, in every framed format and by every command', async () => {
    const folder = createFolder()
    const binary = join(folder, 'a.bin')
    writeFileSync(binary, frames())
    const direct = join(folder, 'd.log')
    // A direct file has no empty records.
    const texts = RECORDS.filter((text) => text !== '')
    writeFileSync(direct, buildDirectFile([[texts.map((text) => Buffer.from(text))]]))
    const log = new WriteAheadLog({ walDir: join(folder, 'wal') })
    await log.log(RECORDS)
    await log.close()
    const printed = PRINTED.replace('\n\n\n', '\n\n')
    for (const command of ['cat', 'tail', 'merge']) {
      expect((await runCli([command, binary])).stdout).toBe(PRINTED)
      expect((await runCli([command, direct])).stdout).toBe(printed)
      expect((await runCli([command, join(folder, 'wal')])).stdout).toBe(PRINTED)
    }
    for (const command of ['cat', 'tail', 'merge'])
      expect((await runCli([command, '--format', 'binary-file', '-'], { input: frames() })).stdout).toBe(
        PRINTED
      )
  })

  test('stay byte for byte with --raw, --framed and --json', async () => {
    const path = join(createFolder(), 'a.bin')
    writeFileSync(path, frames())
    for (const command of ['cat', 'tail', 'merge']) {
      expect((await runCli([command, '--raw', path])).stdout).toBe(RECORDS.join(''))
      expect((await runCli([command, '--framed', path])).stdout).toBe(frames().toString())
      const json = (await runCli([command, '--json', path])).stdout.trimEnd().split('\n')
      expect(json.map((line) => JSON.parse(line).data)).toEqual(RECORDS)
    }
  })

  test('of a file of the Go original give exactly its lines', async () => {
    const path = join(createFolder(), 'go.log')
    writeFileSync(path, gunzipSync(readFileSync(new URL('direct/full-capacity.log.gz', golden))))
    const lines = readFileSync(new URL('direct/expected.ndjson', golden), 'utf8').trimEnd().split('\n')
    // Four frames, which begin with lines 3, 0, 1, 2 and go on with every fourth line.
    const expected = [3, 0, 1, 2].flatMap((first) => lines.filter((_, at) => at % 4 === first))
    expect(await runCli(['cat', path])).toMatchObject({
      stdout: `${expected.join('\n')}\n`,
      stderr: '',
      code: 0
    })
    const packed = `${path}.gz`
    writeFileSync(packed, readFileSync(new URL('direct/full-capacity.log.gz', golden)))
    expect(await runCli(['cat', packed])).toMatchObject({
      stdout: `${expected.join('\n')}\n`,
      stderr: '',
      code: 0
    })
  })
})

test('--raw gives text with its line ends, also of a log whose overlong lines are left out', async () => {
  const folder = createFolder()
  const path = join(folder, 'a.log')
  writeFileSync(path, 'one\n')
  appendFileSync(path, `${'x'.repeat(65 * 1024 * 1024)}\n`)
  appendFileSync(path, 'two\nthree\n')
  const { stdout, code } = await runCli(['cat', '--raw', path])
  expect([stdout, code]).toEqual(['one\ntwo\nthree\n', 2])
  writeFileSync(path, 'one\ntwo\n')
  for (const command of ['merge', 'tail'])
    expect((await runCli([command, '--raw', path])).stdout).toBe('one\ntwo\n')
  expect((await runCli(['tail', '--raw', '-'], { input: 'one\ntwo\n' })).stdout).toBe('one\ntwo\n')
})

describe('info', () => {
  const plants: Record<string, (lock: string) => void> = {
    'a FIFO': (lock) => execFileSync('mkfifo', [lock]),
    'a link to a FIFO': (lock) => {
      execFileSync('mkfifo', [`${lock}.fifo`])
      symlinkSync(`${lock}.fifo`, lock)
    },
    'a link to an endless device': (lock) => symlinkSync('/dev/zero', lock),
    'a link to a file of somebody else': (lock) => {
      writeFileSync(`${lock}.private`, 'LBLOCK1\nprivate')
      symlinkSync(`${lock}.private`, lock)
    },
    'a large file': (lock) => writeFileSync(lock, Buffer.alloc(1 << 20, 'x')),
    'a folder': (lock) => execFileSync('mkdir', [lock])
  }

  test.each(Object.entries(plants))(
    'with %s in place of the lock file still describes the log',
    async (_what, plant) => {
      for (const name of ['a.log', 'a.bin']) {
        const path = join(createFolder(), name)
        writeFileSync(path, name === 'a.log' ? 'a line\n' : Buffer.from([0, 0, 0, 1, 65]))
        plant(join(path, '..', `.${name}.lock`))
        const { stdout, code } = await runCli(['info', path])
        expect(stdout).toContain(name)
        expect(stdout).not.toContain('private')
        expect(code).toBe(0)
      }
    }
  )

  test('shows files of any age', async () => {
    const path = join(createFolder(), 'a.log')
    writeFileSync(path, 'a line\n')
    for (const time of ['@0', '@-100000', '@15032385535']) {
      execFileSync('touch', ['-d', time, path])
      expect(await runCli(['info', path])).toMatchObject({ code: 0 })
    }
  })
})

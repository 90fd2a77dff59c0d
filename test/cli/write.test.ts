import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { native } from '../../src/native/index.ts'
import { cliPath, runCli, startCli } from '../helpers/cli.ts'
import { createFolder } from '../helpers/folder.ts'
import { collect } from '../helpers/read.ts'
import { until } from '../helpers/until.ts'

// Without kernel locks a log has a single writer.
const pipe = ['pipe', 'rotating-file', ...(native.canLock ? [] : ['--no-lock'])]

const lines = (count: number) =>
  Array.from({ length: count }, (_, at) => `line ${at} ${'x'.repeat(at % 100)}`)

describe('logboom pipe rotating-file', () => {
  test('writes stdin to the log with the options given as flags', async () => {
    const path = join(createFolder(), 'sub', 'app.log')
    const expected = lines(5000)
    const args = [
      '--path',
      path,
      '--max-bytes',
      '20000',
      '--max-backups',
      '100',
      '--compress',
      'gzip',
      '--mode',
      '600'
    ]
    const { code, stderr } = await runCli([...pipe, ...args, '--no-fsync-on-rotate'], {
      input: `${expected.join('\n')}\n`
    })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect((await collect(path)).lines).toEqual(expected)
    expect(statSync(path).size).toBeLessThanOrEqual(20_000)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(readdirSync(join(path, '..')).some((name) => name.endsWith('.gz'))).toBe(true)
  })

  test('finishes an unterminated last line, and takes input from a file', async () => {
    const folder = createFolder()
    const path = join(folder, 'app.log')
    writeFileSync(join(folder, 'input'), 'a\nb')
    const stdin = openSync(join(folder, 'input'), 'r')
    const { status } = spawnSync(process.execPath, [cliPath, ...pipe, '--path', path], {
      stdio: [stdin, 'pipe', 'pipe']
    })
    closeSync(stdin)
    expect(status).toBe(0)
    expect(readFileSync(path, 'utf8')).toBe('a\nb\n')
  })

  test.each(['SIGTERM', 'SIGINT'] as const)(
    '%s: everything read before is written, then it ends',
    async (signal) => {
      const path = join(createFolder(), 'app.log')
      const child = startCli([...pipe, '--path', path, '--flush-interval', '1h'])
      const expected = lines(3000)
      child.stdin.write(`${expected.join('\n')}\n`)
      child.stdin.on('error', () => {})
      await until(() => existsSync(path))
      // The pipe is empty once everything has been read; what is read must then not depend on timing.
      await until(() => child.stdin.writableLength === 0)
      await sleep(200)
      child.kill(signal)
      const [, by] = await once(child, 'exit')
      expect(by).toBe(signal)
      expect((await collect(path)).lines).toEqual(expected)
    }
  )

  test.skipIf(!native.canLock)('several at once share one log', async () => {
    const path = join(createFolder(), 'app.log')
    const results = await Promise.all(
      ['a', 'b', 'c'].map((writer) =>
        runCli([...pipe, '--path', path, '--max-bytes', '32k'], {
          input: lines(2000)
            .map((line) => `${writer} ${line}\n`)
            .join('')
        })
      )
    )
    expect(results.map(({ code, stderr }) => ({ code, stderr }))).toEqual(
      Array.from({ length: 3 }, () => ({ code: 0, stderr: '' }))
    )
    const found = (await collect(path)).lines
    for (const writer of ['a', 'b', 'c']) {
      expect(found.filter((line) => line.startsWith(writer)).map((line) => line.slice(2))).toEqual(
        lines(2000)
      )
    }
  })

  test('a path that cannot be written is exit code 3', async () => {
    const folder = createFolder()
    const { code, stderr } = await runCli([...pipe, '--path', folder], { input: 'x\n' })
    expect(code).toBe(3)
    expect(stderr).toContain('is not a regular file')
  })
})

describe.skipIf(!native.canLock)('logboom rotate', () => {
  test('renames the log to a backup and leaves a new one with the same permissions', async () => {
    const folder = createFolder()
    const path = join(folder, 'app.log')
    writeFileSync(path, 'a\n')
    chmodSync(path, 0o664)
    const { stdout, code } = await runCli(['rotate', path])
    expect(code).toBe(0)
    expect(stdout).toMatch(/app\.log\.\d{8}-\d{6}\.0\n$/)
    expect(readFileSync(stdout.trimEnd(), 'utf8')).toBe('a\n')
    expect(statSync(path)).toMatchObject({ size: 0 })
    expect(statSync(path).mode & 0o777).toBe(0o664)
    writeFileSync(path, 'b\n')
    const again = JSON.parse((await runCli(['rotate', '--json', path])).stdout)
    expect(again).toMatchObject({ from: path, bytes: 2 })
    expect((await collect(path)).lines).toEqual(['a', 'b'])
  })

  test('an empty log is left alone, a missing one is exit code 3 and not created', async () => {
    const folder = createFolder()
    const path = join(folder, 'app.log')
    writeFileSync(path, '')
    const empty = await runCli(['rotate', path])
    expect(empty).toMatchObject({ code: 0, stdout: '' })
    expect(empty.stderr).toContain('is empty and was not rotated')
    expect(await runCli(['rotate', join(folder, 'none.log')])).toMatchObject({ code: 3, stdout: '' })
    expect(readdirSync(folder).sort()).toEqual(['.app.log.lock', 'app.log'])
  })

  test.skipIf(process.geteuid?.() !== 0)(
    'run as root, the new files belong to the owner of the old one',
    async () => {
      const folder = createFolder()
      const path = join(folder, 'app.log')
      writeFileSync(path, 'a\n')
      chownSync(path, 12_345, 54_321)
      expect((await runCli(['rotate', path])).code).toBe(0)
      for (const name of ['app.log', '.app.log.lock']) {
        expect(statSync(join(folder, name))).toMatchObject({ uid: 12_345, gid: 54_321 })
      }
    }
  )

  test('works while others write: every line is in the log once', async () => {
    const path = join(createFolder(), 'app.log')
    const child = startCli([...pipe, '--path', path])
    const expected = lines(4000)
    for (let at = 0; at < expected.length; at += 400) {
      child.stdin.write(`${expected.slice(at, at + 400).join('\n')}\n`)
      await sleep(30)
      if (existsSync(path)) await runCli(['rotate', path])
    }
    child.stdin.end()
    await once(child, 'exit')
    expect((await collect(path)).lines).toEqual(expected)
    const { details } = JSON.parse((await runCli(['info', '--json', path])).stdout)
    expect(details.state).toBe('at rest')
    expect(details['last writer']).toMatch(new RegExp(`^process ${child.pid} \\(not running`))
  })

  test('gives up when the lock is held for longer than --timeout', async () => {
    const path = join(createFolder(), 'app.log')
    writeFileSync(path, 'a\n')
    await runCli(['rotate', path])
    writeFileSync(path, 'b\n')
    const code = `
      import { openSync } from 'node:fs'
      import { native } from ${JSON.stringify(new URL('../../dist/native/index.js', import.meta.url).href)}
      native.lock(openSync(process.argv[1], 'r+'), 0, 0)
      console.log('held')
      setInterval(() => {}, 1000)`
    const locker = spawn(process.execPath, [
      '--input-type=module',
      '-e',
      code,
      join(path, '..', '.app.log.lock')
    ])
    await once(locker.stdout, 'data')
    const { code: exitCode, stderr } = await runCli(['rotate', '--timeout', '1', path])
    locker.kill('SIGKILL')
    expect(exitCode).toBe(3)
    expect(stderr).toContain('ERR_LOCK_TIMEOUT')
    expect(readFileSync(path, 'utf8')).toBe('b\n')
  })
})

test.each([
  ['--filename', '--path'],
  ['--max-size', '--max-bytes'],
  ['--maxBytes', '--max-bytes'],
  ['--max-files', '--max-backups'],
  ['--frequency', '--rotate-every'],
  ['--zipped-archive', '--compress']
])('a flag that is called as in another package is answered with ours: %s', async (flag, ours) => {
  const { code, stderr } = await runCli(['pipe', 'rotating-file', flag, '1'])
  expect([code, stderr]).toEqual([
    1,
    expect.stringContaining(`pipe has no option ${flag}; did you mean ${ours}?`)
  ])
})

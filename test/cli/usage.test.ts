import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { runCli } from '../helpers/cli.ts'
import { createFolder } from '../helpers/folder.ts'

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
const commands = ['cat', 'tail', 'merge', 'info', 'verify', 'rotate', 'pipe']

describe('help', () => {
  test.each([[[]], [['help']], [['--help']], [['-h']]])(
    '%j lists every command and the exit codes',
    async (args) => {
      const { stdout, code } = await runCli(args)
      expect(code).toBe(0)
      for (const command of commands) expect(stdout).toMatch(new RegExp(`^  ${command} `, 'm'))
      expect(stdout).toContain('Exit codes')
    }
  )

  test.each(commands)('of %s shows usage, every option and examples', async (command) => {
    const { stdout, code } = await runCli(['help', command])
    expect(code).toBe(0)
    expect(stdout.startsWith(`Usage: logboom ${command} `)).toBe(true)
    expect(stdout).toContain('Examples')
    expect((await runCli([command, '--help'])).stdout).toBe(stdout)
  })

  test('of a kind of pipe lists the options of the sink', async () => {
    const { stdout } = await runCli(['help', 'pipe', 'rotating-file'])
    expect(stdout).toContain('--max-bytes <size>')
    expect(stdout).toContain('--[no-]lock ')
    expect(stdout).toContain('Default: 10m.')
  })

  test('--version prints the version of the package', async () => {
    expect((await runCli(['--version'])).stdout).toBe(`${version}\n`)
  })
})

describe('mistakes are exit code 1 and say what to do', () => {
  test.each([
    [['caat'], 'unknown command "caat"; did you mean cat?'],
    [['xyzzy'], 'unknown command "xyzzy"\n'],
    [['help', 'tial'], 'did you mean tail?'],
    [['cat', '--jsno', 'x'], 'cat has no option --jsno; did you mean --json?'],
    [['cat', '-x', 'x'], 'cat has no option -x'],
    [['cat'], 'no input'],
    [['cat', '--json', '--raw', 'x'], '--json and --raw exclude each other'],
    [['cat', '--format', 'csv', 'x'], 'unknown format "csv"; known formats: '],
    [['cat', '--on-corrupt', 'ignore', 'x'], '--on-corrupt must be'],
    [['tail', '-n', 'ten', 'x'], '--lines must be a whole number, got "ten"'],
    [['tail', '-n'], 'tail: Option'],
    [['cat', '--since', '-10m', 'x'], 'a value that begins with a dash is written --since=-…'],
    [['tail', '-n', '-1', 'x'], 'a value that begins with a dash is written --lines=-…'],
    [['cat', '--level', '>=', 'x'], 'got ">="'],
    [['tail', '-f', '-'], 'stdin cannot be followed'],
    [['rotate'], 'no file to rotate'],
    [['pipe'], 'no kind of sink; known kinds: rotating-file'],
    [['pipe', 'rotating'], 'unknown kind of sink "rotating"'],
    [['pipe', 'rotating', '--path', 'x'], 'unknown kind of sink "rotating"'],
    [['convert', 'x', '--to', 'rotating', 'y', '--max-bytes', '1m'], 'unknown kind of sink "rotating"'],
    [['pipe', 'rotating-file'], "option 'path' is required"],
    [['pipe', 'rotating-file', '--path', 'x', '--max-bytes', 'ten'], "option 'maxBytes'"],
    [['pipe', 'rotating-file', '--path', 'x', '--max-byte', '1'], 'did you mean --max-bytes?'],
    [['pipe', 'rotating-file', '--path', 'x', 'y'], 'unexpected argument "y"']
  ])('%j', async (args, message) => {
    const { stdout, stderr, code } = await runCli(args)
    expect(stderr).toContain(message)
    expect(stderr).toContain('Try: logboom help')
    expect({ stdout, code }).toEqual({ stdout: '', code: 1 })
  })
})

test('a time that is longer than any timer is as long as one can be', async () => {
  const path = join(createFolder(), 'app.log')
  writeFileSync(path, 'a line\n')
  const { stderr, code } = await runCli(['rotate', '--timeout', '999999999999999', path])
  expect({ stderr, code }).toEqual({ stderr: '', code: 0 })
})

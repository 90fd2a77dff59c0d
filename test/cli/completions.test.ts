// Shell completion and the manual page, as they are packed: each shell takes its file, and they know every option.
import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { commands } from '../../src/cli/commands.ts'
import { allOptions, bashCompletion, fishCompletion, zshCompletion } from '../../src/cli/completions.ts'
import { manPage } from '../../src/cli/man-page.ts'

const at = (file: string) => fileURLToPath(new URL(`../../${file}`, import.meta.url))
const has = (command: string) => spawnSync(command, ['--version']).status === 0

test('the packed files are those that the commands make, and are packed', () => {
  expect(readFileSync(at('completions/logboom.bash'), 'utf8')).toBe(bashCompletion(commands))
  expect(readFileSync(at('completions/_logboom'), 'utf8')).toBe(zshCompletion(commands))
  expect(readFileSync(at('completions/logboom.fish'), 'utf8')).toBe(fishCompletion(commands))
  const { files, man, version } = JSON.parse(readFileSync(at('package.json'), 'utf8'))
  expect(readFileSync(at('man/logboom.1'), 'utf8')).toBe(manPage(commands, version))
  expect(files).toEqual(expect.arrayContaining(['completions', 'man']))
  expect(man).toBe('./man/logboom.1')
})

describe('bash', () => {
  function complete(...words: string[]): string[] {
    const script = `source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _logboom; printf '%s\\n' "\${COMPREPLY[@]}"`
    const args = ['--norc', '-c', script, 'bash', at('completions/logboom.bash'), 'logboom', ...words]
    return execFileSync('bash', args, { encoding: 'utf8' })
      .split('\n')
      .filter((word) => word !== '')
  }

  test('completes commands, options and kinds', () => {
    expect(complete('t')).toEqual(['tail', 'top'])
    expect(complete('help', 're')).toEqual(
      expect.arrayContaining(['repair', 'report', 'rotate'].filter((name) => name.startsWith('re')))
    )
    expect(complete('cat', '--le')).toEqual(['--level'])
    expect(complete('tail', '-')).toEqual(
      expect.arrayContaining(['--follow', '-f', '-n', '--grep', '--help'])
    )
    expect(complete('pipe', 'rot')).toEqual(['rotating-file'])
    expect(complete('pipe', 'rotating-file', '--max-b')).toEqual(
      expect.arrayContaining(['--max-bytes', '--max-backups'])
    )
    expect(complete('cat', 'package')).toEqual([])
  })

  test('knows every option of every command', () => {
    for (const command of commands) {
      const options = allOptions(command).map(([name]) => `--${name}`)
      expect(complete(command.name, '--')).toEqual(expect.arrayContaining([...options, '--help']))
    }
  })
})

test.skipIf(!has('zsh'))('zsh takes its file (where zsh is installed)', () => {
  execFileSync('zsh', ['-n', at('completions/_logboom')])
})

test.skipIf(!has('fish'))('fish completes commands and options (where fish is installed)', () => {
  const script = `source ${at('completions/logboom.fish')}; complete -C 'logboom to'; complete -C 'logboom cat --leve'`
  const found = execFileSync('fish', ['--no-config', '-c', script], { encoding: 'utf8' })
  expect(found).toContain('top\t')
  expect(found).toContain('--level\t')
})

test.skipIf(!has('groff'))(
  'groff finds nothing wrong with the manual page (where groff is installed)',
  () => {
    const { stdout, stderr, status } = spawnSync('groff', ['-man', '-ww', '-Tascii', at('man/logboom.1')], {
      encoding: 'utf8'
    })
    expect([status, stderr]).toEqual([0, ''])
    for (const command of commands) expect(stdout).toContain(command.name)
  }
)

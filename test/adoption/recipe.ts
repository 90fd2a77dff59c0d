// A page of docs/recipes as something to do: its files are written, its packages installed, its commands run. A page whose
// commands are not all run fails.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import { type Application, empty, tarball } from './application.ts'
import { versions } from './versions.ts'

const folder = join(import.meta.dirname, '../../docs/recipes')
/** What the pages say, and so little that it is reached. */
const LIMITS = "maxBytes: '10m', maxBackups: 5"
export const MAX_BYTES = 16 * 1024

export interface Recipe extends Application {
  /** The one command of the page that matches, as words for a shell. */
  command(pattern: RegExp): string
  /** Runs it to its end, and gives what it printed; throws what it said if it fails. */
  shell(pattern: RegExp, env?: Record<string, string>): string
  /** What a fenced block of that language has, without those that are files. */
  block(language: string): string
}

interface Block {
  language: string
  file: string | undefined
  text: string
}

/** The blocks of code of a page. */
export function blocksOf(page: string): Block[] {
  const text = readFileSync(join(folder, `${page}.md`), 'utf8')
  return [...text.matchAll(/^ *```(\w+)(?: (\S+))?\n(.*?)^ *```$/gms)].map(([, language, file, block]) => {
    return { language, file, text: block }
  })
}

/**
 * Does what a page says up to the installation, with the packed package and pinned versions of all others. A test that passes must
 * have run the other commands, too.
 */
export function follow(page: string): Recipe {
  const blocks = blocksOf(page)
  const application = empty()
  for (const { file, text } of blocks) {
    if (file !== undefined) application.write(file, small(text))
  }
  const shell = blocks.filter(({ language, file }) => language === 'sh' && file === undefined)
  const commands = shell.flatMap(({ text }) => text.trim().split('\n'))
  const open = new Set(commands)

  const command = (pattern: RegExp): string => {
    const found = commands.filter((line) => pattern.test(line))
    expect(found, `${page}: ${pattern}`).toHaveLength(1)
    open.delete(found[0])
    return pinned(found[0])
  }
  const run = (line: string, env: Record<string, string> = {}): string => {
    const { status, stdout, stderr } = application.run('/bin/sh', ['-c', line], env)
    if (status !== 0) throw new Error(`${line} ended with ${status}:\n${stdout}${stderr}`)
    return stdout
  }
  for (const line of commands.filter((each) => /^npm install (?!--prefix)/.test(each))) {
    open.delete(line)
    run(pinned(line))
  }
  onTestFinished(({ task }) => {
    if (task.result?.state !== 'pass') return
    expect([...open], `commands of ${page}.md that were not run`).toEqual([])
  })
  return {
    ...application,
    command,
    shell: (pattern, env) => run(command(pattern), env),
    block(language) {
      const found = blocks.filter((block) => block.language === language && block.file === undefined)
      expect(found, `${page}: ${language}`).toHaveLength(1)
      return found[0].text
    }
  }
}

/** A program of a page with limits that are reached; all that is written is kept, to be counted. */
export function small(program: string): string {
  return program.replaceAll(LIMITS, `maxBytes: ${MAX_BYTES}`)
}

/** An installation with the packed package and the versions that are pinned; any other command as it is. */
function pinned(line: string): string {
  if (!line.startsWith('npm install ')) return line
  const [, , ...words] = line.split(' ')
  const flags = ['--no-audit', '--no-fund', '--ignore-scripts', '--prefer-offline', '--save-exact']
  const named = words.map((word, index) => {
    if (word.startsWith('-') || words[index - 1] === '--prefix') return word
    return word === 'logboom' ? tarball() : `${word}@${pin(word)}`
  })
  return ['npm install', ...flags, ...named].join(' ')
}

export function pin(name: string): string {
  const version = versions[name]
  if (version === undefined) throw new Error(`test/adoption/versions.ts pins no version of ${name}`)
  return version
}

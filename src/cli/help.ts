// The texts of `logboom help`, made from the commands.
import type { CliOption, Command } from './command.ts'
import { formatTable } from './units.ts'

const LINE_WIDTH = 100

/** The same for all commands. */
export const EXIT_CODES = `Exit codes
  0  fine (also when the reader of the output has gone, as with "| head")
  1  wrong usage
  2  damage was found, or a record could not be converted; everything else was processed
  3  a file could not be found, read or written
`

/** What a log is, and where help is. */
export const INTRODUCTION = `A log is a file together with its backups, or a folder of logs.
"logboom help <command>" explains a command; "logboom --version" prints the version.`

/** What `logboom` without arguments prints. */
export function generalHelp(commands: readonly Command[]): string {
  const rows = commands.map(({ name, summary }) => [`  ${name}`, summary])
  return `Reads, follows, checks and writes logs of the logboom package.

Usage: logboom <command> [options] <log>…

Commands
${formatTable(rows)}
${INTRODUCTION}

${EXIT_CODES}
More: https://www.npmjs.com/package/logboom
`
}

/** The help of one command; `args` may name the kind of sink. */
export function commandHelp(command: Command, args: readonly string[]): string {
  const { name, parameters, description, examples } = command
  const options = Object.entries(command.options(args))
  const optionText = options.length === 0 ? '' : `\nOptions\n${optionTable(options)}`
  return `Usage: logboom ${name} ${parameters}

${description}
${optionText}
Examples
${examples.map((example) => `  ${example}\n`).join('')}
${EXIT_CODES}`
}

function optionTable(options: readonly (readonly [string, CliOption])[]): string {
  const names = options.map(([name, { short, value, negatable }]) => {
    const dashes = negatable === true ? '--[no-]' : '--'
    const long = value === undefined ? `${dashes}${name}` : `${dashes}${name} <${value}>`
    return `  ${short === undefined ? '    ' : `-${short}, `}${long}`
  })
  const width = Math.min(36, Math.max(...names.map(({ length }) => length))) + 2
  return options
    .map(([, { text }], at) => withText(names[at], wrap(text, LINE_WIDTH - width), width))
    .join('')
}

function withText(name: string, lines: readonly string[], width: number): string {
  const indent = ' '.repeat(width)
  const first = name.length + 2 > width ? `${name}\n${indent}` : name.padEnd(width)
  return `${first}${lines.join(`\n${indent}`)}\n`
}

function wrap(text: string, width: number): string[] {
  const lines = ['']
  for (const word of text.split(' ')) {
    const line = lines[lines.length - 1]
    if (line !== '' && line.length + 1 + word.length > width) lines.push(word)
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`
  }
  return lines
}

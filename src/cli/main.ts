#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { errorMessage, systemCode } from '../base/errors.ts'
// The command `logboom`: finds the command, parses its options, runs it, and turns what happens into an exit code.
import { packageRoot } from '../base/package-root.ts'
import { similar } from '../base/similar.ts'
import { ourName } from '../base/unknown-option.ts'
import {
  type CliOption,
  type CliValues,
  type Command,
  complain,
  type ExitCode,
  exitCodes,
  UsageError
} from './command.ts'
import { commands } from './commands.ts'
import { commandHelp, generalHelp } from './help.ts'
import { Output } from './output.ts'
import { exitCodeOf } from './read-inputs.ts'
import { ReaderGone } from './stdout.ts'

async function main(args: readonly string[]): Promise<ExitCode> {
  const [name, ...rest] = args
  if (name === undefined || name === '--help' || name === '-h') return print(generalHelp(commands))
  if (name === '--version' || name === '-v') return print(`${version()}\n`)
  if (name === 'help') return help(rest)
  const command = findCommand(name)
  if (rest.includes('--help') || rest.includes('-h')) return print(commandHelp(command, rest))
  const { positionals, values } = parse(command, rest)
  return command.run(positionals, values)
}

function help([topic, ...rest]: readonly string[]): Promise<ExitCode> {
  if (topic === undefined) return print(generalHelp(commands))
  return print(commandHelp(findCommand(topic), rest))
}

function findCommand(name: string): Command {
  const command = commands.find((each) => each.name === name)
  if (command !== undefined) return command
  const names = commands.map((each) => each.name)
  throw new UsageError(
    `unknown command ${JSON.stringify(name)}${didYouMean(similar(name, [...names, 'help']))}`
  )
}

function parse(command: Command, args: readonly string[]): { positionals: string[]; values: CliValues } {
  const options = command.options(args)
  try {
    const config = {
      args: [...args],
      options: parserOptions(options),
      allowPositionals: true,
      allowNegative: true
    }
    return parseArgs(config) as { positionals: string[]; values: CliValues }
  } catch (error) {
    throw new UsageError(describeParseError(command, options, error))
  }
}

function parserOptions(options: Readonly<Record<string, CliOption>>) {
  const entries = Object.entries(options).map(([name, { type, short, multiple = false }]) => {
    return [name, short === undefined ? { type, multiple } : { type, short, multiple }] as const
  })
  return Object.fromEntries(entries)
}

function describeParseError(
  { name }: Command,
  options: Readonly<Record<string, CliOption>>,
  error: unknown
): string {
  const message = errorMessage(error)
  const unknown = /^Unknown option '--?([^']+)'/.exec(message)?.[1]
  if (systemCode(error) === 'ERR_PARSE_ARGS_UNKNOWN_OPTION' && unknown !== undefined) {
    const dashes = unknown.length === 1 ? '-' : '--'
    const meant = meantFlag(unknown, Object.keys(options))
    return `${name} has no option ${dashes}${unknown}${didYouMean(meant === undefined ? undefined : `--${meant}`)}`
  }
  const dashed = / use '(--[^']+=-)XYZ'/.exec(message)?.[1]
  if (dashed !== undefined) return `${name}: a value that begins with a dash is written ${dashed}…`
  return `${name}: ${message.split('\n')[0].split('. ')[0]}`
}

/** Flags of `pipe` are the options of sinks, which have other names in other packages. */
function meantFlag(unknown: string, flags: readonly string[]): string | undefined {
  const options = flags.map((flag) => flag.replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase()))
  const ours = ourName(unknown, options)
  return ours === undefined ? similar(unknown, flags) : flags[options.indexOf(ours)]
}

function didYouMean(candidate: string | undefined): string {
  return candidate === undefined ? '' : `; did you mean ${candidate}?`
}

function version(): string {
  return JSON.parse(readFileSync(new URL('package.json', packageRoot), 'utf8')).version
}

async function print(text: string): Promise<ExitCode> {
  const output = new Output()
  await output.text(text)
  await output.flush()
  return exitCodes.fine
}

function fail(error: unknown, name: string | undefined): ExitCode {
  if (error instanceof ReaderGone) return exitCodes.fine
  complain(errorMessage(error))
  const code = error instanceof UsageError ? exitCodes.usage : exitCodeOf(error)
  if (code !== exitCodes.usage) return code
  const known = commands.some((each) => each.name === name)
  process.stderr.write(`Try: logboom help${known ? ` ${name}` : ''}\n`)
  return code
}

const args = process.argv.slice(2)
// Nobody reads the messages any more (`2>&1 | head`): the records and the exit code are still wanted.
process.stderr.on('error', () => {})
// Ends at once: a read of stdin that nobody waits for any more must not keep the process.
main(args).then(
  (code) => process.exit(code),
  (error) => process.exit(fail(error, args[0]))
)

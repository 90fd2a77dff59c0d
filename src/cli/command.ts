// What a command of the CLI is made of; main.ts runs it and help.ts describes it from the same data.
import { MAX_TIMER_MS } from '../base/option-values.ts'
import { printable } from '../base/printable.ts'

/** Exit codes of every command. */
export const exitCodes = { fine: 0, usage: 1, damaged: 2, io: 3 } as const

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes]

export interface CliOption {
  readonly type: 'string' | 'boolean'
  readonly short?: string
  /** Name of the value in the help, for type 'string'. */
  readonly value?: string
  /** On by default, so that the help shows --[no-]name. */
  readonly negatable?: boolean
  /** May be given several times; the value is a list. */
  readonly multiple?: boolean
  readonly text: string
}

/** Values as `node:util` parseArgs returns them. */
export type CliValues = Readonly<Record<string, string | boolean | readonly string[] | undefined>>

export interface Command {
  readonly name: string
  /** Behind the name in the help, for example '<path>…'. */
  readonly parameters: string
  /** One line for the list of commands. */
  readonly summary: string
  /** Paragraphs for its own help. */
  readonly description: string
  /** Given the arguments, because those of `pipe` depend on the kind of sink. */
  options(args: readonly string[]): Readonly<Record<string, CliOption>>
  readonly examples: readonly string[]
  run(positionals: readonly string[], values: CliValues): Promise<ExitCode>
}

/** A mistake of the user: the message is shown with a pointer to the help. */
export class UsageError extends Error {}

/** The whole number ≥ 0 in the text of an option. */
export function wholeNumber(name: string, text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw new UsageError(`--${name} must be a whole number, got ${JSON.stringify(text)}`)
}

/** The whole number ≥ 0 of an option; undefined if it was not given. */
export function countOf(values: CliValues, name: string): number | undefined {
  const text = values[name]
  return text === undefined ? undefined : wholeNumber(name, text as string)
}

/** The time in ms of an option that is a whole number of `unitMs`. No timer of Node is longer than that. */
export function timeOption(name: string, text: string, unitMs: number): number {
  return Math.min(wholeNumber(name, text) * unitMs, MAX_TIMER_MS)
}

/** What was given for an option that may be given several times. */
export function valuesOf(values: CliValues, name: string): readonly string[] {
  return (values[name] ?? []) as readonly string[]
}

/** Tells what is no damage and no error. */
export function tell({ path, text }: { readonly path: string; readonly text: string }): void {
  complain(`${path}: ${text}`)
}

/** Writes a line to stderr, whatever is in `text`. */
export function complain(text: string): void {
  process.stderr.write(`logboom: ${printable(text)}\n`)
}

// The options of a sink as flags of the command line: `maxBytes` is --max-bytes, a boolean also --no-<name>.
import * as v from 'valibot'
import type { OptionSpec, OptionSpecs } from '../base/options.ts'
import { sinks } from '../core/registry.ts'
import { type CliOption, type CliValues, UsageError } from './command.ts'

/** The flags for a sink's options. */
export function flagsOf(specs: OptionSpecs): Record<string, CliOption> {
  const flags: Record<string, CliOption> = {}
  for (const [name, spec] of Object.entries(specs)) {
    const isFlag = spec.type === 'boolean'
    const description = spec.description.replaceAll('`', '').replaceAll(/\[([^\]]+)\]\([^)]+\)/g, '$1')
    const text = `${description}${describeDefault(spec.default.replaceAll(/[`']/g, ''))}`
    const value = spec.type.replaceAll(/[`']/g, '').replaceAll(', ', '|')
    flags[flagName(name)] = isFlag
      ? { type: 'boolean', negatable: true, text }
      : { type: 'string', value, text }
    for (const alias of spec.aliases ?? []) {
      flags[flagName(alias)] = { type: 'string', value, text: `Another name of --${flagName(name)}.` }
    }
  }
  return flags
}

/** The options of a sink that `values` stand for. */
export function optionsFrom(specs: OptionSpecs, values: CliValues): Record<string, unknown> {
  const options: Record<string, unknown> = {}
  for (const [name, spec] of Object.entries(specs)) {
    // Given by two names it is given twice, and the check says so.
    for (const each of [name, ...(spec.aliases ?? [])]) {
      const value = values[flagName(each)]
      if (value !== undefined) options[each] = typeof value === 'string' ? convert(spec, value) : value
    }
  }
  return options
}

function describeDefault(text: string): string {
  if (text === '') return ''
  return text === '(required)' ? ' Required.' : ` Default: ${text}.`
}

function flagName(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

/** Text as it is if the option takes that ('10m', '0640'), else as a number or boolean. */
function convert(spec: OptionSpec, text: string): unknown {
  const candidates: unknown[] = [text]
  if (/^-?\d+(\.\d+)?$/.test(text)) candidates.push(Number(text))
  if (text === 'true' || text === 'false') candidates.push(text === 'true')
  return candidates.find((candidate) => v.safeParse(spec.schema, candidate).success) ?? text
}

/** The mistake of one who names a kind of sink that there is not. */
export function unknownKind(name: string): UsageError {
  return new UsageError(
    `unknown kind of sink ${JSON.stringify(name)}; known kinds: ${Object.keys(sinks).join(', ')}`
  )
}

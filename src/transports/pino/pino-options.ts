// The options that a pino target has besides those of its sink.
import {
  type OptionsInput,
  type OptionsOutput,
  oneOf,
  option,
  optionError,
  parseOptions
} from '../../base/options.ts'

/** What is the target's own; docs/pino.md has the table. */
export const pinoOptions = {
  format: option(
    "`'json'`, `'pretty'`",
    oneOf(['json', 'pretty']),
    'json',
    'What a line of a text file looks like: as pino writes it, or readable, through pino-pretty, which has to be installed. Only for `rotating-file`.'
  )
}

export type PinoOptions = OptionsInput<typeof pinoOptions>

export interface SplitOptions {
  readonly own: OptionsOutput<typeof pinoOptions>
  readonly sinkOptions: Record<string, unknown>
}

/** Tells whose options are whose, and checks those of the target. Throws `ERR_OPTION`. */
export function splitPinoOptions(kind: string, options: Record<string, unknown>): SplitOptions {
  const { format, ...sinkOptions } = options
  const own = parseOptions(kind, pinoOptions, { format })
  if (own.format !== 'json' && kind !== 'rotating-file') {
    throw optionError(kind, 'format', "cannot be 'pretty' where records are not lines of a text file", format)
  }
  return { own, sinkOptions }
}

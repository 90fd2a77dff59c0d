// The options that a winston transport has besides those of its sink.
import * as v from 'valibot'
import type TransportStream from 'winston-transport'
import {
  flag,
  type OptionsInput,
  type OptionsOutput,
  option,
  optionalOption,
  optionError,
  parseOptions
} from '../../base/options.ts'
import type { SignalOptions } from '../../core/signals.ts'

const LINE_ENDS = ['\n', '\r\n'] as const
const EOL_RULE = "must be '\\n' or '\\r\\n'"

/** What is the transport's own; docs/winston.md has the table. */
export const transportOptions = {
  name: optionalOption(
    'text',
    v.pipe(
      v.string('must be a text'),
      v.check((value) => value.length > 0, 'must not be empty')
    ),
    'Names the transport in the results of `logger.query`. Default: the kind, such as `rotating-file`; within a logger further ones are `rotating-file-2`, `rotating-file-3`, …'
  ),
  lazy: option(
    'boolean',
    flag,
    false,
    'Open the file, and start what writes it, with the first record instead of at once.'
  ),
  eol: {
    ...option('text', v.picklist(LINE_ENDS, EOL_RULE), '\n', 'How lines of text files end.'),
    type: "`'\\n'`, `'\\r\\n'`",
    default: "`'\\n'`"
  },
  escapeNewlines: option(
    'boolean',
    flag,
    false,
    'Write line ends within a record as `\\n` and `\\r`, so that no message can look like two records.'
  )
}

export type TransportOptions = OptionsOutput<typeof transportOptions>

/** Options every winston transport of this package has besides those of its sink. */
export type WinstonOptions = SignalOptions &
  OptionsInput<typeof transportOptions> &
  Pick<
    TransportStream.TransportStreamOptions,
    'level' | 'format' | 'silent' | 'handleExceptions' | 'handleRejections'
  >

/**
 * The transport's own options, checked. `isText`: the sink's records are lines of a text file. Throws `ERR_OPTION`.
 */
export function parseTransportOptions(
  kind: string,
  input: OptionsInput<typeof transportOptions>,
  isText: boolean
): TransportOptions {
  const options = parseOptions(kind, transportOptions, input)
  if (options.eol !== '\n' && !isText) {
    throw optionError(kind, 'eol', 'has no meaning where records are not lines of a text file', input.eol)
  }
  return options
}

// The options that a winston transport has besides those of its sink.
import * as v from 'valibot'
import type TransportStream from 'winston-transport'
import {
  flag,
  givenOptions,
  type OptionsInput,
  type OptionsOutput,
  option,
  optionalOption,
  optionError,
  parseOptions
} from '../../base/options.ts'
import type { Kind } from '../../core/registry.ts'
import type { SignalOptions } from '../../core/signals.ts'
import type { CheckedOptions, SinkKind } from '../../core/sink/sink-kind.ts'

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

type HostOptions = Pick<
  TransportStream.TransportStreamOptions,
  'level' | 'format' | 'silent' | 'handleExceptions' | 'handleRejections'
>

/** Options every winston transport of this package has besides those of its sink. */
export type WinstonOptions = SignalOptions & OptionsInput<typeof transportOptions> & HostOptions

export interface SplitOptions {
  /** For winston-transport. */
  readonly host: HostOptions
  readonly signals: SignalOptions
  readonly own: OptionsOutput<typeof transportOptions>
  /** For the sink, as given, and what of them is needed here. */
  readonly sinkOptions: Record<string, unknown>
  readonly place: CheckedOptions
}

/** Tells whose options are whose, and checks them. Throws `ERR_OPTION` or `ERR_UNSUPPORTED`. */
export function splitOptions(kind: Kind, check: SinkKind['check'], options: object): SplitOptions {
  const given: WinstonOptions = givenOptions(kind, options)
  const { level, format, silent, handleExceptions, handleRejections, ...others } = given
  const { flushOnSignal, reopenOnSignal, name, lazy, eol, escapeNewlines, ...sinkOptions } = others
  if (format !== undefined && typeof (format as { transform?: unknown } | null)?.transform !== 'function') {
    const rule =
      "must be a format of winston, such as winston.format.simple(), which says what a line looks like ('pretty' is for the pino targets of this package)"
    throw optionError(kind, 'format', rule, format)
  }
  const place = check(sinkOptions)
  const own = parseOptions(kind, transportOptions, { name, lazy, eol, escapeNewlines })
  if (own.eol !== '\n' && kind !== 'rotating-file' && place.output !== 'rotating-file') {
    throw optionError(kind, 'eol', 'has no meaning where records are not lines of a text file', eol)
  }
  return {
    host: { level, format, silent, handleExceptions, handleRejections },
    signals: { flushOnSignal, reopenOnSignal },
    own,
    sinkOptions,
    place
  }
}

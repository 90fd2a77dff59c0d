// The options of a shipper beside its source and target; docs/shipping.md explains them.
import * as v from 'valibot'
import {
  count,
  duration,
  flag,
  type OptionsInput,
  type OptionsOutput,
  oneOf,
  option,
  optionalOption,
  parseOptions,
  path,
  size
} from '../base/options.ts'
import { isLogConsumerName } from '../formats/log-consumer.ts'
import type { ShipTarget } from './target.ts'

const positive = v.pipe(
  count,
  v.check((value) => value > 0, 'must be at least 1')
)
const positiveSize = v.pipe(
  size,
  v.check((value) => value > 0, 'must be at least 1')
)
const NAME_RULE = "must be letters, digits, '_', '-' and '.', not at the start, at most 64"

export const shipperOptions = {
  consumer: optionalOption(
    'text',
    v.pipe(v.string(NAME_RULE), v.check(isLogConsumerName, NAME_RULE)),
    'Its name among the consumers of the log, which keeps for each what it has not got. Default: `ship-<target>`.'
  ),
  checkpoint: optionalOption(
    'path',
    path,
    'The file that says how far it has come. Default: `.<log>.<consumer>` beside the log.'
  ),
  rejected: optionalOption(
    'path',
    path,
    'The file of records that the target will never take. Default: `.<log>.rejected` beside the log.'
  ),
  follow: option('boolean', flag, true, 'Go on with what is appended, until stopped.'),
  removeShipped: option(
    'boolean',
    flag,
    false,
    'Remove files that the target has; for a spool, whose collector the shipper is, and required there.'
  ),
  onLost: option(
    "`'stop'`, `'skip'`",
    oneOf(['stop', 'skip']),
    'stop',
    'What to do when records were removed from the log before they were shipped: end with `ERR_CURSOR_LOST`, or go on with the oldest that is left.'
  ),
  batchBytes: option('size', positiveSize, '1m', 'A batch is sent when it has this many bytes.'),
  batchRecords: option('count', positive, 10_000, 'A batch is sent when it has this many records.'),
  batchAge: option('duration', duration, '1s', 'A batch is sent when its first record has waited this long.'),
  maxRejected: option(
    'count',
    count,
    100,
    'More refused records in a minute stop it: then it is the configuration that is wrong.'
  )
}

export type ParsedShipperOptions = OptionsOutput<typeof shipperOptions>

export type ShipperOptions = OptionsInput<typeof shipperOptions> & {
  /** Path of a log. */
  source: string
  target: ShipTarget
}

/** Throws `ERR_OPTION`. */
export function parseShipperOptions(options: OptionsInput<typeof shipperOptions>): ParsedShipperOptions {
  return parseOptions('shipper', shipperOptions, options)
}

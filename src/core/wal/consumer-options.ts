// Options of consumers of a write-ahead log.
import * as v from 'valibot'
import { count, type OptionsInput, oneOf, option, optionalOption, size } from '../../base/options.ts'

export const openOptions = {
  from: option("'start', 'end'", oneOf(['start', 'end']), 'start', 'Where a consumer that is new begins.')
}
const positive = v.pipe(
  count,
  v.check((value) => value > 0, 'must be at least 1')
)
export const takeOptions = {
  maxEntries: option('count', positive, 1000, 'At most so many entries.'),
  maxBytes: option('size', size, '1m', 'At most so many bytes, but for a single entry that is larger.')
}
export const followOptions = {
  ...takeOptions,
  signal: optionalOption(
    'AbortSignal',
    v.instance(AbortSignal, 'must be an AbortSignal'),
    'Ends it, without an error.'
  )
}

export type ConsumerOptions = OptionsInput<typeof openOptions>
export type TakeOptions = OptionsInput<typeof takeOptions>
export type FollowOptions = OptionsInput<typeof followOptions>

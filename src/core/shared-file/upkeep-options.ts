// The options of what happens to backups; the same for every kind of file.
import * as v from 'valibot'
import { count, duration, oneOf, option, optionError, size } from '../../base/options.ts'
import { type Compression, canCompress } from './compress.ts'

/** Less is never meant, but days or seconds where a number is milliseconds; it would remove each backup at once. */
const MIN_AGE_MS = 1_000

const ageInMs = v.pipe(
  duration,
  v.check(
    (ms) => ms === 0 || ms >= MIN_AGE_MS,
    "must be 0 or at least 1s: a number is milliseconds, and days are '28d'"
  )
)

export const upkeepOptions = {
  maxBackups: option('count', count, 0, 'Keep at most so many backups; 0 for all.'),
  maxAge: option('duration', ageInMs, 0, 'Remove backups older than this; 0 for never.'),
  maxTotalBytes: option(
    'size',
    size,
    0,
    'Remove the oldest backups while all of them together are larger; 0 for never.'
  ),
  maxRetainedBytes: option(
    'size',
    size,
    '1g',
    'What a consumer of the log, such as a shipper, has not got is kept beyond the limits above, until all backups together are larger than this; 0 for no bound.'
  ),
  maxRetainedAge: option(
    'duration',
    ageInMs,
    '7d',
    'The same until backups are older than this; a consumer that has not been running for so long does not count any more. 0 for no bound.'
  ),
  compress: option(
    "`false`, `'gzip'`, `'brotli'`, `'zstd'`",
    oneOf([false, 'gzip', 'brotli', 'zstd']),
    false,
    'Compress backups in the background. `zstd` needs Node 22.15 or newer.'
  )
}

export interface ParsedUpkeepOptions {
  readonly maxBackups: number
  /** In ms. */
  readonly maxAge: number
  readonly maxTotalBytes: number
  readonly maxRetainedBytes: number
  /** In ms. */
  readonly maxRetainedAge: number
  readonly compress: false | 'gzip' | 'brotli' | 'zstd'
}

/** Throws `ERR_OPTION` where this Node cannot compress as asked. */
export function checkUpkeepOptions(kind: string, { compress }: { compress: unknown }): void {
  if (compress === false || canCompress(compress as Compression)) return
  const rule = `cannot be 'zstd' with Node ${process.versions.node}; it needs 22.15 or newer`
  throw optionError(kind, 'compress', rule, compress)
}

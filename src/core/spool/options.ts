// Options of the spool sink.
import { tmpdir } from 'node:os'
import { resolve, sep } from 'node:path'
import * as v from 'valibot'
import {
  alsoNamed,
  count,
  delay,
  folder,
  type OptionsInput,
  type OptionsOutput,
  oneOf,
  option,
  optionalOption,
  optionError,
  parseOptions,
  permissions,
  size
} from '../../base/options.ts'
import { MAX_WORKERS } from '../../formats/spool.ts'
import { finishedCommand } from '../shared-file/upkeep-options.ts'
import { commonOptions, laneOptions } from '../sink/common-options.ts'

/** Leaves room in a file name of 255 bytes for worker, process id, instance and time. */
const MAX_PREFIX_BYTES = 128

const { mode: _mode, ...common } = commonOptions({ durability: 'os', flushInterval: '1s' })

const overflow = oneOf(['block', 'drop-newest', 'drop-oldest'])

export const spoolOptions = {
  dir: alsoNamed(
    optionalOption('path', folder, 'The folder to publish files in. Default: the temp folder of the system.'),
    'path'
  ),
  temp: optionalOption(
    'path',
    folder,
    'The folder of unfinished files. Default: the same as `path`, under hidden names.'
  ),
  prefix: option('text', v.string('must be a text'), '', 'How the names of published files begin.'),
  maxBytes: alsoNamed(
    option(
      'size',
      size,
      '64k',
      'A file is published when it has reached this size. No record is split, so files may be larger.'
    ),
    'size'
  ),
  workers: option('count', count, 4, 'So many files are filled and written independently of each other.'),
  timeout: option(
    'duration',
    delay,
    '100ms',
    'How long `write` waits for a worker before it discards the record.'
  ),
  mode: alsoNamed(
    option('permissions', permissions, '0400', 'Permissions of published files, whatever the umask.'),
    'permission'
  ),
  queue: option(
    'count',
    count,
    512,
    'So many records may wait for a worker before the `overflow` policy decides about the next one.'
  ),
  onFinished: finishedCommand('each published file'),
  ...common,
  ...laneOptions,
  flushInterval: option(
    'duration',
    delay,
    '1s',
    'A file that is not full is published after this time; 0: only when it is full, and by `flush()` and `close()`.'
  ),
  maxBufferBytes: option('size', size, '64m', 'Bound of the memory held by waiting records.'),
  overflow: option(
    "`'block'`, `'drop-newest'`, `'drop-oldest'`",
    overflow,
    'block',
    'What happens to the next record when `queue` records wait: it waits, too, until its `timeout`; it is discarded at once; or the oldest is. Beyond `maxBufferBytes` the next one is always discarded, unless the oldest are.'
  )
}

export type SpoolOptions = OptionsInput<typeof spoolOptions>
export type ParsedSpoolOptions = OptionsOutput<typeof spoolOptions> & {
  path: string
  temp: string
  size: number
  permission: number
}

const TOO_LONG = 'is too long: the names of its files would not fit in a path'

/** Whether the longest name of a file fits behind the path of its folder (PATH_MAX), and the folder's own (NAME_MAX). */
function hasRoomForNames(folder: string): boolean {
  const isNameable = folder.split(sep).every((name) => Buffer.byteLength(name) <= 255)
  return isNameable && Buffer.byteLength(folder) + 1 + 255 < 4096
}

/** Checks options. Throws `ERR_OPTION`. */
export function parseSpoolOptions(input: unknown): ParsedSpoolOptions {
  const options = parseOptions('spool', spoolOptions, input)
  const refuse = (name: keyof typeof spoolOptions, rule: string) =>
    optionError('spool', name, rule, options[name])
  if (/[/\0]/.test(options.prefix) || Buffer.byteLength(options.prefix) > MAX_PREFIX_BYTES) {
    throw refuse('prefix', `must be at most ${MAX_PREFIX_BYTES} bytes without '/' and NUL`)
  }
  if (options.prefix.startsWith('.')) {
    throw refuse(
      'prefix',
      "must not begin with '.': hidden files are unfinished ones, and no program would collect them"
    )
  }
  if (options.workers === 0 || options.workers > MAX_WORKERS)
    throw refuse('workers', `must be 1 to ${MAX_WORKERS}`)
  if (options.maxBytes === 0 || options.maxBytes > 2 ** 30) throw refuse('maxBytes', "must be 1 to '1g'")
  if (options.maxBufferBytes === 0) throw refuse('maxBufferBytes', 'must be at least 1')
  if ((options.mode & 0o400) === 0)
    throw refuse('mode', 'must let the owner read, who has to sync and to recover the files')
  const target = resolve(options.dir ?? tmpdir())
  const temp = resolve(options.temp ?? target)
  if (!hasRoomForNames(target)) throw refuse('dir', TOO_LONG)
  if (!hasRoomForNames(temp)) throw refuse('temp', TOO_LONG)
  return {
    ...options,
    path: target,
    temp,
    size: options.maxBytes,
    permission: options.mode
  }
}

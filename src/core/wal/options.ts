// Options of the write-ahead log.
import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import * as v from 'valibot'
import { requireNameRoom } from '../../base/file-name.ts'
import {
  alsoNamed,
  bytes,
  count,
  delay,
  duration,
  folder,
  type OptionsInput,
  type OptionsOutput,
  oneOf,
  option,
  optionalOption,
  optionError,
  parseOptions,
  path,
  permissions,
  requiredOption,
  size
} from '../../base/options.ts'
import { SEGMENT_BYTES } from '../../formats/wal.ts'
import { finishedCommand, finishedWait } from '../shared-file/upkeep-options.ts'
import { commonOptions, laneOptions } from '../sink/common-options.ts'

const MIN_SEGMENT_BYTES = 4096

const textOrBytes = v.union([v.string(), bytes], 'must be bytes or a text') as unknown as v.GenericSchema<
  string | Uint8Array
>

export const walOptions = {
  dir: alsoNamed(requiredOption('path', folder, 'The folder of the log.'), 'walDir'),
  snapDir: optionalOption(
    'path',
    folder,
    'The folder of the snapshot files, one for each log; by default `snap` beside a `dir` called `wal`, else `<dir>.snap`.'
  ),
  syncInterval: option(
    'duration',
    delay,
    0,
    '0: `log` resolves when its records are on disk, many calls sharing one sync. Otherwise `log` resolves when the kernel has them, and a sync follows within this time.'
  ),
  maxBytes: alsoNamed(
    option('size', size, SEGMENT_BYTES, 'A new segment is begun after the write that reaches this.'),
    'segmentBytes'
  ),
  metadata: optionalOption(
    'bytes or text',
    textOrBytes,
    'Opaque bytes at the head of every segment. An existing log keeps those it has; others are refused.'
  ),
  dumpOnFailure: optionalOption(
    'path',
    path,
    'If the log fails, the records that were not acknowledged are saved to this file, as a segment of their own.'
  ),
  instance: option(
    "`'exclusive'`, `'per-process'`",
    oneOf(['exclusive', 'per-process']),
    'exclusive',
    "`'per-process'`: a sub-folder `<host>-<pid>` of its own for each process."
  ),
  keepSegments: option('count', count, 0, 'So many segments are kept that a released snapshot would free.'),
  maxRetainedBytes: option(
    'size',
    size,
    0,
    'The oldest segments are removed when all together are larger, whether a consumer has released them or not; 0 for no bound. At least twice `maxBytes`.'
  ),
  maxRetainedAge: option(
    'duration',
    duration,
    0,
    'The same for segments that were last written to so long ago; 0 for no bound.'
  ),
  onFinished: finishedCommand('each segment that is complete, and each snapshot file'),
  finishedWait: finishedWait('a segment or snapshot file'),
  ...commonOptions({ durability: 'disk', flushInterval: '10ms' }),
  ...laneOptions,
  mode: option('permissions', permissions, '0600', 'Permissions of new files, whatever the umask; octal.'),
  dirMode: option('permissions', permissions, '0700', 'Permissions of new folders.')
}

/** Options of `WriteAheadLog` and of the transports of kind `wal`. */
export type WriteAheadLogOptions = OptionsInput<typeof walOptions> &
  ({ dir: string | URL } | { walDir: string | URL })

export interface ParsedWalOptions extends Omit<OptionsOutput<typeof walOptions>, 'metadata' | 'snapDir'> {
  /** The folder of the log, absolute. */
  path: string
  walDir: string
  segmentBytes: number
  /** Absolute; undefined for the default, which depends on what is there. */
  snapDir: string | undefined
  metadata: Uint8Array | undefined
}

/** Checks the options and makes the folders absolute. Throws `ERR_OPTION`. */
export function parseWalOptions(input: unknown): ParsedWalOptions {
  const options = parseOptions('wal', walOptions, input)
  const { dir, maxBytes } = options
  if (maxBytes < MIN_SEGMENT_BYTES) {
    throw optionError('wal', 'maxBytes', `must be at least ${MIN_SEGMENT_BYTES}`, maxBytes)
  }
  if (options.maxBufferBytes === 0) throw optionError('wal', 'maxBufferBytes', 'must be at least 1', 0)
  if (options.maxRetainedBytes > 0 && options.maxRetainedBytes < 2 * maxBytes) {
    const rule = `must be 0 or at least twice maxBytes (${2 * maxBytes})`
    throw optionError('wal', 'maxRetainedBytes', rule, options.maxRetainedBytes)
  }
  const walDir = resolve(dir)
  const snapDir = options.snapDir === undefined ? undefined : resolve(options.snapDir)
  if (snapDir === walDir) throw optionError('wal', 'snapDir', 'must not be that of the log', options.snapDir)
  const own = options.instance === 'per-process' ? `${hostname()}-${process.pid}` : ''
  const metadata = typeof options.metadata === 'string' ? Buffer.from(options.metadata) : options.metadata
  const path = join(walDir, own)
  requireRoom('dir', path)
  if (snapDir !== undefined) requireRoom('snapDir', join(snapDir, own))
  return {
    ...options,
    path,
    walDir: path,
    segmentBytes: maxBytes,
    snapDir: snapDir === undefined ? undefined : join(snapDir, own),
    metadata
  }
}

/** What is put behind the name of the folder (`.snap`, `.tmp`), and what is put into it (`/<segment>.wal.broken.9999`). */
const FOLDER_SUFFIX_BYTES = 5
const INNER_BYTES = 51

function requireRoom(option: string, path: string): void {
  requireNameRoom('wal', option, path, FOLDER_SUFFIX_BYTES)
  requireNameRoom('wal', option, join(path, 'x'.repeat(INNER_BYTES)), FOLDER_SUFFIX_BYTES)
}

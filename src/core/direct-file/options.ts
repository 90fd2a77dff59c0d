// Options of the direct-file sink.
import { hostname } from 'node:os'
import { extname, resolve } from 'node:path'
import * as v from 'valibot'
import { requireNameRoom } from '../../base/file-name.ts'
import {
  count,
  delay,
  durability,
  duration,
  type OptionsInput,
  type OptionsOutput,
  oneOf,
  option,
  optionError,
  parseOptions,
  path,
  requiredOption,
  size
} from '../../base/options.ts'
import { FRAME_HEADER_BYTES, SEAL_BYTES } from '../../formats/direct-file.ts'
import { checkUpkeepOptions, spaceOptions, upkeepOptions } from '../shared-file/upkeep-options.ts'
import { commonOptions, laneOptions } from '../sink/common-options.ts'
import { MAX_SHARD_BYTES, MAX_SHARDS, type MemoryShape, MIN_SHARD_BYTES } from './memory/shared-memory.ts'

const PAGE_BYTES = 4096

export const directFileOptions = {
  path: requiredOption('path', path, 'The file to write to.'),
  bufferSize: option(
    'size',
    size,
    '64m',
    'Memory of one set of shards. There are two sets; untouched memory costs nothing.'
  ),
  numShards: option(
    'count',
    v.pipe(
      count,
      v.check((value) => value > 0 && value <= MAX_SHARDS, `must be 1 to ${MAX_SHARDS}`)
    ),
    8,
    'Parts of a set; a thread fills one at a time. A shard must be at least 64 KiB and less than 64 MiB.'
  ),
  flushTimeout: option(
    'duration',
    duration,
    '10ms',
    'How long a flush waits for copies in progress. What is later is written by the next flush.'
  ),
  maxBytes: option(
    'size',
    size,
    0,
    'A file never gets larger, unless it holds a single record that is; 0 for no limit, else at least 128 KiB.'
  ),
  ...upkeepOptions,
  ...spaceOptions,
  preallocate: option(
    'size',
    size,
    0,
    'Disk space reserved ahead of the end of the file. Its size does not change; what is left over is given back.'
  ),
  directIO: option(
    "`'auto'`, `'require'`, `'off'`",
    oneOf(['auto', 'require', 'off']),
    'auto',
    'Write past the page cache (O_DIRECT). `auto` falls back to buffered writes and fdatasync, with one warning, where the file system refuses; `require` is an error there.'
  ),
  instance: option(
    "`'exclusive'`, `'per-process'`",
    oneOf(['exclusive', 'per-process']),
    'exclusive',
    '`exclusive`: a second process gets `ERR_LOCKED`. `per-process`: `.<host>-<pid>` is put before the extension.'
  ),
  ...commonOptions({ durability: 'os', flushInterval: '10s' }),
  ...laneOptions,
  durability: option(
    "`'none'`, `'os'`, `'disk'`",
    durability,
    'os',
    "What a transport acknowledges: with `'none'` what is in memory, else what is on disk. `flush()` is about the disk in any case; event files are synced with `'disk'` only."
  ),
  flushInterval: option(
    'duration',
    delay,
    '10s',
    'Longest time a record stays in memory; 0: until a shard is full or somebody asks for a flush.'
  ),
  overflow: option(
    "`'block'`, `'drop-newest'`",
    oneOf(['block', 'drop-newest']),
    'block',
    'What happens when both sets are full: wait for the disk, or drop and count.'
  )
}

/** Options of `DirectFile` and of the transports of kind `direct-file`. */
export type DirectFileOptions = OptionsInput<typeof directFileOptions>
export type ParsedDirectFileOptions = OptionsOutput<typeof directFileOptions> & {
  readonly shape: MemoryShape
}

/** Checks options; `path` is then absolute and that of this process. Throws `ERR_OPTION`. */
export function parseDirectFileOptions(input: unknown): ParsedDirectFileOptions {
  const options = parseOptions('direct-file', directFileOptions, input)
  const refuse = (name: keyof typeof options, rule: string) =>
    optionError('direct-file', name, rule, options[name])
  const shardBytes = Math.floor(options.bufferSize / options.numShards / PAGE_BYTES) * PAGE_BYTES
  if (shardBytes < MIN_SHARD_BYTES) {
    throw refuse('bufferSize', `divided by numShards (${options.numShards}) must be at least 64 KiB`)
  }
  if (shardBytes > MAX_SHARD_BYTES) {
    throw refuse('bufferSize', `divided by numShards (${options.numShards}) must be less than 64 MiB`)
  }
  if (options.bufferSize > 2 ** 31 - 2 ** 20) throw refuse('bufferSize', 'must be less than 2 GiB')
  if (options.maxBytes !== 0 && options.maxBytes < 2 * MIN_SHARD_BYTES) {
    throw refuse('maxBytes', 'must be 0 or at least 128 KiB')
  }
  checkUpkeepOptions('direct-file', options)
  if (options.maxBufferBytes === 0) throw refuse('maxBufferBytes', 'must be at least 1')
  const file = instancePath(resolve(options.path), options.instance)
  requireNameRoom('direct-file', 'path', file)
  return {
    ...options,
    path: file,
    shape: {
      shards: options.numShards,
      shardBytes,
      limitBytes: Math.min(shardBytes, usableBytes(options.maxBytes))
    }
  }
}

/** Bytes of a shard that fit in one file as a frame, with its seal, whatever the alignment. */
function usableBytes(maxBytes: number): number {
  if (maxBytes === 0) return Number.POSITIVE_INFINITY
  return Math.floor(maxBytes / PAGE_BYTES) * PAGE_BYTES - PAGE_BYTES - SEAL_BYTES - FRAME_HEADER_BYTES
}

/** The path that this process uses for `path`. */
export function instancePath(path: string, instance: string): string {
  if (instance !== 'per-process') return path
  const extension = extname(path)
  const host = hostname().replace(/[^\w.-]/g, '_')
  return `${path.slice(0, path.length - extension.length)}.${host}-${process.pid}${extension}`
}

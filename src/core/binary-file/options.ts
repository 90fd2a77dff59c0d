// Options of the binary-file sink.

import { requireNameRoom } from '../../base/file-name.ts'
import {
  type OptionsInput,
  type OptionsOutput,
  optionError,
  parseOptions,
  path,
  requiredOption,
  size
} from '../../base/options.ts'
import { checkStartOptions, startOptions } from '../shared-file/start-options.ts'
import { checkUpkeepOptions, spaceOptions, upkeepOptions } from '../shared-file/upkeep-options.ts'
import { commonOptions, laneOptions, lockOptions, refuseLockWithoutKernel } from '../sink/common-options.ts'

export const binaryFileOptions = {
  path: requiredOption('path', path, 'The file to write to.'),
  maxBytes: requiredOption(
    'size',
    size,
    'After the write that makes the file reach this size it becomes the next numbered backup.'
  ),
  ...startOptions,
  ...upkeepOptions,
  ...spaceOptions,
  ...lockOptions,
  ...laneOptions,
  ...commonOptions({ durability: 'os', flushInterval: '10ms' })
}

/** Options of `BinaryFile` and of the transports of kind `binary-file`. */
export type BinaryFileOptions = OptionsInput<typeof binaryFileOptions>
export type ParsedBinaryFileOptions = OptionsOutput<typeof binaryFileOptions>

/** Checks options and what they need of this machine. Throws `ERR_OPTION` or `ERR_UNSUPPORTED`. */
export function parseBinaryFileOptions(input: unknown): ParsedBinaryFileOptions {
  const options = parseOptions('binary-file', binaryFileOptions, input)
  requireNameRoom('binary-file', 'path', options.path)
  for (const name of ['maxBytes', 'maxBufferBytes'] as const) {
    if (options[name] === 0) throw optionError('binary-file', name, 'must be at least 1', 0)
  }
  checkStartOptions('binary-file', options)
  checkUpkeepOptions('binary-file', options)
  refuseLockWithoutKernel('binary-file', input)
  if (options.statistics && !options.lock)
    throw optionError('binary-file', 'statistics', "needs 'lock'", options.statistics)
  return options
}

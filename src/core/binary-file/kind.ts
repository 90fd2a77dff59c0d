// The sink kind `binary-file`.
import { withInternals } from '../sink/internals.ts'
import type { SinkKind } from '../sink/sink-kind.ts'
import { BinaryFile } from './binary-file.ts'
import { type BinaryFileOptions, binaryFileOptions, parseBinaryFileOptions } from './options.ts'

export const binaryFile = {
  kind: 'binary-file',
  stem: 'BinaryFile',
  summary: 'Logs each line as a length-prefixed record, from a worker thread.',
  options: binaryFileOptions,
  check: parseBinaryFileOptions,
  create: (options: BinaryFileOptions) => withInternals({ source: 'lines' }, () => new BinaryFile(options))
} satisfies SinkKind

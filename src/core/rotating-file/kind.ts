// The sink kind `rotating-file`.
import type { SinkKind } from '../sink/sink-kind.ts'
import { parseRotatingFileOptions, type RotatingFileOptions, rotatingFileOptions } from './options.ts'
import { RotatingFile } from './rotating-file.ts'

export const rotatingFile = {
  kind: 'rotating-file',
  stem: 'RotatingFile',
  summary: 'Logs to a rotating text file that any number of processes share, from a worker thread.',
  options: rotatingFileOptions,
  check: parseRotatingFileOptions,
  create: (options: RotatingFileOptions) => new RotatingFile(options)
} satisfies SinkKind

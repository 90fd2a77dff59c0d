// The sink kind `spool`.
import type { SinkKind } from '../sink/sink-kind.ts'
import { parseSpoolOptions, type SpoolOptions, spoolOptions } from './options.ts'
import { SpoolLines } from './spool-lines.ts'

export const spool = {
  kind: 'spool',
  stem: 'Spool',
  summary: 'Collects lines in complete, unique files for programs that collect them, from a worker thread.',
  options: spoolOptions,
  check: parseSpoolOptions,
  create: (options: SpoolOptions) => new SpoolLines(options)
} satisfies SinkKind

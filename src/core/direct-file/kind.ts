// The sink kind `direct-file`.
import type { SinkKind } from '../sink/sink-kind.ts'
import { DirectFile } from './direct-file.ts'
import { directFileOptions, parseDirectFileOptions } from './options.ts'

export const directFile = {
  kind: 'direct-file',
  stem: 'DirectFile',
  summary: 'Logs binary frames past the page cache, from a worker thread.',
  options: directFileOptions,
  check: parseDirectFileOptions,
  create: (options: ConstructorParameters<typeof DirectFile>[0]) => new DirectFile(options)
} satisfies SinkKind

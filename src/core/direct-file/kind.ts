// The sink kind `direct-file`.
import type { SinkKind } from '../sink/sink-kind.ts'
import { DirectFile } from './direct-file.ts'
import { directFileOptions, parseDirectFileOptions } from './options.ts'

export const directFile = {
  kind: 'direct-file',
  options: directFileOptions,
  check: parseDirectFileOptions,
  create: (options: ConstructorParameters<typeof DirectFile>[0]) => new DirectFile(options)
} satisfies SinkKind

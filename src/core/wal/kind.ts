// The sink kind `wal`.
import type { SinkKind } from '../sink/sink-kind.ts'
import { parseWalOptions, walOptions } from './options.ts'
import { WriteAheadLog } from './write-ahead-log.ts'

export const wal = {
  kind: 'wal',
  stem: 'Wal',
  summary: 'Logs to a write-ahead log, from a worker thread.',
  options: walOptions,
  check: parseWalOptions,
  create: (options: ConstructorParameters<typeof WriteAheadLog>[0]) => WriteAheadLog.openSync(options)
} satisfies SinkKind

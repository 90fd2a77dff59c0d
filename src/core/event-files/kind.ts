// The sink kind `event-files`.
import type { SinkKind } from '../sink/sink-kind.ts'
import { LoggerManager } from './logger-manager.ts'
import { eventFilesOptions, parseEventFilesOptions } from './options.ts'

export const eventFiles = {
  kind: 'event-files',
  options: eventFilesOptions,
  check: (options: unknown) => parseEventFilesOptions(options, 'rotating-file'),
  create: (options: ConstructorParameters<typeof LoggerManager>[0]) =>
    new LoggerManager(options, 'rotating-file')
} satisfies SinkKind

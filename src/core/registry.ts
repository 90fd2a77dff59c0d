// The only list of sinks: transports, the CLI and the docs all go through it.
import { LoggerManager } from './event-files/logger-manager.ts'
import { eventFilesOptions, parseEventFilesOptions } from './event-files/options.ts'
import { fileKinds, type SinkKind } from './file-kinds.ts'

export type { CheckedOptions, SinkKind } from './file-kinds.ts'

export const sinks = {
  ...fileKinds,
  'event-files': {
    options: eventFilesOptions,
    check: (options: unknown) => parseEventFilesOptions(options, 'rotating-file'),
    create: (options: ConstructorParameters<typeof LoggerManager>[0]) =>
      new LoggerManager(options, 'rotating-file')
  }
} satisfies Record<string, SinkKind>

export type Kind = keyof typeof sinks

/** What the user may pass for each kind. */
export type KindOptions = { [K in Kind]: Parameters<(typeof sinks)[K]['create']>[0] }

export function isKind(name: string): name is Kind {
  return Object.hasOwn(sinks, name)
}

// The sink kind `event-files`. Transports write lines, so their files are text unless told otherwise.
import { readOptions } from '../../base/options.ts'
import type { SinkKind } from '../sink/sink-kind.ts'
import { EventFiles } from './event-files.ts'
import { type EventFilesOptions, eventFilesOptions, parseEventFilesTransportOptions } from './options.ts'

export const eventFiles = {
  kind: 'event-files',
  stem: 'EventFiles',
  summary:
    'Logs each event to a file of its own, from a worker thread; the event is a field of the JSON line.',
  options: eventFilesOptions,
  check: parseEventFilesTransportOptions,
  create: (options: EventFilesOptions) => new EventFiles(withOutput(options))
} satisfies SinkKind

function withOutput(options: EventFilesOptions): EventFilesOptions {
  if (options === null || typeof options !== 'object') return options
  return readOptions('event-files', () =>
    options.output === undefined ? ({ ...options, output: 'rotating-file' } as EventFilesOptions) : options
  )
}

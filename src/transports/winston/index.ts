// `logboom/winston`: the winston transports.
import type { KindOptions } from '../../core/registry.ts'
import { SinkTransport, type WinstonOptions } from './sink-transport.ts'

export type { WinstonOptions }

export type RotatingFileTransportOptions = KindOptions['rotating-file'] & WinstonOptions

/** Logs to a rotating text file that any number of processes share, from a worker thread. */
export class RotatingFileTransport extends SinkTransport<'rotating-file'> {
  constructor(options: RotatingFileTransportOptions) {
    super('rotating-file', options)
  }
}

export type DirectFileTransportOptions = KindOptions['direct-file'] & WinstonOptions

/** Logs binary frames past the page cache, from a worker thread. */
export class DirectFileTransport extends SinkTransport<'direct-file'> {
  constructor(options: DirectFileTransportOptions) {
    super('direct-file', options)
  }
}

export type EventFilesTransportOptions = KindOptions['event-files'] & WinstonOptions

/** Logs each event to a file of its own, from a worker thread; the event is a field of the JSON line. */
export class EventFilesTransport extends SinkTransport<'event-files'> {
  constructor(options: EventFilesTransportOptions) {
    super('event-files', options)
  }
}

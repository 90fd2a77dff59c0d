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

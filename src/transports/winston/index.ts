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

export type WalTransportOptions = KindOptions['wal'] & WinstonOptions

/** Logs to a write-ahead log, from a worker thread. */
export class WalTransport extends SinkTransport<'wal'> {
  constructor(options: WalTransportOptions) {
    super('wal', options)
  }
}

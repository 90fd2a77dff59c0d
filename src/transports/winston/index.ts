// `logboom/winston`: the winston transports.
import type { KindOptions } from '../../core/registry.ts'
import type { QueryOptions } from './query.ts'
import { SinkTransport, type WinstonOptions } from './sink-transport.ts'

export type { QueryOptions, WinstonOptions }

export type RotatingFileTransportOptions = KindOptions['rotating-file'] & WinstonOptions

/** Logs to a rotating text file that any number of processes share, from a worker thread. */
export class RotatingFileTransport extends SinkTransport<'rotating-file'> {
  constructor(options: RotatingFileTransportOptions) {
    super('rotating-file', options)
  }
}

export type SpoolTransportOptions = KindOptions['spool'] & WinstonOptions

/** Collects lines in complete, unique files for programs that collect them, from a worker thread. */
export class SpoolTransport extends SinkTransport<'spool'> {
  constructor(options: SpoolTransportOptions = {}) {
    super('spool', options)
  }
}

export type BinaryFileTransportOptions = KindOptions['binary-file'] & WinstonOptions

/** Logs each line as a length-prefixed record, from a worker thread. */
export class BinaryFileTransport extends SinkTransport<'binary-file'> {
  constructor(options: BinaryFileTransportOptions) {
    super('binary-file', options)
  }
}

export type WalTransportOptions = KindOptions['wal'] & WinstonOptions

/** Logs to a write-ahead log, from a worker thread. */
export class WalTransport extends SinkTransport<'wal'> {
  constructor(options: WalTransportOptions) {
    super('wal', options)
  }
}

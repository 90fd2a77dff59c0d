// Generated from the registry of sinks by `npm run docs`: `logboom/winston`, the winston transports.
import { parseBinaryFileOptions } from '../../core/binary-file/options.ts'
import { parseDirectFileOptions } from '../../core/direct-file/options.ts'
import { parseEventFilesTransportOptions } from '../../core/event-files/options.ts'
import type { KindOptions } from '../../core/registry.ts'
import { parseRotatingFileOptions } from '../../core/rotating-file/options.ts'
import { parseSpoolOptions } from '../../core/spool/options.ts'
import { parseWalOptions } from '../../core/wal/options.ts'
import type { QueryOptions, StreamOptions } from './query-options.ts'
import { SinkTransport } from './sink-transport.ts'
import type { WinstonOptions } from './transport-options.ts'

export type { QueryOptions, StreamOptions, WinstonOptions }

export type RotatingFileTransportOptions = KindOptions['rotating-file'] & WinstonOptions

/** Logs to a rotating text file that any number of processes share, from a worker thread. */
export class RotatingFileTransport extends SinkTransport<'rotating-file'> {
  constructor(options: RotatingFileTransportOptions) {
    super('rotating-file', parseRotatingFileOptions, options)
  }
}

export type DirectFileTransportOptions = KindOptions['direct-file'] & WinstonOptions

/** Logs binary frames past the page cache, from a worker thread. */
export class DirectFileTransport extends SinkTransport<'direct-file'> {
  constructor(options: DirectFileTransportOptions) {
    super('direct-file', parseDirectFileOptions, options)
  }
}

export type SpoolTransportOptions = KindOptions['spool'] & WinstonOptions

/** Collects lines in complete, unique files for programs that collect them, from a worker thread. */
export class SpoolTransport extends SinkTransport<'spool'> {
  constructor(options: SpoolTransportOptions = {}) {
    super('spool', parseSpoolOptions, options)
  }
}

export type BinaryFileTransportOptions = KindOptions['binary-file'] & WinstonOptions

/** Logs each line as a length-prefixed record, from a worker thread. */
export class BinaryFileTransport extends SinkTransport<'binary-file'> {
  constructor(options: BinaryFileTransportOptions) {
    super('binary-file', parseBinaryFileOptions, options)
  }
}

export type WalTransportOptions = KindOptions['wal'] & WinstonOptions

/** Logs to a write-ahead log, from a worker thread. */
export class WalTransport extends SinkTransport<'wal'> {
  constructor(options: WalTransportOptions) {
    super('wal', parseWalOptions, options)
  }
}

export type EventFilesTransportOptions = KindOptions['event-files'] & WinstonOptions

/** Logs each event to a file of its own, from a worker thread; the event is a field of the JSON line. */
export class EventFilesTransport extends SinkTransport<'event-files'> {
  constructor(options: EventFilesTransportOptions) {
    super('event-files', parseEventFilesTransportOptions, options)
  }
}

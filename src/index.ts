// The public API.
export { BinaryFile } from './core/binary-file/binary-file.ts'
export type { BinaryFileOptions } from './core/binary-file/options.ts'
export { type ErrorCode, type ErrorEntry, errorTable, LogboomError } from './core/errors.ts'
export type { RotatingFileOptions } from './core/rotating-file/options.ts'
export { RotatingFile } from './core/rotating-file/rotating-file.ts'
export { handleSignals, type SignalOptions, type SignalTarget } from './core/signals.ts'
export type {
  DroppedEvent,
  Durability,
  Overflow,
  RepairedEvent,
  RotatedEvent,
  Sink,
  SinkEvents,
  SinkState,
  SinkStats,
  WarningEvent
} from './core/sink.ts'
export type { SpoolOptions } from './core/spool/options.ts'
export { Spool, type SpoolStats } from './core/spool/spool.ts'
export {
  type ReadOptions,
  type ReadStats,
  type RecordReader,
  readRecords
} from './readers/read-records.ts'
export type { Damage, LogRecord, OnCorrupt, ReadFrom } from './readers/reader.ts'
export { target } from './transports/pino/target.ts'

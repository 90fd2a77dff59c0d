// The public API.
export { DirectFile } from './core/direct-file/direct-file.ts'
export type { DirectFileOptions } from './core/direct-file/options.ts'
export type { DirectFileHandle } from './core/direct-file/shared-memory.ts'
export type { DirectFileCounters, FlushMetrics, ShardStats } from './core/direct-file/statistics.ts'
export type { DirectWriter } from './core/direct-file/writer.ts'
export { type ErrorCode, type ErrorEntry, errorTable, LogboomError } from './core/errors.ts'
export { type EventStats, LoggerManager } from './core/event-files/logger-manager.ts'
export type { EventFilesOptions } from './core/event-files/options.ts'
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
export {
  type ReadOptions,
  type ReadStats,
  type RecordReader,
  readRecords
} from './readers/read-records.ts'
export type { Damage, LogRecord, OnCorrupt, ReadFrom } from './readers/reader.ts'
export { target } from './transports/pino/target.ts'

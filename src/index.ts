// The public API.

export { type ErrorCode, type ErrorEntry, errorTable, LogboomError } from './base/errors.ts'
export { BinaryFile } from './core/binary-file/binary-file.ts'
export type { BinaryFileOptions } from './core/binary-file/options.ts'
export { DirectFile } from './core/direct-file/direct-file.ts'
export type { DirectFileHandle } from './core/direct-file/memory/shared-memory.ts'
export type { DirectWriter } from './core/direct-file/memory/writer.ts'
export type { DirectFileOptions } from './core/direct-file/options.ts'
export type { DirectFileCounters, FlushMetrics, ShardStats } from './core/direct-file/statistics.ts'
export { EventFiles, type EventStats } from './core/event-files/event-files.ts'
export { LoggerManager } from './core/event-files/logger-manager.ts'
export type { EventFilesOptions } from './core/event-files/options.ts'
export type { RotatingFileOptions } from './core/rotating-file/options.ts'
export { RotatingFile } from './core/rotating-file/rotating-file.ts'
export { handleSignals, type SignalOptions, type SignalTarget } from './core/signals.ts'
export type { LaneOptions } from './core/sink/common-options.ts'
export type {
  DroppedEvent,
  Durability,
  LaneState,
  Overflow,
  RecoveredLaneEvent,
  RepairedEvent,
  RotatedEvent,
  Sink,
  SinkEvents,
  SinkState,
  SinkStats,
  WarningEvent
} from './core/sink/contract.ts'
export type { SpoolOptions } from './core/spool/options.ts'
export { Spool, type SpoolStats } from './core/spool/spool.ts'
export type { ConsumerOptions, FollowOptions, TakeOptions } from './core/wal/consumer-options.ts'
export type { Entry as WalEntry } from './core/wal/entries.ts'
export type { WriteAheadLogOptions } from './core/wal/options.ts'
export type { Snapshot as WalSnapshot } from './core/wal/snapshots.ts'
export type { WalReport } from './core/wal/verify.ts'
export { WalConsumer } from './core/wal/wal-consumer.ts'
export { WriteAheadLog } from './core/wal/write-ahead-log.ts'
export type { IndexRange as WalIndexRange } from './core/wal/writer-contract.ts'
export type { ReadOptions } from './readers/read-options.ts'
export { type ReadStats, type RecordReader, readRecords } from './readers/read-records.ts'
export type { Damage, LogRecord, OnCorrupt, ReadFrom } from './readers/reader.ts'
export type { RepairedSegment as WalRepairedSegment } from './repair/wal.ts'
export {
  FolderShipper,
  type FolderShipperEvents,
  type FolderShipperOptions,
  type FolderShipperStats
} from './ship/folder-shipper.ts'
export type { HttpOptions } from './ship/http.ts'
export {
  FencedError,
  type KafkaCheckpoint,
  type KafkaClient,
  type KafkaRecord,
  type KafkaSasl,
  type KafkaSession,
  type KafkaSessionOptions
} from './ship/kafka/client.ts'
export { type KafkaJs, kafkaJs } from './ship/kafka/kafkajs.ts'
export { type PlatformaticKafkaOptions, platformaticKafka } from './ship/kafka/platformatic.ts'
export type { NatsCredentials, NatsTls } from './ship/nats/credentials.ts'
export type { ShipperOptions } from './ship/options.ts'
export { Shipper, type ShipperEvents, type ShipperStats } from './ship/shipper.ts'
export {
  type HeldPosition,
  type Refusal,
  RefusedError,
  RetryLaterError,
  type ShipBatch,
  type ShipRecord,
  type ShipSource,
  type ShipTarget
} from './ship/target.ts'
export { createElasticsearchTarget } from './ship/targets/elasticsearch.ts'
export { createJetStreamTarget, type JetStreamOptions } from './ship/targets/jetstream.ts'
export { createKafkaTarget, type KafkaOptions } from './ship/targets/kafka.ts'
export { createLokiTarget } from './ship/targets/loki.ts'
export { createOtlpTarget, type OtlpOptions } from './ship/targets/otlp.ts'
export { createS3Target, type S3Options } from './ship/targets/s3.ts'
export type { TlsFiles } from './ship/tls-files.ts'
export { target } from './transports/pino/target.ts'
export { type WorkerStream, workerStream } from './transports/worker-stream.ts'

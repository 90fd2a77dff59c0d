// The contract every sink fulfils. Transports, the CLI and other sinks know nothing else of a sink.
import type { EventEmitter } from 'node:events'

/**
 * How far a record has come: `'none'` it is in memory; `'os'` the kernel has it (survives the death of the
 * process); `'disk'` fdatasync returned 0 after it was written (survives power loss).
 */
export type Durability = 'none' | 'os' | 'disk'

/** What happens when `maxBufferBytes` are waiting: wait, or drop the newest or the oldest records. */
export type Overflow = 'block' | 'drop-newest' | 'drop-oldest'

/** `degraded`: open, but writing fails or the lock is held at the moment; records wait in memory. */
export type SinkState = 'opening' | 'open' | 'degraded' | 'closing' | 'closed' | 'failed'

/** Counters since the sink was created; the same names for every sink. */
export interface SinkStats {
  /** Records written to the file. */
  records: number
  /** Bytes written to the file. */
  bytes: number
  /** Records dropped by the overflow policy or lost at close. */
  dropped: number
  /** Write system calls. */
  writes: number
  /** fsync and fdatasync calls. */
  syncs: number
  rotations: number
  /** Damage left by other writers that was repaired. */
  repairs: number
  /** Failed attempts to open, write, sync or rotate. */
  errors: number
  /** Records of dead processes that were found in their lanes and written here. */
  recovered: number
  /** Bytes accepted but not yet written. */
  queuedBytes: number
  state: SinkState
  /** Where those bytes are: in memory that outlives the process, or in memory that ends with it. */
  lane: LaneState
}

/** `'mapped'`: what was accepted survives the death of the process; `'none'`: it does not. */
export type LaneState = 'mapped' | 'none'

export type SinkCounters = Omit<SinkStats, 'queuedBytes' | 'state' | 'lane'>

/** All of them zero. */
export function createCounters(): SinkCounters {
  return {
    records: 0,
    bytes: 0,
    dropped: 0,
    writes: 0,
    syncs: 0,
    rotations: 0,
    repairs: 0,
    errors: 0,
    recovered: 0
  }
}

export interface RotatedEvent {
  from: string
  to: string
  /** Size of the file that was rotated. */
  bytes: number
}

/** The option that asked for the removal of a file; `'released'`: nobody needs what is in it any more. */
export type RemovalReason =
  | 'maxBackups'
  | 'maxAge'
  | 'maxTotalBytes'
  | 'minFreeBytes'
  | 'maxRetainedBytes'
  | 'maxRetainedAge'
  | 'released'

export interface FinishedEvent {
  /** A file in its final form: compressed, if it is to be. */
  path: string
  bytes: number
}

export interface RemovedEvent {
  /** A file that is gone. */
  path: string
  bytes: number
  reason: RemovalReason
}

export interface WarningEvent {
  code: string
  message: string
  path: string
}

export interface DroppedEvent {
  /** Records dropped since the last such event. */
  count: number
  bytes: number
}

export interface RepairedEvent {
  path: string
  /** Bytes cut off. */
  bytes: number
}

export interface RecoveredLaneEvent {
  /** Records of a dead process that were written here, … */
  records: number
  bytes: number
  /** … and its number. */
  pid: number
}

export interface SinkEvents {
  rotated: [RotatedEvent]
  finished: [FinishedEvent]
  removed: [RemovedEvent]
  warning: [WarningEvent]
  degraded: [WarningEvent]
  recovered: []
  dropped: [DroppedEvent]
  repaired: [RepairedEvent]
  'recovered-lane': [RecoveredLaneEvent]
  drain: []
}

/** Names of the events that a transport forwards from its worker to the application. */
export const forwardedEvents = [
  'rotated',
  'finished',
  'removed',
  'warning',
  'degraded',
  'recovered',
  'dropped',
  'repaired',
  'recovered-lane'
] as const

export type FlushCallback = (error?: Error) => void

export interface Sink extends EventEmitter<SinkEvents> {
  /** By this `pino(sink)` tells a stream from options. */
  readonly writable: true
  /** Absolute path of the file, or of the folder of files, that it writes. */
  readonly path: string
  /**
   * Accepts any piece of the byte stream; records are its lines. False means: above the high-water mark,
   * 'drain' follows, and the chunk is accepted all the same. Throws `ERR_CLOSED`, `ERR_ARGUMENT`, never for I/O.
   */
  write(chunk: string | Uint8Array): boolean
  /**
   * Resolves when everything accepted before this call has reached `to` (default: the sink's durability). A
   * function, which is what `logger.flush()` of pino passes, is called then, and the promise does not reject.
   */
  flush(to?: Durability | FlushCallback): Promise<void>
  /** The same, blocking the thread; for exit paths. Throws if it cannot be done. */
  flushSync(to?: Durability): void
  /** Idempotent; resolves when everything is durable to the sink's level and all descriptors are released. */
  close(): Promise<void>
  stats(): SinkStats
  [Symbol.asyncDispose](): Promise<void>
}

export interface ControlRequest {
  type: 'rotate' | 'reopen'
}

// What the main thread and a thread of the pool say to each other. What has to be known at once, while one of them is
// blocked, stands in a few words of shared memory; everything else goes through a message port.
import type { MessagePort } from 'node:worker_threads'
import type { ErrorCode } from '../../base/errors.ts'
import type { MemoryRecord } from '../../core/lane/large-memory.ts'
import type { Dropped } from '../../core/queue/byte-queue.ts'
import type { Kind } from '../../core/registry.ts'
import type { SinkStats } from '../../core/sink/contract.ts'
import type { RingName } from '../../formats/lane-names.ts'
import type { LaneId } from '../../formats/lock-file.ts'

/** Where the writing of an output stands, as the thread sees it. */
export const outputState = { starting: 0, open: 1, degraded: 2, failed: 3 } as const

/** What the main thread wants of an output. */
export const outputMode = {
  run: 0,
  /** Write everything, then close the sink. What comes later opens it again. */
  finish: 1,
  /** The same, but what cannot be written at once is counted as lost. */
  giveUp: 2
} as const

/** Indices of the words of an output. */
export const word = {
  /** Set by the thread: a value of `outputState`. */
  state: 0,
  /** Set by the main thread: number of the last flush it asked for. */
  asked: 1,
  /** Set by the thread: number of the last flush that is done, well or badly. */
  done: 2,
  /** Counted up by the thread with all that gets done, and notified: what a blocked main thread waits on. */
  signal: 3,
  /** Set by the main thread: a value of `outputMode`. */
  mode: 4,
  /** Set by the main thread: what it wants messages about without being blocked, a sum of `wanted`. */
  wants: 5,
  /** Set by the main thread: so many bytes of the oldest records are to be dropped. */
  discard: 7,
  /** Set by the main thread: how many rings it has made for this output so far. */
  rings: 6
} as const

export const wanted = { room: 1, flushed: 2 } as const

export const OUTPUT_BYTES = 64

/** A failure on its way between threads, where classes and codes of errors are lost. */
export interface PlainError {
  readonly code: ErrorCode
  readonly message: string
  readonly path: string | undefined
}

export interface OpenMessage {
  readonly type: 'open'
  readonly id: number
  readonly kind: Kind
  readonly options: object
  readonly words: SharedArrayBuffer
  readonly ring: RingHandle
  /** Names the ring in lock files: the same for thread after thread. */
  readonly lane: LaneId
  /** What a record of the ring is in a file of frames: a line each of its lines, or one as a whole. */
  readonly unit: RecordUnit
}

export type RecordUnit = 'line' | 'record'

/** How a thread gets its end of a ring. */
export type RingHandle =
  | {
      readonly backing: 'mapped'
      readonly dir: string
      readonly name: RingName
      /** Large records for which there was no room in the lane. */
      readonly large: readonly MemoryRecord[]
    }
  | {
      readonly backing: 'shared'
      /** Of the rings that are not yet read to their end, oldest first, and how many there were before. */
      readonly rings: readonly SharedArrayBuffer[]
      readonly ringsBefore: number
    }

export type ToThread =
  | OpenMessage
  /** One more ring of an output, larger than the last. */
  | { readonly type: 'ring'; readonly id: number; readonly ring: SharedArrayBuffer }
  /** A large record of an output for which there is no room in its lane. */
  | { readonly type: 'large'; readonly id: number; readonly record: MemoryRecord }
  | { readonly type: 'ask'; readonly id: number; readonly ask: number; readonly what: Question }
  /** The output is closed, and nothing will come any more. */
  | { readonly type: 'forget'; readonly id: number }
  | { readonly type: 'quit' }

export type Question = 'stats' | 'rotate' | 'reopen'

export type ToMain =
  | { readonly type: 'opened'; readonly id: number }
  | { readonly type: 'refused'; readonly id: number; readonly error: PlainError }
  | { readonly type: 'event'; readonly id: number; readonly name: string; readonly args: readonly unknown[] }
  | {
      readonly type: 'flushed'
      readonly id: number
      readonly flush: number
      readonly error: PlainError | undefined
    }
  | { readonly type: 'room'; readonly id: number }
  | {
      readonly type: 'answer'
      readonly id: number
      readonly ask: number
      readonly value: unknown
      readonly error: PlainError | undefined
    }
  | { readonly type: 'closed'; readonly id: number; readonly end: OutputEnd }

/** How an output ended. */
export interface OutputEnd {
  readonly stats: SinkStats
  /** What was not written, … */
  readonly lost: Dropped
  /** … and why. */
  readonly reason: string | undefined
}

/** What thread-stream gives a thread of the pool. */
export interface ThreadData {
  readonly bell: SharedArrayBuffer
  /** See `Work`. */
  readonly work: SharedArrayBuffer
  readonly port: MessagePort
}

// What tests and other sinks replace in a sink without it being a parameter of a public constructor.

import type { LaneId } from '../../formats/lock-file.ts'
import { type Disk, realDisk } from '../../io/disk.ts'
import { type Network, network } from '../../io/network.ts'
import type { LaneUnit } from '../lane/lane-codec.ts'
import type { Ring } from '../lane/ring.ts'
import type { FrameSource } from '../queue/payload-queue.ts'
import { STALL_TIMEOUT_MS } from './progress.ts'

export interface Internals {
  readonly disk: Disk
  /** The wall clock, ms since 1970. */
  readonly now: () => number
  /** What `write` of a binary file takes: payloads, or from transports a stream of lines. */
  readonly source: FrameSource
  /** How long a write-ahead log waits out failures, for causes outside the disk and of a disk that fails, in ms. */
  readonly patience: { readonly passingMs: number; readonly failingMs: number } | undefined
  /** Syncs of a write-ahead log that are shorter than this may be made on the calling thread. */
  readonly shortSyncMs: number | undefined
  /** How long closing waits while nothing gets done, in ms. */
  readonly stallMs: number
  /** The disk of threads that write by themselves, which cannot be passed as an object. */
  readonly threadDisk: DiskModule | undefined
  /** The ring that another thread fills with the records of the sink, which is told of them by `pull`. */
  readonly lane: GivenLane | undefined
  /** What is known of file systems that several machines have mounted. */
  readonly network: Network
  /** Whether the lanes of dead processes are looked for. Not by each of the files of one sink. */
  readonly looksForLanes: boolean
  /** Whether a sink tells that its file cannot be shared here; who makes many of them says so once. */
  readonly saysNoSharing: boolean
}

/** One consumer's end of a ring. */
export interface GivenLane {
  readonly ring: Ring
  /**
   * Its name in lock files: the same for whoever goes on after this thread. Where the ring lies in a file, the one it
   * has there.
   */
  readonly id: LaneId
  /** Whether it outlives the process, so that what is left in it is not lost. */
  readonly survives: boolean
  /** What one of its records is where a file holds records that are no lines: by default each line of it is one. */
  readonly unit?: Extract<LaneUnit, 'line' | 'record'>
}

/** A module whose `createDisk(realDisk, data)` makes the disk in the thread; `data` can be posted there. */
export interface DiskModule {
  readonly url: string
  readonly data: unknown
}

const defaults: Internals = {
  disk: realDisk,
  now: () => Date.now(),
  source: 'payloads',
  patience: undefined,
  shortSyncMs: undefined,
  stallMs: STALL_TIMEOUT_MS,
  threadDisk: undefined,
  lane: undefined,
  network,
  looksForLanes: true,
  saysNoSharing: true
}
let current = defaults

/** What a sink that is being constructed is to use. */
export function internals(): Internals {
  return current
}

/** The lane for the sink that is being constructed, once: sinks that it makes itself have none. */
export function takeLane(): GivenLane | undefined {
  const { lane } = current
  if (lane !== undefined) current = { ...current, lane: undefined }
  return lane
}

/** Runs `create`, synchronous, with some internals replaced: every sink constructed in it uses them. */
export function withInternals<T>(replaced: Partial<Internals>, create: () => T): T {
  const before = current
  current = { ...before, ...replaced }
  try {
    return create()
  } finally {
    current = before
  }
}

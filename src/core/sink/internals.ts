// What tests and other sinks replace in a sink without it being a parameter of a public constructor.

import { type Disk, realDisk } from '../../io/disk.ts'
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
  threadDisk: undefined
}
let current = defaults

/** What a sink that is being constructed is to use. */
export function internals(): Internals {
  return current
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

// What a direct file, or a group of them, tells about itself. Durations are in ms.
import type { SinkStats } from '../sink/contract.ts'
import { control, OFFSET_MASK, runState, type SharedMemory, slot, statistic } from './shared-memory.ts'

/** Counters of `getStatsSnapshot()`. */
export interface DirectFileCounters {
  /** Records offered, dropped ones included. */
  totalLogs: number
  droppedLogs: number
  /** Bytes in the file, headers and padding included. */
  bytesWritten: number
  /** Sets of shards that were written. */
  flushes: number
  /** Failed attempts to write. */
  flushErrors: number
  setSwaps: number
}

export interface FlushMetrics {
  totalFlushes: number
  avgFlushDuration: number
  maxFlushDuration: number
  /** The part of a flush that is I/O. */
  avgWriteDuration: number
  maxWriteDuration: number
  /** Share of the time of all flushes that was I/O, in percent. */
  writePercent: number
  /** Sets of shards that wait to be written or are being written: 0 or 1. */
  flushQueueDepth: number
  /** Swaps that could not be made because the other set was not written yet. */
  blockedSwaps: number
}

export interface ShardStats {
  shardId: number
  /** Records written to disk from this shard of either set. */
  writeCount: number
  /** Bytes used in the set that is filling. */
  bytesUsed: number
  capacity: number
  utilizationPct: number
}

export function droppedRecords(memory: SharedMemory): number {
  return memory.statistics[statistic.goneDropped] + memory.sumOfWriters(slot.dropped)
}

/** Records accepted by writers of any thread. */
export function acceptedRecords(memory: SharedMemory): number {
  return memory.statistics[statistic.goneRecords] + memory.sumOfWriters(slot.records)
}

/** The common statistics as far as they come from the memory; `base` has the rest. */
export function sinkStats(memory: SharedMemory, base: SinkStats): SinkStats {
  const { statistics, words } = memory
  const state = Atomics.load(words, control.state)
  return {
    ...base,
    records: statistics[statistic.records],
    bytes: statistics[statistic.bytesWritten],
    dropped: droppedRecords(memory),
    writes: statistics[statistic.writes],
    syncs: statistics[statistic.syncs],
    rotations: statistics[statistic.rotations],
    errors: base.errors + statistics[statistic.flushErrors],
    queuedBytes: base.queuedBytes + bytesInMemory(memory),
    state: base.state === 'open' && state === runState.degraded ? 'degraded' : base.state
  }
}

export function counters(memory: SharedMemory): DirectFileCounters {
  const { statistics, words } = memory
  const dropped = droppedRecords(memory)
  return {
    totalLogs: acceptedRecords(memory) + dropped,
    droppedLogs: dropped,
    bytesWritten: statistics[statistic.bytesWritten],
    flushes: statistics[statistic.flushes],
    flushErrors: statistics[statistic.flushErrors],
    setSwaps: Atomics.load(words, control.swaps)
  }
}

export function flushMetrics({ statistics, words }: SharedMemory): FlushMetrics {
  const flushes = statistics[statistic.flushes]
  const flushMs = statistics[statistic.flushMs]
  const writeMs = statistics[statistic.writeMs]
  return {
    totalFlushes: flushes,
    avgFlushDuration: flushes === 0 ? 0 : flushMs / flushes,
    maxFlushDuration: statistics[statistic.longestFlushMs],
    avgWriteDuration: flushes === 0 ? 0 : writeMs / flushes,
    maxWriteDuration: statistics[statistic.longestWriteMs],
    writePercent: flushMs === 0 ? 0 : Math.min(100, (writeMs / flushMs) * 100),
    flushQueueDepth: (Atomics.load(words, control.epoch) - Atomics.load(words, control.flushed)) | 0,
    blockedSwaps: Atomics.load(words, control.blockedSwaps)
  }
}

export function shardStats(memory: SharedMemory): ShardStats[] {
  const { statistics, words, handle } = memory
  const set = Atomics.load(words, control.epoch) & 1
  const capacity = handle.shape.limitBytes
  return Array.from({ length: handle.shape.shards }, (_, shardId) => {
    const bytesUsed = Atomics.load(words, memory.shardWord(set, shardId)) & OFFSET_MASK
    return {
      shardId,
      writeCount: statistics[statistic.shardRecords + shardId],
      bytesUsed,
      capacity,
      utilizationPct: (bytesUsed / capacity) * 100
    }
  })
}

function bytesInMemory(memory: SharedMemory): number {
  const { words, handle } = memory
  let bytes = Atomics.load(words, control.largeKib) * 1024
  const epoch = Atomics.load(words, control.epoch)
  const sets = Atomics.load(words, control.flushed) === epoch ? [epoch & 1] : [0, 1]
  for (const set of sets) {
    for (let shard = 0; shard < handle.shape.shards; shard++) {
      bytes += usedBytes(Atomics.load(words, memory.shardWord(set, shard)))
    }
  }
  return bytes
}

/** Bytes of entries in a shard with this word; what a late copy keeps from use does not count. */
function usedBytes(word: number): number {
  return word < 0 ? 0 : (word & OFFSET_MASK) - 8
}

// What a direct file, or a group of them, tells about itself. Durations are in ms.
import { FRAME_HEADER_BYTES } from '../../formats/direct-file.ts'
import type { SinkCounters } from '../sink/contract.ts'
import { control, OFFSET_MASK, type SharedMemory, slot, statistic } from './memory/shared-memory.ts'

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

/** Records that were not accepted, or died with their thread. */
function refusedRecords(memory: SharedMemory): number {
  return memory.statistics[statistic.goneDropped] + memory.sumOfWriters(slot.dropped)
}

/** The same, and those that were accepted and given up. */
export function droppedRecords(memory: SharedMemory): number {
  return refusedRecords(memory) + memory.statistics[statistic.lost]
}

/** Accepted records that are neither on disk nor counted as dropped. */
export function openRecords(memory: SharedMemory): number {
  const { statistics } = memory
  return acceptedRecords(memory) - statistics[statistic.records] - statistics[statistic.lost]
}

/** Records accepted by writers of any thread. */
export function acceptedRecords(memory: SharedMemory): number {
  return memory.statistics[statistic.goneRecords] + memory.sumOfWriters(slot.records)
}

/** The common statistics that the flusher counts. */
export function flusherStats({
  statistics
}: SharedMemory): Omit<SinkCounters, 'dropped' | 'repairs' | 'recovered'> {
  return {
    records: statistics[statistic.records],
    bytes: statistics[statistic.bytesWritten],
    writes: statistics[statistic.writes],
    syncs: statistics[statistic.syncs],
    rotations: statistics[statistic.rotations],
    errors: statistics[statistic.flushErrors]
  }
}

export function counters(memory: SharedMemory): DirectFileCounters {
  const { statistics, words } = memory
  return {
    totalLogs: acceptedRecords(memory) + refusedRecords(memory),
    droppedLogs: droppedRecords(memory),
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

/** Bytes accepted and not yet on disk. */
export function bytesInMemory(memory: SharedMemory): number {
  const { words, handle } = memory
  let bytes = (Atomics.load(words, control.largeKib) + Atomics.load(words, control.heldKib)) * 1024
  for (let shard = 0; shard < 2 * handle.shape.shards; shard++) {
    const index = memory.shardWord(0, shard)
    // Of a sealed shard whose content is written, a late copy may be left; it is about to be written, too.
    if (Atomics.load(words, index + 2) !== 0) continue
    bytes += (Atomics.load(words, index) & OFFSET_MASK) - FRAME_HEADER_BYTES
  }
  return bytes
}

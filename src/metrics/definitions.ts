// The metrics of sinks: names after the conventions of Prometheus and OpenTelemetry, from the counters every sink has.
import type { SinkState, SinkStats } from '../core/sink/contract.ts'

/** What all metrics are made of. */
export type MeasuredStats = Omit<SinkStats, 'lane'>

export interface MetricDefinition {
  /** With its unit, and `_total` for counters. */
  readonly name: string
  readonly type: 'counter' | 'gauge'
  /** One sentence without a full stop. */
  readonly help: string
  /** The unit as OpenTelemetry writes it. */
  readonly unit: string
  readonly of: (stats: MeasuredStats) => number
}

export const sinkMetrics: readonly MetricDefinition[] = [
  counter('logboom_records_total', 'Records written', '{record}', (stats) => stats.records),
  counter('logboom_written_bytes_total', 'Bytes written', 'By', (stats) => stats.bytes),
  counter('logboom_dropped_records_total', 'Records dropped or lost', '{record}', (stats) => stats.dropped),
  counter('logboom_writes_total', 'Write system calls', '{call}', (stats) => stats.writes),
  counter('logboom_syncs_total', 'Calls of fsync and fdatasync', '{call}', (stats) => stats.syncs),
  counter('logboom_rotations_total', 'Rotations', '{rotation}', (stats) => stats.rotations),
  counter('logboom_repairs_total', 'Repairs of what dead writers left', '{repair}', (stats) => stats.repairs),
  counter(
    'logboom_recovered_records_total',
    'Records recovered from lanes of processes that ended',
    '{record}',
    (stats) => stats.recovered
  ),
  counter(
    'logboom_errors_total',
    'Failed attempts to open, write, sync or rotate',
    '{error}',
    (stats) => stats.errors
  ),
  {
    name: 'logboom_queued_bytes',
    type: 'gauge',
    help: 'Bytes accepted and not yet written',
    unit: 'By',
    of: (stats) => stats.queuedBytes
  }
]

/** A gauge with the label `state`: how many sinks of the path are in it. */
export const stateMetric = {
  name: 'logboom_sinks',
  type: 'gauge',
  help: 'Sinks by their state',
  unit: '{sink}'
} as const

export const sinkStates: readonly SinkState[] = ['opening', 'open', 'degraded', 'closing', 'closed', 'failed']

function counter(
  name: string,
  help: string,
  unit: string,
  of: (stats: MeasuredStats) => number
): MetricDefinition {
  return { name, type: 'counter', help, unit, of }
}

// logboom metrics: the statistics of the writers of logs as metrics, for node_exporter's textfile collector.
import { exposition } from '../metrics/exposition.ts'
import { collectFamilies, type Family, type Measured, type Sample } from '../metrics/samples.ts'
import type { SeenConsumer } from '../readers/log-consumers.ts'
import type { SeenWriter } from '../readers/statistics.ts'
import { type Command, UsageError } from './command.ts'
import { expandInputs } from './inputs.ts'
import { Output } from './output.ts'
import { Failures } from './read-inputs.ts'
import { type LogView, viewLogs } from './top/log-view.ts'

export const metrics: Command = {
  name: 'metrics',
  parameters: '<log>…',
  summary: 'print the statistics of the writers of logs as metrics',
  description: `In the text format of Prometheus, which the textfile collector of node_exporter reads: counters of the writers
of each log added up, writers by state, and sizes. For logs whose writers have the option statistics; of others, sizes
are printed. For each shipper of a log: how far its target is behind, in records, bytes and seconds. Counters go back when a record of a writer that ended is taken by another one, which Prometheus takes
for a restart.`,
  options: () => ({}),
  examples: ['logboom metrics /var/log/app/*.log > logboom.prom.tmp && mv logboom.prom.tmp logboom.prom'],
  async run(positionals) {
    const paths = await expandInputs(positionals, 'auto')
    if (paths.includes('-')) throw new UsageError('metrics are of logs, and stdin is none')
    const failures = new Failures()
    const views = await viewLogs(paths, failures.tell)
    if (views.length === 0) return failures.code
    const writers = views.flatMap((view) => (view.writers ?? []).map((writer) => measured(view, writer)))
    const output = new Output()
    await output.text(
      exposition([...(await collectFamilies(writers)), ...sizes(views), ...consumers(views)], 'prometheus')
    )
    await output.flush()
    return failures.code
  }
}

function measured({ path }: LogView, writer: SeenWriter): Measured {
  // Who died holds nothing in memory any more, and is neither open nor degraded.
  const dead = { queuedBytes: 0, state: 'closed' } as const
  return { path, stats: () => (writer.isAlive ? writer : { ...writer, ...dead }) }
}

/** What is told of shippers, which tell it of themselves. */
function consumers(views: readonly LogView[]): Family[] {
  const family = (
    type: Family['type'],
    name: string,
    help: string,
    unit: string,
    of: (consumer: SeenConsumer) => number
  ): Family => {
    const samples = views.flatMap(({ path, consumers }) =>
      consumers.map((each) => ({
        labels: { path, consumer: each.name, target: each.target },
        value: of(each)
      }))
    )
    return { name, type, help, unit, samples }
  }
  const ms = 1000
  return [
    family('gauge', 'logboom_ship_lag_records', 'Records not in the target', '{record}', (c) => c.lagRecords),
    family('gauge', 'logboom_ship_lag_bytes', 'Bytes not in the target', 'By', (c) => c.lagBytes),
    family('gauge', 'logboom_ship_lag_seconds', 'Age of the oldest of them', 's', (c) => c.lagMs / ms),
    family('gauge', 'logboom_ship_alive', 'Whether the shipper is running', '', (c) => Number(c.isAlive)),
    family(
      'gauge',
      'logboom_ship_updated_timestamp_seconds',
      'When the shipper told this, in seconds since 1970',
      's',
      (c) => c.updatedAtMs / ms
    ),
    family('counter', 'logboom_ship_records_total', 'Records shipped', '{record}', (c) => c.records),
    family('counter', 'logboom_ship_bytes_total', 'Bytes of them', 'By', (c) => c.bytes),
    family(
      'counter',
      'logboom_ship_rejected_total',
      'Records refused for good',
      '{record}',
      (c) => c.rejected
    ),
    family('counter', 'logboom_ship_retries_total', 'Attempts made again', '{attempt}', (c) => c.retries),
    family(
      'counter',
      'logboom_ship_lost_bytes_total',
      'Bytes of backups removed before they were shipped',
      'By',
      (c) => c.lostBytes
    )
  ].filter(({ samples }) => samples.length > 0)
}

function sizes(views: readonly LogView[]): Family[] {
  const gauge = (
    name: string,
    help: string,
    unit: string,
    of: (view: LogView) => number | undefined
  ): Family => {
    const samples: Sample[] = []
    for (const view of views) {
      const value = of(view)
      if (value !== undefined) samples.push({ labels: { path: view.path }, value })
    }
    return { name, type: 'gauge', help, unit, samples }
  }
  return [
    gauge('logboom_file_bytes', 'Size of the live file', 'By', ({ liveBytes }) => liveBytes),
    gauge('logboom_backups', 'Backups of the log', '{file}', ({ backups }) => backups),
    gauge('logboom_backup_bytes', 'Size of all backups', 'By', ({ backupBytes }) => backupBytes),
    gauge(
      'logboom_dead_writers',
      'Writers that ended without closing their sinks',
      '{writer}',
      ({ writers }) => writers?.filter(({ isAlive, state }) => !isAlive && state !== 'closed').length
    )
  ]
}

// logboom metrics: the statistics of the writers of logs as metrics, for node_exporter's textfile collector.
import { exposition } from '../metrics/exposition.ts'
import { collectFamilies, type Family, type Measured, type Sample } from '../metrics/samples.ts'
import type { SeenWriter } from '../readers/statistics.ts'
import { type Command, exitCodes, UsageError } from './command.ts'
import { expandInputs } from './inputs.ts'
import { Output } from './output.ts'
import { type LogView, viewLogs } from './top/log-view.ts'

export const metrics: Command = {
  name: 'metrics',
  parameters: '<log>…',
  summary: 'print the statistics of the writers of logs as metrics',
  description: `In the text format of Prometheus, which the textfile collector of node_exporter reads: counters of the writers
of each log added up, writers by state, and sizes. For logs whose writers have the option statistics; of others, sizes
are printed. Counters go back when a record of a writer that ended is taken by another one, which Prometheus takes
for a restart.`,
  options: () => ({}),
  examples: ['logboom metrics /var/log/app/*.log > logboom.prom.tmp && mv logboom.prom.tmp logboom.prom'],
  async run(positionals) {
    const paths = await expandInputs(positionals, 'auto')
    if (paths.includes('-')) throw new UsageError('metrics are of logs, and stdin is none')
    const views = await viewLogs(paths)
    const writers = views.flatMap((view) => (view.writers ?? []).map((writer) => measured(view, writer)))
    const output = new Output()
    await output.text(exposition([...(await collectFamilies(writers)), ...sizes(views)], 'prometheus'))
    await output.flush()
    return exitCodes.fine
  }
}

function measured({ path }: LogView, writer: SeenWriter): Measured {
  // Who died holds nothing in memory any more, and is neither open nor degraded.
  const dead = { queuedBytes: 0, state: 'closed' } as const
  return { path, stats: () => (writer.isAlive ? writer : { ...writer, ...dead }) }
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

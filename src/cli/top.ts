// logboom top: what the writers of logs do at the moment.
import { setTimeout as sleep } from 'node:timers/promises'
import { type CliValues, type Command, type ExitCode, exitCodes, timeOption, UsageError } from './command.ts'
import { expandInputs } from './inputs.ts'
import { Output } from './output.ts'
import { Failures } from './read-inputs.ts'
import { showsColours } from './terminal-text.ts'
import { frameLines, type Sorting, sortings } from './top/frame.ts'
import { consumerRowsOf, type LogView, rowsOf, totalOf, viewLogs, viewLogsAgain } from './top/log-view.ts'
import { openScreen } from './top/screen.ts'

const MIN_INTERVAL_MS = 100
/** Writers tell how far they are once a second, so two looks that are closer may see nothing of what happens. */
const RATE_WINDOW_MS = 2_000
/** Bounds what is kept for the rates, whatever the interval. */
const MAX_VIEWS = 1 + RATE_WINDOW_MS / MIN_INTERVAL_MS

export const top: Command = {
  name: 'top',
  parameters: '<log>…',
  summary: 'show what the writers of logs do at the moment, refreshed in place',
  description: `For each writer, process and thread, and in total: records and bytes each second, what waits in memory, what
was dropped, the share of its time for which it waited for the lock, and how long syncs took. Writers that ended
without closing their sinks are shown as dead. For logs whose writers have the option statistics; of others, size and
backups are shown. For each shipper of a log: records and bytes each second, and how far its target is behind, in
records, bytes and time.

Keys: q ends it, p holds the picture, s sorts by another column. Without colours if NO_COLOR is set or TERM is dumb.`,
  options: () => ({
    once: {
      type: 'boolean',
      text: 'Print the picture once, of what happens in two seconds, instead of refreshing it.'
    },
    json: { type: 'boolean', text: 'With --once: one JSON object per log.' },
    interval: { type: 'string', value: 'ms', text: 'Time between two pictures in ms (1000).' }
  }),
  examples: ['logboom top app.log', 'logboom top --once --json logs/ | jq .total.recordsPerSecond'],
  async run(positionals, values) {
    const paths = await expandInputs(positionals, 'auto')
    if (paths.includes('-')) throw new UsageError('top shows logs, and stdin is none')
    const intervalMs = Math.max(
      MIN_INTERVAL_MS,
      timeOption('interval', (values.interval ?? '1000') as string, 1)
    )
    if (values.once === true) return once(paths, values)
    if (values.json === true) throw new UsageError('--json is for --once')
    if (!process.stdout.isTTY) throw new UsageError('top needs a terminal; --once prints the picture once')
    return live(paths, intervalMs)
  }
}

async function once(paths: readonly string[], values: CliValues): Promise<ExitCode> {
  const failures = new Failures()
  const before = await viewLogs(paths, failures.tell)
  if (before.length === 0) return failures.code
  await sleep(RATE_WINDOW_MS)
  const views = await viewLogs(paths, failures.tell)
  const output = new Output()
  if (values.json === true) {
    for (const view of views) {
      const old = before.find(({ path }) => path === view.path)
      await output.text(`${JSON.stringify(toJson(view, old))}\n`)
    }
  } else {
    const options = { columns: 132, rows: Number.POSITIVE_INFINITY, colour: false, isPaused: false } as const
    const lines = frameLines(views, before, { ...options, sorting: 'writer', time: new Date().toISOString() })
    await output.text(`${lines.slice(2).join('\n')}\n`)
  }
  await output.flush()
  return failures.code
}

function toJson(view: LogView, before: LogView | undefined): object {
  const rows = rowsOf(view, before)
  const { path, liveBytes, backups, backupBytes, writers } = view
  return {
    path,
    liveBytes,
    maxBytes: Math.max(0, ...(writers ?? []).map(({ maxBytes }) => maxBytes)),
    backups,
    backupBytes,
    hasStatistics: writers !== undefined,
    writers: rows.map(({ writer, ...rates }) => {
      const { slot: _slot, isAlive: _isAlive, syncLatency: _latency, ...figures } = writer
      return { ...figures, ...rates }
    }),
    total: totalOf(rows),
    consumers: consumerRowsOf(view, before).map(({ consumer, ...rates }) => ({ ...consumer, ...rates }))
  }
}

async function live(paths: readonly string[], intervalMs: number): Promise<ExitCode> {
  const colour = showsColours()
  let views = await viewLogs(paths)
  /** Those of the last seconds, the oldest first. */
  const past: (readonly LogView[])[] = []
  const kept = Math.min(MAX_VIEWS, Math.max(1, Math.ceil(RATE_WINDOW_MS / intervalMs)))
  let sorting: Sorting = 'writer'
  let isPaused = false
  const ended = new AbortController()
  const end = (): void => ended.abort()
  const show = (): void => {
    const { columns, rows } = screen
    const time = new Date().toISOString().slice(11, 19)
    screen.show(frameLines(views, past[0] ?? [], { columns, rows, colour, sorting, isPaused, time }))
  }
  const screen = openScreen((key) => {
    if (key === 'q') end()
    if (key === 'p') isPaused = !isPaused
    if (key === 's') sorting = sortings[(sortings.indexOf(sorting) + 1) % sortings.length]
    if (key !== 'q') show()
  }, show)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, end)
  try {
    show()
    while (!ended.signal.aborted) {
      await sleep(intervalMs, undefined, { signal: ended.signal }).catch(() => {})
      if (ended.signal.aborted || isPaused) continue
      const next = await viewLogsAgain(paths)
      if (isPaused) continue
      past.push(views)
      if (past.length > kept) past.shift()
      views = next
      show()
    }
  } finally {
    screen.close()
  }
  return exitCodes.fine
}

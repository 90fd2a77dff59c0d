// Metrics of sinks as text, in prom-client and in OpenTelemetry, and events on diagnostics channels.
import { execFileSync } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { existsSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader
} from '@opentelemetry/sdk-metrics'
import { Registry } from 'prom-client'
import { describe, expect, onTestFinished, test } from 'vitest'
import { LogboomError } from '../../src/base/errors.ts'
import { RotatingFile } from '../../src/core/rotating-file/rotating-file.ts'
import { Account } from '../../src/core/sink/account.ts'
import { channelNames } from '../../src/core/sink/channels.ts'
import type { SinkStats } from '../../src/core/sink/contract.ts'
import { collectMetrics, observeWith, registerWith } from '../../src/metrics/index.ts'
import { createFolder } from '../helpers/folder.ts'
import { until } from '../helpers/until.ts'

const hasPromtool = (process.env.PATH ?? '')
  .split(delimiter)
  .some((folder) => existsSync(join(folder, 'promtool')))
const stats: SinkStats = {
  records: 1,
  bytes: 2,
  dropped: 3,
  writes: 4,
  syncs: 5,
  rotations: 6,
  repairs: 7,
  errors: 8,
  recovered: 10,
  lane: 'none',
  queuedBytes: 9,
  state: 'degraded'
}
const EVIL = '/a "b"\\c\nd'

function createSink(): RotatingFile {
  const sink = new RotatingFile({ path: join(createFolder(), 'app.log') })
  onTestFinished(() => sink.close())
  return sink
}

describe('collectMetrics', () => {
  test('gives OpenMetrics text', async () => {
    const text = await collectMetrics({ path: EVIL, stats: () => stats })
    expect(text).toContain(
      '# TYPE logboom_records counter\nlogboom_records_total{path="/a \\"b\\"\\\\c\\nd"} 1\n'
    )
    expect(text).toContain(
      '# TYPE logboom_queued_bytes gauge\nlogboom_queued_bytes{path="/a \\"b\\"\\\\c\\nd"} 9\n'
    )
    expect(text).toContain('state="degraded"} 1\n')
    expect(text).toContain('state="open"} 0\n')
    expect(text.endsWith('# EOF\n')).toBe(true)
    expect(text.match(/# HELP /g)).toHaveLength(11)
  })

  test('adds up sinks of one path, and takes those that answer later', async () => {
    const sinks = new Set([
      { path: '/a', stats: () => stats },
      { path: '/a', stats: async () => ({ ...stats, records: 10, state: 'open' as const }) },
      { path: '/b', stats: () => stats }
    ])
    const text = await collectMetrics(sinks)
    expect(text).toContain('logboom_records_total{path="/a"} 11\nlogboom_records_total{path="/b"} 1\n')
    expect(text).toContain('logboom_sinks{path="/a",state="open"} 1\n')
  })

  test('tells the numbers of a real sink', async () => {
    const sink = createSink()
    sink.write('one\ntwo\n')
    await sink.flush()
    expect(await collectMetrics([sink])).toContain(`logboom_records_total{path="${sink.path}"} 2\n`)
  })

  test.each([[undefined], [7], ['x'], [{}], [[{}]]])('refuses %j', async (sinks) => {
    await expect(collectMetrics(sinks as never)).rejects.toMatchObject({ code: 'ERR_ARGUMENT' })
    expect(() => registerWith(new Registry(), sinks as never)).toThrow('ERR_ARGUMENT')
  })

  test('of nothing is nothing', async () => {
    expect(await collectMetrics([])).toBe('# EOF\n')
    await expect(collectMetrics([], { format: 'x' as never })).rejects.toMatchObject({ code: 'ERR_ARGUMENT' })
  })
})

test('prom-client shows the same numbers as the text, for one look at the sinks a scrape', async () => {
  let looks = 0
  const sink = {
    path: EVIL,
    stats: () => {
      looks++
      return { ...stats, records: looks }
    }
  }
  const registry = new Registry()
  const remove = registerWith(registry, sink)
  const text = await registry.metrics()
  expect(looks).toBe(1)
  looks = 0
  const lines = (all: string) =>
    all
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .sort()
  expect(lines(text)).toEqual(lines(await collectMetrics(sink)))
  await registry.metrics()
  expect(looks).toBe(2)
  remove()
  expect(await registry.metrics()).toBe('\n')
})

test('a meter of OpenTelemetry shows the same numbers', async () => {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
  const provider = new MeterProvider({ readers: [reader] })
  onTestFinished(() => provider.shutdown())
  const stop = observeWith(provider.getMeter('test'), [{ path: '/a', stats: async () => stats }])
  await provider.forceFlush()
  const metrics = exporter.getMetrics().at(-1)?.scopeMetrics[0].metrics ?? []
  const values = metrics.map(({ descriptor, dataPoints }) => [
    descriptor.name,
    descriptor.unit,
    dataPoints[0].value
  ])
  expect(values.slice(0, 10)).toEqual([
    ['logboom.records', '{record}', 1],
    ['logboom.written', 'By', 2],
    ['logboom.dropped_records', '{record}', 3],
    ['logboom.writes', '{call}', 4],
    ['logboom.syncs', '{call}', 5],
    ['logboom.rotations', '{rotation}', 6],
    ['logboom.repairs', '{repair}', 7],
    ['logboom.recovered_records', '{record}', 10],
    ['logboom.errors', '{error}', 8],
    ['logboom.queued', 'By', 9]
  ])
  const states = metrics.find(({ descriptor }) => descriptor.name === 'logboom.sinks')?.dataPoints ?? []
  expect(states.filter(({ value }) => value === 1).map(({ attributes }) => attributes)).toEqual([
    { path: '/a', state: 'degraded' }
  ])
  stop()
  expect(() => observeWith({} as never, [])).toThrow('ERR_ARGUMENT')
})

describe.skipIf(!hasPromtool)('promtool (of the Debian package prometheus, else skipped)', () => {
  test('accepts the metrics', async () => {
    const text = await collectMetrics({ path: EVIL, stats: () => stats }, { format: 'prometheus' })
    // Exits with 3 for anything it would do otherwise.
    expect(execFileSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' })).toBe('')
  })

  test('accepts the alert rules', () => {
    const rules = new URL('../../docs/monitoring/alerts.yml', import.meta.url).pathname
    expect(execFileSync('promtool', ['check', 'rules', rules], { encoding: 'utf8' })).toContain(
      '7 rules found'
    )
  })
})

test('dashboard and alerts ask for metrics that there are', async () => {
  const known = new Set((await collectMetrics({ path: '/a', stats: () => stats })).match(/^logboom_\w+/gm))
  // Those of shippers and files are the command's own, which prints them only where there are such.
  const command = readFileSync(new URL('../../src/cli/metrics.ts', import.meta.url), 'utf8')
  for (const [, name] of command.matchAll(/'(logboom_\w+)'/g)) known.add(name)
  for (const file of ['alerts.yml', 'grafana-dashboard.json']) {
    const text = readFileSync(new URL(`../../docs/monitoring/${file}`, import.meta.url), 'utf8')
    if (file.endsWith('.json')) JSON.parse(text)
    const asked = new Set(text.match(/logboom_\w+/g))
    expect(asked.size).toBeGreaterThan(3)
    for (const name of asked) expect(known, name).toContain(name)
  }
})

describe('diagnostics channels', () => {
  function collect(): { name: string; message: unknown }[] {
    const seen: { name: string; message: unknown }[] = []
    for (const name of channelNames) {
      const listener = (message: unknown) => void seen.push({ name, message })
      subscribe(`logboom:${name}`, listener)
      onTestFinished(() => void unsubscribe(`logboom:${name}`, listener))
    }
    return seen
  }

  test('tell what happens to a sink, with its path', async () => {
    const seen = collect()
    const sink = createSink()
    sink.write('a\n')
    await sink.flush()
    await sink.rotate()
    await until(() => seen.length > 0)
    const [{ name, message }] = seen
    expect(name).toBe('rotated')
    expect(message).toMatchObject({ path: sink.path, from: sink.path, bytes: 2 })
  })

  test('have each kind of event, whoever listens to the sink itself', async () => {
    const seen = collect()
    const emitted: string[] = []
    const emitter = { emit: (name: string) => emitted.push(name) }
    const account = new Account(emitter as never, '/a.log', false)
    account.announce('recovered')
    account.repaired('/a.log.1', 3)
    account.drop({ lines: 2, bytes: 5 })
    account.warn('EIO', 'broken')
    account.failed(new LogboomError('ERR_NOT_FILE', 'no file', { path: '/b' }))
    account.announce('drain')
    await until(() => emitted.includes('drain'))
    expect(seen).toEqual([
      { name: 'recovered', message: { path: '/a.log' } },
      { name: 'repaired', message: { path: '/a.log', file: '/a.log.1', bytes: 3 } },
      { name: 'dropped', message: { path: '/a.log', count: 2, bytes: 5 } },
      { name: 'warning', message: { path: '/a.log', code: 'EIO', message: 'broken' } },
      {
        name: 'failed',
        message: { path: '/a.log', file: '/b', code: 'ERR_NOT_FILE', message: expect.any(String) }
      },
      {
        name: 'warning',
        message: { path: '/a.log', file: '/b', code: 'ERR_NOT_FILE', message: expect.any(String) }
      }
    ])
  })
})

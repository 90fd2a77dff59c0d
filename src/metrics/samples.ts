// The values of all metrics at one moment, in a shape that every output is made of.
import { LogboomError } from '../base/errors.ts'
import type { SinkState } from '../core/sink/contract.ts'
import { type MeasuredStats, sinkMetrics, sinkStates, stateMetric } from './definitions.ts'

/** A sink, or a transport that has one in its worker. */
export interface Measured {
  readonly path: string
  stats(): MeasuredStats | Promise<MeasuredStats>
}

export type MeasuredSinks = Measured | Iterable<Measured>

export interface Sample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface Family {
  readonly name: string
  readonly type: 'counter' | 'gauge'
  readonly help: string
  readonly unit: string
  readonly samples: readonly Sample[]
}

/** Throws `ERR_ARGUMENT` for what is no sink. An iterable is iterated at each collection, so it may grow. */
export function requireMeasured(sinks: MeasuredSinks): Iterable<Measured> {
  if (isMeasured(sinks)) return [sinks]
  if (typeof sinks === 'object' && sinks !== null && Symbol.iterator in sinks) {
    for (const sink of sinks) if (!isMeasured(sink)) throw notMeasured()
    return sinks
  }
  throw notMeasured()
}

/** Sinks of one path are added up, because a series may be there only once. */
export async function collectFamilies(sinks: Iterable<Measured>): Promise<Family[]> {
  const all = await Promise.all([...sinks].map(async (sink) => [sink.path, await sink.stats()] as const))
  const byPath = new Map<string, MeasuredStats[]>()
  for (const [path, stats] of all) {
    const known = byPath.get(path)
    if (known === undefined) byPath.set(path, [stats])
    else known.push(stats)
  }
  const families: Family[] = sinkMetrics.map(({ of, ...metric }) => ({
    ...metric,
    samples: [...byPath].map(([path, stats]) => ({
      labels: { path },
      value: stats.reduce((sum, each) => sum + of(each), 0)
    }))
  }))
  const states = [...byPath].flatMap(([path, stats]) =>
    sinkStates.map((state) => inState(path, state, stats))
  )
  return [...families, { ...stateMetric, samples: states }]
}

function inState(path: string, state: SinkState, stats: readonly MeasuredStats[]): Sample {
  return { labels: { path, state }, value: stats.filter((each) => each.state === state).length }
}

function isMeasured(value: unknown): value is Measured {
  if (typeof value !== 'object' || value === null) return false
  return (
    'path' in value && typeof value.path === 'string' && 'stats' in value && typeof value.stats === 'function'
  )
}

function notMeasured(): LogboomError {
  return new LogboomError(
    'ERR_ARGUMENT',
    'metrics: sinks must be a sink of this package, or several in a list'
  )
}

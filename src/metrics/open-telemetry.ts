// Metrics of sinks through a meter of OpenTelemetry, which is known here by its interface alone.
import { LogboomError } from '../base/errors.ts'
import { sinkMetrics, stateMetric } from './definitions.ts'
import { collectFamilies, type MeasuredSinks, requireMeasured } from './samples.ts'

/** What is used of the interface `Meter` of @opentelemetry/api; `T` is its `Observable`. */
export interface OtelMeter<T extends object> {
  createObservableCounter(name: string, options: OtelInstrumentOptions): T
  createObservableGauge(name: string, options: OtelInstrumentOptions): T
  addBatchObservableCallback(callback: OtelCallback<T>, observables: T[]): void
  removeBatchObservableCallback(callback: OtelCallback<T>, observables: T[]): void
}

export interface OtelInstrumentOptions {
  readonly description: string
  readonly unit: string
}

export type OtelCallback<T> = (result: {
  observe(observable: T, value: number, attributes: Record<string, string>): void
}) => Promise<void>

/**
 * Observes the sinks at each collection of the meter. Names are those of Prometheus with points and without units and
 * `_total`, which exporters add. Returns what ends it. Throws `ERR_ARGUMENT` for what is no meter or no sink.
 */
export function observeWith<T extends object>(meter: OtelMeter<T>, sinks: MeasuredSinks): () => void {
  if (typeof meter?.addBatchObservableCallback !== 'function')
    throw new LogboomError('ERR_ARGUMENT', 'observeWith: the first argument must be a meter of OpenTelemetry')
  const measured = requireMeasured(sinks)
  const instruments = new Map<string, T>()
  for (const { name, type, help, unit } of [...sinkMetrics, stateMetric]) {
    const options = { description: help, unit }
    const own = otelName(name)
    const created =
      type === 'counter'
        ? meter.createObservableCounter(own, options)
        : meter.createObservableGauge(own, options)
    instruments.set(name, created)
  }
  const observe: OtelCallback<T> = async (result) => {
    for (const { name, samples } of await collectFamilies(measured)) {
      const instrument = instruments.get(name)
      if (instrument === undefined) continue
      for (const { labels, value } of samples) result.observe(instrument, value, { ...labels })
    }
  }
  const observed = [...instruments.values()]
  meter.addBatchObservableCallback(observe, observed)
  return () => meter.removeBatchObservableCallback(observe, observed)
}

/** For example `logboom.dropped_records`. */
function otelName(name: string): string {
  return name
    .replace(/_total$/, '')
    .replace(/_bytes$/, '')
    .replace('logboom_', 'logboom.')
}

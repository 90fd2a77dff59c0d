// `logboom/metrics`: the counters of sinks for Prometheus and OpenTelemetry, without a dependency.
import { LogboomError } from '../base/errors.ts'
import { exposition, type MetricsFormat } from './exposition.ts'
import { collectFamilies, type MeasuredSinks, requireMeasured } from './samples.ts'

export type { MetricsFormat } from './exposition.ts'
export {
  type OtelCallback,
  type OtelInstrumentOptions,
  type OtelMeter,
  observeWith
} from './open-telemetry.ts'
export { type PromRegistry, registerWith } from './prom-client.ts'
export type { Measured, MeasuredSinks } from './samples.ts'

/** The Content-Type of what `collectMetrics` returns. */
export const contentTypes: Readonly<Record<MetricsFormat, string>> = {
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
  prometheus: 'text/plain; version=0.0.4; charset=utf-8'
}

/**
 * The metrics of sinks, and of transports with a sink in a worker, as text: OpenMetrics, or the older format of
 * Prometheus, which node_exporter's textfile collector takes. Rejects with `ERR_ARGUMENT` for what is no sink.
 */
export async function collectMetrics(
  sinks: MeasuredSinks,
  options: { readonly format?: MetricsFormat } = {}
): Promise<string> {
  const { format = 'openmetrics' } = options
  if (!Object.hasOwn(contentTypes, format))
    throw new LogboomError('ERR_ARGUMENT', `collectMetrics: format must be 'openmetrics' or 'prometheus'`)
  return exposition(await collectFamilies(requireMeasured(sinks)), format)
}

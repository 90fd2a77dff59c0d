// Metrics of sinks in a registry of prom-client, which is known here by its interface alone.
import { LogboomError } from '../base/errors.ts'
import { sinkMetrics, stateMetric } from './definitions.ts'
import {
  collectFamilies,
  type Family,
  type Measured,
  type MeasuredSinks,
  requireMeasured
} from './samples.ts'

/** What is used of prom-client's `Registry`. */
export interface PromRegistry {
  // prom-client's own type is one of its classes, which others cannot be instances of.
  // biome-ignore lint/suspicious/noExplicitAny: see above
  registerMetric(metric: any): void
  removeSingleMetric(name: string): void
}

/**
 * Adds the metrics of the sinks to a registry; what they are is asked at each scrape. Returns what removes them again.
 * Throws `ERR_ARGUMENT` for what is no registry or no sink.
 */
export function registerWith(registry: PromRegistry, sinks: MeasuredSinks): () => void {
  if (typeof registry?.registerMetric !== 'function')
    throw new LogboomError(
      'ERR_ARGUMENT',
      'registerWith: the first argument must be a registry of prom-client'
    )
  const scrape = new Scrape(requireMeasured(sinks))
  const metrics = [...sinkMetrics, stateMetric]
  for (const { name, type, help } of metrics)
    registry.registerMetric(new PromMetric(name, type, help, scrape))
  return () => {
    for (const { name } of metrics) registry.removeSingleMetric(name)
  }
}

/** All metrics of one scrape come from one look at the sinks. */
class Scrape {
  readonly #sinks: Iterable<Measured>
  #running: Promise<Family[]> | undefined

  constructor(sinks: Iterable<Measured>) {
    this.#sinks = sinks
  }

  families(): Promise<Family[]> {
    if (this.#running !== undefined) return this.#running
    const running = collectFamilies(this.#sinks).finally(() => {
      this.#running = undefined
    })
    this.#running = running
    return running
  }
}

class PromMetric {
  readonly name: string
  readonly type: string
  readonly help: string
  readonly aggregator = 'sum'
  readonly labelNames: readonly string[]
  readonly #scrape: Scrape

  constructor(name: string, type: string, help: string, scrape: Scrape) {
    this.name = name
    this.type = type
    this.help = help
    this.labelNames = name === stateMetric.name ? ['path', 'state'] : ['path']
    this.#scrape = scrape
  }

  async get(): Promise<object> {
    const { name, type, help, aggregator } = this
    const samples = (await this.#scrape.families()).find((family) => family.name === name)?.samples ?? []
    return { name, type, help, aggregator, values: samples.map(({ labels, value }) => ({ labels, value })) }
  }

  /** Counters of sinks are theirs. */
  reset(): void {}
}

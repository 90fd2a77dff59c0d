// A typed way to write pino's transport options.
import { cloneableOptions, givenOptions } from '../../base/options.ts'
import { type Kind, type KindOptions, requireKind, sinks } from '../../core/registry.ts'
import { type PinoOptions, splitPinoOptions } from './pino-options.ts'

/**
 * `{ target, options }` for pino's `transport`, with the options checked by the compiler and
 * by the sink (`ERR_OPTION`), and made fit for its worker:
 * `pino({ transport: target('rotating-file', { path: 'app.log' }) })`.
 */
export function target<K extends Kind>(
  kind: K,
  options: KindOptions[K] & PinoOptions
): { target: string; options: KindOptions[K] & PinoOptions } {
  requireKind('target', kind)
  const given = givenOptions(kind, options)
  sinks[kind].check(splitPinoOptions(kind, given).sinkOptions)
  return { target: `logboom/${kind}`, options: cloneableOptions(given) as KindOptions[K] & PinoOptions }
}

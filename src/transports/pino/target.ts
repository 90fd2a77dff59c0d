// A typed way to write pino's transport options.
import type { Kind, KindOptions } from '../../core/registry.ts'

/**
 * `{ target, options }` for pino's `transport`, with the options checked by the compiler:
 * `pino({ transport: target('rotating-file', { path: 'app.log' }) })`.
 */
export function target<K extends Kind>(
  kind: K,
  options: KindOptions[K]
): { target: string; options: KindOptions[K] } {
  return { target: `logboom/${kind}`, options }
}

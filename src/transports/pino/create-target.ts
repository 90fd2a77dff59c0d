// What every pino target of this package is: a function from options to a stream, run in pino's worker thread.

import { optionError } from '../../core/options.ts'
import { type Kind, type KindOptions, sinks } from '../../core/registry.ts'
import { SinkStream } from '../sink-stream.ts'

export type PinoTarget<K extends Kind> = (options: KindOptions[K]) => SinkStream

export function createTarget<K extends Kind>(kind: K): PinoTarget<K> {
  return (input) => {
    // pino adds these to the options of a single target, and only there is the return value of write honoured.
    const { $context, pinoWillSendConfig, ...options } = (input ?? {}) as Record<string, unknown>
    for (const name of ['flushOnSignal', 'reopenOnSignal']) {
      if (name in options) {
        const rule =
          'cannot work in a worker thread, which signals never reach; call handleSignals(transport, …) instead'
        throw optionError(kind, name, rule, options[name])
      }
    }
    return new SinkStream(sinks[kind].create(options as never), $context !== undefined)
  }
}

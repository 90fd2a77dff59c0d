// What every pino target of this package is: a function from options to a stream, run in pino's worker thread.

import { givenOptions, optionError } from '../../base/options.ts'
import type { SinkKind } from '../../core/sink/sink-kind.ts'
import { createPrettyLines, type PrettyLines } from '../pretty-lines.ts'
import { SinkStream } from '../sink-stream.ts'
import { type PinoOptions, splitPinoOptions } from './pino-options.ts'

export interface PinoTarget<Options> {
  (options: Options & { format?: 'json' }): SinkStream
  /** A promise only where something has to be loaded for the format. */
  (options: Options & PinoOptions): SinkStream | Promise<SinkStream>
}

export function createTarget<K extends SinkKind>({
  kind,
  check,
  create
}: K): PinoTarget<Parameters<K['create']>[0]> {
  const target = (input: unknown): SinkStream | Promise<SinkStream> => {
    // pino adds these to the options of a single target, and only there is the return value of write honoured.
    const { $context, pinoWillSendConfig, ...options } = givenOptions(kind, input ?? {})
    for (const name of ['flushOnSignal', 'reopenOnSignal']) {
      if (name in options) {
        const rule =
          'cannot work in a worker thread, which signals never reach; call handleSignals(transport, …) instead'
        throw optionError(kind, name, rule, options[name])
      }
    }
    const { own, sinkOptions } = splitPinoOptions(kind, options)
    const open = (shape?: PrettyLines): SinkStream =>
      new SinkStream(create(sinkOptions as never), $context !== undefined, check(sinkOptions), shape)
    return own.format === 'pretty' ? createPrettyLines().then(open) : open()
  }
  return target as PinoTarget<Parameters<K['create']>[0]>
}

// The only list of sinks: transports, the CLI, event routing and the docs all go through it.
import type { OptionSpecs } from './options.ts'
import { rotatingFileOptions } from './rotating-file/options.ts'
import { RotatingFile } from './rotating-file/rotating-file.ts'
import type { Sink } from './sink.ts'

export interface SinkKind {
  readonly options: OptionSpecs
  /** Checks the options (`ERR_OPTION`) and opens the sink. */
  readonly create: (options: never) => Sink
}

export const sinks = {
  'rotating-file': {
    options: rotatingFileOptions,
    create: (options: ConstructorParameters<typeof RotatingFile>[0]) => new RotatingFile(options)
  }
} satisfies Record<string, SinkKind>

export type Kind = keyof typeof sinks

/** What the user may pass for each kind. */
export type KindOptions = { [K in Kind]: Parameters<(typeof sinks)[K]['create']>[0] }

export function isKind(name: string): name is Kind {
  return Object.hasOwn(sinks, name)
}

// What a kind of sink is to transports, the CLI, event routing and the docs.
import type { OptionSpecs } from '../../base/options.ts'
import type { Overflow } from './contract.ts'
import type { InternalSink } from './pumped-sink.ts'

/** What a transport needs to know of a sink's options before the sink exists. */
export interface CheckedOptions {
  readonly path: string
  readonly maxBufferBytes: number
  readonly overflow: Overflow
  readonly fallback: false | 'stderr'
  /** Of a kind that makes several logs: the folder they are in, and of what kind each is. */
  readonly folder?: string
  readonly output?: string
}

export interface SinkKind {
  /** Its name in targets, commands and docs. */
  readonly kind: string
  /** What the names of its winston transport and its types begin with. */
  readonly stem: string
  /** What its transport does, in a sentence. */
  readonly summary: string
  readonly options: OptionSpecs
  /**
   * Checks the options without opening anything. Throws `ERR_OPTION` or `ERR_UNSUPPORTED`. An export of the kind's
   * `options.ts`, so that a transport need not load the sink.
   */
  readonly check: (options: unknown) => CheckedOptions
  /** Checks the options and opens the sink. */
  readonly create: (options: never) => InternalSink
}

// The sinks that write one log each. Event routing makes its outputs of them; the list of all sinks is registry.ts.
import { BinaryFile } from './binary-file/binary-file.ts'
import { type BinaryFileOptions, binaryFileOptions, parseBinaryFileOptions } from './binary-file/options.ts'
import { DirectFile } from './direct-file/direct-file.ts'
import { directFileOptions, parseDirectFileOptions } from './direct-file/options.ts'
import type { OptionSpecs } from './options.ts'
import { parseRotatingFileOptions, rotatingFileOptions } from './rotating-file/options.ts'
import { RotatingFile } from './rotating-file/rotating-file.ts'
import type { Overflow, Sink } from './sink.ts'
import { parseSpoolOptions, type SpoolOptions, spoolOptions } from './spool/options.ts'
import { SpoolLines } from './spool/spool-lines.ts'
import { parseWalOptions, walOptions } from './wal/options.ts'
import { WriteAheadLog } from './wal/write-ahead-log.ts'

/** What a transport needs to know of a sink's options before the sink exists. */
export interface CheckedOptions {
  readonly path: string
  readonly maxBufferBytes: number
  readonly overflow: Overflow
  readonly fallback: false | 'stderr'
}

export interface SinkKind {
  readonly options: OptionSpecs
  /** Checks the options without opening anything. Throws `ERR_OPTION` or `ERR_UNSUPPORTED`. */
  readonly check: (options: unknown) => CheckedOptions
  /** Checks the options and opens the sink. */
  readonly create: (options: never) => Sink
}

export const fileKinds = {
  'rotating-file': {
    options: rotatingFileOptions,
    check: parseRotatingFileOptions,
    create: (options: ConstructorParameters<typeof RotatingFile>[0]) => new RotatingFile(options)
  },
  'direct-file': {
    options: directFileOptions,
    check: parseDirectFileOptions,
    create: (options: ConstructorParameters<typeof DirectFile>[0]) => new DirectFile(options)
  },
  spool: {
    options: spoolOptions,
    check: parseSpoolOptions,
    create: (options: SpoolOptions) => new SpoolLines(options)
  },
  'binary-file': {
    options: binaryFileOptions,
    check: parseBinaryFileOptions,
    create: (options: BinaryFileOptions) => new BinaryFile(options, { source: 'lines' })
  },
  wal: {
    options: walOptions,
    check: parseWalOptions,
    create: (options: ConstructorParameters<typeof WriteAheadLog>[0]) => WriteAheadLog.openSync(options)
  }
} satisfies Record<string, SinkKind>

export type FileKind = keyof typeof fileKinds

// Options of the sinks that write one log each, without the sinks: enough to check the options of an output.
import { binaryFileOptions, parseBinaryFileOptions } from '../binary-file/options.ts'
import { directFileOptions, parseDirectFileOptions } from '../direct-file/options.ts'
import { parseRotatingFileOptions, rotatingFileOptions } from '../rotating-file/options.ts'
import type { SinkKind } from '../sink/sink-kind.ts'
import { parseSpoolOptions, spoolOptions } from '../spool/options.ts'
import { parseWalOptions, walOptions } from '../wal/options.ts'

export const fileOptions = {
  'rotating-file': { options: rotatingFileOptions, check: parseRotatingFileOptions },
  'direct-file': { options: directFileOptions, check: parseDirectFileOptions },
  spool: { options: spoolOptions, check: parseSpoolOptions },
  'binary-file': { options: binaryFileOptions, check: parseBinaryFileOptions },
  wal: { options: walOptions, check: parseWalOptions }
} satisfies Record<string, Pick<SinkKind, 'options' | 'check'>>

export type FileKind = keyof typeof fileOptions

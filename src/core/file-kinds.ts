// The sinks that write one log each. Event routing makes its outputs of them; the list of all sinks is registry.ts.
import { binaryFile } from './binary-file/kind.ts'
import { directFile } from './direct-file/kind.ts'
import { rotatingFile } from './rotating-file/kind.ts'
import type { FileKind } from './shared-file/file-options.ts'
import type { SinkKind } from './sink/sink-kind.ts'
import { spool } from './spool/kind.ts'
import { wal } from './wal/kind.ts'

export const fileKinds = {
  'rotating-file': rotatingFile,
  'direct-file': directFile,
  spool,
  'binary-file': binaryFile,
  wal
} satisfies Record<FileKind, SinkKind>

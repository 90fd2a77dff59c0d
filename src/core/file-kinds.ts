// The sinks that write one log each, by getters as in registry.ts, the list of all sinks. Event routing makes its outputs
// of them.
import { binaryFile } from './binary-file/kind.ts'
import { directFile } from './direct-file/kind.ts'
import { rotatingFile } from './rotating-file/kind.ts'
import type { FileKind } from './shared-file/file-options.ts'
import type { SinkKind } from './sink/sink-kind.ts'
import { spool } from './spool/kind.ts'
import { wal } from './wal/kind.ts'

export const fileKinds = {
  get 'rotating-file'() {
    return rotatingFile
  },
  get 'direct-file'() {
    return directFile
  },
  get spool() {
    return spool
  },
  get 'binary-file'() {
    return binaryFile
  },
  get wal() {
    return wal
  }
} satisfies Record<FileKind, SinkKind>

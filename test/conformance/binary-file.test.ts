import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { BinaryFile } from '../../src/core/binary-file/binary-file.ts'
import { withInternals } from '../../src/core/sink/internals.ts'
import { native } from '../../src/native/index.ts'
import { sharedFileOperations } from './shared-file-operations.ts'
import { sinkConformance } from './sink-conformance.ts'

function read(folder: string): string[] {
  const path = join(folder, 'app.bin')
  if (!existsSync(path)) return []
  using file = new BinaryFile({ path: join(folder, 'reader.bin'), maxBytes: 1, lock: false })
  return [...file.read(path)].filter((record) => !record.includes('logboom: '))
}

sinkConformance('binary-file', {
  create: (folder, options, disk) =>
    withInternals(
      { disk, source: 'lines' },
      () =>
        new BinaryFile({
          path: join(folder, 'app.bin'),
          maxBytes: 2_000,
          lock: native.canLock,
          fallback: false,
          ...options
        })
    ),
  read,
  operations: sharedFileOperations
})

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { RotatingFile } from '../../src/core/rotating-file/rotating-file.ts'
import { withInternals } from '../../src/core/sink/internals.ts'
import { groupBackups } from '../../src/formats/backup-name.ts'
import { native } from '../../src/native/index.ts'
import { sharedFileOperations } from './shared-file-operations.ts'
import { sinkConformance } from './sink-conformance.ts'

function read(folder: string): string[] {
  const names = readdirSync(folder)
  const files = [...groupBackups('app.log', names).map(({ name }) => name), 'app.log']
  return files
    .flatMap((name) =>
      names.includes(name) ? readFileSync(join(folder, name), 'utf8').split('\n').slice(0, -1) : []
    )
    .filter((line) => !line.includes('logboom: '))
}

sinkConformance('rotating-file', {
  create: (folder, options, disk) =>
    withInternals(
      { disk },
      () =>
        new RotatingFile({
          path: join(folder, 'app.log'),
          maxBytes: 2_000,
          lock: native.canLock,
          fallback: false,
          ...options
        })
    ),
  read,
  operations: sharedFileOperations
})

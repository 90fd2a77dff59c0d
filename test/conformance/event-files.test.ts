import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { EventFilesOptions } from 'logboom'
import { EventFiles } from '../../src/core/event-files/event-files.ts'
import { fileKinds } from '../../src/core/file-kinds.ts'
import { withInternals } from '../../src/core/sink/internals.ts'
import { groupBackups } from '../../src/formats/backup-name.ts'
import { native } from '../../src/native/index.ts'
import { sharedFileOperations } from './shared-file-operations.ts'
import { sinkConformance } from './sink-conformance.ts'

const lock = native.canLock

// Lines without an event go to one file, so what holds for a sink of one file must hold here.
function readText(folder: string): string[] {
  const names = existsSync(folder) ? readdirSync(folder) : []
  const files = [...groupBackups('default.log', names).map(({ name }) => name), 'default.log']
  return files
    .flatMap((name) =>
      names.includes(name) ? readFileSync(join(folder, name), 'utf8').split('\n').slice(0, -1) : []
    )
    .filter((line) => !line.includes('logboom: '))
}

sinkConformance('event-files over rotating files', {
  create: (folder, options, disk) =>
    withInternals(
      { disk },
      () =>
        new EventFiles({
          dir: folder,
          output: 'rotating-file',
          maxBytes: 2_000,
          lock,
          fallback: false,
          ...options
        } as EventFilesOptions)
    ),
  read: readText,
  operations: sharedFileOperations
})

sinkConformance('event-files over binary files', {
  create: (folder, options, disk) =>
    withInternals(
      { disk },
      () =>
        new EventFiles({
          dir: folder,
          output: 'binary-file',
          maxBytes: 2_000,
          lock,
          fallback: false,
          ...options
        } as EventFilesOptions)
    ),
  read: (folder) => {
    const path = join(folder, 'default.log')
    const file = fileKinds['binary-file'].create({ path, maxBytes: 2_000, lock, fallback: false })
    const records = [...(file as unknown as { read(): Iterable<string> }).read()]
    void file.close()
    return records.filter((line) => !line.includes('logboom: '))
  },
  operations: sharedFileOperations
})

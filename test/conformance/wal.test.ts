import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { withInternals } from '../../src/core/sink/internals.ts'
import { WriteAheadLog } from '../../src/core/wal/write-ahead-log.ts'
import { readLog } from '../helpers/wal-log.ts'
import { sinkConformance } from './sink-conformance.ts'

sinkConformance('wal', {
  create: (folder, options, disk) =>
    withInternals({ disk }, () =>
      WriteAheadLog.openSync({
        walDir: join(folder, 'wal'),
        segmentBytes: 4_096,
        durability: 'os',
        fallback: false,
        ...options
      })
    ),
  read: (folder) => {
    const walDir = join(folder, 'wal')
    if (!existsSync(walDir)) return []
    return readLog(walDir)
      .entries.map(({ text }) => text)
      .filter((text) => !text.includes('logboom: '))
  },
  // Not close: the kernel closes whatever it answers, but the injected failure keeps the descriptor and its lock.
  operations: [
    'open',
    'write',
    'read',
    'lstat',
    'fstat',
    'chmod',
    'lock',
    'rename',
    'renameNoReplace',
    'readdir',
    'exists',
    'mkdir',
    'truncate',
    'unlink',
    'fallocate',
    'fdatasync',
    'fdatasyncAsync',
    'fsync'
  ],
  healsAtOnce: true
})

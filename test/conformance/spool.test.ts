import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { withInternals } from '../../src/core/sink/internals.ts'
import { SpoolLines } from '../../src/core/spool/spool-lines.ts'
import { publishedNames } from '../helpers/spool.ts'
import { sinkConformance } from './sink-conformance.ts'

function read(folder: string): string[] {
  return publishedNames(folder)
    .flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n').slice(0, -1))
    .filter((line) => !line.includes('logboom: '))
}

sinkConformance('spool', {
  create: (folder, options, disk) =>
    withInternals({ disk }, () => new SpoolLines({ path: folder, size: 2_000, fallback: false, ...options })),
  read,
  operations: [
    'open',
    'write',
    'lstat',
    'fstat',
    'chmod',
    'renameNoReplace',
    'fdatasync',
    'fdatasyncAsync',
    'fsync',
    'stat'
  ]
})
